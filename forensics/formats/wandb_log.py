"""The transaction log of Weights & Biases, `run-<id>.wandb`: framing only, the records are protobuf.

Seven bytes `:W&B`, 0xBEE1, version 0; then blocks of 32,768 bytes counted from the start of the file, each a row
of chunks: uint32 checksum, uint16 length, uint8 type (1 full, 2 first, 3 middle, 4 last), payload. The checksum is
the plain CRC-32 of type and payload. Fewer than seven bytes at the end of a block are padding (wandb 0.31,
`core/pkg/leveldb`, and `sdk/internal/datastore.py` of older releases). A bad chunk costs the rest of its block:
what can be framed again starts at the next one.
"""

import struct
import zlib
from collections.abc import Iterator

from forensics.deferred.records import dataclass
from forensics.limits import DEFAULT, Limits
from forensics.storage.file import File

MAGIC = b":W&B\xe1\xbe\x00"
BLOCK_BYTES = 32768
_CHUNK = struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


@dataclass(frozen=True, slots=True)
class Record:
    """One whole record: its number in the log, from 1, the byte at which it starts, and its protobuf payload."""

    number: int
    offset: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Damage:
    """A stretch that could not be read, told in words with its byte offset."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Chunk:
    kind: int
    offset: int
    payload: bytes


def read_records(file: File, limits: Limits = DEFAULT, magic: bytes = MAGIC) -> Iterator[Record | Damage]:
    """Yield the records in order and, between them, what was lost. Never raises for what the file holds.

    `magic` is the header, seven bytes: SwanLab frames its logs in the same way under another one.
    """
    if file.head(len(magic)) != magic:
        yield Damage("is no W&B transaction log, or of an unknown version: its first seven bytes are others")
        return
    number = 0
    parts: list[bytes] = []
    start = size = 0
    for chunk in _chunks(file):
        if isinstance(chunk, Damage):
            parts, size = [], 0
            yield chunk
            continue
        if chunk.kind in {_FULL, _FIRST}:
            if parts:
                yield Damage(f"the record at byte {start} was never finished")
            parts, start, size = [], chunk.offset, 0
        elif not parts:
            continue  # the rest of a record whose beginning was lost, which has been told
        parts.append(chunk.payload)
        size += len(chunk.payload)
        if size > limits.event_record_bytes:
            yield Damage(f"the record at byte {start} is longer than {limits.event_record_bytes} bytes")
            parts = []
        elif chunk.kind in {_FULL, _LAST}:
            number += 1
            yield Record(number, start, b"".join(parts))
            parts = []
    if parts:
        yield Damage(f"ends inside the record at byte {start}: the last record is torn")


def _chunks(file: File) -> Iterator[_Chunk | Damage]:
    for offset in range(0, file.size, BLOCK_BYTES):
        block = file.read(offset, min(BLOCK_BYTES, file.size - offset))
        position = len(MAGIC) if offset == 0 else 0
        while len(block) - position >= _CHUNK.size:
            checksum, length, kind = _CHUNK.unpack_from(block, position)
            begin = position + _CHUNK.size
            at = offset + position
            if not kind and not any(block[position:]):
                break  # zeros to the end of the block: it was never written
            if begin + length > len(block):
                lost = "ends inside" if offset + len(block) == file.size else "the length is wrong in"
                yield Damage(f"{lost} the chunk at byte {at}")
                break
            if kind not in {_FULL, _FIRST, _MIDDLE, _LAST} or zlib.crc32(block[begin - 1 : begin + length]) != checksum:
                yield Damage(f"the chunk at byte {at} fails its CRC: the rest of its block was not read")
                break
            yield _Chunk(kind, at, block[begin : begin + length])
            position = begin + length
        else:
            if offset + len(block) == file.size and position < len(block) < BLOCK_BYTES and any(block[position:]):
                yield Damage(f"ends inside the chunk at byte {offset + position}")
