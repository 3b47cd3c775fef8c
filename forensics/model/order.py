"""Columns in order: which values there are, how often, and which are among others.

`numpy.unique` and `numpy.isin` import masked arrays at their first call (see `model/statistics.py`).
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from forensics.model.facts import Integers

Item = TypeVar("Item", bound=np.generic)


def distinct(values: NDArray[np.generic]) -> NDArray[Any]:
    """Return the distinct values, ascending, as `numpy.unique` does: of a table too, and all NaN are one.

    >>> distinct(np.array([2.0, 1.0, 2.0, np.nan, np.nan])).tolist()
    [1.0, 2.0, nan]
    >>> distinct(np.array([[2, 1], [1, 3]])).tolist()
    [1, 2, 3]
    """
    ordered = np.sort(values, axis=None)
    new = _new(ordered)
    if ordered.dtype.kind == "f":
        new[1:] &= ~np.isnan(ordered[:-1])  # NaN goes last
    return ordered[new]


def varied(values: NDArray[np.generic], count: int) -> bool:
    """Tell whether a column has at least so many distinct values; NaN counts each time.

    Most have them near their beginning: the column is sorted only where it does not.

    >>> varied(np.array([1, 1, 2]), 2), varied(np.array([1, 1, 2]), 3)
    (True, False)
    """
    return any(np.count_nonzero(_new(np.sort(values[:size]))) >= count for size in (64 * count, len(values)))


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


def alike(column: NDArray[Item]) -> NDArray[Item]:
    """Return a column, without memory of its own where all of it is one value or all NaN.

    >>> alike(np.array([2.5, 2.5])).strides, alike(np.array([2.5, 2.0])).strides
    ((0,), (8,))
    """
    if not column.size:
        return column
    first, last = column.flat[0], column.flat[-1]
    unlike = column != first if last == first else column == column if last != last else None  # noqa: PLR0124  (NaN)
    return column if unlike is None or unlike.any() else np.broadcast_to(first, column.shape)


def end_to_end(parts: Sequence[NDArray[Item]]) -> NDArray[Item]:
    """Return the parts as one column, without memory of its own where all of them are one and the same value.

    Parts of two dimensions, shape (n, m), become one that lies column by column.
    """
    ends = [end for part in parts if part.size for end in (part.flat[0], part.flat[-1])]
    if len(distinct(np.array(ends))) == 1 and all(part.size and not any(alike(part).strides) for part in parts):
        return np.broadcast_to(ends[0], (sum(map(len, parts)), *parts[0].shape[1:]))
    if len(parts) == 1:
        return parts[0]
    if parts[0].ndim == 1:
        return np.concatenate(parts)
    whole = np.empty((sum(map(len, parts)), parts[0].shape[1]), dtype=parts[0].dtype, order="F")
    return np.concatenate(parts, out=whole)


def _new(ordered: NDArray[np.generic]) -> NDArray[np.bool_]:
    new = np.ones(len(ordered), dtype=np.bool_)
    new[1:] = ordered[1:] != ordered[:-1]
    return new
