"""Small tensors in columns: planned, read and counted some thousands at a time, with no object for each.

What the scales and norms of a mixture of experts cost is not their bytes but their number. A tensor that lies in one
piece, in order and whole, and that is the same in every checkpoint that holds it, needs a row of numbers and no more;
whatever is otherwise is followed one by one (`tracks`).
"""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.records import dataclass
from forensics.errors import ForensicsError
from forensics.formats.dtypes import DTYPES, Bytes, DType
from forensics.model.columns import Flags
from forensics.model.facts import Integers
from forensics.model.order import distinct
from forensics.model.tensors import Tensors
from forensics.weights import blocks
from forensics.weights.reading import Failed, Lender

SMALL_SHARE = 32
"""A tensor of more than this part of a buffer (32 KB) costs more to count than to follow."""
PARTS = 8192
GAP_BYTES, SPAN_BYTES = 512, 4 << 20
"""Tensors this close (torch puts some 200 bytes between two) are read at once, up to so many bytes."""
SCATTER_BYTES = 256
_ALIGNMENT = 8


@dataclass(frozen=True, slots=True)
class Small:
    """Whole tensors that the same checkpoints hold; arrays have a row a checkpoint (places, n) or are of all (n,).

    `codes` counts in `dtypes`, `sizes` are bytes, `row_lengths` elements (0: rows are not counted). `file_codes` counts
    in `files`, `offsets` are bytes in the file; `rows` count the records of all checkpoints. `one_row` marks those
    of several dimensions of which the first is 1, `no_elements` those of several dimensions without any.
    """

    dtypes: tuple[str, ...]
    files: tuple[str, ...]
    codes: NDArray[np.integer[Any]]
    sizes: NDArray[np.integer[Any]]
    row_lengths: NDArray[np.integer[Any]]
    one_row: Flags
    no_elements: Flags
    elements: NDArray[np.integer[Any]]
    file_codes: NDArray[np.integer[Any]]
    offsets: Integers
    rows: Integers

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def places(self) -> int:
        return len(self.rows)

    @property
    def nbytes(self) -> int:
        """Bytes that are read of each checkpoint."""
        return int(self.sizes.sum())

    @property
    def opaque(self) -> Flags:
        return np.asarray(np.array([DTYPES[name].kind == "opaque" for name in self.dtypes])[self.codes], dtype=bool)

    def paths(self) -> frozenset[str]:
        return frozenset(self.files[code] for code in distinct(self.file_codes).tolist())

    def taken(self, chosen: Integers | slice) -> "Small":
        """Return some of them."""
        of_all = ("codes", "sizes", "row_lengths", "one_row", "no_elements", "elements")
        of_each = ("file_codes", "offsets", "rows")
        made = {name: getattr(self, name)[chosen] for name in of_all}
        return replace(self, **made, **{name: getattr(self, name)[:, chosen] for name in of_each})

    def tasks(self) -> Iterator["Small"]:
        """Cut them, in the order of their files, into what a buffer holds; those of no bytes fall out."""
        rank = np.argsort(np.argsort(np.array(self.files, dtype=object))) if len(self.files) > 1 else np.zeros(1, int)
        filled = np.flatnonzero(self.sizes)
        order = filled[np.lexsort((self.offsets[0, filled], rank[self.file_codes[0, filled]]))]
        held = self.taken(order)
        ends = np.cumsum(_padded(held.sizes))
        first = 0
        while first < len(held):
            room = blocks.BUFFER_BYTES + (int(ends[first - 1]) if first else 0)
            stop = min(int(np.searchsorted(ends, room, side="right")), first + PARTS)
            yield held.taken(slice(first, stop))
            first = stop

    def extents(self, place: int) -> Iterator[tuple[int, int]]:
        """Yield the first and the last but one of neighbours that are read at once from a checkpoint."""
        files, offsets = self.file_codes[place], self.offsets[place]
        ends = offsets + self.sizes
        apart = (files[1:] != files[:-1]) | (offsets[1:] < ends[:-1]) | (offsets[1:] > ends[:-1] + GAP_BYTES)
        edges = [0, *(np.flatnonzero(apart) + 1).tolist(), len(self)]
        for first, stop in pairwise(edges):
            begin = first
            while begin < stop:
                end = int(np.searchsorted(ends[begin:stop], offsets[begin] + SPAN_BYTES, side="right")) + begin
                end = max(end, begin + 1)
                yield begin, end
                begin = end

    def groups(self) -> tuple[Integers, tuple[tuple[DType, Integers, slice], ...]]:
        """Return the order of the results, and for each dtype its runs (see `plain.accumulate`) and results."""
        order = np.argsort(self.codes, kind="stable")
        starts, made, first = self.starts, [], 0
        for code, count in zip(*np.unique(self.codes, return_counts=True), strict=True):
            own = order[first : first + count]
            nothing = np.zeros(count, np.int64)
            runs = np.stack((np.arange(count), starts[own], self.sizes[own], self.row_lengths[own], nothing), axis=1)
            made.append((DTYPES[self.dtypes[code]], runs, slice(first, first + int(count))))
            first += int(count)
        return order, tuple(made)

    @property
    def starts(self) -> Integers:
        """The first byte of each in a buffer, divisible by 8."""
        padded = _padded(self.sizes)
        return np.cumsum(padded, dtype=np.int64) - padded.astype(np.int64)


def _padded(sizes: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
    return -(-sizes // _ALIGNMENT) * _ALIGNMENT


def fill(files: Lender, task: Small, place: int, buffer: Bytes) -> Failed:
    """Read the tensors of one checkpoint, each to its start; return the rows that could not be read."""
    failed: Failed = {}
    starts = task.starts
    for first, stop in task.extents(place):
        begin = int(task.offsets[place, first])
        size = int(task.offsets[place, stop - 1] + task.sizes[stop - 1]) - begin
        raw = np.empty(size, np.uint8)
        path = task.files[task.file_codes[place, first]]
        reason = _read(files, path, begin, raw)
        if reason is None:
            _scatter(raw, task.offsets[place, first:stop] - begin, task.sizes[first:stop], starts[first:stop], buffer)
            continue
        for one in range(first, stop):  # one by one, so that only those suffer whose bytes are missing
            to = int(starts[one])
            reason = _read(files, path, int(task.offsets[place, one]), buffer[to : to + int(task.sizes[one])])
            if reason is not None:
                failed[int(task.rows[place, one])] = path, reason
    return failed


def _read(files: Lender, path: str, offset: int, into: Bytes) -> str | None:
    try:
        with files.borrow(path) as file:
            file.read_into(offset, into.data)
    except (ForensicsError, OSError) as error:
        return str(error)
    return None


def _scatter(raw: Bytes, offsets: Integers, sizes: NDArray[np.integer[Any]], starts: Integers, buffer: Bytes) -> None:
    """Copy each tensor from where it lay in its file to its start in the buffer."""
    large = sizes >= SCATTER_BYTES
    for size in distinct(sizes[~large]).tolist():
        own, inside = sizes == size, np.arange(size)
        buffer[starts[own][:, None] + inside] = raw[offsets[own][:, None] + inside]
    rows = zip(offsets[large].tolist(), sizes[large].tolist(), starts[large].tolist(), strict=True)
    for offset, size, start in rows:
        buffer[start : start + size] = raw[offset : offset + size]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is looked at of the tensors of one checkpoint, shape (n,): those that may be taken, and their numbers."""

    fits: Flags
    bits: Integers
    codes: Integers
    file_codes: Integers
    offsets: Integers


def taken(
    checkpoints: Sequence[Tensors], size_of: Callable[[str], int], most_bytes: int = sys.maxsize
) -> tuple[tuple[Small, ...], tuple[Integers, ...]]:
    """Return the small tensors of the checkpoints, and the rows of each checkpoint that are none of them.

    `size_of` returns the bytes of a file or raises what `File` raises. A small one has `most_bytes` at most.
    """
    most_bytes = min(most_bytes, blocks.BUFFER_BYTES // SMALL_SHARE)
    dtypes = tuple(DTYPES.values())
    files = tuple(dict.fromkeys(path for held in checkpoints for path in held.files))
    if not checkpoints:
        return (), ()
    seen = [_seen(held, dtypes, files, size_of, most_bytes) for held in checkpoints]
    members: list[tuple[tuple[int, ...], Integers]] = [((0,), np.flatnonzero(seen[0].fits)[None, :])]
    if len(checkpoints) > 1:
        members = _matched(checkpoints, [one.fits for one in seen])
    made, left = [], [np.ones(len(held), bool) for held in checkpoints]
    bases = np.cumsum([0, *map(len, checkpoints)])
    for places, rows in members:
        if rows.shape[1]:
            made.append(_small(checkpoints, seen, dtypes, files, places, rows, bases))
            for place, own in zip(places, rows, strict=True):
                left[place][own] = False
    return tuple(made), tuple(np.flatnonzero(mask) for mask in left)


def _seen(
    held: Tensors,
    dtypes: Sequence[DType],
    files: Sequence[str],
    size_of: Callable[[str], int],
    most_bytes: int,
) -> _Seen:
    numbers = {dtype.name: code for code, dtype in enumerate(dtypes)}
    codes = _coded(held.dtypes.codes, [numbers.get(word, -1) for word in held.dtypes.words])
    bits = _coded(codes, [*(dtype.bits for dtype in dtypes), 0])
    fits = (np.diff(held.piece_starts) == 1) & held.own & (codes >= 0)
    fits[list(held.strides)] = False
    if (held.shapes.sizes < 0).any():
        fits[distinct(np.searchsorted(held.shapes.starts, np.flatnonzero(held.shapes.sizes < 0), side="right") - 1)] = (
            False
        )
    at = np.minimum(held.piece_starts[:-1], max(len(held.piece_sizes) - 1, 0))
    if not len(held.piece_sizes):
        nothing = np.zeros(len(held), np.int64)
        return _Seen(np.zeros(len(held), bool), bits, codes, nothing, nothing)
    sizes, offsets = held.piece_sizes[at], held.piece_offsets[at]
    fits &= (held.elements <= most_bytes * 8) & (sizes >= 0) & (offsets >= 0)
    needed = np.where(fits, held.elements, 0) * bits
    ends = np.where(fits, offsets, 0) + np.where(fits, np.minimum(sizes, 1 << 62), 0)
    fits &= (needed % 8 == 0) & (needed // 8 <= np.minimum(sizes, most_bytes))
    fits &= (ends >= 0) & (ends <= _coded(held.piece_files[at], [_size(size_of, path) for path in held.files]))
    places = {path: number for number, path in enumerate(files)}
    return _Seen(fits, bits, codes, _coded(held.piece_files[at], [places[path] for path in held.files]), offsets)


def _coded(codes: NDArray[Any], values: Sequence[int]) -> Integers:
    found: Integers = np.array(values or [0], np.int64)[codes]
    return found


def _size(size_of: Callable[[str], int], path: str) -> int:
    try:
        return size_of(path)
    except ForensicsError:
        return -1  # Told by whoever follows its tensors one by one.


def _matched(checkpoints: Sequence[Tensors], fits: Sequence[Flags]) -> list[tuple[tuple[int, ...], Integers]]:
    """Return those that are alike in every checkpoint that has them: which checkpoints, and their rows (places, n)."""
    ids: dict[tuple[str, str], int] = {}
    looks: dict[object, int] = {}
    of = [
        np.fromiter((ids.setdefault(key, len(ids)) for key in zip(held.names, held.roles, strict=True)), np.intp)
        for held in checkpoints
    ]
    look = np.full(len(ids), -1)
    good = np.ones(len(ids), bool)
    for held, own, fit in zip(checkpoints, of, fits, strict=True):
        keys = zip(held.dtypes, held.shapes, strict=True)
        mine = np.fromiter((looks.setdefault(key, len(looks)) for key in keys), np.intp, len(held))
        good[own[~fit]] = False
        good[np.flatnonzero(np.bincount(own, minlength=len(ids)) > 1)] = False
        before = look[own]
        good[own[(before >= 0) & (before != mine)]] = False
        look[own] = mine
    everywhere = np.concatenate(of)
    places = np.repeat(np.arange(len(checkpoints)), [len(own) for own in of])
    rows = np.concatenate([np.arange(len(own)) for own in of])
    order = np.argsort(everywhere, kind="stable")
    order = order[good[everywhere[order]]]
    if not len(order):
        return []
    edges = np.flatnonzero(np.append(True, np.diff(everywhere[order]) > 0))
    families: dict[bytes, list[int]] = defaultdict(list)
    raw = places[order].astype(np.int32)
    for first, stop in zip(edges.tolist(), [*edges[1:].tolist(), len(order)], strict=True):
        families[raw[first:stop].tobytes()].append(first)
    made = []
    for key, firsts in families.items():
        which = np.frombuffer(key, np.int32)
        at = np.array(firsts)[None, :] + np.arange(len(which))[:, None]
        made.append((tuple(which.tolist()), rows[order[at]]))
    return made


def _small(  # noqa: PLR0913, PLR0917  (columns of several tables, put into one)
    checkpoints: Sequence[Tensors],
    seen: Sequence[_Seen],
    dtypes: tuple[DType, ...],
    files: tuple[str, ...],
    places: tuple[int, ...],
    rows: Integers,
    bases: Integers,
) -> Small:
    first, own = checkpoints[places[0]], rows[0]
    codes, elements = seen[places[0]].codes[own], first.elements[own]
    several, leading = first.shapes.dimensions[own] > 1, first.shapes.first()[own]
    lengths = np.where(several & (leading > 1), elements // np.maximum(leading, 1), 0)
    opaque = _coded(codes, [dtype.kind == "opaque" for dtype in dtypes]).astype(bool)
    lengths[opaque | (lengths % _coded(codes, [dtype.group for dtype in dtypes]) != 0)] = 0
    return Small(
        dtypes=tuple(dtype.name for dtype in dtypes),
        files=files,
        codes=codes.astype(np.uint8),
        sizes=(elements * seen[places[0]].bits[own] // 8).astype(np.int32),
        row_lengths=lengths.astype(np.int32),
        one_row=several & (elements > 0) & (leading == 1) & ~opaque,
        no_elements=several & (elements == 0),
        elements=elements.astype(np.int32),
        file_codes=np.stack([seen[p].file_codes[r].astype(np.int32) for p, r in zip(places, rows, strict=True)]),
        offsets=np.stack([seen[p].offsets[r] for p, r in zip(places, rows, strict=True)]),
        rows=np.stack([r + bases[p] for p, r in zip(places, rows, strict=True)]),
    )
