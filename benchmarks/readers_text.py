"""Time the reading of large logs, ours against the usual loops over their lines (`text_loops`).

    python benchmarks/readers_text.py --megabytes 400

Each reading runs in a process of its own, `--rounds` times; medians count. The loops read `--slice` megabytes of
the same file only, because they are slow. Processor time includes that of children; memory is the peak of one
process. The four other kinds of logs (`text_data.KINDS`) are a quarter as large.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from text_data import KINDS, write_log

_FRAME = """
import json, resource, sys, time
from pathlib import Path
sys.path.insert(0, {folder!r})
path, limit = Path(sys.argv[1]), int(sys.argv[2])
{before}
def processor():
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
begun, used = time.perf_counter(), processor()
{read}
begun, used = time.perf_counter() - begun, processor() - used
peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
print(json.dumps(dict(wall=begun, processor=used, entries=entries, peak=peak)))
"""
_OURS = """
from forensics.model import Artifact, Samples
from forensics.readers.text_log import read_text
artifact = Artifact(path.parent, path.name, path.stat().st_size, 0.0)
"""
_READ = """
facts = list(read_text(artifact, processes={processes}))
entries = sum(len(fact.values) for fact in facts if isinstance(fact, Samples) and fact.name == "loss")
"""


@dataclass(frozen=True, slots=True)
class Reading:
    """A way of reading, as two pieces of Python: what is not timed and what is."""

    name: str
    before: str
    read: str
    whole: bool = True


OURS = Reading("medforensics, one process", _OURS, _READ.format(processes=1))
TWO = Reading("medforensics, two processes", _OURS, _READ.format(processes=2))
EQUIVALENT = Reading(
    "loop: 18 expressions on each line, literal_eval",
    "import text_loops",
    "entries = text_loops.equivalent(path, limit)",
    whole=False,
)
MINIMAL = Reading(
    "loop: one expression on each line, literal_eval",
    "import text_loops",
    "entries = text_loops.minimal(path, limit)",
    whole=False,
)


@dataclass(frozen=True, slots=True)
class Timed:
    """Medians over the rounds: megabytes per second of the wall clock and of processor time, peak in MB."""

    wall: float
    processor: float
    peak: float
    entries: int


def time_reading(reading: Reading, path: Path, slice_bytes: int, rounds: int) -> Timed:
    size = path.stat().st_size
    read = size if reading.whole else min(size, slice_bytes)
    program = _FRAME.format(folder=str(Path(__file__).parent), before=reading.before, read=reading.read)
    command = [sys.executable, "-c", program, str(path), str(read)]
    ran = [
        json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(rounds)
    ]
    wall, processor, peak = (median(each[key] for each in ran) for key in ("wall", "processor", "peak"))
    return Timed(read / 1e6 / wall, read / 1e6 / processor, peak, int(ran[0]["entries"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument("--slice", type=int, default=20, help="megabytes that the loops read")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    slice_bytes = arguments.slice * 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        path, steps = write_log(Path(folder), arguments.megabytes)
        print(f"{path.stat().st_size / 1e6:.0f} MB, {steps:,} metric dictionaries; {arguments.rounds} rounds\n")
        print("| reading | MB/s of wall | MB/s of CPU | peak MB | entries |\n|---|---:|---:|---:|---:|")
        for reading in (OURS, TWO, EQUIVALENT, MINIMAL):
            timed = time_reading(reading, path, slice_bytes, arguments.rounds)
            print(
                f"| {reading.name} | {timed.wall:.0f} | {timed.processor:.0f} | {timed.peak:.0f} | {timed.entries:,} |"
            )
        path.unlink()
        print("\n| kind of log | ours, MB/s of CPU | 18 expressions | times | one expression | times |")
        print("|---|---:|---:|---:|---:|---:|")
        for kind in KINDS:
            path, _ = write_log(Path(folder), max(arguments.megabytes // 4, 1), kind)
            ours, full, least = (
                time_reading(reading, path, slice_bytes, arguments.rounds).processor
                for reading in (OURS, EQUIVALENT, MINIMAL)
            )
            print(f"| {kind} | {ours:.0f} | {full:.0f} | {ours / full:.1f} | {least:.0f} | {ours / least:.1f} |")
            path.unlink()


if __name__ == "__main__":
    main()
