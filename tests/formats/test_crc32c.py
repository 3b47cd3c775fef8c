"""CRC-32C: the loop, the lanes and the columns give what the definition gives."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from event_records import crc32c as defined
from event_records import masked as defined_masked
from forensics.formats.crc32c import LANE_BYTES, LONG_BYTES, MANY, crc32c, mask, masked_checksums


def test_check_value() -> None:
    """The check value of the algorithm's published definition."""
    assert crc32c(b"123456789") == 0xE3069283


@given(st.binary(max_size=300), st.binary(max_size=50))
def test_as_defined_and_continued(first: bytes, second: bytes) -> None:
    """Any bytes, whole or in two parts, have the checksum of the definition."""
    whole = crc32c(first + second)
    in_parts = crc32c(second, crc32c(first))

    assert (whole, in_parts) == (defined(first + second),) * 2


def test_lanes_of_long_data() -> None:
    """Data cut into lanes has the checksum of the loop, at every length around the borders of lanes."""
    data = np.random.default_rng(0).bytes(LONG_BYTES + 2 * LANE_BYTES)
    for size in (LONG_BYTES - 1, LONG_BYTES, LONG_BYTES + 1, LONG_BYTES + LANE_BYTES, len(data)):
        in_short_parts = 0
        for start in range(0, size, 1000):
            in_short_parts = crc32c(data[start : min(start + 1000, size)], in_short_parts)

        assert in_short_parts == crc32c(data[:size])


def test_lanes_as_defined() -> None:
    """Long data has the checksum of the definition, bit by bit."""
    data = np.random.default_rng(1).bytes(LONG_BYTES + 77)

    assert defined(data) == crc32c(data)


def test_many_records_at_once() -> None:
    """Masked checksums of many stretches, a few of them of odd sizes, are those of each alone."""
    block = np.frombuffer(np.random.default_rng(2).bytes(4096), np.uint8)
    sizes = np.array([8] * (MANY + 1) + [0, 1, 3, 57], np.int64)
    starts = np.arange(len(sizes), dtype=np.int64) * 60
    expected = [
        int.from_bytes(defined_masked(block[at : at + size].tobytes()), "little")
        for at, size in zip(starts.tolist(), sizes.tolist(), strict=True)
    ]

    assert expected == masked_checksums(block, starts, sizes).tolist()
    assert expected[0] == mask(crc32c(block[:8].data))
