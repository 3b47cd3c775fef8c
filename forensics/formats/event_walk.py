"""The walk over the blocks of an event file: checksums, then points, of many records at once.

Records that come once or twice in a block, and those that are no plain scalars, are left to `event_proto`, so that
there is one decoder for the unusual; what is read many at once (`event_shapes`) is what it would read.
"""

from dataclasses import field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.records import dataclass
from forensics.formats.crc32c import Bytes, masked_checksums
from forensics.formats.event_frames import HEADER_BYTES, Frames, unaligned
from forensics.formats.event_shapes import USUAL_BYTES, Alike, Shape, shape_of
from forensics.model import Floats, Integers

MANY = 4
"""From so many records of one size in a block on they are read together."""
COMMON = 8
"""A tag that at least one in so many records of a size has is compared as a whole, others are looked up each."""
ROUNDS = 32
"""So many shapes of one size are told apart in a block; what is left after them is decoded one by one."""

Row: TypeAlias = tuple[NDArray[np.int32], Integers, NDArray[np.float32], Floats, Integers]
"""Tags, steps, values, wall times and records of a group of points."""


@dataclass(frozen=True, slots=True)
class Walked:
    """What the whole records at the start of a block hold.

    `consumed` bytes and `records` records were walked; `corrupt` says that the length that follows fails its
    CRC. The points are columns of shape (n,), those of one tag in the order of the file: `tag_ids` (int32),
    `steps` (int64), `values` (float32), `wall_times` (float64), `numbers` (int64), the record of each point, from
    0 in this block. `others`, int64 (m, 3), are payloads that were not recognised: record, start, end. `failed`,
    int64 (m, 2), are records whose payload fails its CRC: record, start of the frame.
    """

    consumed: int
    records: int
    corrupt: bool
    tag_ids: NDArray[np.int32]
    steps: Integers
    values: NDArray[np.float32]
    wall_times: Floats
    numbers: Integers
    others: Integers
    failed: Integers


@dataclass(slots=True)
class _Block:
    """A block, its frames, and what was found in it so far; `rows` has a point's columns a group of points."""

    bytes: Bytes
    starts: Integers
    sizes: Integers
    rows: list[Row] = field(default_factory=list)
    failed: list[Integers] = field(default_factory=list)
    unknown: list[Integers] = field(default_factory=list)


class Walk:
    """Walks over blocks and numbers the tags that it meets."""

    __slots__ = ("_frames", "_ids")

    def __init__(self) -> None:
        self._frames = Frames()
        self._ids: dict[bytes, int] = {}

    @property
    def tags(self) -> list[bytes]:
        return list(self._ids)

    def walk(self, block: Bytes) -> Walked:
        starts, sizes, consumed, corrupt = self._frames.find(block)
        found = _Block(block, starts, sizes)
        counts = np.bincount(np.minimum(sizes, USUAL_BYTES + 1)) if len(sizes) else np.zeros(0, np.int64)
        for size in np.flatnonzero(counts).tolist():
            records = np.flatnonzero(sizes == size) if size <= USUAL_BYTES else np.flatnonzero(sizes > USUAL_BYTES)
            if size > USUAL_BYTES or len(records) < MANY:
                found.unknown.append(records)
            else:
                self._of_one_size(found, records, size)
        unknown = _in_order(found.unknown)
        good = _checked(found, unknown)
        failed = np.sort(np.concatenate([_in_order(found.failed), unknown[~good]]))
        begins = starts[unknown[good]] + HEADER_BYTES
        return Walked(
            consumed,
            len(starts),
            corrupt,
            *_columns(found.rows),
            others=np.stack([unknown[good], begins, begins + sizes[unknown[good]]], axis=1),
            failed=np.stack([failed, starts[failed]], axis=1),
        )

    def _of_one_size(self, found: _Block, records: Integers, size: int) -> None:
        left = Alike.of(found.bytes, found.starts[records], size)
        skipped = 0
        for _ in range(ROUNDS):
            shape = None
            while skipped < len(left) and shape is None:
                shape = shape_of(left.payload(skipped))
                skipped += shape is None
            if shape is None:
                break
            found.unknown.append(records[:skipped])
            left, records, skipped = left.since(skipped), records[skipped:], 0
            tags = True
            like = left.like_the_first(shape, tags=True)
            if np.count_nonzero(like) * COMMON < len(left):
                tags, like = False, left.like_the_first(shape, tags=False)
            self._of_one_shape(found, left.chosen(like), records[like], shape, tags=tags)
            left, records = left.chosen(~like), records[~like]
            if not len(left):
                break
        found.unknown.append(records)

    def _of_one_shape(self, found: _Block, alike: Alike, records: Integers, shape: Shape, *, tags: bool) -> None:
        good = alike.checks(shape, tags=tags)
        if not good.all():
            found.failed.append(records[~good])
            alike, records = alike.chosen(good), records[good]
        if not len(alike):
            return
        steps, walls = alike.steps(shape), alike.walls(shape)
        for tag, size, number in shape.values:
            values: NDArray[np.float32] = alike.fields(number, "<f4").view(np.float32)
            found.rows.append((self._tag_ids(alike, tag, size, same=tags), steps, values, walls, records))

    def _tag_ids(self, alike: Alike, tag: int, size: int, *, same: bool) -> NDArray[np.int32]:
        ids = self._ids
        if same:
            text = alike.payload(0)[tag : tag + size]
            return np.full(len(alike), ids.setdefault(text, len(ids)), np.int32)
        texts = alike.fields(tag, f"V{size}").tolist()
        return np.array([ids.setdefault(text, len(ids)) for text in texts], np.int32)


def _in_order(parts: list[Integers]) -> Integers:
    return np.sort(np.concatenate(parts)) if parts else np.zeros(0, np.int64)


def _checked(found: _Block, records: Integers) -> NDArray[np.bool_]:
    starts, sizes = found.starts[records] + HEADER_BYTES, found.sizes[records]
    if not len(records):
        return np.zeros(0, np.bool_)
    stored = unaligned(found.bytes, "<u4")[starts + sizes]
    right: NDArray[np.bool_] = masked_checksums(found.bytes, starts, sizes) == stored
    return right


def _columns(rows: list[Row]) -> Row:
    """Join the groups; a tag that came in several of them is put in the order of the file."""
    if not rows:
        none = np.zeros(0, np.int64)
        return none.astype(np.int32), none, none.astype(np.float32), none.astype(np.float64), none
    tag_ids, steps, values, walls, numbers = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    alone = len({int(ids[0]) for ids, *_ in rows}) == len(rows) and all((ids == ids[0]).all() for ids, *_ in rows)
    if alone:
        return tag_ids, steps, values, walls, numbers
    order = np.argsort(numbers, kind="stable")
    return tag_ids[order], steps[order], values[order], walls[order], numbers[order]
