"""Numbers of many lines at once, read with vector operations: no Python object for a number.

An unaligned word of eight bytes stands for every place of the text. A literal is compared word by word, the end of a
number is the first byte of a word that is no digit, and eight digits become a number with three multiplications. A
number is mantissa / 10**k: exact in double precision where both are (mantissa < 2**53, k <= 22, W. D. Clinger, "How
to read floating point numbers accurately", 1990), else in 80-bit precision unless that lies next to a tie. What does
not fit is told apart, for `float` to read.
"""

import numpy as np
from numpy.typing import NDArray

from forensics.model import Floats, Integers

Words = NDArray[np.uint64]
Mask = NDArray[np.bool_]

_U = np.uint64
ZEROS, _ONES = _U(0x3030303030303030), _U(0x0101010101010101)
_HIGH, _LOW = _U(0x8080808080808080), _U(0x7F7F7F7F7F7F7F7F)
_ABOVE_NINE = _U(0x7676767676767676)
"""Added to a byte below 128, it sets the high bit of those above 9."""
_PAIRS, _HUNDREDS, _TENTHS = _U(0x000000FF000000FF), _U(0x000F424000000064), _U(0x0000271000000001)
_POWERS = 10.0 ** np.arange(23)
_LONG_POWERS = np.longdouble(10) ** np.arange(28)
_WHOLE_POWERS = np.array([10**k for k in range(20)], dtype=np.uint64)
_MOST_DIGITS = 19
EXTENDED = np.finfo(np.longdouble).nmant == 63
_TIE, _TIE_BITS = (_U(0x3FE), _U(0x402)), _U(0x7FF)
WORD = 8
MARGIN = 32
"""Bytes that must stand before and behind a line in the buffer for its words to be read."""


class Buffer:
    """A text as bytes and as the words of eight bytes that begin at every place."""

    def __init__(self, data: bytes) -> None:
        self.bytes = np.frombuffer(data, dtype=np.uint8)
        self.last = max(len(data) - WORD, 0)
        self._words = np.ndarray((self.last + 1 if len(data) >= WORD else 0,), dtype="V8", buffer=data, strides=(1,))

    def word(self, at: Integers) -> Words:
        """Return the words at some places, those behind the end as the last one."""
        return self._words[np.minimum(at, self.last)].view(np.uint64)

    def byte(self, at: Integers) -> NDArray[np.uint8]:
        return self.bytes.take(at, mode="clip")


def literal(buffer: Buffer, at: Integers, text: bytes) -> Mask:
    """Tell where a text stands at each place."""
    good = np.ones(len(at), dtype=np.bool_)
    for first in range(0, len(text), WORD):
        part = text[first : first + WORD]
        spared = _U(8 * (WORD - len(part)))
        wanted = _U(int.from_bytes(part.ljust(WORD, b"\0"), "little"))
        good &= (buffer.word(at + first) << spared) == (wanted << spared)
    return good


def outlined(buffer: Buffer, at: Integers, text: bytes) -> Mask:
    """Tell where a text stands at each place if any digit counts as 0."""
    good = np.ones(len(at), dtype=np.bool_)
    for first in range(0, len(text), WORD):
        part = text[first : first + WORD]
        spared = _U(8 * (WORD - len(part)))
        wanted = _U(int.from_bytes(part.ljust(WORD, b"\0"), "little"))
        word = buffer.word(at + first)
        digits = (~_not_digits(word) & _HIGH) >> _U(7)
        good &= ((word & ~(digits * _U(0x0F))) << spared) == (wanted << spared)
    return good


def blanks(buffer: Buffer, at: Integers) -> Integers:
    """Return where the blanks and tabs that begin at each place end."""
    at = at.copy()
    rows = np.arange(len(at))
    while len(rows):
        byte = buffer.byte(at[rows])
        rows = rows[((byte == ord(" ")) | (byte == ord("\t"))) & (at[rows] <= buffer.last)]
        at[rows] += 1
    return at


@np.errstate(over="ignore", invalid="ignore")
def numbers(buffer: Buffer, at: Integers, *, wanted: bool) -> tuple[Floats, Integers, Mask]:
    """Return value (NaN unless `wanted`) and end of the number at each place, and whether it is known.

    Known are decimal numbers with a sign, a fraction and an exponent, `nan` and `NaN`; neither infinities nor numbers
    with thousands parted, nor the few whose rounding needs more than 80 bits.
    """
    values = np.full(len(at), np.nan)
    negative = buffer.byte(at) == ord("-")
    start = at + negative
    whole = _digits(buffer, start)
    point = start + whole
    fraction = np.zeros(len(at), dtype=np.int64)
    pointed = np.flatnonzero(buffer.byte(point) == ord("."))
    fraction[pointed] = _digits(buffer, point[pointed] + 1)
    end = point + fraction
    end[pointed] += 1
    zero = (whole == 1) & (buffer.byte(start) == ord("0"))
    good = (whole > 0) & (fraction <= _MOST_DIGITS) & (zero | (whole + fraction <= _MOST_DIGITS))
    exponent = _exponents(buffer, end, good)
    if wanted:
        mantissa = _integers(buffer, point, np.minimum(whole, _MOST_DIGITS))
        parts = _integers(buffer, end_of_fraction(point, fraction), np.minimum(fraction, _MOST_DIGITS))
        mantissa = mantissa * _WHOLE_POWERS[np.minimum(fraction, _MOST_DIGITS)] + parts
        values = scaled(mantissa, fraction - exponent, good)
        values = np.where(negative, -values, values)
    lost = np.flatnonzero(~good)
    if len(lost):
        missing = lost[literal(buffer, at[lost], b"nan") | literal(buffer, at[lost], b"NaN")]
        values[missing], end[missing], good[missing] = np.nan, at[missing] + 3, True
    return values, end, good


def end_of_fraction(point: Integers, fraction: Integers) -> Integers:
    return np.where(fraction > 0, point + 1 + fraction, point)


def _not_digits(word: Words) -> Words:
    """Return words whose bytes have their high bit set where the byte is no digit."""
    plain: Words = word ^ ZEROS
    return ((plain & _LOW) + _ABOVE_NINE | plain) & _HIGH


def _digits(buffer: Buffer, at: Integers) -> Integers:
    """Return how many digits stand at each place, at most 24."""
    count = _first(_not_digits(buffer.word(at)))
    for full in (WORD, 2 * WORD):
        rows = np.flatnonzero(count == full)
        if not len(rows):
            break
        count[rows] += _first(_not_digits(buffer.word(at[rows] + full)))
    return count


def _first(flags: Words) -> Integers:
    """Return the index of the first byte with a high bit, 8 where there is none."""
    lowest = flags & (~flags + _U(1))
    below = ((lowest - _U(1)) & _ONES) * _ONES >> _U(56)
    return np.where(flags == 0, WORD, below.astype(np.int64) - 1)


def _integers(buffer: Buffer, end: Integers, count: Integers) -> Words:
    """Return the integers of `count` digits that end at each place."""
    value = _eight(buffer.word(end - WORD), np.minimum(count, WORD))
    for done in (WORD, 2 * WORD):
        rows = np.flatnonzero(count > done)
        if not len(rows):
            break
        more = _eight(buffer.word(end[rows] - WORD - done), np.minimum(count[rows] - done, WORD))
        value[rows] += more * _WHOLE_POWERS[done]
    return value


def _eight(word: Words, count: Integers) -> Words:
    """Return the number that the last `count` bytes of a word spell, each a digit."""
    spared = (WORD * (WORD - count)).astype(np.uint64)
    return spelled_by(
        np.where(count > 0, (word ^ ZEROS) >> np.minimum(spared, _U(63)) << np.minimum(spared, _U(63)), _U(0))
    )


def spelled_by(digits: Words) -> Words:
    """Return the numbers that words spell: each byte is a digit from 0 to 9, the lowest byte the first of them."""
    digits = digits * _U(10) + (digits >> _U(8))
    return ((digits & _PAIRS) * _HUNDREDS + ((digits >> _U(16)) & _PAIRS) * _TENTHS) >> _U(32)


def _exponents(buffer: Buffer, end: Integers, good: Mask) -> Integers:
    """Return the exponents behind the numbers that end at `end`, which is moved behind them."""
    exponent = np.zeros(len(end), dtype=np.int64)
    rows = np.flatnonzero(good & ((buffer.byte(end) | 0x20) == ord("e")))
    if not len(rows):
        return exponent
    at = end[rows] + 1
    sign = buffer.byte(at)
    at = at + ((sign == ord("-")) | (sign == ord("+")))
    count = _digits(buffer, at)
    good[rows] &= (count > 0) & (count <= 3)
    value = _integers(buffer, at + count, np.minimum(count, WORD)).astype(np.int64)
    exponent[rows] = np.where(sign == ord("-"), -value, value)
    end[rows] = at + count
    return exponent


def scaled(mantissa: Words, scale: Integers, good: Mask) -> Floats:
    """Return mantissa / 10**scale, correctly rounded; `good` is taken from those that `float` must read."""
    plain = mantissa.astype(np.float64)
    shift = np.abs(scale)
    power = _POWERS[np.minimum(shift, len(_POWERS) - 1)]
    values = np.where(scale >= 0, plain / power, plain * power)
    hard = np.flatnonzero(good & ((mantissa >= _U(1 << 53)) | (shift >= len(_POWERS))))
    if len(hard) and EXTENDED:
        power = _LONG_POWERS[np.clip(scale[hard], 0, len(_LONG_POWERS) - 1)]
        exact = mantissa[hard].astype(np.longdouble) / power
        bits = np.ascontiguousarray(exact).view(np.uint64).reshape(-1, 2)[:, 0] & _TIE_BITS
        sure = (scale[hard] >= 0) & (scale[hard] < len(_LONG_POWERS)) & ((bits < _TIE[0]) | (bits > _TIE[1]))
        values[hard] = exact.astype(np.float64)
        good[hard] = sure
    else:
        good[hard] = False
    return values
