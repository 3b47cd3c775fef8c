"""Clean text in windows that may look a little behind and ahead of themselves.

A record is read by the window its first byte lies in, from at most `behind` bytes before to `ahead` bytes after
it. So no window depends on another, windows may be scanned in any order or process, and where they are cut does
not change what is found.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from forensics.formats.text.cleaning import Piece
from forensics.model import Integers

AHEAD = 1 << 17
BEHIND = 1 << 13


@dataclass(frozen=True, slots=True)
class Window:
    """Text `data[begin:end]` with its surroundings.

    `offset` is the place of `data[0]` in the clean text, `line` the number of the line (1-based, counting LF only,
    as an editor does) that `data[begin]` lies in, `newlines` (int64) the positions of LF in `data[begin:end]`.
    `cut` counts overlong fragments.
    """

    data: bytes
    begin: int
    end: int
    offset: int
    line: int
    newlines: Integers
    cut: int = 0
    ahead: int = AHEAD
    behind: int = BEHIND

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
    data = b""
    begin = offset = cut = 0
    line = 1
    for piece in text:
        # What lies further behind than a window may look is let go.
        gone = max(begin - behind, 0)
        data = data[gone:] + piece.data
        begin, offset, cut = begin - gone, offset + gone, cut + piece.cut
        end = _cut(data, begin, len(data) - ahead)
        if end > begin:
            window = Window(data, begin, end, offset, line, _newlines(data, begin, end), cut, ahead, behind)
            yield window
            line, begin, cut = line + len(window.newlines), end, 0
    if begin < len(data) or cut:
        end = len(data)
        yield Window(data + beyond(), begin, end, offset, line, _newlines(data, begin, end), cut, ahead, behind)


def _newlines(data: bytes, begin: int, end: int) -> Integers:
    text = np.frombuffer(data, dtype=np.uint8, count=end - begin, offset=begin)
    return np.flatnonzero(text == ord("\n")) + begin


def _cut(data: bytes, begin: int, most: int) -> int:
    """Return the largest end up to `most` that lies behind an LF or before a CR, `begin` when there is none."""
    if most <= begin:
        return begin
    return max(data.rfind(b"\n", begin, most) + 1, data.rfind(b"\r", begin, most), begin)
