"""Time whole command lines: `medforensics analyze` against every post-hoc linter that is installed.

    python benchmarks/analyze.py --rounds 5 --peers /path/to/venv/bin

Three inputs: an event file of a million scalars, a real run of the Trainer without its checkpoints, and the same
with them. Every program runs as a user runs it, its start included; in each round each runs once, in turn, and the
best round counts. CPU time (user and system, children included) is what to trust on a machine that is shared. A
program that takes longer than the limit is ended and not asked again.
"""

import argparse
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

from events_data import write_event_file

ROOT = Path(__file__).parents[1]
RUN = ROOT / "fixtures" / "runs" / "broken" / "ds-zero12-comm-corruption" / "run"
OURS = (sys.executable, "-m", "forensics", "analyze")
RIVALS = {
    "runmedic": ("diagnose",),
    "trainproof": ("doctor",),
    "losslint": ("check",),
    "trainspotter": ("analyze",),
}
FIRST, NEXT = "medforensics, first call ever", "medforensics"


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds of wall and CPU time and the peak of memory in MB; `ended` when the limit was reached."""

    wall: float
    processor: float
    peak: float
    ended: bool = False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60.0, help="the limit for one call")
    parser.add_argument("--peers", type=Path, help="the folder with the programs of the rivals")
    arguments = parser.parse_args()
    programs = {NEXT: OURS, **_rivals(arguments.peers)}
    with tempfile.TemporaryDirectory() as made, tempfile.TemporaryDirectory() as cache:
        for title, path in _inputs(Path(made), arguments.points):
            print(f"{title}\n")
            _print(_measured(programs, path, arguments.rounds, arguments.seconds, Path(cache)))


def _rivals(folder: Path | None) -> dict[str, tuple[str, ...]]:
    found = {name: shutil.which(name, path=None if folder is None else str(folder)) for name in RIVALS}
    return {name: (program, *RIVALS[name]) for name, program in found.items() if program}


def _inputs(folder: Path, points: int) -> Iterator[tuple[str, Path]]:
    path = write_event_file(folder / "events", points)
    yield f"One event file, {points:,} scalars, {path.stat().st_size / 1e6:.0f} MB", path.parent
    bare = folder / "run"
    shutil.copytree(RUN, bare, ignore=shutil.ignore_patterns("checkpoint-*"))
    yield f"A run without checkpoints, {_size(bare):.2f} MB", bare
    yield f"The same run with its checkpoints, {_size(RUN):.2f} MB", RUN


def _size(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def _measured(
    programs: Mapping[str, Sequence[str]], path: Path, rounds: int, limit: float, cache: Path
) -> dict[str, Taken]:
    with tempfile.TemporaryDirectory() as empty:
        # What is compiled, bytecode too, goes to a folder of its own, so that the first call finds none.
        best = {FIRST: _timed([*OURS, str(path)], limit, Path(empty))}
    _timed([*OURS, str(path)], limit, cache)
    for _ in range(rounds):
        for name, command in programs.items():
            if name in best and best[name].ended:
                continue
            taken = _timed([*command, str(path)], limit, cache)
            if name not in best or taken.processor < best[name].processor:
                best[name] = taken
    return best


def _timed(command: Sequence[str], limit: float, cache: Path) -> Taken:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONPYCACHEPREFIX": str(cache)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    ended = False
    while True:
        waited, _, usage = os.wait4(process.pid, os.WNOHANG)
        wall = time.perf_counter() - start
        if waited:
            process.returncode = 0
            return Taken(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, ended)
        if wall > limit and not ended:
            os.killpg(process.pid, signal.SIGKILL)
            ended = True
        time.sleep(0.002)


def _print(best: Mapping[str, Taken]) -> None:
    ours = best[NEXT].processor
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 + 1
    rows = [
        (
            name,
            f"> {taken.wall:.0f}" if taken.ended else f"{taken.wall:.2f}",
            f"> {taken.processor:.0f}" if taken.ended else f"{taken.processor:.2f}",
            f"{taken.processor / ours:.1f}",
            # A program that stays below this one's own peak cannot be told from it: it is inherited at the start.
            f"{taken.peak:.0f}" if taken.peak > own else f"< {own:.0f}",
        )
        for name, taken in best.items()
    ]
    headers = ("program", "wall s", "CPU s", "CPU, times ours", "peak MB")
    print(tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True, colalign=("left", *["right"] * 4)))
    print()


if __name__ == "__main__":
    main()
