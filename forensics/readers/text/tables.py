"""The table of lines: those of one shape, with their numbers in columns."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.records import dataclass
from forensics.formats.text import Window, clock_times
from forensics.model import Floats, Integers
from forensics.readers.text.names import Shape

NO_STAMP = b"NaT"


@dataclass(frozen=True, slots=True)
class Entries:
    """Lines of one shape: `numbers` and `totals` have shape (n, fields), every other column shape (n,).

    In memory these two lie column by column where lines are many.

    `at` (int64) is the place of a line in the clean text, `records` its number, `ranks` -1 where no process is
    named. `times` are seconds since the epoch, NaN where no date stands in the line. `bars` (n, 4) holds counter and
    total of the bars drawn after a dictionary, -1 where there is none; of other lines it is (n, 0).
    """

    shape: Shape
    at: Integers
    records: Integers
    ranks: Integers
    times: Floats
    numbers: Floats
    totals: Floats
    bars: Integers

    def __len__(self) -> int:
        return len(self.at)

    def take(self, kept: NDArray[np.bool_] | Integers) -> "Entries":
        return replace(
            self,
            at=self.at[kept],
            records=self.records[kept],
            ranks=self.ranks[kept],
            times=self.times[kept],
            numbers=self.numbers[kept],
            totals=self.totals[kept],
            bars=self.bars[kept],
        )

    def moved(self, offset: int, lines: int) -> "Entries":
        return replace(self, at=self.at + offset, records=self.records + lines)


def joined(tables: Sequence[Entries]) -> Entries:
    """Return one table of several of the same shape, in the order of the text."""
    if len(tables) == 1:
        return tables[0]
    whole = Entries(
        tables[0].shape,
        *(_stacked([getattr(table, name) for table in tables]) for name in Entries.__slots__[1:]),
    )
    return whole if (whole.at[1:] >= whole.at[:-1]).all() else whole.take(np.argsort(whole.at, kind="stable"))


def _stacked(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return the parts as one, two dimensions column by column: whatever comes behind looks at one column at a time."""
    if parts[0].ndim == 1:
        return np.concatenate(parts)
    whole = np.empty((sum(map(len, parts)), parts[0].shape[1]), dtype=parts[0].dtype, order="F")
    return np.concatenate(parts, out=whole)


def lines_of(window: Window, starts: Integers) -> Integers:
    """Return line numbers; rows of a table may lie behind the window, where they are not at hand."""
    inside = np.minimum(starts, window.end)
    records = window.lines(inside)
    for index in np.flatnonzero(starts > window.end).tolist():
        records[index] += window.data.count(b"\n", window.end, int(starts[index]))
    return records


def times_of(stamps: Sequence[bytes]) -> Floats:
    if all(stamp is NO_STAMP for stamp in stamps):
        return np.full(len(stamps), np.nan)
    return clock_times(stamps)
