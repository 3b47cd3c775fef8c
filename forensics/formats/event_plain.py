"""The walk over an event file without a compiler: what ordinary files of a few megabytes are read with.

Framing (tensorboard 2.21, `summary/writer/record_writer.py`): uint64 length, uint32 masked CRC-32C of it, the
payload, uint32 masked CRC-32C of the payload, all little-endian. Checksums are taken for a whole block at once.
A payload of the usual shape, one `simple_value` with a tag, is taken apart by one regular expression; every other
payload is left to `event_proto`. The compiled walk (`event_walk`) makes the same decisions with more shapes.
"""

import re
import struct
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from forensics.formats.crc32c import Bytes, crc32c, mask, masked_checksums
from forensics.model import Floats, Integers

HEADER_BYTES = 12
FRAME_BYTES = 16
"""What a record takes beside its payload."""

_LENGTH = struct.Struct("<Q")
_USUAL = re.compile(
    rb"(?:\x09(.{8}))?(?:\x10([\x80-\xff]{0,9}[\x00-\x7f]))?\x2a(.)\x0a(.)\x0a(.)(.+)\x15(.{4})", re.DOTALL
)
"""wall_time, step, then a summary of one value: its length, the value's, the tag's, the tag, simple_value."""
_USUAL_BYTES = 9 + 11 + 2 + 127
_Point: TypeAlias = tuple[int, int, bytes, bytes, int]
"""Tag, step, wall time and value as they were written, record."""


@dataclass(frozen=True, slots=True)
class Walked:
    """What the whole records at the start of a block hold.

    `consumed` bytes and `records` records were walked; `corrupt` says that the length that follows fails its
    CRC. The points are columns of shape (n,): `tag_ids` (int32), `steps` (int64), `values` (float32),
    `wall_times` (float64), `numbers` (int32), the record of each point, from 0 in this block. `others`, int64
    (m, 3), are payloads that were not recognised: record, start, end. `failed`, int64 (m, 2), are records whose
    payload fails its CRC: record, start of the frame.
    """

    consumed: int
    records: int
    corrupt: bool
    tag_ids: NDArray[np.int32]
    steps: Integers
    values: NDArray[np.float32]
    wall_times: Floats
    numbers: NDArray[np.int32]
    others: Integers
    failed: Integers


class Walk(Protocol):
    """A walk over blocks that numbers the tags it meets."""

    @property
    def tags(self) -> list[bytes]: ...

    def walk(self, block: Bytes) -> Walked: ...


def length_at(block: Bytes) -> int | None:
    """Return the length of the payload whose frame starts the block; None when its CRC does not match."""
    header = block[:HEADER_BYTES].tobytes()
    stored = int.from_bytes(header[8:12], "little")
    if len(header) < HEADER_BYTES or mask(crc32c(header[:8])) != stored:
        return None
    return int.from_bytes(header[:8], "little")


class PlainWalk:
    """`Walk` in Python and numpy."""

    def __init__(self) -> None:
        self._ids: dict[bytes, int] = {}

    @property
    def tags(self) -> list[bytes]:
        return list(self._ids)

    def walk(self, block: Bytes) -> Walked:
        starts, sizes, consumed, corrupt = frames(block)
        stored = _words(block, starts + (HEADER_BYTES + sizes))
        good = masked_checksums(block, starts + HEADER_BYTES, sizes) == stored
        points: list[_Point] = []
        others: list[tuple[int, int, int]] = []
        data = block.data
        begins = starts + HEADER_BYTES
        ends = begins + sizes
        spans = zip(good.tolist(), begins.tolist(), ends.tolist(), strict=True)
        for record, (fine, begin, end) in enumerate(spans):
            if not fine:
                continue
            point = self._point(record, data, begin, end)
            if point is None:
                others.append((record, begin, end))
            else:
                points.append(point)
        bad = np.flatnonzero(~good)
        failed = np.stack([bad, starts[bad]], axis=1)
        return _gather(points, others, failed, (consumed, len(starts), corrupt))

    def _point(self, record: int, data: memoryview, begin: int, end: int) -> _Point | None:
        """Return tag id, step, wall time and value (as bytes), record; None when it is not the usual shape."""
        found = _USUAL.fullmatch(data, begin, end) if end - begin <= _USUAL_BYTES else None
        if found is None:
            return None
        wall, varint, summary, value, length, tag, number = found.groups()
        size = len(tag)
        if size != length[0] or value[0] != size + 7 or summary[0] != size + 9 or size > 118:
            return None
        step = 0
        if varint is not None:
            for shift, byte in enumerate(varint):
                step |= (byte & 0x7F) << (7 * shift)
            step &= 0xFFFFFFFFFFFFFFFF
            step -= (step >> 63) << 64
        tag_id = self._ids.setdefault(tag, len(self._ids))
        return tag_id, step, wall or bytes(8), number, record


def frames(block: Bytes) -> tuple[Integers, Integers, int, bool]:
    """Return start and payload size, int64 (n,), of each whole record; the bytes they take; `Walked.corrupt`."""
    view, size = block.data, len(block)
    starts: list[int] = []
    sizes: list[int] = []
    position = 0
    while position + HEADER_BYTES <= size:
        length = _LENGTH.unpack_from(view, position)[0]
        if length > size - position - FRAME_BYTES:
            break
        starts.append(position)
        sizes.append(length)
        position += FRAME_BYTES + length
    at, counts = np.array(starts, np.int64), np.array(sizes, np.int64)
    stored = _words(block, at + 8)
    wrong = np.flatnonzero(masked_checksums(block, at, np.full(len(at), 8)) != stored)
    if len(wrong):
        # A length that is not to be believed: what came after it was never a frame.
        return at[: wrong[0]], counts[: wrong[0]], int(at[wrong[0]]), True
    corrupt = size - position >= HEADER_BYTES and length_at(block[position:]) is None
    return at, counts, position, corrupt


def _words(block: Bytes, positions: Integers) -> NDArray[np.uint32]:
    words: NDArray[np.uint32] = block[positions[:, None] + np.arange(4)].view("<u4").reshape(len(positions))
    return words


def _gather(
    points: list[_Point],
    others: list[tuple[int, int, int]],
    failed: Integers,
    walked: tuple[int, int, bool],
) -> Walked:
    tag_ids, steps, walls, numbers, records = zip(*points, strict=True) if points else ((), (), (), (), ())
    return Walked(
        *walked,
        tag_ids=np.array(tag_ids, np.int32),
        steps=np.array(steps, np.int64),
        values=np.frombuffer(b"".join(numbers), "<f4").astype(np.float32),
        wall_times=np.frombuffer(b"".join(walls), "<f8").astype(np.float64),
        numbers=np.array(records, np.int32),
        others=np.array(others, np.int64).reshape(-1, 3),
        failed=failed,
    )
