"""Headers taken apart in columns say what the same headers say as JSON, or are left to it."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from forensics.errors import ForensicsError
from forensics.formats import safetensors, safetensors_header
from forensics.formats.safetensors import Layout, read_layout
from forensics.storage.file import File

DTYPES = {"F32": 4, "BF16": 2, "I64": 8, "U8": 1, "F8_E4M3": 1}
shapes = some.lists(some.integers(0, 12), max_size=4)
names = some.text(some.characters(exclude_categories=["Cs"]), max_size=12).filter(lambda name: name != "__metadata__")
tensors = some.dictionaries(names, some.tuples(some.sampled_from(sorted(DTYPES)), shapes), min_size=1, max_size=12)


def header_of(held: dict[str, tuple[str, list[int]]], *, escaped: bool = False, metadata: bool = False) -> bytes:
    """Return a header as the library writes it; `escaped` spells letters beyond ASCII as Python does."""
    made: dict[str, object] = {"__metadata__": {"format": "pt", 'a"b': "\\"}} if metadata else {}
    at = 0
    for name, (dtype, shape) in held.items():
        size = DTYPES[dtype]
        for length in shape:
            size *= length
        made[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    return json.dumps(made, separators=(",", ":"), ensure_ascii=escaped).encode()


def read(raw: bytes) -> Layout | str:
    content = len(raw).to_bytes(8, "little") + raw + bytes(100)
    try:
        with File.of_bytes(content, Path("x.safetensors")) as file:
            return read_layout(file)
    except ForensicsError as error:
        return f"{type(error).__name__}: {error}"


def as_json(raw: bytes, monkeypatch: pytest.MonkeyPatch) -> Layout | str:
    with monkeypatch.context() as patched:
        patched.setattr(safetensors, "columns", lambda *_: None)
        return read(raw)


def same(one: Layout | str, other: Layout | str) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    fields = ("entries", "metadata", "problems", "missing_bytes", "cut", "refused")
    return all(getattr(one, field) == getattr(other, field) for field in fields)


@given(held=tensors, escaped=some.booleans(), metadata=some.booleans())
def test_what_the_library_writes_is_read_in_columns(
    held: dict[str, tuple[str, list[int]]], escaped: bool, metadata: bool
) -> None:
    raw = header_of(held, escaped=escaped, metadata=metadata)
    found = safetensors_header.columns(lambda place, size: (raw + b"   ")[place : place + size], len(raw) + 3)

    assert found is not None
    assert found[0].names == list(held)
    with pytest.MonkeyPatch.context() as patched:
        assert same(read(raw), as_json(raw, patched))


@given(held=tensors, data=some.data())
def test_a_header_with_a_changed_byte_says_what_json_says(
    held: dict[str, tuple[str, list[int]]], data: some.DataObject
) -> None:
    """Whatever the byte: what is not as the library writes it is left to JSON, which has the words for it."""
    raw = bytearray(header_of(held))
    for _ in range(data.draw(some.integers(1, 3))):
        at = data.draw(some.integers(0, len(raw) - 1))
        raw[at] = data.draw(some.sampled_from(b'"\\,:[]{}0159- aeE.\x00\xff\n'))
    with pytest.MonkeyPatch.context() as patched:
        assert same(read(bytes(raw)), as_json(bytes(raw), patched))


@given(held=tensors)
def test_chunks_leave_no_trace(held: dict[str, tuple[str, list[int]]]) -> None:
    """A header cut into pieces of a tensor each is the header read at once, also where a name looks like a cut."""
    raw = header_of({**held, "]},": ("U8", [1]), '":]},"': ("U8", [1])})
    whole = read(raw)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(safetensors_header, "CHUNK_BYTES", 1)
        assert same(read(raw), whole)


@pytest.mark.parametrize(
    ("change", "to"),
    [
        (b'"F32"', b'"F99"'),
        (b"[4]", b"[04]"),
        (b"[4]", b"[4,]"),
        (b"[4]", b"[,4]"),
        (b"[4]", b"[]"),
        (b"[4]", b"[-4]"),
        (b"[0,16]", b"[16]"),
        (b"[0,16]", b"[0,16,16]"),
        (b"[0,16]", b"[16,0]"),
        (b"[0,16]", b"[0,9999999999999999999]"),
        (b'"shape"', b'"shapf"'),
        (b"{", b"["),
    ],
)
def test_what_is_wrong_is_left_to_json(change: bytes, to: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = header_of({"w": ("F32", [4])}).replace(change, to)
    found = read(raw)

    assert same(found, as_json(raw, monkeypatch))
    assert isinstance(found, str)
