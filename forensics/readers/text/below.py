"""Tables as they go on: rows below a header, over lines of others, over the ends of windows, behind what loggers add.

Other processes write between the rows of a table, and a log of many epochs is longer than a window. So a table stays
open until another header comes, or too many lines that are none of its rows. A row that comes after such lines must
be of the same columns and count on.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import field
from functools import lru_cache

import numpy as np

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.formats.text import Window, fragment_end, strip_prefixes
from forensics.readers.text.headers import Header, Row, headers_of
from forensics.readers.text.lexicon import COUNTERS
from forensics.readers.text.names import Shape
from forensics.readers.text.shapes import masked, narrowed, outline

MOST_BETWEEN = 40
"""Lines between two rows of a table: a traceback that was survived has some thirty."""
LOOKED_AT = 6
"""Lines below a header among which the first row is."""
_DIGIT = expression(rb"\d")
_LEAD = expression(rb".*(?:[:\])|>]\s*|\s)", re.DOTALL)


@dataclass(slots=True)
class Table:
    """A table that is read; `lead` is what stands before each of its lines, with every digit as 0."""

    header: Header
    lead: bytes
    open: bool = True
    lines: set[int] = field(default_factory=set)
    """Where lines of the window begin that belong to the table, so that nobody else reads them."""
    _rows: list[Row] = field(default_factory=list)
    _last: tuple[bytes, list[float]] | None = None
    _between: int = 0
    _compares: bool = False

    def read(self, window: Window, start: int) -> list[Row]:
        """Return the rows that begin in a window, from the line on that begins at `start`.

        Without a counter there is one row, which may be read wherever it stands. Where rows compare models, or tell
        of no entry, there is nothing.
        """
        self._rows, self.lines = [], set()
        stop = window.end if self.header.counted else window.reach(start)
        while self.open and start < stop:
            end = fragment_end(window.data, start, window.reach(start))
            self.open = self._take(window.data[start:end], start)
            start = end + 1
        self._compares |= self.header.compares(self._rows)
        return self._rows if (self.header.counted and not self._compares) or len(self._rows) == 1 else []

    def _take(self, line: bytes, start: int) -> bool:
        """Take a line if it is a row, and tell whether the table may go on below it."""
        text = self._bare(line)
        if self.header.is_rule(text) or (self._last is None and self.header.goes_on(text)):
            self.lines.add(start)
            return True
        found = self.header.row(text)
        if found is not None and self._goes_on_with(*found):
            self.lines.add(start)
            self._between = 0
            if found[1]:
                self._rows.append((found[0], line, start, found[1], [np.nan] * len(found[1])))
            return True
        self._between += 1
        if not self.header.counted or self._last is None or self._between > MOST_BETWEEN:
            return False
        return _DIGIT.search(text) is not None or next(headers_of(text), None) is None

    def _goes_on_with(self, shape: Shape, numbers: list[float]) -> bool:
        """Tell whether a row follows the last one: behind other lines it has its columns, counts on, and measures."""
        count = [value for each, value in zip(shape.fields, numbers, strict=True) if each.role in COUNTERS]
        if self._between and self._last is not None:
            measures = any(not value.is_integer() for value in numbers)
            if self._last[0] != shape.key or not self._last[1] < count or not measures:
                return False
        self._last = shape.key, count
        return True

    def has_row(self, lines: Sequence[bytes]) -> bool:
        """Tell whether the first of some lines that is no rule is a row."""
        for line in map(self._bare, lines):
            if not self.header.is_rule(line) and not self.header.goes_on(line):
                found = self.header.row(line)
                return found is not None and bool(found[1])
        return False

    def _bare(self, line: bytes) -> bytes:
        size = len(self.lead)
        return line if not size else line[size:] if outline(line[:size]) == self.lead else strip_prefixes(line)


def table_below(window: Window, line: bytes, end: int) -> Table | None:
    """Return the table whose header a line that ends at `end` is; None where what stands first below it is no row."""
    below = [*_lines_from(window, end + 1)]
    leads = (b"", *(_common(line, each) for each in below), line[: len(line) - len(strip_prefixes(line))])
    for lead in dict.fromkeys(map(outline, leads)):
        text = line[len(lead) :]
        for header in headers_of(text) if _may_be_of_names(outline(text)) else ():
            table = Table(header, lead)
            if table.has_row(below):
                return table
    return None


@lru_cache(maxsize=1 << 12)
def _may_be_of_names(text: bytes) -> bool:
    """Tell whether a text with every digit as 0 holds no number, as headers do: lines mostly differ in no more."""
    return not masked(narrowed(text)).spans


def _lines_from(window: Window, start: int) -> Iterator[bytes]:
    reach = window.reach(start)
    for _ in range(LOOKED_AT):
        if start >= reach:
            return
        end = fragment_end(window.data, start, reach)
        yield window.data[start:end]
        start = end + 1


def _common(line: bytes, other: bytes) -> bytes:
    """Return what two lines begin with that is the same but for digits, as far as the last sign that parts it off.

    >>> _common(b"algo-1 | epoch  loss", b"algo-2 | 1      2.5")
    b'algo-1 | '
    """
    one, two = outline(line), outline(other)
    same = bisect_left(range(1, min(len(one), len(two)) + 1), True, key=lambda size: one[:size] != two[:size])
    found = _LEAD.match(line, 0, same)
    return found[0] if found else b""
