"""Counters of the bars drawn after the metric dictionaries of the Trainer, which do not name their step.

tqdm draws its bar anew right after it has let a dictionary through. One bar is enough where it is alone: nested bars
(evaluation, "Writing model shards") stand on lines of their own, so only an LF behind a bar makes the next one worth a
look.
"""

import numpy as np

from forensics.deferred.patterns import expression
from forensics.formats.text import BAR, Window
from forensics.model import Integers
from forensics.readers.text.columns import MARGIN, Buffer, blanks, literal, numbers

BARS_AFTER = 2
NEAR_BYTES = 4096
MOST = float(1 << 53)
_REACHES = (64, 512)
"""How far the next sign is looked for, by the bytes behind all places at once."""
_WHOLE_BAR = expression(BAR.pattern + rb"[^\r\n]*")
_QUOTES = (b"'", b'"')


def bars_after(window: Window, ends: Integers) -> Integers:
    """Return counter and total of the bars behind each place, shape (n, 2 * BARS_AFTER), -1 where there is none."""
    found = np.full((len(ends), 2 * BARS_AFTER), -1, dtype=np.int64)
    data, percent = window.data, -1
    rows, places, count = _next_bars(data, ends, found)
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


def _next_bars(data: bytes, ends: Integers, found: Integers) -> tuple[Integers, Integers, Integers]:
    r"""Fill in the bars that stand alone on the next line.

    Return which rows may have more, from where on, and how many each has already.

    Such a bar is `\n\r 10%|##   | 5/50 [00:10<01:00, 1.2s/it]`; behind it there is a CR, a brace or nothing, or an LF.
    """
    left, places, known = np.arange(len(ends)), ends.copy(), np.zeros(len(ends), dtype=np.int64)
    rows = np.flatnonzero(ends + NEAR_BYTES + MARGIN < len(data))
    if not len(rows):
        return left, places, known
    buffer = Buffer(data)
    at = ends[rows]
    good = buffer.byte(at) == ord("\n")
    at = at + 1
    at = blanks(buffer, at + (buffer.byte(at) == ord("\r")))
    _, at, whole = numbers(buffer, at, wanted=False)
    good &= whole & literal(buffer, at, b"%|")
    rows, at = rows[good], at[good]
    closing = _next_sign(data, at + 2)
    counter, at, whole = numbers(buffer, blanks(buffer, closing + 1), wanted=True)
    good = whole & (buffer.byte(closing) == ord("|")) & (buffer.byte(at) == ord("/"))
    total, at, whole = numbers(buffer, at + 1, wanted=True)
    good &= whole & literal(buffer, at, b" [") & (counter < MOST) & (total < MOST)
    behind = _next_sign(data, at)
    sign = buffer.byte(behind)
    goes_on = sign == ord("\n")
    good &= (goes_on | (sign == ord("\r")) | (sign == ord("{"))) & (behind < ends[rows] + NEAR_BYTES)
    found[rows[good], 0], found[rows[good], 1] = counter[good], total[good]
    more = good & goes_on
    places[rows[more]], known[rows[more]] = behind[more], 1
    open_ = np.ones(len(ends), dtype=np.bool_)
    open_[rows[good & ~goes_on]] = False
    return left[open_], places[open_], known[open_]


def _next_sign(data: bytes, at: Integers) -> Integers:
    """Return where the next end of a line, upright or brace stands, the place itself where none is near."""
    found = at.copy()
    left = np.arange(len(at))
    for size in _REACHES:
        left = left[at[left] + size <= len(data)]
        if not len(left):
            break
        behind = np.ndarray((len(data) - size + 1,), dtype=f"V{size}", buffer=data, strides=(1,))[at[left]]
        texts = behind.view(np.uint8).reshape(len(left), size)
        signs = (texts == ord("|")) | (texts == ord("\n")) | (texts == ord("\r")) | (texts == ord("{"))
        first = signs.argmax(axis=1)
        stands = signs[np.arange(len(left)), first]
        found[left[stands]] += first[stands]
        left = left[~stands]
    return found


def _counters(data: bytes, place: int, limit: int, most: int) -> list[int]:
    """Return counters and totals of up to `most` bars from a place on, as long as an LF stands behind each."""
    counters: list[int] = []
    while len(counters) < 2 * most:
        start, place = place, data.find(b"%", place, limit)
        if place < 0 or _opens(data, start, place):
            break
        found = _WHOLE_BAR.match(data, place, limit)
        place += 1
        if found is not None:
            short = max(len(found[1]), len(found[2])) <= 18
            counters += [int(found[1]), int(found[2])] if short else [-1, -1]
            place = found.end()
            if data[place : place + 1] != b"\n":
                break
    return counters


def _opens(data: bytes, start: int, end: int) -> bool:
    """Tell whether a dictionary, a brace with a quote behind it, begins in a part of a text."""
    brace = data.find(b"{", start, end)
    while brace >= 0 and data[brace + 1 : brace + 2] not in _QUOTES:
        brace = data.find(b"{", brace + 1, end)
    return brace >= 0
