"""The frames of the records of an event file: where each begins and how long it is.

Framing (tensorboard 2.21, `summary/writer/record_writer.py`): uint64 length, uint32 masked CRC-32C of it, the
payload, uint32 masked CRC-32C of the payload, all little-endian.

A trainer logs the same tags again and again, so that lengths repeat. After a stretch that was walked record by
record, the next frames are predicted from its period, and a prediction counts as far as its headers, checksum
included, are what stands in the file.
"""

import numpy as np
from numpy.typing import NDArray

from forensics.formats.crc32c import Bytes, crc32c, mask
from forensics.model import Integers

HEADER_BYTES = 12
WORD = 8
FRAME_BYTES = 16
"""What a record takes beside its payload."""
LEARN = 64
"""So many records are walked one by one before a period is looked for among them."""
FIRST_GUESS = 256
"""So many records are predicted at first, twice as many each time that all of them were right."""
KNOWN_HEADERS = 4096


def length_at(block: Bytes) -> int | None:
    """Return the length of the payload whose frame starts the block; None when its CRC does not match."""
    return _length(block[:HEADER_BYTES].tobytes())


def _length(header: bytes) -> int | None:
    if len(header) < HEADER_BYTES or mask(crc32c(header[:8])) != int.from_bytes(header[8:], "little"):
        return None
    return int.from_bytes(header[:8], "little")


def unaligned(block: Bytes, dtype: str) -> NDArray[np.uint64]:
    """Return a view of the block whose item i is the little-endian integer that begins at byte i."""
    size = np.dtype(dtype).itemsize
    return np.ndarray((max(len(block) - size + 1, 0),), dtype, block, strides=(1,))


class Frames:
    """Finds the whole records at the start of a block; remembers headers whose checksum was right."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[bytes, int] = {}

    def find(self, block: Bytes) -> tuple[Integers, Integers, int, bool]:
        """Return start and payload size, int64 (n,), of each whole record; the bytes they take; corrupt or not.

        Corrupt says that the length that follows them fails its CRC.
        """
        data = block.tobytes()
        parts: list[tuple[Integers, Integers]] = []
        position, guess = 0, FIRST_GUESS
        while True:
            starts, sizes, position, ending = self._one_by_one(data, position)
            parts.append((np.array(starts, np.int64), np.array(sizes, np.int64)))
            if ending is not None:
                return *_joined(parts), position, ending
            period = _period(sizes)
            while period:
                predicted, right = _predict(block, position, np.array(sizes[-period:], np.int64), guess)
                if right:
                    starts_of, sizes_of = predicted[0][:right], predicted[1][:right]
                    parts.append((starts_of, sizes_of))
                    position = int(starts_of[-1] + sizes_of[-1]) + FRAME_BYTES
                if right < len(predicted[0]) or not right:
                    guess = max(FIRST_GUESS, right)
                    break
                guess *= 2

    def _one_by_one(self, data: bytes, position: int) -> tuple[list[int], list[int], int, bool | None]:
        """Walk a stretch; the last item is None when more may follow, else whether a length failed its CRC."""
        starts: list[int] = []
        sizes: list[int] = []
        known, end = self._known, len(data)
        while len(starts) < LEARN:
            header = data[position : position + HEADER_BYTES]
            size = known.get(header)
            if size is None:
                size = _length(header)
                if size is None:
                    return starts, sizes, position, len(header) == HEADER_BYTES
                if len(known) >= KNOWN_HEADERS:
                    known.clear()
                known[header] = size
            if size > end - position - FRAME_BYTES:
                return starts, sizes, position, False
            starts.append(position)
            sizes.append(size)
            position += FRAME_BYTES + size
        return starts, sizes, position, None


def _joined(parts: list[tuple[Integers, Integers]]) -> tuple[Integers, Integers]:
    starts, sizes = zip(*parts, strict=True)
    return np.concatenate(starts), np.concatenate(sizes)


def _period(sizes: list[int]) -> int:
    """Return the smallest number of records after which the sizes repeat, 0 when they do not."""
    return next((p for p in range(1, len(sizes) // 2 + 1) if sizes[p:] == sizes[:-p]), 0)


def _predict(block: Bytes, position: int, sizes: Integers, most: int) -> tuple[tuple[Integers, Integers], int]:
    """Return start and size of the records that follow if the sizes repeat, and how many of them are there."""
    frames = sizes + FRAME_BYTES
    total = int(frames.sum())
    times = min((len(block) - position) // total, max(most // len(sizes), 1))
    starts = (position + np.arange(times)[:, None] * total + (np.cumsum(frames) - frames)).ravel()
    checksums = np.array([mask(crc32c(size.to_bytes(WORD, "little"))) for size in sizes.tolist()], np.uint32)
    repeated = np.tile(sizes, times)
    wrong = unaligned(block, "<u8")[starts] != repeated.view(np.uint64)
    wrong |= unaligned(block, "<u4")[starts + WORD] != np.tile(checksums, times)
    return (starts, repeated), int(wrong.argmax()) if wrong.any() else len(starts)
