"""Counters of the bars drawn after the metric dictionaries of the Trainer, which do not name their step.

tqdm draws its bar anew right after it has let a dictionary through. One bar is enough where it is alone: nested bars
(evaluation, "Writing model shards") stand on lines of their own, so only an LF behind a bar makes the next one worth a
look.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from forensics.deferred.records import dataclass
from forensics.formats.text import Window
from forensics.model import Integers
from forensics.model.order import alike, distinct
from forensics.readers.text.layouts import WHOLE_BAR, Layout, matrix, opens
from forensics.readers.text.lines import Lines
from forensics.readers.text.tables import Entries

BARS_AFTER = 2
NEAR_BYTES = 4096
MOST_LINES = 8
"""How many lines behind a place a bar is looked for in those that layouts took."""
_UNKNOWN, _PASSED, _BAR = -1, 0, 1


@dataclass(frozen=True, slots=True)
class Taken:
    """Which layout took each of some lines: `by` (int64, shape (n,)) are indices of `layouts`, -1 where none did."""

    lines: Lines
    by: Integers
    layouts: list[Layout]

    def kinds(self) -> Integers:
        """Tell which lines are bars, which may be passed over, which are unknown: one more than there are lines."""
        of_layouts = [_UNKNOWN if each.bar is None else min(len(each.bar), _BAR) for each in self.layouts]
        kinds: Integers = np.array([*of_layouts, _UNKNOWN])[np.append(self.by, -1)]
        kinds[:-1][self.lines.starts == self.lines.ends] = _PASSED
        return kinds


def with_bars(window: Window, told: Sequence[tuple[Entries, Integers]], taken: Taken) -> Iterator[Entries]:
    """Yield tables, those of dictionaries, which end at the places given, with the bars behind them."""
    ends = [closings for entries, closings in told if entries.shape.quoted]
    places = np.concatenate(ends) if ends else np.zeros(0, dtype=np.int64)
    order = np.argsort(places, kind="stable")
    bars = np.empty((len(places), 2 * BARS_AFTER), dtype=np.int64)
    bars[order] = bars_after(window, places[order], taken)
    done = 0
    for entries, _ in told:
        if entries.shape.quoted:
            done += len(entries)
            yield replace(entries, bars=alike(bars[done - len(entries) : done]))
        else:
            yield entries


def bars_after(window: Window, ends: Integers, taken: Taken) -> Integers:
    """Return counter and total of the bars behind each place, shape (n, 2 * BARS_AFTER), -1 where there is none."""
    found = np.full((len(ends), 2 * BARS_AFTER), -1, dtype=np.int64)
    if not len(ends):
        return found
    data, percent = window.data, -1
    rows, places, count = _on_lines_taken(window, ends, taken, found)
    for row, place, known in zip(rows.tolist(), places.tolist(), count.tolist(), strict=True):
        if percent < place:
            percent = data.find(b"%", place)
        if percent < 0:
            break
        limit = int(ends[row]) + NEAR_BYTES
        if percent < limit:
            counters = _counters(data, place, min(len(data), limit), BARS_AFTER - known)
            found[row, 2 * known : 2 * known + len(counters)] = counters
    return found


def _on_lines_taken(
    window: Window, ends: Integers, taken: Taken, found: Integers
) -> tuple[Integers, Integers, Integers]:
    """Fill in the bars on lines that layouts took, as `_counters` finds them.

    Return which rows may have more, from where on, and how many each has already.
    """
    lines, kinds = taken.lines, taken.kinds()
    line = np.searchsorted(window.separators, ends)
    places, known, open_ = ends.copy(), np.zeros(len(ends), dtype=np.int64), np.ones(len(ends), dtype=np.bool_)
    rows = np.flatnonzero(lines.ends[line] == ends)
    line = line[rows] + 1
    for _ in range(MOST_LINES):
        kind = kinds[line]
        bars = np.flatnonzero(kind == _BAR)
        bars = bars[lines.ends[line[bars]] <= ends[rows[bars]] + NEAR_BYTES]
        for which in distinct(taken.by[line[bars]]).tolist():
            layout = taken.layouts[which]
            mine = bars[taken.by[line[bars]] == which]
            texts = matrix(window.data, lines.starts[line[mine]], len(layout.text))
            for index, counts in enumerate(layout.bar.read(texts) if layout.bar else ()):
                found[rows[mine], 2 * known[rows[mine]] + index] = counts.astype(np.int64)
        here, behind = rows[bars], lines.ends[line[bars]]
        places[here], known[here] = behind, known[here] + 1
        open_[here] = (known[here] < BARS_AFTER) & (window.byte(behind) == ord("\n"))
        goes_on = kind == _PASSED
        goes_on[bars] = open_[here]
        rows, line = rows[goes_on], line[goes_on] + 1
        if not len(rows):
            break
    left = np.flatnonzero(open_)
    return left, places[left], known[left]


def _counters(data: bytes, place: int, limit: int, most: int) -> list[int]:
    """Return counters and totals of up to `most` bars from a place on, as long as an LF stands behind each."""
    counters: list[int] = []
    while len(counters) < 2 * most:
        start, place = place, data.find(b"%", place, limit)
        if place < 0 or opens(data, start, place):
            break
        found = WHOLE_BAR.match(data, place, limit)
        place += 1
        if found is not None:
            short = max(len(found[1]), len(found[2])) <= 18
            counters += [int(found[1]), int(found[2])] if short else [-1, -1]
            place = found.end()
            if data[place : place + 1] != b"\n":
                break
    return counters
