"""Small tensors in columns give what the same tensors give one by one, whatever is wrong with them."""

import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import FrameType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensics.formats.dtypes import DTYPES
from forensics.model.counts import Counts
from forensics.model.tensors import Piece, TensorRecord, Tensors
from forensics.model.weights import Depth, TensorTable
from forensics.weights import blocks, series, small
from forensics.weights.series import Examination, examine_series

KINDS = ["F32", "BF16", "U8", "F4", "F6_E2M3", "F64", "C64"]
SHAPES: list[tuple[int, ...]] = [
    (),
    (1,),
    (3,),
    (4,),
    (1, 4),
    (4, 2),
    (0, 4),
    (2, 0),
    (9, 40),
    (-1, -4),
    (2**40, 2**40),
]


@st.composite
def checkpoint(draw: st.DrawFn, number: int, content: bytearray) -> list[TensorRecord]:
    """Draw the tensors of one checkpoint, with their bytes put behind `content`; some lie about where they are."""
    made = []
    for name in draw(st.lists(st.sampled_from("abcdefghijkl"), max_size=12)):
        dtype, shape = draw(st.sampled_from(KINDS)), draw(st.sampled_from(SHAPES))
        bits = abs(int(np.prod([float(size) for size in shape]))) * DTYPES[dtype].bits
        size = min(-(-bits // 8), 4096)
        content += draw(st.binary(max_size=3))
        offset = len(content)
        content += bytes(size) if draw(st.booleans()) else draw(st.binary(min_size=size, max_size=size))
        offset += draw(st.sampled_from([0] * 9 + [1 << 40, -5]))
        declared = size + draw(st.sampled_from([0] * 9 + [-1, 1, 1 << 40]))
        pieces = [Piece(f"{number}.bin", offset, declared)]
        if draw(st.integers(0, 9)) == 0:
            pieces = [Piece(f"{number}.bin", offset, size // 2), Piece("gone.bin", 0, size - size // 2)]
        strides = draw(st.sampled_from([None] * 9 + [(1,), (4, 1), (1, 4)]))
        alias = draw(st.sampled_from([None] * 9 + ["a", "b"]))
        role = draw(st.sampled_from(["weight", "weight", "master"]))
        made.append(TensorRecord(name, role, dtype, shape, tuple(pieces), strides, alias))  # type: ignore[arg-type]
    return made


def one_by_one(look: Callable[[], Examination]) -> Examination:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(series, "taken", lambda held, *_: ((), [np.arange(len(one)) for one in held]))
        return look()


def same(one: TensorTable, other: TensorTable) -> None:
    for field in fields(TensorTable):
        left, right = getattr(one, field.name), getattr(other, field.name)
        if isinstance(left, Counts):
            assert left.tolist() == right.tolist(), field.name
        elif isinstance(left, np.ndarray):
            np.testing.assert_array_equal(left, right, field.name)
        else:
            assert left == right, field.name


@settings(max_examples=150, deadline=None)
@given(data=st.data(), depth=st.sampled_from(["full", "quick", "off"]))
def test_columns_say_what_tensors_say_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, depth: Depth
) -> None:
    folder = tmp_path_factory.mktemp("run")
    checkpoints = []
    for number in range(data.draw(st.integers(0, 3))):
        content = bytearray(b"head")
        checkpoints.append(data.draw(checkpoint(number, content)))
        (folder / f"{number}.bin").write_bytes(content)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(small, "PARTS", data.draw(st.sampled_from([1, 3, 8192])))
        patched.setattr(small, "SCATTER_BYTES", data.draw(st.sampled_from([2, 256])))
        patched.setattr(blocks, "BUFFER_BYTES", data.draw(st.sampled_from([32 * 64, 1 << 20])))

        def look() -> Examination:
            return examine_series(folder, checkpoints, depth=depth, threads=1)

        found, wanted = look(), one_by_one(look)

    assert (set(found.failures), found.bytes_read) == (set(wanted.failures), wanted.bytes_read)
    for one, other in zip(found.tables, wanted.tables, strict=True):
        same(one, other)


def test_a_file_cut_while_it_is_read_costs_what_lies_behind_the_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was planned together is read one by one where the file no longer holds all of it."""
    raw = np.ones(4, np.float32).tobytes()
    (tmp_path / "a.bin").write_bytes(raw * 20)
    held = [TensorRecord(f"t{n}", "weight", "F32", (4,), (Piece("a.bin", 16 * n, 16),)) for n in range(20)]
    original = small.fill

    def cut(*arguments: object) -> object:
        with (tmp_path / "a.bin").open("r+b") as file:
            file.truncate(16 * 12 + 5)
        return original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("forensics.weights.work.fill", cut)
    found = examine_series(tmp_path, [held], threads=1)

    assert found.tables[0].nan.tolist() == [None] * 20  # the whole file is of another moment
    assert "changed" in found.failures["a.bin"]


def test_no_call_is_made_for_a_tensor(tmp_path: Path) -> None:
    """Four times the tensors make hardly more calls: they travel in columns."""
    raw = np.ones(1, np.float32).tobytes()

    def calls(count: int) -> int:
        (tmp_path / "a.bin").write_bytes(raw * count)
        names = [f"layers.{n}.scale" for n in range(count)]
        records = [
            TensorRecord(name, "weight", "F32", (1,), (Piece("a.bin", 4 * n, 4),)) for n, name in enumerate(names)
        ]
        held = Tensors.of(records)
        made = 0

        def tally(_frame: FrameType, event: str, _argument: object) -> None:
            nonlocal made
            made += event == "call"

        sys.setprofile(tally)
        try:
            examine_series(tmp_path, [held], threads=1)
        finally:
            sys.setprofile(None)
        return made

    calls(100)
    assert calls(4_000) < calls(1_000) + 300
