"""Tensor tables of any length."""

from dataclasses import replace
from typing import Any

import numpy as np

from forensics.model import TensorTable


def repeated(table: TensorTable, rows: int) -> TensorTable:
    """Return a table with its rows repeated."""
    index = np.resize(np.arange(len(table)), rows)
    columns = {name: getattr(table, name) for name in table.__slots__}
    made: dict[str, Any] = {
        name: column[index] if isinstance(column, np.ndarray) else tuple(column[i] for i in index)
        for name, column in columns.items()
    }
    return replace(table, **made)
