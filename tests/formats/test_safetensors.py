"""safetensors files against the reference library, and files that lie."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensics.errors import ForensicsError, LimitError, MalformedError, PlaceholderError, TruncatedError
from forensics.formats.dtypes import DTYPES, UnknownDtypeError, decode
from forensics.formats.safetensors import (
    Entry,
    HeaderError,
    Layout,
    OffsetsError,
    ShapeError,
    read_layout,
    tensor_records,
)
from forensics.limits import Limits
from forensics.model.tensors import Piece
from forensics.storage.file import File

GOOD: dict[str, Any] = {"a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}


def packed(header: object, data: bytes = bytes(16)) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def layout_of(content: bytes, limits: Limits | None = None) -> Layout:
    file = File.of_bytes(content, Path("model.safetensors"))
    return read_layout(file, limits) if limits else read_layout(file)


def test_layout_equals_the_reference_library(tmp_path: Path) -> None:
    """Names, dtypes, shapes, metadata and bytes are those that safetensors itself wrote."""
    torch = pytest.importorskip("torch")
    writer = pytest.importorskip("safetensors.torch")
    tensors = {
        "w": torch.randn(3, 5),
        "half": torch.randn(4).to(torch.bfloat16),
        "eight": torch.randn(6).to(torch.float8_e4m3fn),
        "flag": torch.tensor([True, False]),
        "count": torch.tensor(7),
        "wave": torch.tensor([1 + 2j]),
        "none": torch.zeros(0, 3),
    }
    path = tmp_path / "m.safetensors"
    writer.save_file(tensors, path, metadata={"format": "pt"})

    with File(path) as file:
        layout = read_layout(file)
        raws = {entry.name: np.frombuffer(file.read(entry.offset, entry.nbytes), np.uint8) for entry in layout.entries}

    assert dict(layout.metadata) == {"format": "pt"}
    assert ((), 0, frozenset()) == (layout.problems, layout.missing_bytes, layout.cut)
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == {
        entry.name: entry.shape for entry in layout.entries
    }
    for entry in layout.entries:
        wide = torch.complex128 if entry.dtype == "C64" else torch.float64
        wanted = tensors[entry.name].to(wide).numpy().reshape(-1)
        np.testing.assert_array_equal(wanted, decode(DTYPES[entry.dtype], raws[entry.name]))


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", TruncatedError),
        (b"\x10\0\0", TruncatedError),
        (packed(GOOD)[:30], TruncatedError),
        (bytes(100), PlaceholderError),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", PlaceholderError),
        (b"<!DOCTYPE html><html><body>403</body></html>", PlaceholderError),
        ((10**9).to_bytes(8, "little") + b"{" + bytes(50), LimitError),
        (packed(b"[1]"), HeaderError),
        (packed(b'{"a": '), HeaderError),
        (packed(b'{"a": NaN}'), HeaderError),
        (packed(b'{"\xff": 1}'), HeaderError),
        (packed(b'{"a":' + b"[" * 100_000), HeaderError),
        (packed({"__metadata__": {"a": 1}}), HeaderError),
        (packed({"__metadata__": []}), HeaderError),
        (packed(b'{"\\ud800": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}}'), HeaderError),
        (packed({"a": 1}), HeaderError),
        (packed({"a": {"shape": [1], "data_offsets": [0, 4]}}), HeaderError),
        (packed({"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}}), UnknownDtypeError),
        (packed({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}), ShapeError),
        (packed({"a": {"dtype": "F32", "shape": [True], "data_offsets": [0, 4]}}), ShapeError),
        (packed({"a": {"dtype": "F32", "shape": [1.0], "data_offsets": [0, 4]}}), ShapeError),
        (packed({"a": {"dtype": "F32", "shape": None, "data_offsets": [0, 4]}}), ShapeError),
        (packed({"a": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 4]}}), ShapeError),
        (packed({"a": {"dtype": "F32", "shape": [1] * 65, "data_offsets": [0, 4]}}), LimitError),
        (packed({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}), OffsetsError),
        (packed({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0]}}), OffsetsError),
        (packed({"a": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}}), OffsetsError),
        (packed({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 8]}}), OffsetsError),
        (packed({"a": {"dtype": "F4", "shape": [3], "data_offsets": [0, 2]}}), MalformedError),
    ],
)
def test_each_lie_is_its_own_error(content: bytes, error: type[ForensicsError]) -> None:
    """A header that cannot be true is refused by the error that names the reason."""
    with pytest.raises(error) as caught:
        layout_of(content)

    assert error is MalformedError or type(caught.value) is error


def test_limits_bound_the_number_of_tensors() -> None:
    """More tensors than allowed are refused before any is looked at."""
    header = {str(i): {"dtype": "U8", "shape": [], "data_offsets": [i, i + 1]} for i in range(3)}

    with pytest.raises(LimitError, match="3 tensors"):
        layout_of(packed(header), Limits(tensors=2))


@pytest.mark.parametrize(
    ("header", "data", "problem"),
    [
        (
            {"a": {"dtype": "U8", "shape": [2], "data_offsets": [4, 6]}},
            6,
            "4 bytes before tensor 'a' belong to no",
        ),
        (
            {
                "a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]},
                "b": {"dtype": "U8", "shape": [4], "data_offsets": [2, 6]},
            },
            6,
            "tensor 'b' overlaps",
        ),
        (GOOD, 20, "4 bytes follow the last tensor"),
        (GOOD, 10, "the file ends 6 bytes before its last tensor does"),
    ],
)
def test_broken_layouts_are_described(header: object, data: int, problem: str) -> None:
    """Holes, overlaps, bytes too many and too few are problems of a file that still lists its tensors."""
    layout = layout_of(packed(header, bytes(data)))

    assert len(layout.problems) == 1
    assert problem in layout.problems[0]
    assert len(layout.entries) >= 1


def test_doubled_names_are_described() -> None:
    """Of two tensors of one name the last counts, as in JSON, and the file says so."""
    one = b'"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}'

    layout = layout_of(packed(b"{" + one + b", " + one + b"}", b"\0"))

    assert layout.problems == ("the header names 'a' more than once; the last one counts",)


def test_many_problems_are_told_in_few_words() -> None:
    """A hostile header cannot make a report of a thousand lines."""
    header = {str(i): {"dtype": "U8", "shape": [1], "data_offsets": [2 * i, 2 * i + 1]} for i in range(500)}

    layout = layout_of(packed(header, bytes(1000)))

    assert len(layout.problems) == 21
    assert layout.problems[-1] == "and 480 more problems of this kind"


def test_cut_file_tells_which_tensors_are_whole() -> None:
    """Of a file that ends in its data, only the tensors past the end are cut."""
    header = {name: {"dtype": "U8", "shape": [4], "data_offsets": [4 * i, 4 * i + 4]} for i, name in enumerate("abc")}

    layout = layout_of(packed(header, bytes(7)))

    assert (frozenset("bc"), 5) == (layout.cut, layout.missing_bytes)


def test_records_point_into_the_file() -> None:
    """Offsets count from the start of the file, where a scan reads."""
    content = packed(GOOD)
    (made,) = tensor_records(layout_of(content), "sub/model.safetensors")

    assert (Piece("sub/model.safetensors", len(content) - 16, 16),) == made.pieces
    assert (made.name, made.role, made.dtype, made.shape) == ("a", "weight", "F32", (2, 2))


WHOLE = packed(
    {
        "__metadata__": {"format": "pt"},
        "embed": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]},
        "bias": {"dtype": "F32", "shape": [1], "data_offsets": [12, 16]},
    }
)


@pytest.mark.parametrize("length", range(len(WHOLE)))
def test_every_prefix_is_an_error_or_a_cut_layout(length: int) -> None:
    """A file cut anywhere is refused in its header, and lists its tensors in its data."""
    start = len(WHOLE) - 16
    if length < start:
        with pytest.raises(MalformedError):
            layout_of(WHOLE[:length])
    else:
        layout = layout_of(WHOLE[:length])

        assert len(WHOLE) - length == layout.missing_bytes
        assert {"bias"} <= layout.cut
        assert ("embed" in layout.cut) == (length < start + 12)


@settings(max_examples=400, deadline=None)
@given(position=st.integers(0, len(WHOLE) - 17), mask=st.integers(1, 255))
def test_flipped_byte_is_an_error_or_a_consistent_layout(position: int, mask: int) -> None:
    """Whatever one byte of the header becomes, entries are sized as dtype and shape say, or the error is typed."""
    content = bytearray(WHOLE)
    content[position] ^= mask
    try:
        layout = layout_of(bytes(content))
    except ForensicsError:
        return

    for entry in layout.entries:
        assert entry.nbytes == DTYPES[entry.dtype].nbytes(int(np.prod(entry.shape)))
        assert (entry.offset + entry.nbytes > len(content)) == (entry.name in layout.cut)


def test_entries_are_in_file_order() -> None:
    """Entries come in the order of their bytes, whatever the order of the header."""
    header = {
        "late": {"dtype": "U8", "shape": [1], "data_offsets": [1, 2]},
        "early": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
    }

    entries = layout_of(packed(header, bytes(2))).entries

    assert [entry.name for entry in entries] == ["early", "late"]
    assert isinstance(entries[0], Entry)


def test_a_header_of_many_tensors_costs_little_more_than_its_text() -> None:
    """Experts of a quantised mixture have hundreds of thousands; a dictionary for each is many times the text."""
    names = [f"model.layers.{i // 400}.mlp.experts.{i % 400}.down_proj.weight_scale" for i in range(20_000)]
    header = {name: {"dtype": "BF16", "shape": [1], "data_offsets": [2 * i, 2 * i + 2]} for i, name in enumerate(names)}
    content = packed(header, bytes(2 * len(names)))
    del header, names
    tracemalloc.start()
    layout = layout_of(content)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(layout.entries) == 20_000
    assert most < 5 * len(content)
