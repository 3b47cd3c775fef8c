"""What the tests of the recorder share: the loops run once a session, and a record opened with numpy alone."""

import fcntl
import json
import os
import socket
import subprocess
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
COLUMNS = ["local_l2", "local_max", "reduced_l2", "reduced_max", "update_l2", "weight_l2", "still", "flags"]


@dataclass(frozen=True)
class Opened:
    """The record of one process: rows in order, whose `x` is (tensors, 8), lines of steps.jsonl, names."""

    meta: dict[str, Any]
    rows: Any
    lines: list[dict[str, Any]]
    torn: int

    @property
    def names(self) -> list[str]:
        return [tensor["name"] for tensor in self.meta["tensors"]]

    def column(self, name: str) -> Any:
        """Return a column of all rows, (rows, tensors)."""
        return self.rows["x"][:, :, COLUMNS.index(name)]


def opened(stem: Path) -> Opened:
    ring = np.load(f"{stem}.ring.npy", mmap_mode="r")
    kept, torn = [], 0
    for row in ring[ring["seq"] > 0]:
        blank = row.copy()
        blank["crc"] = 0
        if zlib.crc32(blank.tobytes()) == row["crc"]:
            kept.append(row)
        else:
            torn += 1
    rows = np.array(kept, dtype=ring.dtype)
    text = Path(f"{stem}.steps.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    return Opened(json.loads(Path(f"{stem}.meta.json").read_text()), rows[np.argsort(rows["seq"])], lines, torn)


def records(folder: Path) -> list[Opened]:
    """Return the records of a folder in the order of ranks."""
    return [opened(Path(str(p).removesuffix(".meta.json"))) for p in sorted(folder.glob("*.meta.json"))]


def environment(**more: str) -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"} | more


def free_port() -> int:
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        return int(port.getsockname()[1])


def launch(
    script: Path, *arguments: str, ranks: int = 1, python: str = sys.executable, **variables: str
) -> list[subprocess.CompletedProcess[str]]:
    """Run a script on some ranks over gloo and return them when all have ended."""
    port = str(free_port())
    processes = []
    for rank in range(ranks):
        several = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(ranks), "LOCAL_WORLD_SIZE": str(ranks)}
        place = several | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port} if ranks > 1 else {}
        process = subprocess.Popen(
            [python, str(script), *arguments],
            env=environment(**place, **variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
    done = []
    for process in processes:
        out, err = process.communicate(timeout=300)
        done.append(subprocess.CompletedProcess(process.args, process.returncode, out, err))
    for one in done:
        assert one.returncode == 0, one.stderr[-3000:]
    return done


def all_cases(shared: Path) -> Path:
    """Return the folder of all cases, made by whichever test process comes first."""
    from recorder.recorder_loops import ALONE, CASES

    folder = shared / "recorder-cases"
    with (shared / "recorder-cases.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            folder.mkdir(exist_ok=True)
            script = HERE / "recorder_loops.py"
            alone = [name for name, case in CASES.items() if case.kind in ALONE]
            told = [done.stderr for done in launch(script, str(folder), *alone)]
            told += [done.stderr for done in launch(script, str(folder), *sorted(set(CASES) - set(alone)), ranks=2)]
            (folder / "stderr.txt").write_text("\n".join(told))
            (folder / "done").touch()
    return folder
