"""Lines of one outline, many at once: every number stands in the same columns of all of them.

Lines of equal length lie below each other as a matrix of bytes. One comparison tells which of them have an outline, and
a number is read from the words of eight bytes that end with its digits: no search for where it begins or ends. What
has an outline has, by the general parser, the same shape and the same places of numbers; so a layout costs no
correctness. Whatever is not spelled with digits, a point and an exponent (`1,234`, `nan`) is read by `value_of`.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.formats.text import BAR, clock_columns
from forensics.model import Floats, Integers
from forensics.readers.text.columns import WORD, ZEROS, Words, scaled, spelled_by
from forensics.readers.text.names import Shape
from forensics.readers.text.shapes import STAMP, STAMP_BYTES, Mask, outline, value_of

Bytes = NDArray[np.uint8]
Span = tuple[int, int]
_NUMBER = expression(rb"([-+])?(\d*)(?:\.(\d*))?(?:[eE]([-+])?(\d{1,3}))?")
_DIGIT = expression(rb"\d")
_MOST_DIGITS, _EXACT_DIGITS = 19, 15
"""Digits that eight bytes hold without a sign, and those of which any number is exact in double precision."""
WHOLE_BAR = expression(BAR.pattern + rb"[^\r\n]*")
_QUOTES = (b"'", b'"')
_MOST_COUNTED = 18
"""Digits of the counter of a bar."""
_AT_ONCE = 1 << 17
"""Bytes of lines that are compared together: what that needs stays in the processor's cache."""
_HIGHEST = [np.uint64(((1 << 64) - 1) ^ ((1 << 8 * (WORD - count)) - 1)) for count in range(WORD + 1)]
"""Masks of the last bytes of a word, by their number."""


@dataclass(slots=True, eq=False)
class Layout:
    """An outline that often comes: `text` (its length) with zeros for the digits of numbers and junk, `spare` 9 there.

    `spans` are the places of its numbers, `stamp` that of its date, `rank` the process of all its lines; without a
    shape its lines tell nothing. `closing` is where its last brace ends. `phrases` are what else is sought in a text
    and stands in its lines, with its columns. `bar` are the places of counter and total of the bar that its lines are,
    none where they hold neither a bar nor a dictionary, None where that is not sure. `number` is how many layouts
    there were before, `hits` how many lines it took.
    """

    shape: Shape | None
    text: Bytes
    spare: Bytes
    spans: tuple[Span, ...]
    stamp: Span | None
    rank: int
    closing: int
    phrases: tuple[tuple[bytes, int], ...]
    bar: tuple[Span, ...] | None
    number: int = 0
    hits: int = 0

    @property
    def wanted(self) -> set[int]:
        """Which numbers the fields of its shape are made of."""
        fields = self.shape.fields if self.shape else ()
        return {index for each in fields for index in (each.number, each.total, each.scale) if index >= 0}

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

    def number_of(self, lines: Bytes, index: int) -> Floats:
        """Return a number of each line."""
        first, end = self.spans[index]
        text = bytes(self.text[first:end])
        found = _NUMBER.fullmatch(text)
        if not _DIGIT.search(text):
            return np.full(len(lines), value_of(text))
        if found is None or len(found[2]) + len(found[3] or b"") > _MOST_DIGITS:
            return self._one_by_one(lines, first, end)
        (start, point), (begin, stop) = found.span(2), found.span(3)
        decimals, at = stop - begin, lines.shape[1] - len(self.text) + first
        mantissa = _mantissa(lines, at + start, at + point, decimals)
        good = np.ones(len(lines), dtype=np.bool_)
        if found[5] is None and point - start + decimals <= _EXACT_DIGITS:
            values = mantissa.astype(np.float64)
            if decimals:
                values /= 10.0**decimals
        else:
            scale = np.full(len(lines), decimals, dtype=np.int64)
            if found[5] is not None:
                power = _integer(lines, at + found.start(5), at + found.end(5)).astype(np.int64)
                scale += power if found[4] == b"-" else -power
            values = scaled(mantissa, scale, good)
        if found[1] == b"-":
            np.negative(values, out=values)
        if not good.all():
            values[~good] = self._one_by_one(lines[~good], first, end)
        return values

    def whole(self, lines: Bytes, span: Span) -> Integers:
        """Return the whole number, of at most 18 digits, that stands at a place of each line."""
        before = lines.shape[1] - len(self.text)
        return _integer(lines, before + span[0], before + span[1]).astype(np.int64)

    def times(self, lines: Bytes) -> Floats:
        """Return the time of each line, NaN where no date stands in it."""
        if self.stamp is None:
            return np.full(len(lines), np.nan)
        before = lines.shape[1] - len(self.text)
        return clock_columns(lines[:, before + self.stamp[0] : before + self.stamp[1]])

    def _one_by_one(self, lines: Bytes, first: int, end: int) -> Floats:
        before = lines.shape[1] - len(self.text)
        texts = np.ascontiguousarray(lines[:, before + first : before + end])
        return np.array([value_of(row.tobytes()) for row in texts], dtype=np.float64)


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
    return Layout(
        shape,
        text,
        spare,
        mask.spans,
        stamp.span() if stamp else None,
        rank,
        line.rfind(b"}") + 1,
        tuple(phrases),
        _bar(line),
    )


def _bar(line: bytes) -> tuple[Span, ...] | None:
    """Return where counter and total of the bar stand that a line is; as `Layout.bar`."""
    percent = line.find(b"%")
    if percent < 0:
        return None if opens(line, 0, len(line)) else ()
    found = None if opens(line, 0, percent) else WHOLE_BAR.match(line, percent)
    return (found.span(1), found.span(2)) if found and max(map(len, found.groups())) <= _MOST_COUNTED else None


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


def _words(lines: Bytes, end: int) -> Words:
    """Return the words of eight bytes that end at a column of a matrix, digits as the numbers from 0 to 9."""
    return np.ndarray((len(lines),), dtype="<u8", buffer=lines, offset=end - WORD, strides=(lines.shape[1],)) ^ ZEROS


def _integer(lines: Bytes, first: int, end: int) -> Words:
    """Return the integers whose digits stand in some columns, at most 19."""
    count = min(end - first, WORD)
    value = spelled_by(_words(lines, end) & _HIGHEST[count])
    if end - first > WORD:
        value += _integer(lines, first, end - WORD) * np.uint64(10**WORD)
    return value


def _mantissa(lines: Bytes, first: int, point: int, decimals: int) -> Words:
    """Return the digits before and behind a point as one integer."""
    end = point + 1 + decimals
    if not decimals:
        return _integer(lines, first, point)
    if point == first:
        return _integer(lines, point + 1, end)
    whole = point - first
    if whole + decimals < WORD:  # within one word: what stands before the point is moved onto it
        word = _words(lines, end)
        before = _HIGHEST[whole + decimals] ^ _HIGHEST[decimals]
        return spelled_by(word & _HIGHEST[decimals] | word << np.uint64(8) & before)
    return _integer(lines, first, point) * np.uint64(10**decimals) + _integer(lines, point + 1, end)
