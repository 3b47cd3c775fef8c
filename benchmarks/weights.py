"""Time the scan and the diff of checkpoints against a plain read of the same bytes, and against the usual way.

    python benchmarks/weights.py --gigabytes 1 --rounds 5

Makes two BF16 safetensors files of that size (and two of 10,000 tensors, and two small ones for slow peers) in a
temporary folder and reads them from the page cache. In each round every contestant runs once, in turn; ratios are
those of one round, and the median of all rounds is printed. CPU time counts all threads and is what to trust on
a machine that is shared.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tabulate import tabulate

from forensics.formats.safetensors import read_layout, tensor_records
from forensics.model.tensors import TensorRecord
from forensics.storage.file import File
from forensics.weights.series import examine_series
from weights_data import write_pair
from weights_peers import forget, naive_diff, plain_read, weightlens

_GIGABYTE = 10**9
_SMALL_TENSORS = 10_000
_SLOW_SHARE = 16
_MEMORY = """
import sys
sys.path.insert(0, {benchmarks!r})
if {work}:
    from pathlib import Path
    from weights import checkpoint, ours
    ours(Path({folder!r}), [checkpoint(Path(p)) for p in {paths!r}], {threads})()
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
_COMPILE = """
import numba, time
wall, cpu = time.perf_counter(), time.process_time()
import forensics.weights.kernels
print(time.perf_counter() - wall, time.process_time() - cpu)
"""


@dataclass
class Contestant:
    """One way to look at some bytes, and the times it took: wall and CPU seconds, one pair a round."""

    name: str
    nbytes: int
    run: Callable[[], object]
    against: "Contestant | None" = None
    before: Callable[[], object] = lambda: None
    rounds: list[tuple[float, float]] = field(default_factory=list)

    def once(self) -> None:
        self.before()
        wall, cpu = time.perf_counter(), _cpu()
        self.run()
        self.rounds.append((time.perf_counter() - wall, _cpu() - cpu))

    def row(self) -> list[str]:
        walls, cpus = zip(*self.rounds, strict=True)
        cells = [f"{self.nbytes / statistics.median(times) / 1e9:.3g}" for times in (walls, cpus)]
        if self.against is None:
            return [self.name, f"{self.nbytes / 1e9:.2f}", *cells, "", ""]
        return [self.name, f"{self.nbytes / 1e9:.2f}", *cells, *(f"{self.ratio(i):.2g}" for i in (0, 1))]

    def ratio(self, clock: int) -> float:
        """Return our rate over that of `against`, the median of rounds; `clock` is 0 for wall, 1 for CPU."""
        assert self.against is not None
        share = self.against.nbytes / self.nbytes
        pairs = zip(self.rounds, self.against.rounds, strict=True)
        return statistics.median(other[clock] / share / own[clock] for own, other in pairs)


def _cpu() -> float:
    """Return CPU seconds of this process and of children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def checkpoint(path: Path) -> tuple[TensorRecord, ...]:
    with File(path) as file:
        return tuple(tensor_records(read_layout(file), path.name))


def ours(folder: Path, checkpoints: Sequence[Sequence[TensorRecord]], threads: int) -> Callable[[], object]:
    return lambda: examine_series(folder, checkpoints, threads=threads, kernels=True)


def contestants(folder: Path, nbytes: int, threads: int, *, cold: bool) -> list[Contestant]:
    """Make the data and say who looks at it."""
    large = write_pair(folder, nbytes, 16)
    many = write_pair(folder, nbytes, _SMALL_TENSORS)
    slow = write_pair(folder, nbytes // _SLOW_SHARE, 4)
    pair = [checkpoint(path) for path in large]
    small = [checkpoint(path) for path in many]
    both, one = (sum(path.stat().st_size for path in paths) for paths in (large, large[:1]))
    few = sum(path.stat().st_size for path in slow)
    read = Contestant("plain read (preadv, 1 MiB buffer)", both, lambda: plain_read(large, threads))
    diff = Contestant("our diff", both, ours(folder, pair, threads), read)
    made = [
        read,
        diff,
        Contestant("our scan", one, ours(folder, pair[:1], threads), read),
        Contestant(f"our diff, {_SMALL_TENSORS} tensors ({diff.name})", both, ours(folder, small, threads), diff),
        *(
            Contestant(
                f"naive torch diff, {count} threads, 1/{_SLOW_SHARE} of the bytes ({diff.name})",
                few,
                partial(naive_diff, *slow, count),
                diff,
            )
            for count in sorted({1, threads})
        ),
    ]
    if weightlens(slow[0]):
        scan = made[2]
        name = f"weightlens analyze with its start, 1/{_SLOW_SHARE} of a file ({scan.name})"
        made.append(Contestant(name, few // 2, lambda: weightlens(slow[0]), scan))
    if cold:
        first = Contestant("plain read, cold", both, lambda: plain_read(large, threads), before=lambda: forget(large))
        made += [
            first,
            Contestant("our diff, cold", both, ours(folder, pair, threads), first, before=lambda: forget(large)),
        ]
    return made


def peak_above_interpreter(folder: Path, paths: Sequence[Path], threads: int) -> float:
    """Return MB of resident memory that a diff takes above an interpreter that does nothing."""
    peaks = []
    for work in (False, True):
        script = _MEMORY.format(
            benchmarks=str(Path(__file__).parent),
            work=work,
            folder=str(folder),
            paths=[str(path) for path in paths],
            threads=threads,
        )
        peaks.append(int(_python(script)) * 1024)
    return (peaks[1] - peaks[0]) / 1e6


def _python(script: str, **environment: str) -> str:
    finished = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    return finished.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=1.0, help="size of each checkpoint (default 1)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--folder", type=Path, help="where to make the data (default: the temporary folder)")
    parser.add_argument("--cold", action="store_true", help="also read with the page cache emptied of the files")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        running = contestants(folder, int(options.gigabytes * _GIGABYTE), options.threads, cold=options.cold)
        for contestant in running:
            contestant.once()
            contestant.rounds.clear()
        for _ in range(options.rounds):
            for contestant in running:
                contestant.once()
        large = [folder / f"{when}-16.safetensors" for when in ("before", "after")]
        peak = peak_above_interpreter(folder, large, options.threads)
        compiling = [_python(_COMPILE, NUMBA_CACHE_DIR=str(folder / "cache")).split() for _ in range(2)]
    report(running, options.threads, peak, [[float(value) for value in pair] for pair in compiling])


def report(running: Sequence[Contestant], threads: int, peak: float, compiling: Sequence[Sequence[float]]) -> None:
    head = ["", "GB", "GB/s wall", "GB/s CPU", "ratio wall", "ratio CPU"]
    rounds = len(running[0].rounds)
    print(f"{threads} threads, page cache warm, median of {rounds} rounds")
    print("ratios of rates: to that of the plain read, or to what is named in brackets")
    print(tabulate([contestant.row() for contestant in running], head, disable_numparse=True))
    if not any("weightlens" in contestant.name for contestant in running):
        print("weightlens is not installed: not measured")
    naive = [contestant for contestant in running if contestant.name.startswith("naive")]
    wall, cpu = (min(1 / peer.ratio(clock) for peer in naive) for clock in (0, 1))
    print(f"our diff is {wall:.0f} times (CPU {cpu:.0f} times) as fast as the naive way at its better")
    print(f"peak memory of the diff above the bare interpreter: {peak:.0f} MB")
    (first, busy), (again, _) = compiling
    print(f"compiled loops: {first:.1f} s on the first import ever (CPU {busy:.1f} s), {again:.2f} s from the cache")


if __name__ == "__main__":
    main()
