"""Bound the analysis of a log of a million lines by what the least loop over its lines takes.

    python benchmarks/long_log.py --lines 1000000 --most 8

The peer reads each line with one expression and keeps two numbers; ours is a whole `medforensics analyze` with its
start, report and all. Processor time counts, that of children too; the command fails where the ratio is above `--most`.
"""

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ENTRY = re.compile(rb"step (\d+) \| loss (\S+)")


def write_lines(path: Path, count: int) -> None:
    """Write a healthy training that logs every step."""
    random = np.random.default_rng(3)
    losses = 1 + 3 * np.exp(-np.arange(count) / (count / 3)) + random.normal(0, 0.05, count)
    norms = 0.5 + np.abs(random.normal(0, 1, count))
    with path.open("w", encoding="ascii") as file:
        for step, (loss, norm) in enumerate(zip(losses.tolist(), norms.tolist(), strict=True), 1):
            clock = f"2025-05-01 {step // 3600 % 24:02d}:{step // 60 % 60:02d}:{step % 60:02d}"
            rate = 1e-4 * (1 - step / count)
            file.write(f"{clock} INFO step {step} | loss {loss:.4f} | grad_norm {norm:.3f} | lr {rate:.3e}\n")


def looped(path: Path) -> float:
    """Return the processor seconds of a loop with one expression."""
    begun = time.process_time()
    with path.open("rb") as file:
        kept = [(int(found[1]), float(found[2])) for line in file if (found := ENTRY.search(line))]
    assert kept
    return time.process_time() - begun


def analyzed(folder: Path) -> float:
    """Return the processor seconds of `medforensics analyze`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "forensics", "analyze", str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "NO_COLOR": "1"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--most", type=float, default=8.0, help="the ratio above which this fails")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.log"
        write_lines(path, chosen.lines)
        loop = min(looped(path) for _ in range(chosen.rounds))
        ours = min(analyzed(path.parent) for _ in range(chosen.rounds))
        size = path.stat().st_size
    print(f"{chosen.lines:,} lines, {size / 1e6:.0f} MB: analyze {ours:.2f} s, loop {loop:.2f} s: {ours / loop:.1f}")
    return int(ours / loop > chosen.most)


if __name__ == "__main__":
    sys.exit(main())
