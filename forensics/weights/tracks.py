"""Tensors followed through a series of checkpoints, so that each can be read once and compared on the way."""

from collections.abc import Callable, Sequence
from dataclasses import field
from typing import NamedTuple

from forensics.deferred.records import dataclass
from forensics.errors import ForensicsError, MalformedError
from forensics.formats.dtypes import DType, dtype_named
from forensics.model.facts import Integers
from forensics.model.tensors import Piece, Role, TensorRecord, Tensors

EXPANDED_BYTES = 64 << 20
"""A strided view may hold this much, or four times the bytes that it views; more is a hostile expansion."""


class Place(NamedTuple):
    """Where a tensor lies in one checkpoint; `row` counts the records of all checkpoints."""

    checkpoint: int
    row: int
    pieces: tuple[Piece, ...]


@dataclass(slots=True)
class Track:
    """A tensor of one dtype, shape and memory order through the checkpoints that hold it, one after the other.

    `row_length` counts elements, 0 when rows are not counted. `gathered` tensors must be put in order of elements
    by their `strides`; others are looked at in the order of their bytes. Its pieces hold `needed` bytes at least.
    """

    name: str
    role: Role
    dtype: DType
    shape: tuple[int, ...]
    elements: int
    row_length: int
    strides: tuple[int, ...] | None
    gathered: bool
    needed: int
    places: list[Place] = field(default_factory=list)

    @property
    def checkpoints(self) -> tuple[int, ...]:
        return tuple(place.checkpoint for place in self.places)


@dataclass(slots=True)
class Plan:
    """What to read, which rows copy another row, which rows cannot be read (path and reason)."""

    tracks: list[Track] = field(default_factory=list)
    copies: dict[int, int] = field(default_factory=dict)
    unreadable: dict[int, tuple[str, str]] = field(default_factory=dict)


def follow(
    checkpoints: Sequence[Tensors],
    gather_bytes: int,
    size_of: Callable[[str], int],
    rows: Sequence[Integers] | None = None,
) -> Plan:
    """Match the tensors of the checkpoints by name and role.

    A tensor whose dtype, shape or memory order changes starts anew: nothing is compared across the change. Strided
    tensors that span up to `gather_bytes` are gathered. `size_of` returns the bytes of a file or raises what
    `File` raises; a tensor that does not lie within its files is unreadable from the start. `rows` are those of each
    checkpoint that are followed, all without it.
    """
    plan, latest, base = Plan(), dict[tuple[str, Role], Track](), 0
    for number, records in enumerate(checkpoints):
        firsts = _firsts(records, base) if records.aliases else {}
        for place in range(len(records)) if rows is None else rows[number].tolist():
            row, record = base + place, records[place]
            target = _target(record, row, firsts, records, base) if record.alias_of is not None else None
            if target is not None:
                plan.copies[row] = target
                continue
            key = record.name, record.role
            track = latest.get(key)
            try:
                if track is None or not _continues(track, record, number):
                    track = _start(record, gather_bytes)
                reason = _missing(record, track.needed, size_of)
            except ForensicsError as error:
                reason = (record.pieces[0].path if record.pieces else ""), str(error)
            if reason is not None or track is None:
                plan.unreadable[row] = reason or ("", "")
                latest.pop(key, None)
                continue
            if not track.places:
                plan.tracks.append(track)
            track.places.append(Place(number, row, record.pieces))
            latest[key] = track
        base += len(records)
    return plan


def _firsts(records: Tensors, base: int) -> dict[tuple[str, Role | None], int]:
    """Return the row of each tensor with bytes of its own, by name and role and by name alone."""
    found: dict[tuple[str, Role | None], int] = {}
    for row, (name, role, own) in enumerate(zip(records.names, records.roles, records.own.tolist(), strict=True), base):
        if own:
            found.setdefault((name, role), row)
            found.setdefault((name, None), row)
    return found


def _target(
    record: TensorRecord,
    row: int,
    firsts: dict[tuple[str, Role | None], int],
    records: Tensors,
    base: int,
) -> int | None:
    assert record.alias_of is not None
    found = firsts.get((record.alias_of, record.role), firsts.get((record.alias_of, None)))
    if found is None or found == row:
        return None
    other = records[found - base]
    return found if (other.dtype, other.shape) == (record.dtype, record.shape) else None


def _continues(track: Track, record: TensorRecord, number: int) -> bool:
    return (
        record.dtype == track.dtype.name
        and record.shape == track.shape
        and track.places[-1].checkpoint < number
        and _strides(record) == track.strides
    )


def _start(record: TensorRecord, gather_bytes: int) -> Track:
    if min(record.shape, default=0) < 0:
        raise MalformedError(f"tensor {record.name[:80]!r} has a negative size")
    dtype, elements, strides = dtype_named(record.dtype), record.elements, _strides(record)
    rows = record.shape[0] if len(record.shape) > 1 else 1
    row_length = elements // rows if rows > 1 else 0
    gathered, stored = False, elements
    if strides is not None:
        gathered, stored = _gathered(record, strides, dtype, gather_bytes), span_of(record.shape, strides)
    if (strides is not None and not gathered) or row_length % dtype.group or dtype.kind == "opaque":
        row_length = 0
    needed = dtype.nbytes(stored)
    return Track(record.name, record.role, dtype, record.shape, elements, row_length, strides, gathered, needed)


def _gathered(record: TensorRecord, strides: tuple[int, ...], dtype: DType, gather_bytes: int) -> bool:
    if len(strides) != len(record.shape) or min(strides) < 0 or dtype.bits < 8:
        raise MalformedError(f"tensor {record.name[:80]!r} has strides that no tensor of its shape can have")
    span = span_of(record.shape, strides) * dtype.itemsize
    if record.elements * dtype.itemsize > max(EXPANDED_BYTES, 4 * span):
        raise MalformedError(f"tensor {record.name[:80]!r} expands {span} bytes to {record.elements} elements")
    return span <= gather_bytes or not _dense(record.shape, strides)


def _strides(record: TensorRecord) -> tuple[int, ...] | None:
    """Return the strides unless they are those of a C-contiguous tensor (sizes of one have any stride)."""
    if record.strides is None or not record.elements:
        return None
    expected = 1
    for size, stride in zip(reversed(record.shape), reversed(record.strides), strict=False):
        if size != 1 and stride != expected:
            return record.strides
        expected *= size
    return None if len(record.strides) == len(record.shape) else record.strides


def span_of(shape: Sequence[int], strides: Sequence[int]) -> int:
    """Return how many elements lie between the first and the last of a strided tensor, both counted."""
    return 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=False))


def _dense(shape: Sequence[int], strides: Sequence[int]) -> bool:
    expected = 1
    for stride, size in sorted(zip(strides, shape, strict=False)):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True


def _missing(record: TensorRecord, needed: int, size_of: Callable[[str], int]) -> tuple[str, str] | None:
    """Say which file lacks bytes of the tensor, if one does."""
    have = 0
    for piece in record.pieces:
        have += piece.nbytes
        end = piece.offset + piece.nbytes
        if piece.offset < 0 or piece.nbytes < 0 or end > size_of(piece.path):
            what = f"tensor {record.name[:80]!r} needs bytes {piece.offset} to {end}"
            return piece.path, f"{piece.path} ends at byte {size_of(piece.path)}, but {what}"
    if have < needed:
        path = record.pieces[0].path if record.pieces else ""
        return path, f"tensor {record.name[:80]!r} needs {needed} bytes, its header names {have}"
    return None
