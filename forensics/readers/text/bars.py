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
    for row in _next_bars(data, ends, found).tolist():
        end = int(ends[row])
        if percent < end:
            percent = data.find(b"%", end)
        if percent < 0:
            break
        if percent < end + NEAR_BYTES:
            counters = _counters(data, end)
            found[row, : len(counters)] = counters
    return found


def _next_bars(data: bytes, ends: Integers, found: Integers) -> Integers:
    r"""Fill in the bars that stand alone on the next line, and return the rows that have none.

    Such a bar is `\n\r 10%|##   | 5/50 [00:10<01:00, 1.2s/it]` with a CR, a brace or nothing behind its line.
    """
    rows = np.flatnonzero(ends + NEAR_BYTES + MARGIN < len(data))
    if not len(rows):
        return np.arange(len(ends))
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
    good &= ((buffer.byte(behind) == ord("\r")) | (buffer.byte(behind) == ord("{"))) & (
        behind < ends[rows] + NEAR_BYTES
    )
    found[rows[good], 0], found[rows[good], 1] = counter[good], total[good]
    left = np.ones(len(ends), dtype=np.bool_)
    left[rows[good]] = False
    return np.flatnonzero(left)


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


def _counters(data: bytes, end: int) -> list[int]:
    limit = min(len(data), end + NEAR_BYTES)
    counters: list[int] = []
    position = end
    while len(counters) < 2 * BARS_AFTER:
        place = data.find(b"%", position, _next_opening(data, position, limit))
        if place < 0:
            break
        found = _WHOLE_BAR.match(data, place, limit)
        position = place + 1
        if found is not None:
            short = max(len(found[1]), len(found[2])) <= 18
            counters += [int(found[1]), int(found[2])] if short else [-1, -1]
            position = found.end()
            if data[position : position + 1] != b"\n":
                break
    return counters


def _next_opening(data: bytes, position: int, limit: int) -> int:
    """Return where the next brace with a quote behind it stands, `limit` when there is none before."""
    brace = data.find(b"{", position, limit)
    while brace >= 0 and data[brace + 1 : brace + 2] not in _QUOTES:
        brace = data.find(b"{", brace + 1, limit)
    return limit if brace < 0 else brace
