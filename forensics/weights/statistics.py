"""What is counted in a tensor, as columns of one float64 matrix: partial results add up, then become a table.

A row belongs to one tensor of one checkpoint. The first `ADDITIVE` columns of two parts of a tensor add, of
`MINIMUM` the smaller counts, of the columns after it the larger. Counts stay exact below 2**53 elements. Mean and
norms of F64 elements above about 1e154 may be infinite, and such a mean NaN: their sums leave float64.

The compiled kernels hold these numbers as constants and are kept on disk by numba, which looks at the age of
`kernels.py` alone: touch that file when a number changes here.
"""

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.records import dataclass
from forensics.model.columns import Coded
from forensics.model.counts import Counts
from forensics.model.facts import Floats, Integers
from forensics.model.tensors import Tensors
from forensics.model.weights import TensorTable

NAN, POSITIVE_INFINITY, NEGATIVE_INFINITY, ZERO, SUBNORMAL = 0, 1, 2, 3, 4
LOOKED_AT, FINITE, TOTAL, SQUARES = 5, 6, 7, 8
SAME, BOTH_FINITE, CHANGE_SQUARES, DEAD_ROWS = 9, 10, 11, 12
ADDITIVE = 13
MINIMUM, MAXIMUM, LARGEST, CHANGE_LARGEST = 13, 14, 15, 16
ZEROS_IN_ROW = 17
"""Zeros seen so far of a row that is longer than a block: state of one part, never merged."""
COLUMNS = 18


def fresh(rows: int) -> Floats:
    """Return a matrix (rows, COLUMNS) of tensors of which nothing was seen yet."""
    matrix = np.zeros((rows, COLUMNS))
    matrix[:, MINIMUM] = np.inf
    matrix[:, MAXIMUM] = -np.inf
    return matrix


def merge(total: Floats, rows: Integers, part: Floats, *, whole: bool = False) -> None:
    """Add the rows of `part` to the named rows of `total`; a row may be named several times, unless `whole`.

    Those of a `whole` part are its own: nothing was added to them, and nothing will be.
    """
    if whole:
        total[rows] = part
        return
    with np.errstate(over="ignore", invalid="ignore"):  # sums of huge F64 elements leave float64
        np.add.at(total[:, :ADDITIVE], rows, part[:, :ADDITIVE])
    np.minimum.at(total[:, MINIMUM], rows, part[:, MINIMUM])
    np.maximum.at(total[:, MAXIMUM:ZEROS_IN_ROW], rows, part[:, MAXIMUM:ZEROS_IN_ROW])


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of rows besides their sums: arrays of shape (rows,), bool."""

    examined: NDArray[np.bool_]
    compared: NDArray[np.bool_]
    rows_counted: NDArray[np.bool_]
    opaque: NDArray[np.bool_]

    def taken(self, rows: slice) -> "Known":
        return Known(self.examined[rows], self.compared[rows], self.rows_counted[rows], self.opaque[rows])


def table_of(tensors: Tensors, trained: Coded, matrix: Floats, known: Known) -> TensorTable:
    """Turn summed rows into the table of one checkpoint."""
    examined, counted = known.examined, known.examined & ~known.opaque
    finite = np.where(counted, matrix[:, FINITE], 0.0)
    seen, both = finite > 0, known.compared & ~known.opaque & (matrix[:, BOTH_FINITE] > 0)
    return TensorTable(
        names=tensors.names,
        roles=tensors.roles,
        dtypes=tensors.dtypes,
        shapes=tensors.shapes,
        trained=trained,
        elements=np.where(examined, matrix[:, LOOKED_AT].astype(np.int64), tensors.elements),
        nan=_count(matrix, NAN, examined),
        positive_infinity=_count(matrix, POSITIVE_INFINITY, examined),
        negative_infinity=_count(matrix, NEGATIVE_INFINITY, examined),
        zero=_count(matrix, ZERO, counted),
        subnormal=_count(matrix, SUBNORMAL, counted),
        minimum=_known(seen, matrix[:, MINIMUM]),
        maximum=_known(seen, matrix[:, MAXIMUM]),
        max_abs=_known(seen, matrix[:, LARGEST]),
        mean=np.divide(matrix[:, TOTAL], finite, out=np.full(len(tensors), np.nan), where=seen),
        l2=_known(seen, matrix[:, SQUARES], root=True),
        dead_rows=_count(matrix, DEAD_ROWS, counted & known.rows_counted),
        same=_count(matrix, SAME, known.compared),
        change_l2=_known(both, matrix[:, CHANGE_SQUARES], root=True),
        change_max=_known(both, matrix[:, CHANGE_LARGEST]),
    )


def _known(mask: NDArray[np.bool_], column: Floats, *, root: bool = False) -> Floats:
    """Return a column, or its square root, NaN outside the mask; where that is everywhere one number stands for all."""
    if not mask.any():
        return np.broadcast_to(np.nan, mask.shape)
    return np.where(mask, np.sqrt(column) if root else column, np.nan)


def _count(matrix: Floats, column: int, mask: NDArray[np.bool_]) -> Counts:
    return Counts(matrix[:, column].astype(np.int64), mask)
