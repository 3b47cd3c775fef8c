"""A refused file is told in the words by which people search for it."""

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from weights.checkpoint_files import checkpoints_in

torch = pytest.importorskip("torch")
save: Any = pytest.importorskip("safetensors.torch").save


def _safetensors(text: bytes, data: bytes = b"\0" * 8) -> bytes:
    return len(text).to_bytes(8, "little") + text + data


def _entry(begin: int, end: int) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [(end - begin) // 4], "data_offsets": [begin, end]}


def _cut_zip(path: Path) -> None:
    torch.save({"w": torch.ones(4096)}, path)
    path.write_bytes(path.read_bytes()[:5000])


def _encrypted(path: Path) -> None:
    torch.save({"w": torch.ones(4)}, path)
    raw = bytearray(path.read_bytes())
    at = raw.index(b"PK\x01\x02", raw.index(b"PK\x01\x02") + 4)
    raw[at + 8] |= 1
    path.write_bytes(raw)


class _Evil:
    def __reduce__(self) -> Any:
        import os

        return os.system, ("true",)


CASES: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "cut off safetensors": (
        "cut off",
        lambda p: p.with_suffix(".safetensors").write_bytes(save({"w": torch.ones(99)})[:-50]),
    ),
    "cut off torch": ("cut off", _cut_zip),
    "pointer": (
        "Git LFS pointer",
        lambda p: p.with_suffix(".safetensors").write_bytes(
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
        ),
    ),
    "pointer torch": (
        "Git LFS pointer",
        lambda p: p.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
    ),
    "page": ("HTML page", lambda p: p.with_suffix(".safetensors").write_bytes(b"<!doctype html><html>" * 9)),
    "zeros": ("zero", lambda p: p.with_suffix(".safetensors").write_bytes(bytes(999))),
    "header": (
        "header length",
        lambda p: p.with_suffix(".safetensors").write_bytes((1 << 40).to_bytes(8, "little") + b"{}" * 9),
    ),
    "short header": (
        "header length",
        lambda p: p.with_suffix(".safetensors").write_bytes((4000).to_bytes(8, "little") + b'{"a": 1}'),
    ),
    "doubled": (
        "duplicate keys",
        lambda p: p.with_suffix(".safetensors").write_bytes(
            _safetensors((f'{{"a":{json.dumps(_entry(0, 8))},"a":{json.dumps(_entry(0, 8))}}}').encode())
        ),
    ),
    "overlap": (
        "overlap",
        lambda p: p.with_suffix(".safetensors").write_bytes(
            _safetensors(json.dumps({"a": _entry(0, 8), "b": _entry(4, 8)}).encode())
        ),
    ),
    "objects": ("object array", lambda p: np.save(p.with_suffix(".npy"), np.array([{}]), allow_pickle=True)),
    "encrypted": ("encrypted entry", _encrypted),
    "dangerous": ("dangerous global", lambda p: p.write_bytes(pickle.dumps({"w": _Evil()}))),
    "no directory": ("without data.pkl", lambda p: zipfile.ZipFile(p, "w").writestr("x/readme", "no")),
}


@pytest.mark.parametrize("case", CASES)
def test_the_reason_has_the_usual_word(tmp_path: Path, case: str) -> None:
    word, write = CASES[case]
    write(tmp_path / "model.pt")
    (checkpoint,) = checkpoints_in(tmp_path, loose=True)

    assert word in " / ".join(problem.statement for problem in checkpoint.problems)


def test_at_least_three_reasons_of_a_file_are_passed_on(tmp_path: Path) -> None:
    entries = {"a": _entry(0, 8), "b": _entry(4, 8), "c": _entry(4, 8), "d": _entry(12, 16)}
    (tmp_path / "model.safetensors").write_bytes(_safetensors(json.dumps(entries).encode(), b"\0" * 20))
    (checkpoint,) = checkpoints_in(tmp_path)

    assert checkpoint.problems[0].statement.count(";") >= 2
