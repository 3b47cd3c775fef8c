"""Time the reading of one large log, ours against the usual loop over its lines.

    python benchmarks/readers_text.py --megabytes 400

Each reading runs in a process of its own, `--rounds` times; the best round counts. The loop does the least
that a script does: split at CR, one regular expression, `ast.literal_eval`; it knows no steps, no events and no
settings, and reads `--slice` megabytes of the same file only, because it is slow. Processor time is that of the
process, without its children; memory is its peak.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from text_data import write_log

_FRAME = """
import json, resource, sys, time
path, limit = sys.argv[1], int(sys.argv[2])
{before}
wall, processor = time.perf_counter(), time.process_time()
{read}
wall, processor = time.perf_counter() - wall, time.process_time() - processor
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps(dict(wall=wall, processor=processor, entries=entries, peak=peak)))
"""
_OURS = """
from pathlib import Path
from forensics.model import Artifact, Samples
from forensics.readers.text_log import read_text
file = Path(path)
artifact = Artifact(file.parent, file.name, file.stat().st_size, 0.0)
"""
_READ = """
facts = list(read_text(artifact, processes={processes}))
(entries,) = [len(fact.values) for fact in facts if isinstance(fact, Samples) and fact.name == "loss"]
"""
_LOOP = """
import ast, re
found = re.compile(r"\\{'loss'.*?\\}")
"""
_LOOP_READ = """
rows = []
with open(path, newline="\\n", errors="replace") as file:
    for line in file:
        for part in line.split("\\r"):
            match = found.search(part)
            if match:
                rows.append(ast.literal_eval(match[0]))
        limit -= len(line)
        if limit < 0:
            break
entries = len(rows)
"""


@dataclass(frozen=True)
class Reading:
    """A way of reading, as two pieces of Python: what is not timed and what is."""

    name: str
    before: str
    read: str
    whole: bool = True


READINGS = (
    Reading("medforensics, one process", _OURS, _READ.format(processes=1)),
    Reading("medforensics, two processes", _OURS, _READ.format(processes=2)),
    Reading("line by line, regex and literal_eval", _LOOP, _LOOP_READ, whole=False),
)


def time_once(reading: Reading, path: Path, limit: int) -> dict[str, float]:
    program = _FRAME.format(before=reading.before, read=reading.read)
    done = subprocess.run(
        [sys.executable, "-c", program, str(path), str(limit)], capture_output=True, text=True, check=True
    )
    result: dict[str, float] = json.loads(done.stdout)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument("--slice", type=int, default=20, help="megabytes that the loop reads")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path, entries = write_log(Path(folder), arguments.megabytes)
        size = path.stat().st_size
        print(f"{size / 1e6:.0f} MB, {entries:,} metric dictionaries; best of {arguments.rounds} rounds\n")
        print(f"{'':38} {'MB/s of wall':>12} {'MB/s of CPU':>12} {'peak MB':>8} {'entries':>10}")
        for reading in READINGS:
            read = size if reading.whole else min(size, arguments.slice * 1_000_000)
            rounds = [time_once(reading, path, read) for _ in range(arguments.rounds)]
            wall, processor = (min(each[key] for each in rounds) for key in ("wall", "processor"))
            peak, found = max(each["peak"] for each in rounds), int(rounds[0]["entries"])
            shown = f"{read / 1e6 / processor:12.0f}" if "two" not in reading.name else f"{'':12}"
            print(f"{reading.name:38} {read / 1e6 / wall:12.0f} {shown} {peak:8.0f} {found:10,}")


if __name__ == "__main__":
    main()
