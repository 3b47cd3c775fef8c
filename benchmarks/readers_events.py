"""Time the reading of one event file, ours against everything that reads event files and is installed.

    python benchmarks/readers_events.py --points 1000000 --peers /path/to/venv/bin/python

Each reader runs in a process of its own, in turn, `--rounds` times; the best round counts, and all rounds of all
readers fall into one run. Times are of reading alone: imports are excluded. The data server is timed by its own
log, without the start of its process; it keeps all points and checks every record, as we do, only when it is told.
Memory is the peak of the whole process. On a machine that is shared, trust CPU time before wall time.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from events_data import write_event_file

_FRAME = """
import json, resource, sys, time
path = sys.argv[1]
{before}
start, used = time.perf_counter(), time.process_time()
{read}
seconds, processor = time.perf_counter() - start, time.process_time() - used
{count}
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps(dict(seconds=seconds, processor=processor, points=points, peak=peak)))
"""
_IMPORTS = """
from pathlib import Path
from forensics.formats.event_file import read_events
from forensics.storage.file import File
"""
_READ = "contents = read_events(File(Path(path)))"
_COUNT = "points = sum(len(found.values) for found in contents.points); assert not contents.damage"
_ACCUMULATOR = "from tensorboard.backend.event_processing.event_accumulator import EventAccumulator"
SERVER = "TensorBoard data server"
SLOW_SECONDS = 5.0


@dataclass(frozen=True)
class Rival:
    """A reader as three pieces of Python: what is not timed, what is, and how its points are counted."""

    name: str
    before: str
    read: str
    count: str
    ours: bool = False


READERS = (
    Rival("medforensics, first file", _IMPORTS, _READ, _COUNT, ours=True),
    Rival("medforensics, next file", _IMPORTS + _READ + "\ndel contents", _READ, _COUNT, ours=True),
    Rival(
        "runmedic",
        "from runmedic.loaders import tensorboard as loader\nfrom pathlib import Path",
        "run = loader.load_dir(Path(path).parent)",
        "points = sum(map(len, run.series.values()))",
    ),
    Rival(
        "trainproof",
        "from trainproof.tfevents import read_scalars",
        "found = read_scalars(path)",
        "points = sum(map(len, found.values()))",
    ),
    Rival(
        "tbparse",
        "from tbparse import SummaryReader",
        "frame = SummaryReader(path, extra_columns={'wall_time'}).scalars",
        "points = len(frame)",
    ),
    Rival(
        "EventAccumulator, all points",
        _ACCUMULATOR,
        "loaded = EventAccumulator(path, size_guidance={'scalars': 0})\nloaded.Reload()",
        "points = sum(len(loaded.Scalars(tag)) for tag in loaded.Tags()['scalars'])",
    ),
    Rival(
        "EventAccumulator, as it comes",
        _ACCUMULATOR,
        "loaded = EventAccumulator(path)\nloaded.Reload()",
        "points = sum(len(loaded.Scalars(tag)) for tag in loaded.Tags()['scalars'])",
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peers", default=sys.executable, help="the Python that has the rivals installed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = write_event_file(Path(folder), arguments.points)
        print(f"{arguments.points:,} scalars, {path.stat().st_size / 1e6:.1f} MB, best of {arguments.rounds}\n")
        best: dict[str, dict[str, float]] = {}
        for _ in range(arguments.rounds):
            for name, measured in _round(path, arguments.peers, best):
                if name not in best or measured["seconds"] < best[name]["seconds"]:
                    best[name] = measured
    _print(best)


_ROOT = Path(__file__).parents[1]


def _round(path: Path, peers: str, best: dict[str, dict[str, float]]) -> list[tuple[str, dict[str, float]]]:
    """Measure every reader once; those that take long are measured in the first round only."""
    measured = []
    for rival in READERS:
        if best.get(rival.name, {"seconds": 0.0})["seconds"] > SLOW_SECONDS:
            continue
        python = sys.executable if rival.ours else peers
        ran = subprocess.run([python, "-c", _code(rival), path], cwd=_ROOT, capture_output=True, text=True, check=False)
        if ran.returncode == 0:
            measured.append((rival.name, json.loads(ran.stdout.splitlines()[-1])))
        elif "ModuleNotFoundError" not in ran.stderr:
            print(f"{rival.name} failed: {ran.stderr.strip().splitlines()[-1]}")
    for options in ((), ("--checksum", "--samples-per-plugin", "scalars=all")):
        seconds = _server(path.parent, peers, options)
        if seconds is not None:
            told = f"{SERVER}, all points, CRC" if options else f"{SERVER}, as it comes"
            measured.append(
                (told, {"seconds": seconds, "processor": float("nan"), "points": float("nan"), "peak": float("nan")})
            )
    return measured


def _code(rival: Rival) -> str:
    return _FRAME.format(before=rival.before, read=rival.read, count=rival.count)


def _server(folder: Path, peers: str, options: tuple[str, ...]) -> float | None:
    """Return the seconds that the Rust server logs for its one load cycle; None when it is not installed."""
    where = "import tensorboard_data_server as s; print(s.server_binary())"
    found = subprocess.run([peers, "-c", where], capture_output=True, text=True, check=False)
    if found.returncode:
        return None
    command = [found.stdout.strip(), "--logdir", str(folder), "--port", "0", "--reload", "once", "-v", *options]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        for line in server.stderr:
            cycle = re.search(r"Finished load cycle \(([\d.]+)(ms|s)\)", line)
            if cycle:
                server.kill()
                return float(cycle[1]) / (1000.0 if cycle[2] == "ms" else 1.0)
    return None


def _print(best: dict[str, dict[str, float]]) -> None:
    ours = best[READERS[0].name]
    print("| reader | wall s | times ours | CPU s | times ours | points kept | peak MB |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, measured in best.items():
        told = [f"{measured['seconds']:.3f}", f"{measured['seconds'] / ours['seconds']:.1f}"]
        told += [f"{measured['processor']:.3f}", f"{measured['processor'] / ours['processor']:.1f}"]
        told += [f"{measured['points']:,.0f}", f"{measured['peak']:.0f}"]
        print(f"| {name} | {' | '.join('-' if text == 'nan' else text for text in told)} |")


if __name__ == "__main__":
    main()
