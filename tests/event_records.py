"""Event files made byte by byte, for the tests: written out here, nothing shared with the reader."""

import struct
from collections.abc import Sequence


def crc32c(data: bytes) -> int:
    """Return the CRC-32C bit by bit, as RFC 3720 defines it."""
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = (state >> 1) ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


def masked(data: bytes) -> bytes:
    checksum = crc32c(data)
    return struct.pack("<I", (((checksum >> 15) | (checksum << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def frame(payload: bytes) -> bytes:
    length = struct.pack("<Q", len(payload))
    return length + masked(length) + payload + masked(payload)


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    made = bytearray()
    while number > 127:
        made.append(number & 127 | 128)
        number >>= 7
    made.append(number)
    return bytes(made)


def message(key: int, data: bytes) -> bytes:
    return varint(key << 3 | 2) + varint(len(data)) + data


def event(values: Sequence[bytes] = (), step: int = 0, wall_time: float = 0.0, rest: bytes = b"") -> bytes:
    made = b"\x09" + struct.pack("<d", wall_time) if wall_time else b""
    made += b"\x10" + varint(step) if step else b""
    return made + (message(5, b"".join(message(1, value) for value in values)) if values else b"") + rest


def scalar(tag: str | bytes, number: float) -> bytes:
    name = tag if isinstance(tag, bytes) else tag.encode()
    return message(1, name) + b"\x15" + struct.pack("<f", number)


def tensor(tag: str, content: bytes, plugin: str = "scalars") -> bytes:
    metadata = message(9, message(1, message(1, plugin.encode()))) if plugin else b""
    return message(1, tag.encode()) + message(8, content) + metadata


VERSION = event(wall_time=1.7e9, rest=message(3, b"brain.Event:2"))
