"""The layout of a record: columns, flags, one row of the ring, and which weights are probed.

Version 1, frozen; docs/blackbox.md says what each field means. numpy and the standard library only, so that the
reader of the analyzer shares it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

FORMAT = "blackbox"
VERSION = 1
COLUMNS = ("local_l2", "local_max", "reduced_l2", "reduced_max", "update_l2", "weight_l2", "still", "flags")

LOCAL_SEEN = 1
REDUCED_SEEN = 2
AT_STEP = 4
"""The reduced gradient was read at the optimizer's step, that is after clipping and unscaling."""
PROBED = 8
SHARD = 16
"""The reduced gradient is this rank's part of the tensor."""
MAXIMUM = 32
"""The two maxima were read; without it they are 0, or NaN where the L2 norm is not finite."""

ROW_SKIPPED = 1
ROW_NONFINITE = 2

PROBE = 1024
RING_ROWS = 512
LEAST_ROWS = 64
THIN_EVERY = 64
FREEZE_AFTER = 64
"""Rows that are still written after the first non-finite one, when it does not recover."""
RING_BYTES = 128 << 20
"""A ring of more than this gets fewer rows: 25,000 tensors make rows of 1 MB."""
LOG_BYTES = 64 << 20
"""Beyond this steps.jsonl gets only the lines of the rows in the thin ring."""
HASH_WEIGHTS = (np.arange(PROBE, dtype=np.uint64) * np.uint64(2) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
"""Odd multipliers (Knuth's golden ratio times 2k + 1): a change of any one probed element changes the hash."""


def row_dtype(tensors: int) -> np.dtype[Any]:
    """Return the record of one step: 32 bytes and 40 a tensor, little endian; `seq` 0 marks an empty slot."""
    return np.dtype(
        [
            ("seq", "<u8"),
            ("step", "<i8"),
            ("time", "<f8"),
            ("crc", "<u4"),
            ("flags", "<u4"),
            ("x", "<f4", (tensors, len(COLUMNS))),
            ("hash", "<i8", (tensors,)),
        ]
    )


def ring_rows(row_bytes: int) -> int:
    """Return how many rows a ring of this row size has."""
    return max(LEAST_ROWS, min(RING_ROWS, RING_BYTES // row_bytes))


def probe_layout(elements: int, row_length: int) -> tuple[int, int]:
    """Return stride and count of the probed positions `k * stride` of a flattened tensor.

    The stride shares no factor with the row length: one that divides it would meet the same column in every row.
    """
    if elements <= PROBE:
        return 1, elements
    stride = elements // PROBE
    while stride > 1 and math.gcd(stride, max(row_length, 1)) != 1:
        stride -= 1
    return stride, PROBE
