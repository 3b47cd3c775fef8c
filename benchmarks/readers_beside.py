"""Time this version beside another one, in turn and in the same minute, and beside `grep -c loss` through a pipe.

    python benchmarks/readers_beside.py --before PYTHON --megabytes 30

PYTHON is the interpreter of an environment with the other version in it; the aims are of version 0.1.0. Each reading
is a process of its own; medians of three, processor time, one process each. JSON lines are read by the reader of
metrics, the others as logs.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from text_data import KINDS, write_log

ROUNDS = 3
AIMS = {"mixed": 2.0, "megatron": 5.0, "bars": 1.5, "chatter": 3.0, "jsonl": 10.0}
"""How many times as fast as version 0.1.0 each kind of log was to be read."""
_READ = """
import resource, sys, time
from pathlib import Path
from forensics.model import Artifact
from forensics.readers.metrics_jsonl import metrics_jsonl
from forensics.readers.text_log import read_text
path = Path(sys.argv[1])
artifact = Artifact(path.parent, path.name, path.stat().st_size, 0.0)
begun = time.process_time()
facts = list(metrics_jsonl.read(artifact)) if path.suffix == ".jsonl" else list(read_text(artifact, processes=1))
print(time.process_time() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", metavar="PYTHON", required=True, help="an interpreter with the version before")
    parser.add_argument("--megabytes", type=int, default=30)
    given = parser.parse_args()
    print("| kind of log | ours, MB/s of CPU | before | times | aim | grep -c loss | of grep | peak MB | before |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            path, _ = write_log(Path(folder), given.megabytes, kind)
            if kind == "jsonl":
                path = path.rename(path.with_suffix(".jsonl"))
            size = path.stat().st_size / 1e6
            rounds = [(read(given.before, path), read(sys.executable, path), grep(path)) for _ in range(ROUNDS)]
            other, ours, found = (size / median(each[index][0] for each in rounds) for index in range(3))
            peaks = [max(each[index][1] for each in rounds) for index in (1, 0)]
            print(
                f"| {kind} | {ours:.0f} | {other:.0f} | {ours / other:.1f} | {AIMS[kind]:g} | {found:.0f} "
                f"| {ours / found:.2f} | {peaks[0]:.0f} | {peaks[1]:.0f} |"
            )
            path.unlink()


def read(python: str, path: Path) -> tuple[float, float]:
    """Return seconds of the processor and peak megabytes."""
    ran = subprocess.run([python, "-c", _READ, str(path)], capture_output=True, text=True, check=True, cwd=path.parent)
    seconds, peak = ran.stdout.split()
    return float(seconds), float(peak)


def grep(path: Path) -> tuple[float, float]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(f"grep -c loss '{path}' | cat", shell=True, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 0.0


if __name__ == "__main__":
    main()
