"""The safetensors container: a length, a JSON header, the bytes of the tensors.

Format: `safetensors/src/tensor.rs` (0.8) and the project's README. Stricter readers refuse a file as soon as
offsets leave a hole; here such a file still lists its tensors, with the problem named, because what is left of a
broken checkpoint is what a post-mortem is about.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from forensics.deferred.records import dataclass
from forensics.errors import LimitError, MalformedError, PlaceholderError, TruncatedError
from forensics.formats.dtypes import DType, dtype_named
from forensics.formats.placeholder import HEAD_BYTES, recognise
from forensics.formats.safetensors_header import columns
from forensics.limits import DEFAULT, Limits
from forensics.model.columns import Coded, Column, Flags, Names, Shapes
from forensics.model.facts import Integers
from forensics.model.tensors import Role, Tensors
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


class Entries(Column[Entry]):
    """The tensors of a header in the order of the file, in columns; `offsets` and `sizes` in bytes, int64 (n,)."""

    __slots__ = ("dtypes", "names", "offsets", "shapes", "sizes")

    def __init__(self, names: Names, dtypes: Coded, shapes: Shapes, offsets: Integers, sizes: Integers) -> None:
        self.names, self.dtypes, self.shapes, self.offsets, self.sizes = names, dtypes, shapes, offsets, sizes

    def __len__(self) -> int:
        return len(self.names)

    def _item(self, row: int) -> Entry:
        shape, dtype = self.shapes[row], self.dtypes[row]
        return Entry(self.names[row], dtype, shape, int(self.offsets[row]), int(self.sizes[row]))

    @property
    def ends(self) -> Integers:
        return self.offsets + self.sizes

    def taken(self, rows: Integers) -> "Entries":
        names, dtypes, shapes = self.names.taken(rows), self.dtypes.taken(rows), self.shapes.taken(rows)
        return Entries(names, dtypes, shapes, self.offsets[rows], self.sizes[rows])

    def in_order(self) -> "Entries":
        """Return them as they lie in the file, those of no bytes first."""
        order = np.lexsort((self.sizes, self.offsets))
        return self if (np.diff(order) == 1).all() else self.taken(order)


@dataclass(frozen=True, slots=True)
class Layout:
    """What a header declares, in file order.

    `problems` are sentences about holes, overlaps, doubled names and bytes after the last tensor. `missing_bytes`
    is how much of the data part the file lacks; `lacking` (n,) marks the entries that it lacks in part or whole. All
    other entries are intact as far as lengths can tell. `refused` tells that the library itself does not open the
    file, for a hole, an overlap or bytes behind the last tensor (`Metadata::validate`).
    """

    entries: Entries
    metadata: Mapping[str, str]
    problems: tuple[str, ...]
    missing_bytes: int
    lacking: Flags
    refused: bool

    @property
    def cut(self) -> frozenset[str]:
        """The names of the entries that the file lacks in part or whole."""
        return frozenset(self.entries.names[int(row)] for row in np.flatnonzero(self.lacking))


def read_layout(file: File, limits: Limits = DEFAULT) -> Layout:
    """Read the header of a safetensors file; the tensors' bytes are not touched.

    Raises `PlaceholderError` (a Git LFS pointer, an HTML page, zeros), `TruncatedError` (it ends within the
    header), `LimitError` (header, tensor count or rank above `limits`), `HeaderError`, `UnknownDtypeError`,
    `ShapeError` and `OffsetsError`. A file that ends within its data is no error: see `Layout.missing_bytes`.
    """
    length = _header_length(file, limits)
    start = _LENGTH_BYTES + length
    doubled: list[str] = []
    found = _as_written(file, length, limits)
    if found is None:
        found = _as_json(file, length, doubled, limits)
    return _laid_out(found[0].in_order(), found[1], doubled, start, file.size)


def _as_written(file: File, length: int, limits: Limits) -> tuple[Entries, Mapping[str, str]] | None:
    """Return the tensors of a header as the library writes it; None where it has to be read as any JSON."""
    found = columns(lambda place, size: file.read(_LENGTH_BYTES + place, size), length)
    if found is None:
        return None
    held, metadata = found
    shapes = Shapes(held.sizes, held.starts)
    try:
        dtypes = [dtype_named(name) for name in held.dtype_names]
    except MalformedError:
        return None
    if len(held.names) > limits.tensors or int(shapes.dimensions.max()) > limits.dimensions:
        return None
    elements, bits = shapes.elements, np.array([dtype.bits for dtype in dtypes])[held.dtypes]
    if int(elements.max()) >= 1 << 58 or ((held.last - held.first) * 8 != elements * bits).any():
        return None
    coded = Coded(held.dtypes, [dtype.name for dtype in dtypes])
    start = _LENGTH_BYTES + length
    return Entries(Names(held.names), coded, shapes, start + held.first, held.last - held.first), _metadata(metadata)


def _as_json(file: File, length: int, doubled: list[str], limits: Limits) -> tuple[Entries, Mapping[str, str]]:
    start = _LENGTH_BYTES + length
    header = _parse(file.read(_LENGTH_BYTES, length), doubled, limits)
    metadata = _metadata(header.pop("__metadata__", {}))
    if len(header) > limits.tensors:
        raise LimitError(f"{file.path.name} declares {len(header)} tensors, more than {limits.tensors}")
    entries = [
        _placed(name, value, start) if type(value) is tuple else _entry(name, value, start, limits)
        for name, value in header.items()
    ]
    offsets = np.array([min(entry.offset, _LARGEST) for entry in entries], np.int64)
    held = Entries(
        Names([entry.name for entry in entries]),
        Coded.of(entry.dtype for entry in entries),
        Shapes.of([entry.shape for entry in entries]),
        offsets,
        np.minimum([entry.nbytes for entry in entries], _LARGEST - offsets).astype(np.int64),
    )
    return held, metadata


def tensor_records(layout: Layout, path: str, role: Role = "weight", chosen: Flags | None = None) -> Tensors:
    """Describe the entries, or those that `chosen` (n,) marks, as tensors of the file `path` (relative to the run)."""
    held = layout.entries if chosen is None or chosen.all() else layout.entries.taken(np.flatnonzero(chosen))
    count = len(held)
    return Tensors(
        names=held.names,
        roles=Coded.all(role, count),
        dtypes=held.dtypes,
        shapes=held.shapes,
        trained=Coded.all("unknown", count),
        files=(path,),
        piece_starts=np.arange(count + 1),
        piece_files=np.zeros(count, np.int32),
        piece_offsets=held.offsets,
        piece_sizes=held.sizes,
        strides={},
        aliases={},
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


def _parse(raw: bytes, doubled: list[str], limits: Limits) -> dict[str, Any]:
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
        header = json.loads(raw.decode(), object_pairs_hook=unique, parse_constant=constant)
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


def _laid_out(entries: Entries, metadata: Mapping[str, str], doubled: list[str], start: int, size: int) -> Layout:
    problems = [f"the header names {name[:80]!r} more than once; the last one counts" for name in doubled]
    ends = entries.ends
    reached = np.maximum.accumulate(np.append(start, ends))
    holes = entries.offsets > reached[:-1]
    odd = np.flatnonzero(holes | ((entries.offsets < reached[:-1]) & (entries.sizes > 0)))
    for row in odd[:_PROBLEMS_NAMED].tolist():
        name = entries.names[row][:80]
        if holes[row]:
            before = int(entries.offsets[row] - reached[row])
            problems.append(f"{before} bytes before tensor {name!r} belong to no tensor")
        else:
            problems.append(f"tensor {name!r} overlaps the one before it")
    position = int(reached[-1])
    missing = max(position - size, 0)
    if missing:
        problems.insert(0, f"the file ends {missing} bytes before its last tensor does")
    elif size > position:
        problems.append(f"{size - position} bytes follow the last tensor")
    count = len(problems) + len(odd[_PROBLEMS_NAMED:])
    if count > _PROBLEMS_NAMED:
        problems[_PROBLEMS_NAMED:] = [f"and {count - _PROBLEMS_NAMED} more problems of this kind"]
    refused = count > len(doubled)
    return Layout(entries, metadata, tuple(problems), missing, ends > size, refused)
