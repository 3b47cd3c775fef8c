"""The table of lines: those of one shape, with their numbers in columns."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.records import dataclass
from forensics.formats.text import Window, clock_times
from forensics.model import Floats, Integers
from forensics.model.order import alike, end_to_end
from forensics.readers.text.names import Shape

NO_STAMP = b"NaT"


@dataclass(frozen=True, slots=True)
class Entries:
    """Lines of one shape: `numbers` and `totals` have shape (n, fields), every other column shape (n,).

    In memory these two lie column by column where lines are many. Columns that are one value throughout, as ranks and
    totals mostly are, take none.

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
            ranks=alike(self.ranks[kept]),
            times=alike(self.times[kept]),
            numbers=self.numbers[kept],
            totals=alike(self.totals[kept]),
            bars=alike(self.bars[kept]),
        )

    def moved(self, offset: int, lines: int) -> "Entries":
        return replace(self, at=self.at + offset, records=self.records + lines)


def joined(tables: Sequence[Entries]) -> Entries:
    """Return one table of several of the same shape, in the order of the text."""
    if len(tables) == 1:
        return tables[0]
    whole = Entries(
        tables[0].shape,
        *(end_to_end([getattr(table, name) for table in tables]) for name in Entries.__slots__[1:]),
    )
    return whole if (whole.at[1:] >= whole.at[:-1]).all() else whole.take(np.argsort(whole.at, kind="stable"))


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
