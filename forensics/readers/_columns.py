"""Rows of a table of metrics to columns."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from forensics.model import UNKNOWN_STEP, Precision
from forensics.names import canonical
from forensics.readers.text.rows import Rows, plain_rows

MAX_NAMES = 2000


@dataclass(slots=True)
class Columns:
    """Numbers by metric, as (record, step, value, epoch, wall time); NaN and `UNKNOWN_STEP` where none is told."""

    rows: dict[str, list[tuple[int, int, float, float, float]]] = field(default_factory=dict)

    def add(self, name: str, record: int, step: int | None, value: float, epoch: float | None, time: float) -> None:  # noqa: PLR0913, PLR0917  (one cell of a table)
        """Keep one number; past `MAX_NAMES` metrics a new name is dropped."""
        if name in self.rows or len(self.rows) < MAX_NAMES:
            known = np.nan if epoch is None else epoch
            self.rows.setdefault(name, []).append((record, UNKNOWN_STEP if step is None else step, value, known, time))

    def tables(self, precision: Precision = Precision.DOUBLE) -> Iterator[Rows]:
        """Yield one table a metric."""
        for name, rows in self.rows.items():
            records, steps, values, epochs, times = zip(*rows, strict=True)
            yield plain_rows(
                (canonical(name),),
                np.array(values, dtype=np.float64)[:, None],
                records,
                np.array(records, dtype=np.int64),
                steps,
                epochs=np.array(epochs),
                wall_times=np.array(times),
                precision=precision,
            )
