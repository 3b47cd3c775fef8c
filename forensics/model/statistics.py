"""What numbers say by their order: the middle of them, and which there are.

numpy has both, but `median` and `unique` import `numpy.ma` for a question about masks that no array of ours has
(`numpy.lib._utils_impl._median_nancheck`, `numpy.lib._arraysetops_impl._unique1d`, numpy 2.4), which is 7 ms of a short
analysis, and takes five times as long for the median of a few numbers.
"""

import math
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", bound=np.generic)


def median(values: NDArray[Any] | Sequence[float]) -> float:
    """Return the middle of numbers, the mean of the two middle ones; NaN where one is NaN, or there are none.

    >>> median([3.0, 1.0, 2.0]), median([4, 1, 2, 3]), median([])
    (2.0, 2.5, nan)
    """
    size = len(values)
    if not size:
        return math.nan
    low, high = (size - 1) // 2, size // 2
    parted = np.partition(values, (low, high, size - 1))  # NaN goes last
    if math.isnan(parted[-1]):
        return math.nan
    return (float(parted[low]) + float(parted[high])) / 2 if low < high else float(parted[low])


def medians(rows: NDArray[Any]) -> NDArray[np.float64]:
    """Return the median of each row of a table."""
    size = rows.shape[1]
    ordered = np.sort(rows, axis=1)
    middle = (ordered[:, (size - 1) // 2].astype(np.float64) + ordered[:, size // 2]) / 2
    return np.where(np.isnan(ordered[:, -1]), np.nan, middle)


def distinct(values: NDArray[Number]) -> NDArray[Number]:
    """Return the numbers that there are, each once and in order; all NaN are one.

    >>> distinct(np.array([2.0, 1.0, 2.0, np.nan, np.nan])).tolist()
    [1.0, 2.0, nan]
    """
    ordered = np.sort(values, axis=None)
    before, after = ordered[:-1], ordered[1:]
    kept = np.ones(len(ordered), dtype=bool)
    kept[1:] = (before != after) & ~np.isnan(before)  # NaN goes last
    return ordered[kept]
