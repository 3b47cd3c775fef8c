"""Which lines of a window are looked at: those with a word that a metric or a counter is made of, and a digit.

Where those tell nothing the rare words are sought too, in ten times the time.

Vector operations look for two neighbouring bytes of every word and compare the whole of a word only there.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.patterns import expression
from forensics.formats.text import Window, fragment_end, fragment_start
from forensics.model import Integers

WORD = 8
FEW = 256
"""Words from which on the ends of all lines are sought at once."""
SLICE_BYTES = 1 << 18
"""Vector operations run over slices that stay in the processor's cache."""
_PAIRED = {
    b"loss": b"os", b"cost": b"os", b"ppl": b"pl", b"perplex": b"pl", b"xent": b"xe", b"nll": b"nl", b"norm": b"rm",
    b"entropy": b"op", b"epoch": b"oc", b"step": b"te", b"iter": b"te", b"update": b"te", b"batch": b"tc",
    b"acc": b"cc", b"dice": b"ic", b"iou": b"io",
}  # fmt: skip
"""Words, and two neighbouring bytes in each that are sought: as few pairs as will do, none that is frequent."""
WORDS = (*_PAIRED, *(word.encode() for word in ("损失", "步", "轮", "迭代")))
"""In small letters: case does not count."""
RARE = expression(
    (
        r"ms[el]|mae|mape|b(?<!\wb)ce\b|c(?<!\wc)e\b|l(?<!\wl)(?:[12]\b|_)|huber|smooth|learn|bp[bc]|elbo|likelihood"
        r"|objective|episode|round|game"
        r"|verl(?:us|ie)t?|per(?:te|di|da)|pérdi|kay..p|mất m|förlust|ztrát|отер|лосс|Лосс|трат|ошибк"
        r"|損失|损失|誤差|ロス|손실|로스"
        r"|poch|pok[ae]|poca|poque|itér|schritt|etape|étape|pass?o|поха|похи|шаг|терац"
        r"|ポック|ステップ|에폭|에포크|스텝|輪|轮|步|批次|迭代"
    ).encode()
)
"""Words of other losses, and what losses and counters are called elsewhere, in small letters.

Each begins with a letter of its own: so `re` (Python 3.10 to 3.14) skips what no word begins with, which it does
neither for `(?i)` nor for `\\b`.
"""
_FOLDED = {bytes(byte | 0x20 for byte in word): _PAIRED.get(word) for word in WORDS}
_AROUND = 4
"""A word begins at most so far before its pair and ends less far behind it: one word of eight bytes holds it."""


def _sought(folded: bytes, pair: bytes | None) -> tuple[int, np.uint64, np.uint64, np.uint64, bytes]:
    """Return how far a word begins before its pair, two shifts that cut it out of what is around, it, and the pair."""
    before = folded.index(pair) if pair else max(len(folded) - 4, 1)
    spared = np.uint64(8 * (WORD - len(folded)))
    wanted = np.uint64(int.from_bytes(folded.ljust(WORD, b"\0"), "little")) << spared
    return before, np.uint64(8 * (_AROUND - before)), spared, wanted, folded[before : before + 2]


_SOUGHT = [_sought(folded, pair) for folded, pair in _FOLDED.items()]
_PAIRS = sorted({int.from_bytes(pair, "little") for *_, pair in _SOUGHT})
MOST_BYTES = 1 << 15
_RECORDS = expression(rb"""\}, ?\{['"]""")
_RECORD = expression(rb"\{[^{}]*\}")
_BARS = expression(rb"(?<=\])(?=[A-Za-z][\w ]{0,40}:? {1,4}\d{1,3}%\|)|(?<=\])(?= *\d{1,3}%\|)")


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of a window: `starts` and `ends` (int64, shape (n,)) are places in `window.data`, ascending."""

    starts: Integers
    ends: Integers


def relevant(window: Window, *, rare: bool = False) -> Lines:
    """Return the lines that begin in the window and hold one of `WORDS`, or of the rare words too."""
    data, places = window.data, marked(window.data, window.begin, window.end)
    if rare:
        more = [found.start() for found in RARE.finditer(data.lower(), window.begin, window.end)]
        places = np.sort(np.concatenate([places, np.array(more, dtype=np.int64)]))
    if len(places) < FEW:
        starts = distinct(np.array([fragment_start(data, place) for place in places.tolist()], dtype=np.int64))
        ends = np.array([fragment_end(data, start) for start in starts.tolist()], dtype=np.int64)
    else:
        text = np.frombuffer(data, dtype=np.uint8, count=window.end)
        stops = np.flatnonzero((text == ord("\n")) | (text == ord("\r")))
        which = distinct(np.searchsorted(stops, places))
        starts = np.append(0, stops + 1)[which]
        ends = np.append(stops, fragment_end(data, window.end))[which]
    mine = starts >= window.begin
    return Lines(starts[mine], ends[mine])


def distinct(values: NDArray[np.generic]) -> NDArray[Any]:
    """Return the distinct values, ascending (`numpy.unique` imports masked arrays, 20 ms); NaN counts each time."""
    ordered = np.sort(values)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered


def marked(data: bytes, begin: int, end: int) -> Integers:
    """Return where words stand, ascending for each part of the text; a place may come twice."""
    text = np.frombuffer(data, dtype=np.uint8)
    found = [np.zeros(0, dtype=np.int64)]
    for first in range(begin, end, SLICE_BYTES):
        around = max(first - WORD, 0)
        places = _paired(text[around : min(first + SLICE_BYTES, end) + WORD]) + around
        found.append(places[(places >= first) & (places < min(first + SLICE_BYTES, end))])
    return np.concatenate(found)


def _paired(part: NDArray[np.uint8]) -> Integers:
    """Return where a word of `_PAIRED` begins in a part of a text."""
    folded = np.zeros(len(part) + 2 * WORD, dtype=np.uint8)
    np.bitwise_or(part, np.uint8(0x20), out=folded[WORD : WORD + len(part)])
    places = np.concatenate([_pairs(folded[shift:]) * 2 + shift for shift in (0, 1)])
    found = [np.zeros(0, dtype=np.int64)]
    if len(places):
        around = np.ndarray((len(folded) - WORD + 1,), dtype="V8", buffer=folded.data, strides=(1,))
        words = around[places - _AROUND].view(np.uint64)
        for before, lead, spared, wanted, _ in _SOUGHT:
            found.append(places[(words >> lead) << spared == wanted] - before - WORD)
    return np.concatenate(found)


def _pairs(folded: NDArray[np.uint8]) -> Integers:
    """Return which of the two-byte numbers that a text consists of is one of the pairs."""
    twos = folded[: len(folded) // 2 * 2].view("<u2")[: -WORD // 2]
    mark = np.zeros(len(twos), dtype=np.bool_)
    for pair in _PAIRS:
        mark |= twos == pair
    places: Integers = np.flatnonzero(mark)
    return places


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
