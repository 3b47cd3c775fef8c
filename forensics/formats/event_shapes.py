"""Records of one shape, read many at once: a wall time, a step, one summary of tags with a `simple_value` each.

Records of one size whose keys, lengths and continuation bits are the same differ only in bytes that say a time, a
step or a number. So one of them is taken apart, and the others are compared with it, eight bytes at a time. The
checksum is linear: that of a record is that of the first, changed by what each differing byte changes in it.
Floats are moved as bits, which is exact for every NaN.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.records import dataclass
from forensics.formats.crc32c import Bytes, Checksums, crc32c, effects, masked
from forensics.formats.event_frames import HEADER_BYTES, WORD
from forensics.formats.protobuf import VARINT_BYTES
from forensics.model import Floats, Integers

CHECKSUM_BYTES = 4
USUAL_BYTES = 1024
"""Payloads that are longer are not taken for scalars."""
Words = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Shape:
    """Where a payload of `size` bytes holds what varies, as offsets.

    `wall` is None when there is no wall time; `step` is where the step's varint begins and ends, the same when there
    is none; `values` has where the tag begins, its size, and where the number begins.
    """

    size: int
    wall: int | None
    step: tuple[int, int]
    values: tuple[tuple[int, int, int], ...]


def shape_of(payload: bytes) -> Shape | None:
    """Return the shape of a payload, None when it is not the usual one."""
    at, wall = 0, None
    if payload[:1] == b"\x09":
        at, wall = 9, 1
    step = (at, at)
    if payload[at : at + 1] == b"\x10":
        step = (at + 1, _end_of_varint(payload, at + 1))
        at = step[1]
    size, at = _length(payload, at, 0x2A)
    if at <= 0 or at + size != len(payload) or not size:
        return None
    values = []
    while at < len(payload):
        size, tag = _length(payload, at, 0x0A)
        end = tag + size
        size, tag = _length(payload, tag, 0x0A)
        number = tag + size + 1
        if tag <= 0 or not size or end > len(payload) or number + 4 != end or payload[number - 1] != 0x15:
            return None
        values.append((tag, size, number))
        at = end
    return Shape(len(payload), wall, step, tuple(values))


def _end_of_varint(payload: bytes, at: int) -> int:
    """Return where the varint at `at` ends; beyond the payload when it does not."""
    for end in range(at, min(at + VARINT_BYTES, len(payload))):
        if payload[end] < 0x80:
            return end + 1
    return len(payload) + 1


def _length(payload: bytes, at: int, key: int) -> tuple[int, int]:
    """Return the length that follows the key at `at`, and where the content begins; (0, -1) when it is not there."""
    if not 0 <= at < len(payload) or payload[at] != key:
        return 0, -1
    end = _end_of_varint(payload, at + 1)
    if end > len(payload):
        return 0, -1
    return sum((byte & 0x7F) << 7 * i for i, byte in enumerate(payload[at + 1 : end])), end


@lru_cache(maxsize=1024)
def _fixed(shape: Shape, *, tags: bool) -> tuple[Words, tuple[int, ...]]:
    """Return the bits that records of the shape share, uint64 (k,), and the offsets of bytes that may vary.

    `tags` says that the tags are shared as well.
    """
    bits = np.full(shape.size, 0xFF, np.uint8)
    if shape.wall is not None:
        bits[shape.wall : shape.wall + 8] = 0
    bits[slice(*shape.step)] = 0x80
    for tag, size, number in shape.values:
        bits[number : number + 4] = 0
        bits[tag : tag + size] = 0xFF if tags else 0
    padded = np.zeros(words_of(shape.size) * WORD, np.uint8)
    start = len(padded) - CHECKSUM_BYTES - shape.size
    padded[start : start + shape.size] = bits
    return padded.view("<u8"), tuple(np.flatnonzero(bits != 0xFF).tolist())


def words_of(size: int) -> int:
    """Return how many words a payload with its checksum takes; they end where the frame ends."""
    return -(-(size + CHECKSUM_BYTES) // WORD)


class Alike:
    """Records of one size, as words: uint64 (n, k), end-aligned, so that they begin within their own header."""

    __slots__ = ("_words", "size")

    def __init__(self, words: Words, size: int) -> None:
        self._words, self.size = words, size

    @classmethod
    def of(cls, block: Bytes, starts: Integers, size: int) -> "Alike":
        """Take the records out of a block; a copy."""
        count = words_of(size)
        begins = starts + (HEADER_BYTES + size + CHECKSUM_BYTES - count * WORD)
        width = f"V{count * WORD}"
        windows = np.ndarray((max(len(block) - count * WORD + 1, 0),), width, block, strides=(1,))
        return cls(windows[begins].view("<u8").reshape(len(starts), count), size)

    def __len__(self) -> int:
        return len(self._words)

    def payload(self, index: int) -> bytes:
        """Return the payload of one record."""
        stop = self._words.shape[1] * WORD - CHECKSUM_BYTES
        row: bytes = self._words[index].tobytes()
        return row[stop - self.size : stop]

    def like_the_first(self, shape: Shape, *, tags: bool) -> NDArray[np.bool_]:
        """Tell which records have the shape of the first, and its tags if asked for; bool (n,)."""
        bits, _ = _fixed(shape, tags=tags)
        differs = np.zeros(len(self), np.uint64)
        for column, shared in enumerate(bits):
            if shared:
                differs |= (self._words[:, column] ^ self._words[0, column]) & shared
        same: NDArray[np.bool_] = differs == 0
        return same

    def since(self, index: int) -> "Alike":
        """Return the records from `index` on."""
        return Alike(self._words[index:], self.size)

    def chosen(self, which: NDArray[np.bool_]) -> "Alike":
        return self if which.all() else Alike(self._words[which], self.size)

    def fields(self, offset: int, dtype: str) -> NDArray[np.generic]:
        """Return what stands at an offset of each payload; a copy of shape (n,)."""
        first = self._words.shape[1] * WORD - CHECKSUM_BYTES - self.size
        stride = self._words.shape[1] * WORD
        return np.ndarray((len(self),), dtype, self._words, first + offset, (stride,)).copy()

    def _bytes(self, offset: int) -> NDArray[np.uint8]:
        return self.fields(offset, "u1").view(np.uint8)

    def checks(self, shape: Shape, *, tags: bool) -> NDArray[np.bool_]:
        """Tell of records like the first whether the checksum of the payload is right; bool (n,)."""
        made = np.full(len(self), crc32c(self.payload(0)), np.uint32)
        for offset in _fixed(shape, tags=tags)[1]:
            column = self._bytes(offset)
            changed = column ^ column[0]
            if changed.any():
                made ^= effects(self.size - 1 - offset)[changed]
        stored: Checksums = self.fields(self.size, "<u4").view(np.uint32)
        right: NDArray[np.bool_] = masked(made) == stored
        return right

    def steps(self, shape: Shape) -> Integers:
        steps = np.zeros(len(self), np.uint64)
        for place, offset in enumerate(range(*shape.step)):
            steps |= (self._bytes(offset) & np.uint8(0x7F)).astype(np.uint64) << np.uint64(7 * place)
        return steps.view(np.int64)

    def walls(self, shape: Shape) -> Floats:
        if shape.wall is None:
            return np.zeros(len(self))
        return self.fields(shape.wall, "<f8").view(np.float64)
