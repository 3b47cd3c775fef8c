"""The middle of numbers.

`numpy.median` imports `numpy.ma` for a question about masks that no array of ours has (`_median_nancheck` in
`numpy.lib._utils_impl`, numpy 2.4), which is 7 ms of a short analysis, and takes five times as long for a few numbers.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def median(values: NDArray[Any] | Sequence[float]) -> float:
    """Return the middle of numbers, the mean of the two middle ones; NaN where one is NaN, or there are none.

    >>> median([3.0, 1.0, 2.0]), median([4, 1, 2, 3]), median([])
    (2.0, 2.5, nan)
    """
    column = np.asarray(values, dtype=np.float64)
    if not len(column) or bool(np.isnan(column).any()):
        return math.nan
    low, high = (len(column) - 1) // 2, len(column) // 2
    parted = np.partition(column, (low, high))
    return (float(parted[low]) + float(parted[high])) / 2 if low < high else float(parted[low])


def medians(rows: NDArray[Any]) -> NDArray[np.float64]:
    """Return the median of each row of a table."""
    size = rows.shape[1]
    ordered = np.sort(rows, axis=1).astype(np.float64)
    low, high = ordered[:, (size - 1) // 2], ordered[:, size // 2]
    middle = (low + high) / 2 if size % 2 == 0 else low  # one number twice may be beyond what a float holds
    return np.where(np.isnan(ordered[:, -1]), np.nan, middle)


def distance(places: NDArray[Any]) -> float:
    """Return how far behind its last entry a round ends whose counter begins anew at 0; `places` has shape (n,).

    A loop that tells every tenth step from 0 on ends ten steps behind its last entry, if not before; one whose last
    entry comes sooner than the others tells the end itself, and the next round is one step away.

    >>> distance(np.array([0, 10, 20, 0, 10, 20])), distance(np.array([0, 10, 20, 23, 0, 10, 20, 23]))
    (10.0, 1.0)
    """
    apart = np.diff(places)
    ends = np.flatnonzero(apart < 0) - 1
    ends = ends[ends >= 0]
    if not len(ends) or not (apart > 0).any():
        return 1.0
    usual = median(apart[apart > 0])
    return usual if bool((apart[ends] == usual).all()) else 1.0
