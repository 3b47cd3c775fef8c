"""Rows of a table of metrics to columns."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import field, replace

import numpy as np

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.model import UNKNOWN_STEP, Precision
from forensics.names import LEARNING_RATE, LOSS, canonical, is_loss
from forensics.readers.text.rows import Rows, plain_rows

MAX_NAMES = 2000
TERMS = 2
"""Metrics beside a total, but for its rate, that it may be the total of."""
_TOTAL = expression(r"(?:train(?:ing)?[_/])?total", re.IGNORECASE)


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


def with_total(told: Iterable[Rows]) -> Iterator[Rows]:
    """Yield tables, the `total` of terms called the loss where nothing else is: it has fractions, and it falls."""
    tables = list(told)
    names = {name for table in tables for name in table.names}
    total = next((name for name in sorted(names) if _TOTAL.fullmatch(name)), "")
    if total and not any(map(is_loss, names)) and len(names - {total, LEARNING_RATE}) >= TERMS:
        holding = [table for table in tables if total in table.names]
        order = np.argsort(np.concatenate([table.at for table in holding]), kind="stable")
        values = np.concatenate([table.values[:, table.names.index(total)] for table in holding])[order]
        third = max(len(values) // 3, 1)
        falls = not np.mean(values[-third:]) >= np.mean(values[:third])
        if len(values) > third and falls and (values != np.floor(values)).any():
            tables = [replace(t, names=tuple(LOSS if name == total else name for name in t.names)) for t in tables]
    yield from tables
