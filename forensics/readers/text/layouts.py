"""Lines of one outline, many at once: every number stands in the same columns of all of them.

Lines of equal length lie below each other as a matrix of bytes. One comparison tells which of them have an outline, and
its numbers are read where they stand (`digits`): no search for where they begin or end. What has an outline has, by the
general parser, the same shape and the same places of numbers; so a layout costs no correctness.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.formats.text import BAR, clock_columns
from forensics.model import Floats, Integers
from forensics.readers.text.columns import WORD
from forensics.readers.text.digits import Bytes, Digits, Span
from forensics.readers.text.names import Shape
from forensics.readers.text.shapes import STAMP, STAMP_BYTES, Mask, outline

WHOLE_BAR = expression(BAR.pattern + rb"[^\r\n]*")
_QUOTES = (b"'", b'"')
_MOST_COUNTED = 15
"""Digits of the counter of a bar."""
_AT_ONCE = 1 << 17
"""Bytes of lines that are compared together: what that needs stays in the processor's cache."""


@dataclass(slots=True, eq=False)
class Layout:
    """An outline that often comes: `text` (its length) with zeros for the digits of numbers and junk, `spare` 9 there.

    `wanted` are those of its numbers that the fields of its shape are made of, and `digits` reads them; `stamp` is the
    place of its date, `rank` the process of all its lines; without a shape they tell nothing. `closing` is where its
    last brace ends. `phrases` are what else is sought in a text and stands in its lines, with its columns. `bar` reads
    counter and total of the bar that its lines are, nothing where they hold neither a bar nor a dictionary, and is
    None where that is not sure. `number` is how many layouts there were before, `hits` how many lines it took.
    """

    shape: Shape | None
    text: Bytes
    spare: Bytes
    wanted: tuple[int, ...]
    digits: Digits
    stamp: Span | None
    rank: int
    closing: int
    phrases: tuple[tuple[bytes, int], ...]
    bar: Digits | None
    number: int = 0
    hits: int = 0

    def fits(self, lines: Bytes) -> NDArray[np.bool_]:
        """Tell which lines of a matrix have this outline."""
        count, width = lines.shape
        step = max(_AT_ONCE // width, 1)
        text, spare = np.zeros(width, dtype=np.uint8), np.full(width, 255, dtype=np.uint8)
        text[width - len(self.text) :], spare[width - len(self.text) :] = self.text, self.spare
        texts, spares = (np.tile(row, min(step, count)) for row in (text, spare))
        good = np.ones(count, dtype=np.bool_)
        for first in range(0, count, step):
            part = lines[first : first + step].reshape(-1)
            other = part - texts[: len(part)] > spares[: len(part)]
            good[first + np.flatnonzero(other.view(np.uint64)) // (width // WORD)] = False
        return good

    def numbers(self, lines: Bytes) -> dict[int, Floats]:
        """Return the numbers of each line that are wanted, by their index in the shape."""
        return dict(zip(self.wanted, self.digits.read(lines), strict=True))

    def times(self, lines: Bytes) -> Floats:
        """Return the time of each line, NaN where no date stands in it."""
        if self.stamp is None:
            return np.full(len(lines), np.nan)
        before = lines.shape[1] - len(self.text)
        return clock_columns(lines[:, before + self.stamp[0] : before + self.stamp[1]])


def layout_of(
    shape: Shape | None, line: bytes, mask: Mask, rank: int, phrases: Sequence[tuple[bytes, int]] = ()
) -> Layout:
    """Return the layout of a line whose mask is known, and the phrases in it whose digits count."""
    text = np.frombuffer(outline(line), dtype=np.uint8).copy()
    spare = np.where(text == ord("0"), 9, 0).astype(np.uint8)
    for start, word in (*mask.words, *((column, phrase) for phrase, column in phrases)):
        text[start : start + len(word)] = np.frombuffer(word, dtype=np.uint8)
        spare[start : start + len(word)] = 0
    stamp = STAMP.search(line, 0, STAMP_BYTES)
    fields = shape.fields if shape else ()
    wanted = tuple({index for each in fields for index in (each.number, each.total, each.scale) if index >= 0})
    return Layout(
        shape,
        text,
        spare,
        wanted,
        Digits(line, [mask.spans[index] for index in wanted]),
        stamp.span() if stamp else None,
        rank,
        line.rfind(b"}") + 1,
        tuple(phrases),
        _bar(line),
    )


def _bar(line: bytes) -> Digits | None:
    """Return what reads the bar that a line is; as `Layout.bar`."""
    percent = line.find(b"%")
    if percent < 0:
        return None if opens(line, 0, len(line)) else Digits(line, ())
    found = None if opens(line, 0, percent) else WHOLE_BAR.match(line, percent)
    plain = found and max(map(len, found.groups())) <= _MOST_COUNTED
    return Digits(line, [found.span(1), found.span(2)]) if found and plain else None


def opens(data: bytes, start: int, end: int) -> bool:
    """Tell whether a dictionary, a brace with a quote behind it, begins in a part of a text."""
    brace = data.find(b"{", start, end)
    while brace >= 0 and data[brace + 1 : brace + 2] not in _QUOTES:
        brace = data.find(b"{", brace + 1, end)
    return brace >= 0


def matrix(data: bytes, starts: Integers, size: int) -> Bytes:
    """Return the lines of one size that begin at some places, each behind at least a word of what stands before it.

    Rows are whole words wide; a line ends with its row.
    """
    width = size + WORD + -size % WORD
    rows = np.ndarray((len(data) - width + 1,), dtype=f"V{width}", buffer=data, strides=(1,))[starts - (width - size)]
    return rows.view(np.uint8).reshape(len(starts), width)
