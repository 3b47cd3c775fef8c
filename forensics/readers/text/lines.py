"""Which lines of a window are looked at: those with a word that a metric or a counter is made of, and a digit.

Vector operations mark two rare neighbouring bytes of every word at once and compare the whole of a word only there.
"""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forensics.formats.text import Window
from forensics.model import Integers

SLICE_BYTES = 1 << 17
"""Vector operations run over slices that stay in the processor's cache."""
WORDS = (
    *(b"loss", b"ppl", b"perplex", b"xent", b"nll", b"norm", b"entropy", b"cost"),
    *(b"step", b"epoch", b"iter", b"batch", b"update"),
    *("损失".encode(), "步".encode(), "轮".encode()),
)
"""In small letters: case does not count."""
_PAIRS = {b"loss": 2, b"ppl": 0, b"perplex": 5, b"xent": 0, b"nll": 0, b"norm": 2, b"entropy": 5, b"cost": 0}
_PAIRS |= {b"step": 2, b"epoch": 1, b"iter": 0, b"batch": 3, b"update": 0}
"""Where in a word the pair of bytes stands that is sought: the rarest one in logs."""

MOST_BYTES = 1 << 15
_RECORDS = re.compile(rb"""\}, ?\{['"]""")
_RECORD = re.compile(rb"\{[^{}]*\}")
_BARS = re.compile(rb"(?<=\])(?=[A-Za-z][\w ]{0,40}:? {1,4}\d{1,3}%\|)|(?<=\])(?= *\d{1,3}%\|)")


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of a window: `starts` and `ends` (int64, shape (n,)) are places in `window.data`, ascending."""

    starts: Integers
    ends: Integers


def relevant(window: Window) -> Lines:
    """Return the lines that begin in the window and hold one of `WORDS`."""
    text = np.frombuffer(window.data, dtype=np.uint8)
    stops = np.flatnonzero((text[: window.end] == 10) | (text[: window.end] == 13))
    places = marked(text, window.begin, window.end)
    which = np.unique(np.searchsorted(stops, places))
    starts = np.where(which > 0, stops[np.maximum(which - 1, 0)] + 1, 0) if len(stops) else np.zeros_like(which)
    ends = np.append(stops, _last_end(window))[which]
    mine = starts >= window.begin
    return Lines(starts[mine], ends[mine])


def _last_end(window: Window) -> int:
    """Return where the line ends that reaches the end of the window."""
    found = re.compile(rb"[\r\n]").search(window.data, window.end)
    return found.start() if found else len(window.data)


def marked(text: NDArray[np.uint8], begin: int, end: int) -> Integers:
    """Return where words begin, roughly ascending."""
    found = [np.zeros(0, dtype=np.int64)]
    longest = max(map(len, WORDS))
    for first in range(begin, end, SLICE_BYTES):
        size = min(SLICE_BYTES, end - first)
        part = text[max(first - longest, 0) : first + size + longest] | np.uint8(0x20)
        found.append(_words_in(part) + max(first - longest, 0))
    places = np.concatenate(found)
    return places[(places >= begin) & (places < end)]


def _words_in(part: NDArray[np.uint8]) -> Integers:
    found = []
    for word in WORDS:
        folded = bytes(byte | 0x20 for byte in word)
        pair = _PAIRS.get(word, 0)
        heads = len(part) - len(word) + 1
        if heads <= 0:
            continue
        mark = part[pair : heads + pair] == folded[pair]
        mark &= part[pair + 1 : heads + pair + 1] == folded[pair + 1]
        places = np.flatnonzero(mark)
        for index in range(len(word)):
            if index not in {pair, pair + 1} and len(places):
                places = places[part[places + index] == folded[index]]
        found.append(places)
    return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)


def fragments(line: bytes) -> list[tuple[int, bytes]]:
    """Part a line that holds many records or many drawings of a bar; places count from its beginning.

    >>> fragments(b"A: 1%|#| 1/9 [, loss=2]A:   2%|#| 2/9 [, loss=1]")
    [(0, b'A: 1%|#| 1/9 [, loss=2]'), (23, b'A:   2%|#| 2/9 [, loss=1]')]
    """
    if _RECORDS.search(line):
        return [(found.start(), found[0]) for found in _RECORD.finditer(line)]
    if line.count(b"%|") > 1:
        cuts = [0, *(found.start() for found in _BARS.finditer(line)), len(line)]
        return [(first, line[first:last][:MOST_BYTES]) for first, last in zip(cuts, cuts[1:]) if last > first]  # noqa: RUF007, B905
    return [(0, line[:MOST_BYTES])]
