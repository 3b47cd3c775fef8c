"""Columns in order: distinct values, medians.

`numpy.unique`, `numpy.isin` and `numpy.median` import masked arrays at their first call, 8 ms of the processor.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forensics.model.facts import Integers


def distinct(values: NDArray[np.generic]) -> NDArray[Any]:
    """Return the distinct values, ascending; NaN counts each time."""
    ordered = np.sort(values)
    return ordered[_new(ordered)]


def varied(values: NDArray[np.generic], count: int) -> bool:
    """Tell whether a column has at least so many distinct values; NaN counts each time.

    Most have them near their beginning: the column is sorted only where it does not.

    >>> varied(np.array([1, 1, 2]), 2), varied(np.array([1, 1, 2]), 3)
    (True, False)
    """
    return any(len(distinct(values[:size])) >= count for size in (64 * count, len(values)))


def counted(values: NDArray[np.generic]) -> tuple[NDArray[Any], Integers]:
    """Return the distinct values, ascending, and how often each comes."""
    ordered = np.sort(values)
    begins = np.flatnonzero(_new(ordered))
    return ordered[begins], np.diff(np.append(begins, len(ordered)))


def among(values: NDArray[np.generic], wanted: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Tell which values are among those wanted."""
    ordered = np.sort(wanted)
    if not len(ordered):
        return np.zeros(len(values), dtype=np.bool_)
    found: NDArray[np.bool_] = ordered.take(np.searchsorted(ordered, values), mode="clip") == values
    return found


def median(values: NDArray[np.generic] | Sequence[float]) -> float:
    """Return what `numpy.median` does: NaN where one of the values is, and without any."""
    column = np.asarray(values, dtype=np.float64)
    if not len(column) or np.isnan(column).any():
        return float("nan")
    middle = [(len(column) - 1) // 2, len(column) // 2]
    low, high = np.partition(column, middle)[middle]
    return float(low) if middle[0] == middle[1] else float((low + high) / 2)


def _new(ordered: NDArray[np.generic]) -> NDArray[np.bool_]:
    new = np.ones(len(ordered), dtype=np.bool_)
    new[1:] = ordered[1:] != ordered[:-1]
    return new
