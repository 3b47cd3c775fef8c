"""The points of an event file, gathered block by block and at the end put in order by tag.

The order of the file is kept within a tag. Each column is one large array that grows in place (an allocation of
this size is its own mapping, which the system extends without a copy and takes back at once), and columns are put
in order one at a time, so that at the peak little more than one copy of the points is held.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.records import dataclass
from forensics.formats.event_walk import Walked
from forensics.model import Floats, Integers, Precision

RADIX_TAGS = 1 << 16
"""Up to this many tags are sorted as sixteen bits, by radix: an order of magnitude faster than by comparison."""


_DTYPES = (np.int32, np.int64, np.float64, np.float32, np.uint32)
"""Tag, step, wall time, value and record of a point while the file is read."""


@dataclass(frozen=True, slots=True)
class Points:
    """The scalars of one tag in the order they were written; columns of shape (n,) as in `Samples`.

    `records` counts the records of the file from 1.
    """

    tag: str
    steps: Integers
    values: Floats
    wall_times: Floats
    records: Integers
    precision: Precision


@dataclass(frozen=True, slots=True)
class Point:
    """A scalar that came in an unusual record."""

    step: int
    value: float
    wall_time: float
    record: int
    precision: Precision


class Columns:
    """What the walk recognised, in columns with room to grow, and what it did not, by tag."""

    __slots__ = ("_arrays", "_count", "unusual")

    def __init__(self, room: int = 1024) -> None:
        self.unusual: dict[bytes, list[Point]] = {}
        self._count = 0
        self._arrays: list[NDArray[Any]] = [np.empty(max(room, 1), dtype) for dtype in _DTYPES]

    def add(self, walked: Walked, first: int) -> None:
        """Keep the points of a block whose first record is number `first` of the file."""
        start, stop = self._count, self._count + len(walked.tag_ids)
        parts = (walked.tag_ids, walked.steps, walked.wall_times, walked.values, walked.numbers + first)
        for array, part in zip(self._arrays, parts, strict=True):
            if stop > len(array):
                array.resize(stop + stop // 2, refcheck=False)
            array[start:stop] = part
        self._count = stop

    def points(self, tags: list[bytes]) -> Iterator[Points]:
        """Yield the points of each tag, in order of the tags' bytes; the columns are gone afterwards."""
        usual = dict(self._usual(tags))
        for tag in sorted(usual.keys() | self.unusual.keys()):
            made = _of_unusual(tag, self.unusual[tag]) if tag in self.unusual else None
            yield _merged(usual.get(tag), made)

    def _usual(self, tags: list[bytes]) -> Iterator[tuple[bytes, Points]]:
        records, values, walls, steps, tag_ids = (self._arrays.pop() for _ in _DTYPES)
        order, bounds = _order(tag_ids[: self._count], len(tags))
        del tag_ids
        steps = steps[order]
        walls = walls[order]
        with np.errstate(invalid="ignore"):  # widening a signalling NaN is an invalid operation to the processor
            values = values[order].astype(np.float64)
        records = records[order].astype(np.int64)
        for tag, start, stop in zip(tags, bounds, bounds[1:], strict=False):
            if stop > start:
                part = slice(start, stop)
                name = decode_tag(tag)
                yield tag, Points(name, steps[part], values[part], walls[part], records[part], Precision.SINGLE)


def decode_tag(tag: bytes) -> str:
    return tag.decode("utf-8", "backslashreplace")


def _order(tag_ids: NDArray[np.int32], tags: int) -> tuple[NDArray[np.intp], list[int]]:
    """Return the points ordered by tag, and the bounds of each tag in that order."""
    bounds = np.concatenate([[0], np.cumsum(np.bincount(tag_ids, minlength=tags))]).tolist()
    return np.argsort(tag_ids.astype(np.uint16) if tags <= RADIX_TAGS else tag_ids, kind="stable"), bounds


def _of_unusual(tag: bytes, points: list[Point]) -> Points:
    return Points(
        decode_tag(tag),
        np.array([point.step for point in points], np.int64),
        np.array([point.value for point in points], np.float64),
        np.array([point.wall_time for point in points], np.float64),
        np.array([point.record for point in points], np.int64),
        Precision(min(point.precision for point in points)),
    )


def _merged(usual: Points | None, unusual: Points | None) -> Points:
    if usual is None or unusual is None:
        only = usual or unusual
        assert only is not None
        return only
    records = np.concatenate([usual.records, unusual.records])
    order = np.argsort(records, kind="stable")
    return Points(
        usual.tag,
        np.concatenate([usual.steps, unusual.steps])[order],
        np.concatenate([usual.values, unusual.values])[order],
        np.concatenate([usual.wall_times, unusual.wall_times])[order],
        records[order],
        Precision.SINGLE,
    )
