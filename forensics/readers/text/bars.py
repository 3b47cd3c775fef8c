"""Counters of the bars drawn after the metric dictionaries of the Trainer, which do not name their step.

tqdm draws its bar anew right after it has let a dictionary through. One bar is enough where it is alone: nested bars
(evaluation, "Writing model shards") stand on lines of their own, so only an LF behind a bar makes the next one worth a
look.
"""

import re

import numpy as np

from forensics.formats.text import BAR, Window
from forensics.model import Integers

BARS_AFTER = 2
NEAR_BYTES = 4096
_WHOLE_BAR = re.compile(BAR.pattern + rb"[^\r\n]*")
_NEXT_BAR = re.compile(rb"\n\r? *\d+%\|[^|\r\n]*\| *(\d{1,18})/(\d{1,18}) \[[^\r\n{]*(?=[\r{]|\Z)")
_QUOTES = (b"'", b'"')


def bars_after(window: Window, ends: list[int]) -> Integers:
    """Return counter and total of the bars behind each place, shape (n, 2 * BARS_AFTER), -1 where there is none."""
    found = np.full((len(ends), 2 * BARS_AFTER), -1, dtype=np.int64)
    data, percent = window.data, -1
    for row, end in enumerate(ends):
        near = _NEXT_BAR.match(data, end, min(len(data), end + NEAR_BYTES))
        if near:
            found[row, :2] = int(near[1]), int(near[2])
            continue
        if percent < end:
            percent = data.find(b"%", end)
        if percent < 0:
            break
        if percent < end + NEAR_BYTES:
            counters = _counters(data, end)
            found[row, : len(counters)] = counters
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
