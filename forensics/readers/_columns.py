"""Rows of a table of metrics to columns."""

import re
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import field, replace

import numpy as np

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.model import UNKNOWN_STEP, Floats, Integers, Precision
from forensics.names import LEARNING_RATE, LOSS, canonical, is_loss
from forensics.readers.text.rows import Rows, plain_rows

MAX_NAMES = 2000
TERMS = 2
"""Metrics beside a total, but for its rate, that it may be the total of."""
_TOTAL = expression(r"(?:train(?:ing)?[_/])?total", re.IGNORECASE)


def _integers() -> "array[int]":
    return array("q")


def _floats() -> "array[float]":
    return array("d")


@dataclass(slots=True)
class Numbers:
    """The numbers of one metric: which rows of the table have one, and the numbers."""

    rows: "array[int]" = field(default_factory=_integers)
    values: "array[float]" = field(default_factory=_floats)

    def of(self) -> Floats:
        """Return the numbers, shape (n,), as a copy."""
        return np.array(self.values, dtype=np.float64)


@dataclass(slots=True)
class Columns:
    """Numbers by metric, and for each row of their table its place, which all metrics of the row share.

    A row has a record, a step (`UNKNOWN_STEP` where none is told), an epoch and a time of the wall (NaN). A number
    takes 16 bytes and a row 32, whatever Python's own numbers would.
    """

    series: dict[str, Numbers] = field(default_factory=dict)
    records: "array[int]" = field(default_factory=_integers)
    steps: "array[int]" = field(default_factory=_integers)
    epochs: "array[float]" = field(default_factory=_floats)
    times: "array[float]" = field(default_factory=_floats)

    def place(self, record: int, step: int | None = None, epoch: float | None = None, time: float = np.nan) -> None:
        """Begin a row."""
        self.records.append(record)
        self.steps.append(UNKNOWN_STEP if step is None else step)
        self.epochs.append(np.nan if epoch is None else epoch)
        self.times.append(time)

    def add(self, name: str, value: float) -> None:
        """Keep a number of the row that was begun last; past `MAX_NAMES` metrics a new name is dropped."""
        numbers = self._named(name)
        if numbers is not None:
            numbers.rows.append(len(self.records) - 1)
            numbers.values.append(value)

    def extend(self, records: Integers, steps: Integers, epochs: Floats, times: Floats) -> int:
        """Begin many rows, columns of shape (n,); return the index of the first."""
        first = len(self.records)
        self.records.frombytes(np.ascontiguousarray(records, np.int64).data.cast("B"))
        self.steps.frombytes(np.ascontiguousarray(steps, np.int64).data.cast("B"))
        self.epochs.frombytes(np.ascontiguousarray(epochs, np.float64).data.cast("B"))
        self.times.frombytes(np.ascontiguousarray(times, np.float64).data.cast("B"))
        return first

    def add_all(self, name: str, rows: Integers, values: Floats) -> None:
        """Keep many numbers: which rows they are of, and the numbers, both of shape (n,)."""
        numbers = self._named(name) if len(rows) else None
        if numbers is not None:
            numbers.rows.frombytes(np.ascontiguousarray(rows, np.int64).data.cast("B"))
            numbers.values.frombytes(np.ascontiguousarray(values, np.float64).data.cast("B"))

    def _named(self, name: str) -> Numbers | None:
        found = self.series.get(name)
        if found is None and len(self.series) < MAX_NAMES:
            found = self.series[name] = Numbers()
        return found

    def tables(self, precision: Precision = Precision.DOUBLE) -> Iterator[Rows]:
        """Yield one table a metric, in the order of their first records; those of all rows share the places."""
        places = [np.frombuffer(column, np.int64) for column in (self.records, self.steps)]
        times = [np.frombuffer(column, np.float64) for column in (self.epochs, self.times)]
        every = np.arange(len(self.records))
        told = [(name, np.frombuffer(each.rows, np.int64), each) for name, each in self.series.items()]
        for name, rows, numbers in sorted(told, key=lambda series: int(places[0][series[1]].min())):
            whole = np.array_equal(rows, every)
            records, steps = places if whole else (column[rows] for column in places)
            epochs, wall_times = times if whole else (column[rows] for column in times)
            yield plain_rows(
                (canonical(name),),
                np.frombuffer(numbers.values, np.float64)[:, None],
                records,
                records,
                steps,
                epochs=epochs,
                wall_times=wall_times,
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
