"""The event file of the readers' benchmark: what a long run of the Trainer leaves, 50 MB a million scalars."""

import struct
from pathlib import Path

import numpy as np

TAGS = (b"train/loss", b"train/grad_norm", b"train/learning_rate", b"train/epoch")
_CRC_TABLE = [0] * 256
for _byte in range(256):
    _state = _byte
    for _ in range(8):
        _state = (_state >> 1) ^ (0x82F63B78 if _state & 1 else 0)
    _CRC_TABLE[_byte] = _state


def write_event_file(folder: Path, points: int) -> Path:
    """Write `points` scalars of four tags into `folder`, one event each, as torch's SummaryWriter does."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "events.out.tfevents.1714557600.node01.4242.0"
    random = np.random.default_rng(7)
    values = random.lognormal(0.0, 0.3, points).astype(np.float32)
    with path.open("wb") as file:
        file.write(_frame(b"\x09" + struct.pack("<d", 1.7e9) + b"\x1a\x0dbrain.Event:2"))
        for index, value in enumerate(values.tolist()):
            step = index // len(TAGS) + 1
            file.write(_frame(_event(step, 1.7e9 + 0.37 * step, TAGS[index % len(TAGS)], value)))
    return path


def _event(step: int, wall_time: float, tag: bytes, number: float) -> bytes:
    value = b"\x0a" + bytes([len(tag)]) + tag + b"\x15" + struct.pack("<f", number)
    summary = b"\x0a" + bytes([len(value)]) + value
    return b"\x09" + struct.pack("<d", wall_time) + b"\x10" + _varint(step) + b"\x2a" + bytes([len(summary)]) + summary


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 127:
        made.append(number & 127 | 128)
        number >>= 7
    made.append(number)
    return bytes(made)


def _frame(payload: bytes) -> bytes:
    length = struct.pack("<Q", len(payload))
    return length + _masked(length) + payload + _masked(payload)


def _masked(data: bytes) -> bytes:
    state = 0xFFFFFFFF
    for byte in data:
        state = _CRC_TABLE[(state ^ byte) & 0xFF] ^ (state >> 8)
    state ^= 0xFFFFFFFF
    return struct.pack("<I", (((state >> 15) | (state << 17)) + 0xA282EAD8) & 0xFFFFFFFF)
