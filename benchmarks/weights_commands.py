"""Checkpoints with and without compiled loops: the counting itself, and whole `diff` commands with their start.

    python benchmarks/weights_commands.py --gigabytes 1 --before PYTHON

Makes two BF16 safetensors files of that size in a temporary folder and reads them from the page cache. PYTHON is an
interpreter that imports the version to compare with. All take turns; the best of the rounds counts, for wall and CPU
time each.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from tabulate import tabulate

from forensics.formats.safetensors import read_layout, tensor_records
from forensics.model import TensorRecord
from forensics.storage.file import File
from forensics.weights.series import examine_series
from weights_data import write_pair
from weights_peers import plain_read

WITHOUT_NUMBA = "import sys; sys.modules['numba'] = None; from forensics.__main__ import start; start()"
READ = "plain read (preadv, 1 MiB buffer)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", metavar="PYTHON", help="an interpreter with the version before")
    parser.add_argument("--gigabytes", type=float, default=1.0, help="size of each checkpoint (default 1)")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    threads = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        paths = write_pair(folder, int(given.gigabytes * 1e9), 16)
        nbytes = sum(path.stat().st_size for path in paths)
        counting = _best(_counting(folder, paths, threads), given.rounds)
        whole = _best(_commands(paths, given.before, folder / "cache"), given.rounds)
    rows = [
        (name, *(f"{nbytes / seconds / 1e9:.2f}" for seconds in taken), *_ratios(taken, counting[READ]))
        for name, taken in counting.items()
    ]
    print(f"Two files of {given.gigabytes:g} GB, {threads} threads, page cache warm\n")
    headers = ["in a running process", "GB/s wall", "GB/s CPU", "of the read, wall", "of the read, CPU"]
    print(tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True))
    print()
    seconds = [(name, *(f"{clock:.2f}" for clock in taken)) for name, taken in whole.items()]
    print(tabulate(seconds, headers=["whole command", "wall s", "CPU s"], tablefmt="github", disable_numparse=True))


def _ratios(taken: Sequence[float], read: Sequence[float]) -> list[str]:
    return [f"{other / own:.2f}" for own, other in zip(taken, read, strict=True)]


def _best(runs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, tuple[float, float]]:
    """Run all in turn, the first turn unmeasured; return the best wall and CPU seconds of each."""
    best = dict.fromkeys(runs, (float("inf"), float("inf")))
    for turn in range(rounds + 1):
        for name, run in runs.items():
            wall, busy = time.perf_counter(), _cpu()
            run()
            wall, busy = time.perf_counter() - wall, _cpu() - busy
            if turn:
                best[name] = min(best[name][0], wall), min(best[name][1], busy)
    return best


def _cpu() -> float:
    """Return processor seconds of this process and of children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _counting(folder: Path, paths: Sequence[Path], threads: int) -> dict[str, Callable[[], object]]:
    pair = []
    for path in paths:
        with File(path) as file:
            pair.append(tuple(tensor_records(read_layout(file), path.name)))
    runs: dict[str, Callable[[], object]] = {READ: partial(plain_read, paths, threads)}
    for name, kernels in (("numpy", False), ("kernels", True)):
        runs[f"diff, {name}"] = partial(examine_series, folder, pair, threads=threads, kernels=kernels)
        runs[f"scan of both, {name}"] = partial(_scan, folder, pair, threads, kernels)
    return runs


def _scan(folder: Path, pair: Sequence[tuple[TensorRecord, ...]], threads: int, kernels: bool) -> None:
    for records in pair:
        examine_series(folder, [records], threads=threads, kernels=kernels)


def _commands(paths: Sequence[Path], before: str | None, cache: Path) -> dict[str, Callable[[], object]]:
    arguments = ["diff", *map(str, paths), "-q"]
    commands = {
        "cat of both": ["cat", *map(str, paths)],
        "diff, medforensics[fast]": [sys.executable, "-m", "forensics", *arguments],
        "diff, medforensics": [sys.executable, "-c", WITHOUT_NUMBA, *arguments],
        "start alone (--version)": [sys.executable, "-m", "forensics", "--version"],
    }
    if before:
        commands["diff, the version before"] = [before, "-m", "forensics", *arguments]
    return {name: partial(_run, command, cache / name.replace(" ", "-")) for name, command in commands.items()}


def _run(command: Sequence[str], cache: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment |= {"PYTHONPYCACHEPREFIX": str(cache), "NUMBA_CACHE_DIR": str(cache)}
    subprocess.run(command, cwd="/", env=environment, stdout=subprocess.DEVNULL, check=True)


if __name__ == "__main__":
    main()
