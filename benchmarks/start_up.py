"""What a command costs before and beside its work: processor time of whole processes, this version and one before.

    python benchmarks/start_up.py --before PYTHON

PYTHON is an interpreter that imports the version to compare with. The programs take turns; the best of the rounds
counts. Bytecode is there, as after an installation.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tabulate import tabulate

ROOT = Path(__file__).parent.parent
RUN = ROOT / "fixtures" / "runs" / "broken" / "all-labels-masked" / "run"
ROUNDS = 9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", metavar="PYTHON", help="an interpreter with the version before")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        log = Path(made) / "train.log"
        log.write_text("{'loss': 1.5, 'step': 1}\n{'loss': 0.0, 'step': 2}\n")
        commands = {
            "analyze RUN -q": ["analyze", str(RUN), "-q"],
            "analyze RUN": ["analyze", str(RUN)],
            "analyze RUN --format html": ["analyze", str(RUN), "--format", "html"],
            "analyze two-line.log -q": ["analyze", str(log), "-q"],
            "--help": ["--help"],
        }
        programs = {"now": [sys.executable, "-m", "forensics"]}
        if given.before:
            programs["before"] = [given.before, "-m", "forensics"]
        taken = _measured(commands, programs, given.rounds, Path(made) / "cache")
        alone = min(
            _seconds([sys.executable, "-c", "import numpy"], Path(made) / "cache" / "now") for _ in range(given.rounds)
        )
    rows = [
        (name, *(f"{taken[name, program]:.3f}" for program in programs), _ratio(taken, name, programs))
        for name in commands
    ]
    rows.append(("import numpy, for comparison", f"{alone:.3f}", *[""] * len(programs)))
    headers = ["command", *(f"{program}, CPU s" for program in programs), "now / before"]
    print(tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True))


def _ratio(taken: Mapping[tuple[str, str], float], name: str, programs: Mapping[str, Sequence[str]]) -> str:
    return f"{taken[name, 'now'] / taken[name, 'before']:.2f}" if "before" in programs else ""


def _measured(
    commands: Mapping[str, Sequence[str]], programs: Mapping[str, Sequence[str]], rounds: int, cache: Path
) -> dict[tuple[str, str], float]:
    best: dict[tuple[str, str], float] = {}
    for turn in range(rounds + 1):
        for name, arguments in commands.items():
            for program, start in programs.items():
                taken = _seconds([*start, *arguments], cache / program)
                if turn:  # The first turn writes the bytecode.
                    best[name, program] = min(best.get((name, program), taken), taken)
    return best


def _seconds(command: Sequence[str], cache: Path) -> float:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment["PYTHONPYCACHEPREFIX"] = str(cache)
    quiet = subprocess.DEVNULL
    # With `-m` a version that lies in the current folder would be taken: each runs outside of both.
    process = subprocess.Popen(command, cwd="/", env=environment, stdin=quiet, stdout=quiet, stderr=quiet)
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
