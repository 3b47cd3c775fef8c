"""Clean text in windows that may look a little behind and ahead of themselves.

A record is read by the window its first byte lies in, from at most `behind` bytes before to `ahead` bytes after
it. So no window depends on another, windows may be scanned in any order or process, and where they are cut does
not change what is found.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

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


def windows(text: Iterable[Piece], ahead: int = AHEAD, behind: int = BEHIND) -> Iterator[Window]:
    """Lay windows over the text; each is cut at a separator."""
    held = tail = b""
    offset, line, cut = 0, 1, 0
    for piece in text:
        held += piece.data
        cut += piece.cut
        size = _size(held, len(held) - ahead)
        if size <= 0:
            continue
        window = _window(tail, held, size, offset, line)
        yield replace(window, cut=cut, ahead=ahead, behind=behind)
        line += len(window.newlines)
        tail = (tail + held[:size])[-behind:] if behind else b""
        held, cut, offset = held[size:], 0, offset + size
    if held or cut:
        yield replace(_window(tail, held, len(held), offset, line), cut=cut, ahead=ahead, behind=behind)


def _window(tail: bytes, held: bytes, size: int, offset: int, line: int) -> Window:
    data, begin = tail + held, len(tail)
    text = np.frombuffer(data, dtype=np.uint8, count=size, offset=begin)
    return Window(data, begin, begin + size, offset - begin, line, np.flatnonzero(text == ord("\n")) + begin)


def _size(held: bytes, most: int) -> int:
    """Return the largest size up to `most` that ends behind an LF or before a CR, 0 when there is none."""
    if most <= 0:
        return 0
    return max(held.rfind(b"\n", 0, most) + 1, held.rfind(b"\r", 0, most))
