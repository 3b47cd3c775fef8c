"""Tensor tables of any length."""

import numpy as np

from forensics.model import TensorTable


def repeated(table: TensorTable, rows: int) -> TensorTable:
    """Return a table with its rows repeated."""
    return table.taken(np.resize(np.arange(len(table)), rows))
