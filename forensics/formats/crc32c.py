"""CRC-32C (Castagnoli), the checksum of TensorBoard event files, without a compiled dependency.

Reflected polynomial 0x82F63B78 (RFC 3720, appendix B.4); `crc32c(b"123456789") == 0xE3069283`. Event files
store it masked: `((crc >> 15) | (crc << 17)) + 0xA282EAD8` (tensorboard 2.21,
`compat/tensorflow_stub/pywrap_tensorflow.py`, `masked_crc32c`).

A byte after a byte is slow in Python, so two kinds of work go to numpy: many records of one length advance in
step, column by column, and one long buffer is cut into lanes that advance in step and are then joined, which is
possible because the checksum is linear.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

POLYNOMIAL = 0x82F63B78
MASK_DELTA = 0xA282EAD8
LANE_BYTES = 256
LONG_BYTES = 8192
EFFECTS = 128
MANY = 24
"""From this many records of one length on, the columns of numpy beat the loop over bytes."""

Bytes = NDArray[np.uint8]
Checksums = NDArray[np.uint32]


def _tables() -> NDArray[np.uint32]:
    """Return uint32 (8, 256): the effect of a byte that is followed by 0 to 7 zero bytes."""
    tables = np.zeros((8, 256), np.uint32)
    column = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        column = (column >> np.uint32(1)) ^ np.where(column & np.uint32(1), np.uint32(POLYNOMIAL), np.uint32(0))
    tables[0] = column
    for after in range(1, 8):
        before = tables[after - 1]
        tables[after] = (before >> np.uint32(8)) ^ column[before & np.uint32(0xFF)]
    return tables


TABLES = _tables()
TABLES.setflags(write=False)
_BYTE = [int(entry) for entry in TABLES[0]]


def mask(checksum: int) -> int:
    return (((checksum >> 15) | (checksum << 17)) + MASK_DELTA) & 0xFFFFFFFF


def masked(checksums: Checksums) -> Checksums:
    """Return each checksum, uint32 (n,), as event files store it."""
    return ((checksums >> np.uint32(15)) | (checksums << np.uint32(17))) + np.uint32(MASK_DELTA)


def effects(distance: int) -> Checksums:
    """Return uint32 (256,): what each change of a byte changes in the checksum, `distance` bytes before the end.

    The checksum is linear over bits: `crc32c(a) ^ crc32c(b)` is the exclusive or of these over the bytes of `a ^ b`.
    """
    return _effects(distance // EFFECTS * EFFECTS + EFFECTS)[distance]


@lru_cache(maxsize=16)
def _effects(count: int) -> list[Checksums]:
    found = list(TABLES)
    for _ in range(count - len(found)):
        found.append(TABLES[0][found[-1] & np.uint32(0xFF)] ^ (found[-1] >> np.uint32(8)))
    return found


def crc32c(data: bytes | memoryview, value: int = 0) -> int:
    """Return the CRC-32C of `data`, going on from `value`, as `zlib.crc32` does.

    >>> hex(crc32c(b"123456789")), crc32c(b"6789", crc32c(b"12345")) == crc32c(b"123456789")
    ('0xe3069283', True)
    """
    state = value ^ 0xFFFFFFFF
    position = 0
    if len(data) >= LONG_BYTES:
        position = len(data) // LANE_BYTES * LANE_BYTES
        state = _advance_lanes(np.frombuffer(data, np.uint8, position), state)
    table = _BYTE
    for byte in memoryview(data)[position:]:
        state = table[(state ^ byte) & 0xFF] ^ (state >> 8)
    return state ^ 0xFFFFFFFF


def masked_checksums(block: Bytes, starts: NDArray[np.int64], sizes: NDArray[np.int64]) -> Checksums:
    """Return the masked CRC-32C, uint32 (n,), of each stretch `block[starts[i] : starts[i] + sizes[i]]`."""
    made = np.empty(len(starts), np.uint32)
    view = block.data
    # Alone, `unique` would import `numpy.ma` (see `model/order.py`).
    for size in np.unique(sizes, return_index=True)[0]:
        chosen = np.flatnonzero(sizes == size)
        if len(chosen) >= MANY and size < LONG_BYTES:
            made[chosen] = _in_step(block, starts[chosen], int(size))
            continue
        for index in chosen:
            start = int(starts[index])
            made[index] = crc32c(view[start : start + int(size)])
    return masked(made)


def _in_step(block: Bytes, starts: NDArray[np.int64], size: int) -> Checksums:
    state = np.full(len(starts), 0xFFFFFFFF, np.uint32)
    table, low, eight = TABLES[0], np.uint32(0xFF), np.uint32(8)
    for offset in range(size):
        state = table[(state ^ block[starts + offset]) & low] ^ (state >> eight)
    return ~state


def _advance_lanes(data: Bytes, state: int) -> int:
    """Advance `state` over `data`, a whole number of lanes."""
    lanes = data.reshape(-1, LANE_BYTES)
    columns = np.zeros(len(lanes), np.uint32)
    low = np.uint32(0xFF)
    for at in range(0, LANE_BYTES, 8):
        part = lanes[:, at : at + 8]
        first = columns ^ np.ascontiguousarray(part[:, :4]).view("<u4").ravel()
        columns = TABLES[7][first & low] ^ TABLES[6][(first >> np.uint32(8)) & low]
        columns ^= TABLES[5][(first >> np.uint32(16)) & low] ^ TABLES[4][first >> np.uint32(24)]
        columns ^= TABLES[3][part[:, 4]] ^ TABLES[2][part[:, 5]] ^ TABLES[1][part[:, 6]] ^ TABLES[0][part[:, 7]]
    one, two, three, four = _lane_of_zeros()
    for lane in columns.tolist():
        moved = one[state & 0xFF] ^ two[(state >> 8) & 0xFF] ^ three[(state >> 16) & 0xFF] ^ four[state >> 24]
        state = moved ^ lane
    return state


@lru_cache(maxsize=1)
def _lane_of_zeros() -> tuple[list[int], ...]:
    """Return, for each byte of a state, what a lane of zero bytes makes of its 256 values."""
    states = np.arange(256, dtype=np.uint32)[None, :] << np.array([[0], [8], [16], [24]], np.uint32)
    for _ in range(LANE_BYTES):
        states = TABLES[0][states & np.uint32(0xFF)] ^ (states >> np.uint32(8))
    return tuple(row.tolist() for row in states)
