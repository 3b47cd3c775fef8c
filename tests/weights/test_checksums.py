"""Entries of a torch file whose bytes do not match the CRC-32 that torch wrote of them."""

import io
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from forensics.model import Problem
from forensics.weights.inspection import compare, scan

torch = pytest.importorskip("torch")
BYTES = np.arange(1024, dtype="<f4").tobytes()


def saved(path: Path, *, flip: bool) -> Path:
    torch.save({"a.weight": torch.arange(1024.0).reshape(32, 32), "b.weight": torch.ones(4, 4)}, path)
    if flip:
        raw = bytearray(path.read_bytes())
        raw[raw.index(BYTES) + 401] ^= 64
        path.write_bytes(raw)
    return path


def problems_of(path: Path) -> tuple[Problem, ...]:
    (checkpoint,), _ = scan(path)
    return checkpoint.problems


def test_a_flipped_bit_is_damage(tmp_path: Path) -> None:
    """The entry is named with its tensor and both checksums; the same file with its own bits has no problem."""
    (problem,) = problems_of(saved(tmp_path / "flipped.pt", flip=True))

    with zipfile.ZipFile(tmp_path / "flipped.pt") as archive:
        entry = archive.getinfo("flipped/data/0")
    assert problem.kind == "damaged"
    assert f"CRC mismatch in flipped/data/0 (a.weight), stored {zlib.crc32(BYTES):08x}, computed" in problem.statement
    assert zlib.crc32(BYTES) == entry.CRC
    assert problems_of(saved(tmp_path / "sound.pt", flip=False)) == ()


def test_diff_looks_too(tmp_path: Path) -> None:
    """Of two checkpoints that are compared, the damaged one is told."""
    first, second = saved(tmp_path / "a.pt", flip=False), saved(tmp_path / "b.pt", flip=True)

    checkpoints, _ = compare([first, second])

    assert [len(checkpoint.problems) for checkpoint in checkpoints] == [0, 1]


def test_a_file_without_checksums_is_sound(tmp_path: Path) -> None:
    """`set_crc32_options(False)` stores 0 for every entry, which proves nothing."""
    options = pytest.importorskip("torch.serialization", reason="torch").set_crc32_options
    options(False)
    try:
        path = saved(tmp_path / "model.pt", flip=False)
    finally:
        options(True)

    assert problems_of(path) == ()
    with zipfile.ZipFile(path) as archive:
        assert {entry.CRC for entry in archive.infolist()} == {0}


def test_a_writer_of_other_checksums_is_no_evidence(tmp_path: Path) -> None:
    """Where no entry at all matches, the writer computes something else."""
    path = saved(tmp_path / "model.pt", flip=False)
    raw = bytearray(path.read_bytes())
    at = raw.find(b"PK\x01\x02")
    while at >= 0:
        raw[at + 16 : at + 20] = b"abcd"
        at = raw.find(b"PK\x01\x02", at + 4)
    path.write_bytes(raw)

    assert not any("CRC" in problem.statement for problem in problems_of(path))


def test_arrays_that_are_not_read_are_told(tmp_path: Path) -> None:
    """An npz lists its numbers, and says which array is a pickle and which is text."""
    made = io.BytesIO()
    np.savez(made, good=np.ones(2), bad=np.array([{}], dtype=object), text=np.array(["a"]))
    (tmp_path / "model.npz").write_bytes(made.getvalue())

    (checkpoint,), skips = scan(tmp_path / "model.npz")

    assert [record.name for record in checkpoint.records] == ["good"]
    assert ["object array" in problem.statement for problem in checkpoint.problems] == [True]
    assert "array 'text' is of the dtype" in skips[0].reason
