"""The safetensors container: a length, a JSON header, the bytes of the tensors.

Format: `safetensors/src/tensor.rs` (0.8) and the project's README. Stricter readers refuse a file as soon as
offsets leave a hole; here such a file still lists its tensors, with the problem named, because what is left of a
broken checkpoint is what a post-mortem is about.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from forensics.deferred.records import dataclass
from forensics.errors import LimitError, MalformedError, PlaceholderError, TruncatedError
from forensics.formats.dtypes import DType, dtype_named
from forensics.formats.placeholder import HEAD_BYTES, recognise
from forensics.limits import DEFAULT, Limits
from forensics.model.weights import Piece, Role, TensorRecord
from forensics.storage.file import File

_LENGTH_BYTES = 8
_LARGEST = 2**63 - 1
_PROBLEMS_NAMED = 20
_KEYS = frozenset({"dtype", "shape", "data_offsets"})


class HeaderError(MalformedError):
    """The header is no JSON object, or an entry of it lacks what every tensor must declare."""


class ShapeError(MalformedError):
    """A shape is no list of sizes, or is larger than any file."""


class OffsetsError(MalformedError):
    """Data offsets run backwards, or do not hold what dtype and shape need."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A tensor of the file; `offset` counts from the start of the file, in bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class Layout:
    """What a header declares, in file order.

    `problems` are sentences about holes, overlaps, doubled names and bytes after the last tensor. `missing_bytes`
    is how much of the data part the file lacks; `cut` names the entries that it lacks in part or whole. All other
    entries are intact as far as lengths can tell. `refused` tells that the library itself does not open the file, for
    a hole, an overlap or bytes behind the last tensor (`Metadata::validate`).
    """

    entries: tuple[Entry, ...]
    metadata: Mapping[str, str]
    problems: tuple[str, ...] = ()
    missing_bytes: int = 0
    cut: frozenset[str] = field(default_factory=frozenset)
    refused: bool = False


def read_layout(file: File, limits: Limits = DEFAULT) -> Layout:
    """Read the header of a safetensors file; the tensors' bytes are not touched.

    Raises `PlaceholderError` (a Git LFS pointer, an HTML page, zeros), `TruncatedError` (it ends within the
    header), `LimitError` (header, tensor count or rank above `limits`), `HeaderError`, `UnknownDtypeError`,
    `ShapeError` and `OffsetsError`. A file that ends within its data is no error: see `Layout.missing_bytes`.
    """
    length = _header_length(file, limits)
    doubled: list[str] = []
    header = _parse(file, length, doubled, limits)
    metadata = _metadata(header.pop("__metadata__", {}))
    if len(header) > limits.tensors:
        raise LimitError(f"{file.path.name} declares {len(header)} tensors, more than {limits.tensors}")
    start = _LENGTH_BYTES + length
    entries = sorted(
        (
            _placed(name, value, start) if type(value) is tuple else _entry(name, value, start, limits)
            for name, value in header.items()
        ),
        key=lambda entry: (entry.offset, entry.nbytes),
    )
    return _laid_out(tuple(entries), metadata, doubled, start, file.size)


def tensor_records(layout: Layout, path: str, role: Role = "weight") -> tuple[TensorRecord, ...]:
    """Describe the entries as tensors of the file `path` (relative to the run)."""
    return tuple(
        TensorRecord(entry.name, role, entry.dtype, entry.shape, (Piece(path, entry.offset, entry.nbytes),))
        for entry in layout.entries
    )


def _header_length(file: File, limits: Limits) -> int:
    head = file.head(HEAD_BYTES)
    if not head or (len(head) <= _LENGTH_BYTES and head.strip(b"\0")):
        raise TruncatedError(f"{file.path.name} has {file.size} bytes, too few for a safetensors header")
    meaning = recognise(head, file.size)
    if meaning is not None:
        raise PlaceholderError(f"{file.path.name} is no safetensors file but {meaning}")
    length = int.from_bytes(head[:_LENGTH_BYTES], "little")
    if length > limits.header_bytes:
        raise LimitError(f"{file.path.name} claims a header of {length} bytes, more than {limits.header_bytes}")
    if head[_LENGTH_BYTES : _LENGTH_BYTES + 1] != b"{":
        raise HeaderError(f"{file.path.name} has no JSON object at byte 8")
    if length + _LENGTH_BYTES > file.size:
        raise TruncatedError(f"{file.path.name} ends at byte {file.size}, within its header of {length} bytes")
    return length


def _parse(file: File, length: int, doubled: list[str], limits: Limits) -> dict[str, Any]:
    known: dict[tuple[str, tuple[int, ...]], tuple[str, tuple[int, ...], int]] = {}

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any] | tuple[str, tuple[int, ...], int, int]:
        made = dict(pairs)
        if len(pairs) == len(_KEYS) and made.keys() == _KEYS:
            return _compact(made["dtype"], made["shape"], made["data_offsets"], known, limits) or made
        if len(made) != len(pairs):
            seen: set[str] = set()
            doubled.extend(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]  # set.add in a filter
        return made

    def constant(name: str) -> None:
        raise ValueError(f"{name} is no JSON")

    try:
        text = file.read(_LENGTH_BYTES, length).decode()
        header = json.loads(text, object_pairs_hook=unique, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        raise HeaderError(f"the safetensors header is no JSON: {str(error)[:120]}") from error
    if not isinstance(header, dict):
        raise HeaderError("the safetensors header is no JSON object")
    return header


def _metadata(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise HeaderError("__metadata__ of the safetensors header is no map of strings")
    for name, text in value.items():
        _check_text(name + text)
    return value


def _compact(
    dtype: object,
    shape: object,
    offsets: object,
    known: dict[tuple[str, tuple[int, ...]], tuple[str, tuple[int, ...], int]],
    limits: Limits,
) -> tuple[str, tuple[int, ...], int, int] | None:
    """Return dtype, shape and offsets of a tensor as it should be, None for `_entry` to say what is wrong with it.

    A header of 700,000 tensors would be half a gigabyte of dictionaries; its few dozen shapes are each looked at once.
    """
    sizes, pair = _sizes(shape), _sizes(offsets)
    if not isinstance(dtype, str) or sizes is None or pair is None or len(pair) != 2:
        return None
    found = known.get((dtype, sizes))
    if found is None:
        try:
            kind = dtype_named(dtype)
            found = known[dtype, sizes] = kind.name, _shape("", shape, limits), _declared("", kind, sizes)
        except MalformedError:
            return None
    return (found[0], found[1], *pair) if pair[1] - pair[0] == found[2] else None


def _placed(name: str, tensor: tuple[str, tuple[int, ...], int, int], start: int) -> Entry:
    _check_text(name)
    dtype, shape, first, last = tensor
    return Entry(name, dtype, shape, start + first, last - first)


def _entry(name: str, value: object, start: int, limits: Limits) -> Entry:
    _check_text(name)
    if not isinstance(value, dict) or not isinstance(value.get("dtype"), str):
        raise HeaderError(f"tensor {name[:80]!r} has no dtype")
    dtype = dtype_named(value["dtype"])
    shape = _shape(name, value.get("shape"), limits)
    first, last = _offsets(name, value.get("data_offsets"))
    if last - first != _declared(name, dtype, shape):
        raise OffsetsError(
            f"tensor {name[:80]!r} has {last - first} bytes, but {dtype.name} {list(shape)} needs others"
        )
    return Entry(name, dtype.name, shape, start + first, last - first)


def _check_text(text: str) -> None:
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise HeaderError(f"the safetensors header holds a name that is no text: {text[:80]!r}") from error


def _sizes(value: object) -> tuple[int, ...] | None:
    if not isinstance(value, list):
        return None
    for size in value:
        if type(size) is not int or not 0 <= size <= _LARGEST:  # a bool is none
            return None
    return tuple(value)


def _shape(name: str, value: object, limits: Limits) -> tuple[int, ...]:
    shape = _sizes(value)
    if shape is None:
        raise ShapeError(f"tensor {name[:80]!r} has no valid shape")
    if len(shape) > limits.dimensions:
        raise LimitError(f"tensor {name[:80]!r} has {len(shape)} dimensions, more than {limits.dimensions}")
    return shape


def _offsets(name: str, value: object) -> tuple[int, int]:
    pair = _sizes(value)
    if pair is None or len(pair) != 2 or pair[0] > pair[1]:
        raise OffsetsError(f"tensor {name[:80]!r} has no valid data_offsets")
    return pair[0], pair[1]


def _declared(name: str, dtype: DType, shape: Sequence[int]) -> int:
    elements = 1
    for size in shape:
        elements *= size
        if elements > _LARGEST:
            raise ShapeError(f"tensor {name[:80]!r} declares more elements than any file can hold")
    return dtype.nbytes(elements)


def _laid_out(
    entries: tuple[Entry, ...], metadata: Mapping[str, str], doubled: list[str], start: int, size: int
) -> Layout:
    problems = [f"the header names {name[:80]!r} more than once; the last one counts" for name in doubled]
    position = start
    for entry in entries:
        if entry.offset > position:
            problems.append(f"{entry.offset - position} bytes before tensor {entry.name[:80]!r} belong to no tensor")
        elif entry.offset < position and entry.nbytes:
            problems.append(f"tensor {entry.name[:80]!r} overlaps the one before it")
        position = max(position, entry.offset + entry.nbytes)
    missing = max(position - size, 0)
    if missing:
        problems.insert(0, f"the file ends {missing} bytes before its last tensor does")
    elif size > position:
        problems.append(f"{size - position} bytes follow the last tensor")
    refused = len(problems) > len(doubled)
    if len(problems) > _PROBLEMS_NAMED:
        problems[_PROBLEMS_NAMED:] = [f"and {len(problems) - _PROBLEMS_NAMED} more problems of this kind"]
    cut = frozenset(entry.name for entry in entries if entry.offset + entry.nbytes > size)
    return Layout(entries, metadata, tuple(problems), missing, cut, refused)
