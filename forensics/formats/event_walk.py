"""The walk over an event file in compiled code, for files where a second of Python would be felt.

Numba compiles the functions below once, for the given signatures, when this module is first imported, and keeps
the result beside the module, or in the user's cache directory when that is not writable (numba,
`core/caching.py`); where neither can be written it compiles anew. Import it only where it is needed.

Every read is bounded: a record lies within the block before it is entered, and a varint, a tag or a number lies
within its record. Whatever is not the usual shape (wall_time, step, one summary whose values are a tag and a
simple_value) is handed over untouched, so that there is one decoder for the unusual. Floats are moved as bits
and viewed as floats outside, which is exact for every NaN.
"""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import numba
import numpy as np

from forensics.formats.crc32c import TABLES, Bytes
from forensics.formats.event_plain import FRAME_BYTES, Walked
from forensics.formats.protobuf import VARINT_BYTES

TAGS = 1 << 14
TAG_BYTES = 1 << 20
SLOTS = 1 << 16
"""Slots of the open-addressed table of tags; four times `TAGS`, a power of two."""
POINT_BYTES = 10
"""The least a point takes: a value of a tag of one byte with its keys and lengths."""

Typed: TypeAlias = Any
"""A type that numba infers from the signature of `_walk`; a checker that took it for Python's would be wrong."""

Function = TypeVar("Function", bound=Callable[..., Any])


def _compiled(*signature: str) -> Callable[[Function], Function]:
    """Compile a function: at once and kept on disk when it has a signature, else together with its caller.

    Without the runtime that counts references (no array is made in here) the walk takes two thirds of the time;
    `_nrt` is an option of numba's own, so that a release without it must do as well.
    """

    def wrap(function: Function) -> Function:
        wanted: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False, "cache": bool(signature)}
        for without in ((), ("_nrt",), ("cache",), ("_nrt", "cache")):
            options = {name: value for name, value in wanted.items() if name not in without}
            try:
                return cast("Function", numba.njit(*signature, **options)(function))
            except (KeyError, RuntimeError, OSError):
                # No such option, no place for the cache ("cannot cache function: no locator available"), no room.
                continue
        raise ImportError("numba cannot compile the walk over event files")

    return wrap


@_compiled()
def _word(block: Typed, at: Typed) -> Typed:
    low = np.uint32(block[at]) | (np.uint32(block[at + 1]) << np.uint32(8))
    high = np.uint32(block[at + 2]) | (np.uint32(block[at + 3]) << np.uint32(8))
    return np.uint32(low | (high << np.uint32(16)))


@_compiled()
def _masked(block: Typed, at: Typed, stop: Typed, tables: Typed) -> Typed:
    """Return the masked CRC-32C of `block[at:stop]`, eight bytes at a time (slicing-by-8)."""
    low = np.uint32(0xFF)
    state = np.uint32(0xFFFFFFFF)
    while at + 8 <= stop:
        first = state ^ _word(block, at)
        state = (
            tables[7, first & low]
            ^ tables[6, (first >> np.uint32(8)) & low]
            ^ tables[5, (first >> np.uint32(16)) & low]
            ^ tables[4, first >> np.uint32(24)]
            ^ tables[3, block[at + 4]]
            ^ tables[2, block[at + 5]]
            ^ tables[1, block[at + 6]]
            ^ tables[0, block[at + 7]]
        )
        at += 8
    while at < stop:
        state = tables[0, (state ^ np.uint32(block[at])) & low] ^ (state >> np.uint32(8))
        at += 1
    state = np.uint32(~state)  # numba widens a small integer to 64 bits in every expression
    return np.uint32(((state >> np.uint32(15)) | (state << np.uint32(17))) + np.uint32(0xA282EAD8))


@_compiled()
def _varint(block: Typed, at: Typed, stop: Typed) -> Typed:
    """Return the varint at `at` and where the next byte lies; -1 when it does not end before `stop`."""
    number = np.int64(0)
    for shift in range(0, 7 * VARINT_BYTES, 7):
        if at >= stop:
            return number, np.int64(-1)
        byte = np.int64(block[at])
        at += 1
        number |= (byte & np.int64(0x7F)) << np.int64(shift)
        if byte < 0x80:
            return number, at
    return number, np.int64(-1)


@_compiled()
def _same(block: Typed, at: Typed, texts: Typed, start: Typed, size: Typed) -> Typed:
    index = 0
    while index + 4 <= size:
        if _word(block, at + index) != _word(texts, start + index):
            return False
        index += 4
    while index < size:
        if block[at + index] != texts[start + index]:
            return False
        index += 1
    return True


@_compiled()
def _digest(block: Typed, at: Typed, size: Typed) -> Typed:
    """Mix a tag, a word at a time; only where tags are looked for depends on it."""
    digest = np.uint64(size)
    stop = at + size
    while at + 4 <= stop:
        digest = (digest ^ np.uint64(_word(block, at))) * np.uint64(0x9E3779B97F4A7C15)
        digest ^= digest >> np.uint64(29)
        at += 4
    while at < stop:
        digest = (digest ^ np.uint64(block[at])) * np.uint64(0x9E3779B97F4A7C15)
        at += 1
    return np.int64(digest >> np.uint64(33))


@_compiled()
def _intern(  # noqa: PLR0913, PLR0917  (columns; a record of them would have to be compiled too)
    block: Typed, at: Typed, size: Typed, texts: Typed, spans: Typed, slots: Typed
) -> Typed:
    """Return the number of the tag `block[at : at + size]`, a new one when it was never seen; -1 when full.

    `spans[0]` holds the count of tags and the bytes used of `texts`; `spans[1 + number]` start and size of one.
    """
    slot = _digest(block, at, size) & np.int64(len(slots) - 1)
    while slots[slot] >= 0:
        number = np.int64(slots[slot])
        if spans[1 + number, 1] == size and _same(block, at, texts, spans[1 + number, 0], size):
            return number
        slot = (slot + 1) & np.int64(len(slots) - 1)
    number, used = spans[0, 0], spans[0, 1]
    if number + 2 > len(spans) or used + size > len(texts):
        return np.int64(-1)
    for index in range(size):
        texts[used + index] = block[at + index]
    spans[1 + number, 0] = used
    spans[1 + number, 1] = size
    spans[0, 0] = number + 1
    spans[0, 1] = used + size
    slots[slot] = number
    return number


@_compiled()
def _value(block: Typed, at: Typed, stop: Typed) -> Typed:
    """Return start and size of the tag and the end of the value at `at`; -1 when it is not the usual shape."""
    wrong = (np.int64(-1), np.int64(-1), np.int64(-1))
    if block[at] != 10:
        return wrong
    size, at = _varint(block, at + 1, stop)
    if at < 0 or size < 8 or size > stop - at or block[at] != 10:
        return wrong
    end = at + size
    size, at = _varint(block, at + 1, end)
    if at < 0 or size < 1 or size != end - at - 5 or block[end - 5] != 21:
        return wrong
    return at, size, end


@_compiled()
def _event(block: Typed, at: Typed, stop: Typed) -> Typed:
    """Return the position of the wall time, the step and where the values start; -1 when it is unusual."""
    wrong = (np.int64(-1), np.int64(0), np.int64(-1))
    wall, step = np.int64(-1), np.int64(0)
    if at < stop and block[at] == 9:
        if stop - at < 9:
            return wrong
        wall = at + 1
        at += 9
    if at < stop and block[at] == 16:
        step, at = _varint(block, at + 1, stop)
        if at < 0:
            return wrong
    if at >= stop or block[at] != 42:
        return wrong
    size, at = _varint(block, at + 1, stop)
    if at < 0 or size < 1 or size != stop - at:
        return wrong
    return wall, step, at


@_compiled()
def _points(  # noqa: PLR0913, PLR0917  (columns; a record of them would have to be compiled too)
    block: Typed,
    begin: Typed,
    stop: Typed,
    record: Typed,
    count: Typed,
    texts: Typed,
    spans: Typed,
    slots: Typed,
    points: Typed,
) -> Typed:
    """Append the points of one record after `count`; return the new count, -1 when the record is unusual."""
    wall, step, at = _event(block, begin, stop)
    if at < 0:
        return np.int64(-1)
    bits = np.int64(0)
    if wall >= 0:
        bits = np.int64(_word(block, wall)) | (np.int64(_word(block, wall + 4)) << np.int64(32))
    while at < stop:
        tag, size, end = _value(block, at, stop)
        if end < 0:
            return np.int64(-1)
        number = _intern(block, tag, size, texts, spans, slots)
        if number < 0:
            return np.int64(-1)
        points[count, 0] = number
        points[count, 1] = step
        points[count, 2] = _word(block, end - 4)
        points[count, 3] = bits
        points[count, 4] = record
        count += 1
        at = end
    return count


@_compiled(
    "UniTuple(int64, 6)(uint8[::1], uint32[:, ::1], uint8[::1], int64[:, ::1], int32[::1],"
    " int64[:, ::1], int64[:, ::1], int64[:, ::1])"
)
def _walk(  # noqa: PLR0913, PLR0917  (columns; a record of them would have to be compiled too)
    block: Typed,
    tables: Typed,
    texts: Typed,
    spans: Typed,
    slots: Typed,
    points: Typed,
    others: Typed,
    failed: Typed,
) -> Typed:
    """Fill the rows; return bytes and records walked, corrupt or not, points, others and failed."""
    at, record, count, unusual, bad = np.int64(0), np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    corrupt = np.int64(0)
    while at + 12 <= len(block):
        if _masked(block, at, at + 8, tables) != _word(block, at + 8):
            corrupt = np.int64(1)
            break
        begin = at + 12
        if _word(block, at + 4) or np.int64(_word(block, at)) > len(block) - begin - 4:
            break
        stop = begin + np.int64(_word(block, at))
        if _masked(block, begin, stop, tables) != _word(block, stop):
            failed[bad, 0] = record
            failed[bad, 1] = at
            bad += 1
        else:
            after = _points(block, begin, stop, record, count, texts, spans, slots, points)
            if after < 0:
                others[unusual, 0] = record
                others[unusual, 1] = begin
                others[unusual, 2] = stop
                unusual += 1
            else:
                count = after
        record += 1
        at = stop + 4
    return at, record, corrupt, count, unusual, bad


class CompiledWalk:
    """`Walk` in compiled code."""

    def __init__(self) -> None:
        self._texts = np.zeros(TAG_BYTES, np.uint8)
        self._spans = np.zeros((1 + TAGS, 2), np.int64)
        self._slots = np.full(SLOTS, -1, np.int32)
        self._tables = TABLES.copy()
        self._room(0)

    def _room(self, size: int) -> None:
        """Make room for whatever `size` bytes can hold; it is used again for the next block."""
        self._size = size
        self._rows = np.empty((size // POINT_BYTES + 1, 5), np.int64)
        self._others = np.empty((size // FRAME_BYTES + 1, 3), np.int64)
        self._failed = np.empty((size // FRAME_BYTES + 1, 2), np.int64)

    @property
    def tags(self) -> list[bytes]:
        count = int(self._spans[0, 0])
        return [self._texts[at : at + size].tobytes() for at, size in self._spans[1 : 1 + count].tolist()]

    def walk(self, block: Bytes) -> Walked:
        if len(block) > self._size:
            self._room(len(block))
        consumed, walked, corrupt, count, unusual, bad = _walk(
            block,
            self._tables,
            self._texts,
            self._spans,
            self._slots,
            self._rows,
            self._others,
            self._failed,
        )
        columns = self._rows[:count].T
        return Walked(
            consumed=consumed,
            records=walked,
            corrupt=bool(corrupt),
            tag_ids=columns[0].astype(np.int32),
            steps=columns[1].copy(),
            values=columns[2].astype(np.uint32).view(np.float32),
            wall_times=columns[3].copy().view(np.float64),
            numbers=columns[4].astype(np.int32),
            others=self._others[:unusual].copy(),
            failed=self._failed[:bad].copy(),
        )
