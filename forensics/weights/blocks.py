"""How the bytes of many tensors are cut into work: blocks for small ones together, ranges of large ones.

A block is what one buffer holds. Blocks of a tensor hold whole rows of its first dimension or lie within one, so
that rows of zeros can be counted without memory of other blocks.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from forensics.formats.dtypes import DType
from forensics.model.facts import Integers
from forensics.weights.tracks import Track

BUFFER_BYTES = 1 << 20
"""Fits the second level of cache with its twin of the checkpoint before (512 KiB to 1 MiB measured best)."""
TASK_BYTES = 8 << 20
"""What a thread takes at a time of one large tensor."""
GATHER_BYTES = 16 << 20
"""What is held of a strided tensor to put it in order: twice, for two checkpoints, by each thread."""
PARTS = 1024
_ALIGNMENT = 8


class Part(NamedTuple):
    """Elements `first` up to `stop` of a tensor."""

    track: Track
    first: int
    stop: int

    @property
    def nbytes(self) -> int:
        return (self.stop - self.first) * self.track.dtype.bits // 8


class Block(NamedTuple):
    """Parts that are read and looked at together.

    `starts` are their places in the buffer. `groups` lists, for each dtype, the runs (see `plain.accumulate`)
    and the rows of results (slice) that belong to them; `order` is the part that each result row belongs to.
    """

    parts: tuple[Part, ...]
    starts: tuple[int, ...]
    groups: tuple[tuple[DType, Integers, slice], ...]
    order: tuple[int, ...]


def tasks(ranges: Iterable[tuple[Track, int, int]]) -> Iterator[tuple[Part, ...]]:
    """Cut ranges of elements into tasks: many small parts that share a buffer, or one part of a large tensor.

    The parts of a task belong to the same checkpoints. Gathered tensors come alone.
    """
    batch: list[Part] = []
    room = BUFFER_BYTES
    together: tuple[int, ...] = ()
    for track, first, stop in ranges:
        part = Part(track, first, stop)
        size = part.nbytes + _ALIGNMENT
        if track.gathered or size > BUFFER_BYTES:
            yield from ((piece,) for piece in _pieces(part))
            continue
        checkpoints = track.checkpoints
        if batch and (size > room or len(batch) == PARTS or together != checkpoints):
            yield tuple(batch)
            batch, room = [], BUFFER_BYTES
        together = checkpoints
        batch.append(part)
        room -= size
    if batch:
        yield tuple(batch)


def steps(part: Part, nbytes: int) -> Iterator[tuple[int, int]]:
    """Cut a range of a large tensor into ranges of elements that a buffer of `nbytes` holds."""
    track, first, stop = part
    step, row_length = _step(track, nbytes), track.row_length
    while first < stop:
        end = min(first + step, stop)
        if row_length > step:
            end = min(end, first - first % row_length + row_length)
        yield first, end
        first = end


def _pieces(part: Part) -> Iterator[Part]:
    """Cut a range of a large tensor into ranges for the threads, at ends of rows."""
    track = part.track
    step = _gathered_step(track) if track.gathered else max(_step(track, TASK_BYTES), track.row_length)
    for first in range(part.first, part.stop, step):
        yield Part(track, first, min(first + step, part.stop))


def _step(track: Track, nbytes: int) -> int:
    """Return how many elements fit into `nbytes`: whole rows when one fits, whole bytes always."""
    step = nbytes * 8 // track.dtype.bits
    row = track.row_length
    return step - step % (row if 0 < row <= step else track.dtype.group)


def _gathered_step(track: Track) -> int:
    """Return as many whole rows of a strided tensor as may be held, in elements."""
    assert track.strides is not None
    if not track.shape:
        return 1
    row = track.elements // track.shape[0]
    inner = 1 + sum((size - 1) * stride for size, stride in zip(track.shape[1:], track.strides[1:], strict=True))
    limit = GATHER_BYTES // track.dtype.itemsize
    by_span = 1 + max(limit - inner, 0) // max(track.strides[0], 1)
    return row * max(min(by_span, limit // row, track.shape[0]), 1)


def block_of(parts: tuple[Part, ...]) -> Block:
    """Lay out parts in a buffer, and their results by dtype."""
    starts, position = [], 0
    by_dtype: dict[DType, list[int]] = {}
    for number, part in enumerate(parts):
        starts.append(position)
        position += -(-part.nbytes // _ALIGNMENT) * _ALIGNMENT
        by_dtype.setdefault(part.track.dtype, []).append(number)
    groups, order = [], list[int]()
    for dtype, numbers in by_dtype.items():
        runs = [
            (row, starts[i], parts[i].nbytes, parts[i].track.row_length, parts[i].first)
            for row, i in enumerate(numbers)
        ]
        groups.append((dtype, np.array(runs, dtype=np.int64), slice(len(order), len(order) + len(numbers))))
        order += numbers
    return Block(parts, tuple(starts), tuple(groups), tuple(order))
