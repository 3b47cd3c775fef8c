"""Clean text in windows that may look a little behind and ahead of themselves.

A record is read by the window its first byte lies in, from at most `behind` bytes before to `ahead` bytes after
it. So no window depends on another, windows may be scanned in any order or process, and where they are cut does
not change what is found.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import field

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.records import dataclass
from forensics.formats.text.cleaning import Piece
from forensics.formats.text.places import find_separators
from forensics.model import Integers

AHEAD = 1 << 17
BEHIND = 1 << 13


@dataclass(frozen=True, slots=True)
class Window:
    """Text `data[begin:end]` with its surroundings.

    `offset` is the place of `data[0]` in the clean text, `line` the number of the line (1-based, counting LF only,
    as an editor does) that `data[begin]` lies in. `cut` counts overlong fragments.

    `separators` (int64) are the positions of LF and CR in `data`, `newlines` those of LF in `data[begin:end]`; `known`
    are the former where somebody has looked for them.
    """

    data: bytes
    begin: int
    end: int
    offset: int
    line: int
    cut: int = 0
    ahead: int = AHEAD
    behind: int = BEHIND
    known: Integers | None = field(default=None, repr=False)
    separators: Integers = field(init=False, repr=False)
    newlines: Integers = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Look for the ends of all lines once."""
        text = np.frombuffer(self.data, dtype=np.uint8)
        separators = find_separators(self.data) if self.known is None else self.known
        mine = separators[slice(*np.searchsorted(separators, (self.begin, self.end)))]
        object.__setattr__(self, "separators", separators)
        object.__setattr__(self, "newlines", mine[text[mine] == ord("\n")])

    def byte(self, places: Integers) -> NDArray[np.uint8]:
        """Return the bytes at some places, 0 at the end of the text."""
        text = np.frombuffer(self.data, dtype=np.uint8)
        return np.where(places < len(text), text.take(places, mode="clip"), np.uint8(0))

    def fragments(self, places: Integers) -> tuple[Integers, Integers]:
        """Return where the fragments that hold some places begin and end, as far as the window may look."""
        which = np.searchsorted(self.separators, places)
        parts = np.concatenate([[-1], self.separators, [len(self.data)]])
        starts = np.maximum(parts[which] + 1, places - self.behind)
        ends = np.minimum(parts[which + 1], places + self.ahead)
        return starts, ends

    def lines(self, positions: Sequence[int] | Integers) -> Integers:
        """Return the line numbers of positions between `begin` and `end`."""
        found: Integers = self.line + np.searchsorted(self.newlines, np.asarray(positions, dtype=np.int64))
        return found

    def reach(self, position: int) -> int:
        """Return how far a record that starts at `position` may be read."""
        return min(len(self.data), position + self.ahead)

    def floor(self, position: int) -> int:
        """Return from where the surroundings of a record at `position` may be read."""
        return max(0, position - self.behind)


def windows(
    text: Iterable[Piece], ahead: int = AHEAD, behind: int = BEHIND, beyond: Callable[[], bytes] = bytes
) -> Iterator[Window]:
    """Lay windows over the text; each is cut at a separator. `beyond` returns what follows, to be looked at only."""
    data, separators = b"", np.zeros(0, dtype=np.int64)
    begin = offset = cut = 0
    line = 1
    for piece in text:
        # What lies further behind than a window may look is let go.
        gone = max(begin - behind, 0)
        kept = separators[np.searchsorted(separators, gone) :] - gone
        separators = np.concatenate([kept, piece.separators + (len(data) - gone)])
        data = data[gone:] + piece.data
        begin, offset, cut = begin - gone, offset + gone, cut + piece.cut
        end = _cut(data, begin, len(data) - ahead)
        if end > begin:
            window = Window(data, begin, end, offset, line, cut, ahead, behind, separators)
            yield window
            line, begin, cut = line + len(window.newlines), end, 0
    if begin < len(data) or cut:
        end, more = len(data), beyond()
        separators = np.concatenate([separators, find_separators(more) + end])
        yield Window(data + more, begin, end, offset, line, cut, ahead, behind, separators)


def _cut(data: bytes, begin: int, most: int) -> int:
    """Return the largest end up to `most` that lies behind an LF or before a CR, `begin` when there is none."""
    if most <= begin:
        return begin
    return max(data.rfind(b"\n", begin, most) + 1, data.rfind(b"\r", begin, most), begin)
