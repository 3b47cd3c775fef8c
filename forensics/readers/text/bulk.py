"""Lines read many at once, by what was learnt of those that came before: by layouts first, then by templates.

A layout takes the lines of one outline and costs a few operations for each number; a template takes those of one shape,
however long their numbers are, and costs several times as much. A layout is made, and used at once, where many lines of
one length are left whose commonest outline is known to tell nothing or is of a known shape; and where an outline came
often whose shape has no template.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field

import numpy as np

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.formats.text import Window, clock_columns
from forensics.model import Floats, Integers
from forensics.model.order import alike, distinct
from forensics.readers.text.bars import Taken
from forensics.readers.text.columns import MARGIN, Buffer
from forensics.readers.text.digits import Bytes
from forensics.readers.text.layouts import Layout, layout_of, matrix
from forensics.readers.text.lines import Lines, fragments
from forensics.readers.text.names import Shape
from forensics.readers.text.ranks import rank_of_line
from forensics.readers.text.shapes import Mask, narrowed, outline
from forensics.readers.text.tables import Entries, lines_of
from forensics.readers.text.templates import Template, compiled

OFTEN = 8
"""Lines of a shape from which on it is worth a template, of an outline from which on it is worth a layout."""
MOST_LESSONS = 4096
MANY = 128
"""Lines of one length in a window from which on their commonest outline is worth a layout."""
FEWEST = 32
"""A layout that takes fewer of as many lines of its length is given up."""
LEAST = 16
"""Lines of one length from which on layouts are asked."""
MOST_WASTED = 32
"""Layouts of a shape that cost more than they saved, from which on no more are made: its numbers are too various."""
MOST_OF_A_LENGTH = 16
ASKED, SHARE = 32, 8
"""Lines of one length whose outlines are compared, and the part of them that one outline must have."""
MOST_OUTLINES = 1 << 16
LONGEST = 1 << 11
"""Bytes of a line that has a layout."""
_OTHER_DIGITS = bytes.maketrans(b"0123456789", b"1234567890")
_RANK_PLACE = expression(rb"(?s)\s*[\x00\x01]: |.{0,24}\[R(?:ank |ANK:)\x00\]")


NOWHERE = np.zeros(0, dtype=np.int64)
Told = tuple[Entries, Integers]
"""Lines of a shape, still without bars, and where each ends, a dictionary with its brace."""


Anchored = Callable[[bytes], "tuple[tuple[bytes, int], ...] | None"]
"""Tells which phrases stand in a line and where, whatever digits stand elsewhere in it; None where that is not sure."""

Meaning = Callable[[bytes], "tuple[Shape | None, Mask] | None"]
"""Tells the shape of a line and its mask, no shape where such lines tell nothing; None where neither is known yet."""


@dataclass(slots=True)
class Known:
    """What lines tell that layouts took, and where phrases stand in them."""

    told: list[Told]
    phrases: dict[bytes, list[Integers]]


@dataclass(slots=True)
class Bulk:
    """What is known of lines that come again: `templates` in the order of their use, `layouts` by the line's length."""

    anchored: Anchored
    meaning: Meaning
    templates: list[Template] = field(default_factory=list)
    layouts: dict[int, list[Layout]] = field(default_factory=lambda: defaultdict(list))
    taken: Taken = field(default_factory=lambda: Taken(Lines(NOWHERE, NOWHERE), NOWHERE, []))
    """Which layouts took which of all lines of the window that is being read."""
    made: int = 0
    """Layouts that were ever made; each knows how many there were before it."""
    _of_shape: dict[Shape, Template | None] = field(default_factory=dict)
    _met: Counter[Shape] = field(default_factory=Counter)
    _came: Counter[bytes] = field(default_factory=Counter)
    _wasted: Counter[bytes] = field(default_factory=Counter)
    _refused: set[bytes] = field(default_factory=set)
    """Outlines of which no layout can be made."""

    def knows(self, shape: Shape) -> bool:
        """Tell whether a shape has come often."""
        return shape in self._of_shape

    def meet(self, shape: Shape | None, line: bytes, mask: Mask, text: bytes) -> None:
        """Learn from a line that was read by itself."""
        if shape is not None:
            self._met[shape] += 1
            if self._met[shape] < OFTEN:
                return
            if shape not in self._of_shape:
                rank = _rank_of_all(shape, line)
                self._of_shape[shape] = template = compiled(shape, line, rank) if rank is not None else None
                if template is not None:
                    self.templates.append(template)
            elif (template := self._of_shape[shape]) is not None:
                if self._met[shape] < MOST_LESSONS:
                    template.learn(line)
                return
        self._came[text] += 1
        if self._came[text] % OFTEN == 0:
            self._lay_out(shape, line, mask)
        if len(self._came) > MOST_OUTLINES:
            self._came.clear()

    def known(self, window: Window, lines: Lines) -> Known:
        """Read those of all lines of a window that layouts know, before anything is sought in their text."""
        self.taken = Taken(lines, np.full(len(lines.starts), -1), [])
        return self._by_layouts(window, np.arange(len(lines.starts)), 0)

    def read(self, window: Window, buffer: Buffer, lines: Lines, since: tuple[int, int]) -> tuple[Lines, list[Told]]:
        """Read lines of the same window; return those that are left, and what the others tell.

        `since` are how many templates and layouts are not to be asked, because they have been.
        """
        which = np.searchsorted(self.taken.lines.starts, lines.starts)
        told = self._by_layouts(window, which, since[1]).told
        lines = lines.without(np.flatnonzero(self.taken.by[which] >= 0))
        for template in self.templates[since[0] :]:
            if not len(lines.starts):
                break
            read = template.read(buffer, lines.starts, lines.ends)
            if not len(read.rows):
                continue
            template.hits += len(read.rows)
            mine = Lines(lines.starts[read.rows], lines.ends[read.rows])
            times = _times_at(buffer, read.stamps, read.stamp_bytes)
            entries = _entries(window, template.shape, mine.starts, template.rank, read.numbers, times)
            told.append((entries, mine.ends - template.tail))
            lines = lines.without(read.rows)
        return lines, told

    def _by_layouts(self, window: Window, which: Integers, since: int) -> Known:
        """Read those of some lines of the window, told by their indices, that layouts know or come to know."""
        found = Known([], defaultdict(list))
        starts, ends = self.taken.lines.starts[which], self.taken.lines.ends[which]
        sizes = ends - starts
        sizes[(starts < max(MARGIN, window.begin)) | (ends > window.end) | (sizes > LONGEST)] = 0
        order = np.argsort(sizes.astype(np.uint16), kind="stable")
        counts = np.bincount(sizes, minlength=1)
        behind = np.cumsum(counts)
        counts[0] = 0
        for size in np.flatnonzero(counts >= LEAST).tolist():
            layouts = [layout for layout in self.layouts.get(size, ()) if layout.number >= since]
            rows = which[order[behind[size] - counts[size] : behind[size]]]
            self._of_a_size(window, size, rows, layouts, found)
        return found

    def _of_a_size(self, window: Window, size: int, rows: Integers, layouts: Sequence[Layout], found: Known) -> None:
        """Read lines of one size by the layouts given, then by those that are made for them."""
        asked, known, all_starts = len(rows), iter(layouts), self.taken.lines.starts
        texts: Bytes | None = None
        while layout := next(known, None) or self._made_for(window.data, all_starts[rows], size):
            texts = matrix(window.data, all_starts[rows], size) if texts is None else texts
            fit = layout.fits(texts)
            mine = rows[fit]
            layout.hits += len(mine)
            if len(mine) < FEWEST <= asked:
                self._give_up(layout)
            if not len(mine):
                continue
            starts = all_starts[mine]
            self.taken.by[mine] = len(self.taken.layouts)
            self.taken.layouts.append(layout)
            for phrase, column in layout.phrases:
                found.phrases[phrase].append(starts + column)
            if layout.shape is not None:
                texts_of = texts if len(mine) == len(rows) else texts.compress(fit, axis=0)
                entries = _entries(
                    window, layout.shape, starts, layout.rank, layout.numbers(texts_of), layout.times(texts_of)
                )
                found.told.append((entries, starts + layout.closing))
            if len(mine) == len(rows):
                break
            rows, texts = rows[~fit], texts.compress(~fit, axis=0)

    def _made_for(self, data: bytes, starts: Integers, size: int) -> Layout | None:
        """Make a layout of the commonest outline of some lines of a size; some of them are asked."""
        if len(starts) < MANY:
            return None
        asked = [data[start : start + size] for start in starts[:: max(len(starts) // ASKED, 1)].tolist()]
        outlines = [outline(line) for line in asked]
        for text, count in Counter(outlines).most_common():
            if count * SHARE < len(asked):
                break
            line = asked[outlines.index(text)]
            meant = None if text in self._refused else self.meaning(line)
            layout = self._lay_out(*meant[:1], line, *meant[1:]) if meant else None
            if layout is not None:
                return layout
            if meant:
                self._refused.add(text)
        return None

    def _lay_out(self, shape: Shape | None, line: bytes, mask: Mask) -> Layout | None:
        rank = -1 if shape is None else _rank_of_all(shape, line)
        plain = len(line) <= LONGEST and narrowed(line) == line and fragments(line) == [(0, line)]
        if rank is None or not plain or self._wasted[_key(shape)] > MOST_WASTED:
            return None
        phrases = self.anchored(line)
        if phrases is None:
            return None
        layout = layout_of(shape, line, mask, rank, phrases)
        layout.number = self.made
        self.made += 1
        known = self.layouts[len(line)]
        known.insert(0, layout)
        for old in known[MOST_OF_A_LENGTH:]:
            self._give_up(old)
        return layout

    def _give_up(self, layout: Layout) -> None:
        """Forget a layout; those of a shape with a template must have saved more than others."""
        self.layouts[len(layout.text)].remove(layout)
        template = layout.shape is not None and self._of_shape.get(layout.shape)
        self._wasted[_key(layout.shape)] += layout.hits < (2 * MANY if template else FEWEST)


def _key(shape: Shape | None) -> bytes:
    return b"" if shape is None else shape.key


def _rank_of_all(shape: Shape, line: bytes) -> int | None:
    """Return the process of all lines of a shape, None where each may name another."""
    rank = rank_of_line(line, quoted=shape.quoted)
    same = rank == rank_of_line(line.translate(_OTHER_DIGITS), quoted=shape.quoted)
    # Elsewhere digits belong to a word, which is the same in all lines.
    return rank if same or not _RANK_PLACE.match(shape.key) else None


@np.errstate(over="ignore", invalid="ignore")
def _entries(  # noqa: PLR0913, PLR0917  (the columns of a table)
    window: Window,
    shape: Shape,
    starts: Integers,
    rank: int,
    read: Sequence[Floats] | Mapping[int, Floats],
    times: Floats,
) -> Entries:
    """Return the table of some lines of a shape; `read` are the numbers of the shape, those of its fields at least."""
    numbers = np.empty((len(starts), len(shape.fields)), order="F")
    totals = np.full_like(numbers, np.nan) if any(each.total >= 0 for each in shape.fields) else None
    for index, each in enumerate(shape.fields):
        numbers[:, index] = read[each.number]
        if each.factor != 1:
            numbers[:, index] *= each.factor
        if each.scale >= 0:
            numbers[:, index] *= read[each.scale]
        if totals is not None and each.total >= 0:
            totals[:, index] = read[each.total]
    return Entries(
        shape=shape,
        at=starts + window.offset,
        records=lines_of(window, starts),
        ranks=np.broadcast_to(np.int64(rank), len(starts)),
        times=alike(times),
        numbers=numbers,
        totals=np.broadcast_to(np.float64("nan"), numbers.shape) if totals is None else totals,
        bars=np.zeros((len(starts), 0), dtype=np.int64),
    )


def _times_at(buffer: Buffer, at: Integers, size: Integers) -> Floats:
    """Return the times that stand at some places of the text, NaN where the place is unknown."""
    times = np.full(len(at), np.nan)
    for length in distinct(size[at >= 0]).tolist():
        rows = np.flatnonzero((at >= 0) & (size == length))
        times[rows] = clock_columns(buffer.bytes[at[rows][:, None] + np.arange(length)])
    return times
