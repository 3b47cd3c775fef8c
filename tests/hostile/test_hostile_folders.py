"""Folders made to mislead: `analyze` ends with a documented code, in the terminal's own letters only.

Each case is small; what it would cost a careless reader is in its name.
"""

import json
import os
import re
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from forensics.cli import main

STEPS = "".join(f"{{'loss': {2 - n / 100:.2f}, 'epoch': {n / 100:.2f}}}\n" for n in range(9))
CONTROL = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def _safetensors(header: bytes | dict[str, object], data: int = 64) -> Callable[[Path], object]:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    raw = len(text).to_bytes(8, "little") + text + bytes(data)
    return lambda folder: (folder / "model.safetensors").write_bytes(raw)


def _entry(shape: list[int], first: int, last: int) -> dict[str, object]:
    return {"dtype": "F32", "shape": shape, "data_offsets": [first, last]}


def _written(name: str, content: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(content)


def _links(folder: Path) -> None:
    for name, target in (("a", "b"), ("b", "a"), ("self", "."), ("root", "/"), ("train.log", "train.log")):
        (folder / name).symlink_to(target)


def _names(folder: Path) -> None:
    for name in (b"tr\nain.log", b"\x1b[31mred.log", "\u202egol.log".encode(), b"a\xff.log", b"-rf.log"):
        with open(os.path.join(os.fsencode(folder), name), "w") as out:  # noqa: PTH118, PTH123  (names in bytes)
            out.write(STEPS)


def _empty(folder: Path) -> None:
    for name in ("trainer_state.json", "config.json", "model.safetensors", "pytorch_model.bin", "optimizer.pt"):
        (folder / name).touch()
    for name in ("training_args.bin", "metrics.csv", "events.out.tfevents.1.h", "mlflow.db", ".metadata", "latest"):
        (folder / name).touch()


def _blob(folder: Path) -> None:
    with sqlite3.connect(folder / "mlflow.db") as made:
        made.executescript(
            "create table runs(run_uuid, name, status, start_time, end_time, experiment_id, lifecycle_stage);"
            "insert into runs values('r', zeroblob(40000000), 'FINISHED', 1, 2, 0, 'active');"
            "create table metrics(key, value, timestamp, run_uuid, step, is_nan);"
            "insert into metrics values('loss', 1.0, 1, 'r', 1, 0);"
            "create table params(key, value, run_uuid); create table tags(key, value, run_uuid);"
            "create table experiments(experiment_id, name, artifact_location, lifecycle_stage);"
            "insert into params values('lr', zeroblob(40000000), 'r')"
        )
    made.close()


def _sparse(folder: Path) -> None:
    with (folder / "train.log").open("w") as out:
        out.write(STEPS)
        out.truncate(100 << 30)


def _memo(folder: Path) -> None:
    raw = b"\x80\x02]" + b"".join(b"r" + struct.pack("<I", 2**32 - 1 - n) for n in range(1000)) + b"."
    (folder / "pytorch_model.bin").write_bytes(raw)


CASES: dict[str, tuple[Callable[[Path], object], str]] = {
    "overlap": (_safetensors({"a": _entry([8], 0, 32), "b": _entry([8], 16, 48)}), "overlaps"),
    "negative": (_safetensors({"a": _entry([-8], -32, 0)}), "no valid shape"),
    "product": (_safetensors({"a": _entry([2**32, 2**32], 0, 64)}), "more elements than any file"),
    "offsets": (_safetensors({"a": _entry([16], 2**63 - 65, 2**63 - 1)}), "cut off"),
    "float": (_safetensors(b'{"a":{"dtype":"F32","shape":[1e400],"data_offsets":[0,1e400]}}'), "no valid shape"),
    "escape": (_safetensors({"a\n\x1b[31m\u202eX": _entry([16], 0, 64)}), ""),
    "nesting": (_safetensors(b'{"a":' + b"[" * 9999 + b"]" * 9999 + b"}"), "no JSON"),
    "numbers": (
        _written("trainer_state.json", '{"global_step":1e400,"log_history":[{"loss":1e400,"step":1e400},{"loss":1}]}'),
        "no step that is a usable integer",
    ),
    "surrogates": (
        _written("trainer_state.json", '{"log_history":[{"lo\\ud800s":1,"\\u001b[2J":2,"loss":1,"step":1}]}'),
        "",
    ),
    "tags": (
        _written(
            "config.yaml",
            "learning_rate: 1\noutput_dir: x\nper_device_train_batch_size: 1\n"
            "x: !!python/object/apply:os.system [true]\nlearning_rate: 2\n",
        ),
        "python tag.*duplicate keys",
    ),
    "index": (
        _written("model.safetensors.index.json", '{"metadata":[],"weight_map":{"a":1,"d":"../../x","e":"\\u0000"}}'),
        "model.safetensors.index.json",
    ),
    "links": (_links, "nothing readable"),
    "names": (_names, ""),
    "empty": (_empty, "too few for a safetensors header"),
    "blob": (_blob, "mlflow.db"),
    "memo": (_memo, ""),
    "sparse": (_sparse, "is sparse"),
    "line": (
        _written("train.log", STEPS + "{'loss': 1.0, " + ", ".join(f"'m{n}': 1" for n in range(20_000))),
        "65,536",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_hostile_folder(tmp_path: Path, case: str) -> None:
    """The command ends with a code of its own and says what it could not read, in letters that do no harm."""
    make, told = CASES[case]
    make(tmp_path)

    done = CliRunner().invoke(main, ["analyze", str(tmp_path)])

    assert done.exit_code in {0, 1, 3}
    assert CONTROL.search(done.output) is None
    assert re.search(told, " ".join(done.output.split())) is not None
