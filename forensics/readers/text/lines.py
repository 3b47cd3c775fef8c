"""Which lines of a window are looked at: those with a word that a metric or a counter is made of, and a digit.

Where those tell nothing every line with a digit is looked at, in ten times the time.

Two neighbouring bytes of every word are sought (`forensics.formats.text.places`), and the whole of a word is compared
only there.
"""

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.formats.text import Window
from forensics.formats.text.places import Pairs, table_of, words_at
from forensics.model import Integers

WORD = 8
_PAIRED = {
    b"loss": b"os", b"cost": b"os", b"ppl": b"pl", b"perplex": b"pl", b"xent": b"xe", b"nll": b"nl", b"norm": b"rm",
    b"entropy": b"op", b"epoch": b"oc", b"step": b"te", b"iter": b"te", b"update": b"te", b"batch": b"tc",
    b"acc": b"cc", b"dice": b"ic", b"iou": b"io",
    b"rew": b"ew", b"return": b"tu", b"approx": b"ox", b"clip": b"ip",
}  # fmt: skip
"""Words, and two neighbouring bytes in each that are sought: as few pairs as will do, none that is frequent."""
WORDS = (*_PAIRED, *(word.encode() for word in ("损失", "步", "轮", "迭代")))
"""In small letters: case does not count."""
_FOLDED = {bytes(byte | 0x20 for byte in word): _PAIRED.get(word) for word in WORDS}
_AROUND = 4
"""A word begins at most so far before its pair and ends less far behind it: one word of eight bytes holds it."""


_LOWER = np.uint64(0x2020202020202020)
_AT_ONCE = 1 << 14
"""Places that are looked at together: what they need stays in the processor's cache."""
MARGIN = WORD
"""How far behind a text pairs are sought for the words that begin in it."""


def _spellings(pair: bytes) -> list[bytes]:
    """Return a pair of bytes in capitals and small letters."""
    return [bytes((one, other)) for one in {pair[0], pair[0] ^ 0x20} for other in {pair[1], pair[1] ^ 0x20}]


def _sought(folded: bytes, pair: bytes | None) -> tuple[bytes, int, int, int]:
    """Return the pair of a word, how far it begins before it, and as eight bytes around it where it stands and what."""
    before = folded.index(pair) if pair else max(len(folded) - 4, 1)
    lead = 8 * (_AROUND - before)
    cut = (1 << 8 * len(folded)) - 1
    return folded[before : before + 2], before, cut << lead, int.from_bytes(folded, "little") << lead


_SOUGHT = [_sought(folded, pair) for folded, pair in _FOLDED.items()]
PAIRS = table_of(spelled for pair, *_ in _SOUGHT for spelled in _spellings(pair))
"""The pairs of bytes that words are found by."""
_BEFORE = np.array([each[1] for each in _SOUGHT] + [0])
_CUT, _WANTED = np.array([each[2:] for each in _SOUGHT] + [(0, 1)], dtype=np.uint64).T.copy()
"""One more than there are words: what no eight bytes are."""


def _of_pairs() -> list[NDArray[np.uint8]]:
    """Return which word a pair may belong to, and which others, one table for each."""
    tables: list[NDArray[np.uint8]] = []
    for index, (pair, *_) in enumerate(_SOUGHT):
        spelled = [int.from_bytes(each, "little") for each in _spellings(pair)]
        table = next((each for each in tables if each[spelled[0]] == len(_SOUGHT)), None)
        if table is None:
            table = np.full(1 << 16, len(_SOUGHT), dtype=np.uint8)
            tables.append(table)
        table[spelled] = index
    return tables


_OF_PAIRS = _of_pairs()
MOST_BYTES = 1 << 15
_RECORDS = expression(rb"""\}, ?\{['"]""")
_RECORD = expression(rb"\{[^{}]*\}")
_BARS = expression(rb"(?<=\])(?=[A-Za-z][\w ]{0,40}:? {1,4}\d{1,3}%\|)|(?<=\])(?= *\d{1,3}%\|)")

_DRAWN = expression(rb"\d%\|[^|\r\n]{0,400}\| {0,20}\d{1,12}/\d{1,12} \[[^\[\]\r\n]{0,200}\]")
"""A bar to its end."""
_OF_ITS_OWN = expression(
    rb"[\s\[(]{0,4}(?:\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d"
    rb"|(?i:epoch|step|iter(?:ation)?|episode|round)s?[ :=#\[(]{1,4}\d"
    rb"|(?i:rank)[ :=]{0,2}\d|(?:DEBUG|INFO|WARNING|ERROR)(?![A-Za-z]))"
)
"""How a line begins that has a date, a counter, a rank or a level of its own."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of a window: `starts` and `ends` (int64, shape (n,)) are places in `window.data`, ascending."""

    starts: Integers
    ends: Integers

    def without(self, rows: Integers) -> "Lines":
        """Return the others."""
        left = np.ones(len(self.starts), dtype=np.bool_)
        left[rows] = False
        return Lines(self.starts[left], self.ends[left])


def all_of(window: Window) -> Lines:
    """Return all lines, those around the window too."""
    return Lines(np.append(0, window.separators + 1), np.append(window.separators, len(window.data)))


def relevant(window: Window, pairs: Pairs, *, rare: bool = False, taken: NDArray[np.bool_] | None = None) -> Lines:
    """Return the lines that begin in the window and hold one of `WORDS`, or of the rare words too, and lists.

    Lines that are `taken`, of `all_of` the lines, are left out. `pairs` are those of the window and `MARGIN` bytes
    behind it, at least all of `PAIRS`.
    """
    data = window.data
    places = marked(data, pairs.of(PAIRS))
    places = places[(places >= window.begin) & (places < window.end)]
    if rare:
        digits = np.frombuffer(data, dtype=np.uint8)[window.begin : window.end] - np.uint8(ord("0")) < 10
        places = np.flatnonzero(digits) + window.begin
    holds = np.zeros(len(window.separators) + 1, dtype=np.bool_)
    holds[np.searchsorted(window.separators, places)] = True
    lines = all_of(window)
    holds |= _are_lists(data, lines.starts, lines.ends)
    if taken is not None:
        holds &= ~taken
    which = np.flatnonzero(holds)
    starts, ends = lines.starts[which], lines.ends[which]
    mine = starts >= window.begin
    return Lines(starts[mine], ends[mine])


def _are_lists(data: bytes, starts: Integers, ends: Integers) -> NDArray[np.bool_]:
    """Tell which lines are lists that begin with a digit and end with a text: rows that fastai prints have no word."""
    text = np.frombuffer(data, dtype=np.uint8)
    if not len(text):
        return np.zeros(len(starts), dtype=np.bool_)
    found: NDArray[np.bool_] = text.take(starts, mode="clip") == ord("[")
    rows = np.flatnonzero(found)
    first, last = (text.take(at, mode="clip") for at in (starts[rows] + 1, ends[rows] - 1))
    found[rows] = (first >= ord("0")) & (first <= ord("9")) & (last == ord("]"))
    found[rows] &= text.take(ends[rows] - 2, mode="clip") == ord("'")
    return found


def marked(data: bytes, pairs: Pairs) -> Integers:
    """Return where words begin that hold one of some pairs of `PAIRS`."""
    found = [np.zeros(0, dtype=np.int64)]
    for first in range(0, len(pairs.places), _AT_ONCE):
        places, values = pairs.places[first : first + _AT_ONCE], pairs.values[first : first + _AT_ONCE]
        around = words_at(data, places - _AROUND) | _LOWER
        for table in _OF_PAIRS:
            word = table.take(values)
            stands = np.flatnonzero(around & _CUT.take(word) == _WANTED.take(word))
            found.append(places[stands] - _BEFORE[word[stands]])
    return np.concatenate(found)


def fragments(line: bytes) -> list[tuple[int, bytes]]:
    """Part a line that holds many records, many drawings of a bar, or a line that was printed behind one.

    Places count from its beginning.

    >>> fragments(b"A: 1%|#| 1/9 [, loss=2]A:   2%|#| 2/9 [, loss=1]")
    [(0, b'A: 1%|#| 1/9 [, loss=2]'), (23, b'A:   2%|#| 2/9 [, loss=1]')]
    """
    if _RECORDS.search(line):
        return [(found.start(), found[0]) for found in _RECORD.finditer(line)]
    if line.count(b"%|") > 1:
        cuts = [0, *(found.start() for found in _BARS.finditer(line)), len(line)]
        return [
            (first + behind, part[:MOST_BYTES])
            for first, last in zip(cuts, cuts[1:])  # noqa: RUF007, B905
            if last > first
            for behind, part in _behind_a_bar(line[first:last])
        ]
    if b"%|" in line:
        return [(first, part[:MOST_BYTES]) for first, part in _behind_a_bar(line)]
    return [(0, line[:MOST_BYTES])]


def _behind_a_bar(line: bytes) -> list[tuple[int, bytes]]:
    """Part a drawing from the line behind it: another stream was not told of the end of the bar's line.

    >>> _behind_a_bar(b"Train: 100%|#| 9/9 [00:12<00:00, 1.5it/s]Epoch 1: loss 2.5")
    [(0, b'Train: 100%|#| 9/9 [00:12<00:00, 1.5it/s]'), (41, b'Epoch 1: loss 2.5')]
    """
    drawn = _DRAWN.search(line)
    if drawn is None or not _OF_ITS_OWN.match(line, drawn.end()):
        return [(0, line)]
    return [(0, line[: drawn.end()]), (drawn.end(), line[drawn.end() :])]
