"""Numbers that stand in the same columns of many lines, read together from the words of eight bytes they end with.

All numbers of a line are cut into eights of digits, and each operation is done once for the eights of all of them:
lines of one outline are often few, and then an operation costs more than what it works on. Whatever is not spelled with
digits, a point and an exponent (`1,234`, `nan`) is read by `value_of`.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.model import Floats, Integers
from forensics.readers.text.columns import WORD, ZEROS, Words, scaled, spelled_by
from forensics.readers.text.shapes import value_of

Bytes = NDArray[np.uint8]
Span = tuple[int, int]
_NUMBER = expression(rb"([-+])?(\d*)(?:\.(\d*))?(?:[eE]([-+])?(\d{1,3}))?")
_DIGIT = expression(rb"\d")
_MOST_DIGITS, _EXACT_DIGITS = 19, 15
"""Digits that eight bytes hold without a sign, and those of which any number is exact in double precision."""
_MANY = 1 << 10
"""Lines from which on the eights are worked on one by one: what they need stays in the processor's cache."""
_HIGHEST = [np.uint64(((1 << 64) - 1) ^ ((1 << 8 * (WORD - count)) - 1)) for count in range(WORD + 1)]
"""Masks of the last bytes of a word, by their number."""
_Eights = tuple[tuple[int, int], ...]
"""Rows of a matrix of eights, and the power of ten by which each counts."""
_Known = tuple[Floats, NDArray[np.bool_]]
"""Numbers, and which of them are right."""


@dataclass(frozen=True, slots=True)
class _Number:
    """How a number is spelled; without `mantissa` it is read by itself, or is a `constant`."""

    span: Span
    constant: float | None = None
    mantissa: _Eights = ()
    decimals: int = 0
    power: _Eights = ()
    inverse: bool = False
    negative: bool = False
    plain: bool = True


class Digits:
    """The numbers at some places of a text, as they stand in all texts that differ from it in digits only."""

    def __init__(self, text: bytes, spans: Sequence[Span]) -> None:
        self._size = len(text)
        self._eights: list[tuple[int, int]] = []
        self._numbers = [self._spelled(text, span) for span in spans]

    def __len__(self) -> int:
        return len(self._numbers)

    def _spelled(self, text: bytes, span: Span) -> _Number:
        first, spelled = span[0], text[slice(*span)]
        found = _NUMBER.fullmatch(spelled)
        if not _DIGIT.search(spelled):
            return _Number(span, value_of(spelled))
        decimals = len(found[3] or b"") if found else 0
        if found is None or len(found[2]) + decimals > _MOST_DIGITS:
            return _Number(span)
        whole, fraction, power = ((first + start, first + end) for start, end in map(found.span, (2, 3, 5)))
        plain = found[5] is None and len(found[2]) + decimals <= _EXACT_DIGITS
        mantissa = (*self._cut(whole, decimals), *self._cut(fraction, 0))
        return _Number(span, None, mantissa, decimals, self._cut(power, 0), found[4] == b"-", found[1] == b"-", plain)

    def _cut(self, span: Span, power: int) -> _Eights:
        """Cut digits into eights from their end."""
        ends = range(span[1], span[0], -WORD)
        first = len(self._eights)
        self._eights += ((end, min(end - span[0], WORD)) for end in ends)
        return tuple((first + index, power + WORD * index) for index in range(len(ends)))

    def read(self, lines: Bytes) -> list[Floats]:
        """Return the numbers of the lines that a `layouts.matrix` holds."""
        eights = self._read_eights(lines)
        long = [each for each in self._numbers if not each.plain]
        good = np.ones((len(long), len(lines)), dtype=np.bool_)
        if long:
            mantissas = np.stack([_sum(eights, each.mantissa) for each in long])
            scales = np.stack([_scale(eights, each) for each in long])
            values = scaled(mantissas.ravel(), scales.ravel(), good.reshape(-1)).reshape(good.shape)
            rows = iter(zip(values, good, strict=True))
        return [self._read(lines, eights, each, None if each.plain else next(rows)) for each in self._numbers]

    def _read(self, lines: Bytes, eights: Words, number: _Number, known: _Known | None) -> Floats:
        if number.constant is not None:
            return np.full(len(lines), number.constant)
        if not number.mantissa:
            return self._one_by_one(lines, number.span)
        values = _sum(eights, number.mantissa).astype(np.float64) if known is None else known[0]
        if known is None and number.decimals:
            values /= 10.0**number.decimals
        if number.negative:
            np.negative(values, out=values)
        if known is not None and not known[1].all():
            values[~known[1]] = self._one_by_one(lines[~known[1]], number.span)
        return values

    def _read_eights(self, lines: Bytes) -> Words:
        """Return the number that each eight of digits spells, shape (eights, lines)."""
        width = lines.shape[1]
        words = np.ndarray((len(lines), width - WORD + 1), dtype="<u8", buffer=lines, strides=(width, 1))
        eights = np.empty((len(self._eights), len(lines)), dtype=np.uint64)
        for row, (end, count) in zip(eights, self._eights, strict=True):
            np.bitwise_xor(words[:, width - self._size + end - WORD], ZEROS, out=row)
            np.bitwise_and(row, _HIGHEST[count], out=row)
        if len(lines) < _MANY:
            return spelled_by(eights)
        for row in eights:
            row[:] = spelled_by(row)
        return eights

    def _one_by_one(self, lines: Bytes, span: Span) -> Floats:
        before = lines.shape[1] - self._size
        texts = np.ascontiguousarray(lines[:, before + span[0] : before + span[1]])
        return np.array([value_of(row.tobytes()) for row in texts], dtype=np.float64)


def _sum(eights: Words, parts: _Eights) -> Words:
    """Return the integers that some eights are the digits of."""
    whole: Words = eights[parts[0][0]] * np.uint64(10 ** parts[0][1])
    for row, power in parts[1:]:
        whole += eights[row] * np.uint64(10**power)
    return whole


def _scale(eights: Words, number: _Number) -> Integers:
    """Return the powers of ten that the digits are divided by."""
    if not number.power:
        return np.full(eights.shape[1], number.decimals, dtype=np.int64)
    power = _sum(eights, number.power).astype(np.int64)
    return number.decimals + (power if number.inverse else -power)
