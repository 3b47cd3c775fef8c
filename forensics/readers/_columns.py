"""Rows of a table of metrics to columns; a counter that begins anew with each epoch is made global."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from forensics.model import UNKNOWN_STEP, Floats, Integers, Precision
from forensics.readers._text.collected import Rows, plain_rows

MAX_NAMES = 2000
MOSTLY = 0.9
"""Share of the epochs that must begin with a fall of the counter, for it to be one of the epoch."""


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
        offsets = self._offsets()
        for name, rows in self.rows.items():
            records, steps, values, epochs, times = zip(*rows, strict=True)
            counted = np.array(steps, dtype=np.int64)
            yield plain_rows(
                (name,),
                np.array(values, dtype=np.float64)[:, None],
                records,
                np.array(records, dtype=np.int64),
                counted if offsets is None else _moved(counted, np.array(records, dtype=np.int64), offsets),
                epochs=np.array(epochs),
                wall_times=np.array(times),
                precision=precision,
            )

    def _offsets(self) -> tuple[Integers, Integers] | None:
        """Return records, and the steps of the epochs before each, where the counter is one of the epoch.

        It is when it falls with (nearly) every new epoch and nowhere else: mmcv's and mmengine's `iter`.
        """
        rows = (row for rows in self.rows.values() for row in rows)
        placed = {record: (step, epoch) for record, step, _, epoch, _ in rows if step != UNKNOWN_STEP}
        records = np.array(sorted(placed), dtype=np.int64)
        steps = np.array([placed[record][0] for record in records.tolist()], dtype=np.int64)
        epochs = np.array([placed[record][1] for record in records.tolist()], dtype=np.float64)
        return (records, found) if (found := _before(steps, epochs)) is not None else None


def _before(steps: Integers, epochs: Floats) -> Integers | None:
    """Return how many steps the epochs before each row had; None where the counter does not begin with them."""
    if len(steps) < 2 or not np.isfinite(epochs).all() or bool((epochs != np.floor(epochs)).any()) or steps.min() < 0:
        return None
    begins = np.diff(epochs) > 0
    falls = np.diff(steps) < 0
    if not falls.any() or bool((falls & (np.diff(epochs) == 0)).any()) or falls[begins].mean() < MOSTLY:
        return None
    longest = steps.max()
    first = 1 if epochs.min() >= 1 else 0
    if longest * (epochs.max() + 1) >= 2.0**53:
        return None
    before: Integers = ((epochs - first) * longest).astype(np.int64)
    return before


def _moved(steps: Integers, records: Integers, offsets: tuple[Integers, Integers]) -> Integers:
    """Return the steps counted over all epochs; those that are unknown stay so."""
    at = np.minimum(np.searchsorted(offsets[0], records), len(offsets[0]) - 1)
    return np.where(steps == UNKNOWN_STEP, UNKNOWN_STEP, steps + offsets[1][at])
