"""Lines read many at once, by what was learnt of those that came before: by layouts first, then by templates.

A layout takes the lines of one outline and costs a few operations for each number; a template takes those of one shape,
however long their numbers are, and costs several times as much. A layout is made where a template took many lines of
one length, and where an outline came often whose shape has no template or tells nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, replace

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.formats.text import Window, clock_columns
from forensics.model import Floats, Integers
from forensics.model.order import distinct
from forensics.readers.text.bars import BARS_AFTER, bars_after
from forensics.readers.text.columns import MARGIN, Buffer
from forensics.readers.text.layouts import Layout, layout_of, matrix
from forensics.readers.text.lines import Lines, fragments
from forensics.readers.text.names import Shape
from forensics.readers.text.ranks import rank_of_line
from forensics.readers.text.shapes import Mask, masked, narrowed, outline
from forensics.readers.text.tables import Entries, lines_of
from forensics.readers.text.templates import Template, compiled

OFTEN = 8
"""Lines of a shape from which on it is worth a template, of an outline from which on it is worth a layout."""
MOST_LESSONS = 4096
MANY = 256
"""Lines of one length that a template took at once, from which on an outline of theirs is worth a layout."""
FEWEST = 64
"""A layout that takes fewer of as many lines of its length is given up."""
LEAST = 16
"""Lines of one length from which on layouts are asked."""
MOST_WASTED = 32
"""Layouts of a shape that cost more than they saved, from which on no more are made: its numbers are too various."""
MOST_OF_A_LENGTH = 16
MOST_LEARNT_AT_ONCE = 8
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


@dataclass(slots=True)
class Known:
    """Which of some lines layouts took, what they tell, still without bars, and where phrases stand in them."""

    taken: NDArray[np.bool_]
    told: list[Told]
    phrases: dict[bytes, list[Integers]]


@dataclass(slots=True)
class Bulk:
    """What is known of lines that come again: `templates` in the order of their use, `layouts` by the line's length."""

    anchored: Anchored
    templates: list[Template] = field(default_factory=list)
    layouts: dict[int, list[Layout]] = field(default_factory=lambda: defaultdict(list))
    made: int = 0
    """Layouts that were ever made; each knows how many there were before it."""
    _of_shape: dict[Shape, Template | None] = field(default_factory=dict)
    _met: Counter[Shape] = field(default_factory=Counter)
    _came: Counter[bytes] = field(default_factory=Counter)
    _wasted: Counter[bytes] = field(default_factory=Counter)

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
        """Read those of some lines, in order, that layouts know, before anything is sought in their text."""
        return self._by_layouts(window, lines, 0)

    def read(self, window: Window, buffer: Buffer, lines: Lines, since: tuple[int, int]) -> tuple[Lines, list[Entries]]:
        """Read lines; return those that are left, and what the others tell.

        `since` are how many templates and layouts are not to be asked, because they have been.
        """
        known = self._by_layouts(window, lines, since[1])
        lines, told = lines.without(np.flatnonzero(known.taken)), known.told
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
            self._learn_lengths(window, template, mine)
            lines = lines.without(read.rows)
        return lines, list(with_bars(window, told))

    def _by_layouts(self, window: Window, lines: Lines, since: int) -> Known:
        found = Known(np.zeros(len(lines.starts), dtype=np.bool_), [], defaultdict(list))
        sizes = lines.ends - lines.starts
        sizes[(lines.starts < max(MARGIN, window.begin)) | (lines.ends > window.end) | (sizes > LONGEST)] = 0
        for size in np.flatnonzero(np.bincount(sizes) >= LEAST).tolist() if since < self.made and len(sizes) else ():
            layouts = [layout for layout in self.layouts.get(size, ()) if layout.number >= since]
            if size and layouts:
                self._of_a_size(window, lines, np.flatnonzero(sizes == size), layouts, found)
        return found

    def _of_a_size(self, window: Window, lines: Lines, rows: Integers, layouts: Sequence[Layout], found: Known) -> None:
        asked, texts = len(rows), matrix(window.data, lines.starts[rows], len(layouts[0].text))
        for layout in layouts:
            fit = layout.fits(texts)
            mine, texts_of = (rows, texts) if fit.all() else (rows[fit], texts[fit])
            layout.hits += len(mine)
            if len(mine) < FEWEST <= asked:
                self._give_up(layout)
            if not len(mine):
                continue
            found.taken[mine] = True
            starts = lines.starts[mine]
            for phrase, column in layout.phrases:
                found.phrases[phrase].append(starts + column)
            if layout.shape is not None:
                numbers = {each: layout.number_of(texts_of, each) for each in layout.wanted}
                entries = _entries(window, layout.shape, starts, layout.rank, numbers, layout.times(texts_of))
                found.told.append((entries, starts + layout.closing))
            rows, texts = rows[~fit], texts[~fit]
            if not len(rows):
                break

    def learn_silent(self, window: Window, lines: Lines) -> None:
        """Make layouts of lines that tell nothing of metrics, of the commonest outline of each length."""
        sizes = np.minimum(lines.ends - lines.starts, LONGEST + 1)
        counts = np.bincount(sizes, minlength=1)[: LONGEST + 1]
        counts[0] = 0
        for size in np.argsort(-counts, kind="stable")[:MOST_LEARNT_AT_ONCE].tolist():
            if counts[size] < MANY:
                break
            line = _commonest(window.data, lines.starts[sizes == size], size)
            if line is not None:
                self._lay_out(None, line, Mask(b"", (), ()))

    def _learn_lengths(self, window: Window, template: Template, lines: Lines) -> None:
        """Make a layout of the commonest outline of each length that a template took many lines of."""
        sizes = lines.ends - lines.starts
        for size in np.flatnonzero(np.bincount(sizes) >= MANY).tolist():
            line = _commonest(window.data, lines.starts[sizes == size], size)
            mask = masked(line or b"")
            if line is not None and mask.shape == template.shape.key:
                self._lay_out(template.shape, line, mask)

    def _lay_out(self, shape: Shape | None, line: bytes, mask: Mask) -> None:
        rank = -1 if shape is None else _rank_of_all(shape, line)
        plain = len(line) <= LONGEST and narrowed(line) == line and fragments(line) == [(0, line)]
        if rank is None or not plain or self._wasted[_key(shape)] > MOST_WASTED:
            return
        phrases = self.anchored(line)
        if phrases is None:
            return
        layout = layout_of(shape, line, mask, rank, phrases)
        layout.number = self.made
        self.made += 1
        known = self.layouts[len(line)]
        known.insert(0, layout)
        for layout in known[MOST_OF_A_LENGTH:]:
            self._give_up(layout)

    def _give_up(self, layout: Layout) -> None:
        """Forget a layout; those of a shape with a template must have saved more than others."""
        self.layouts[len(layout.text)].remove(layout)
        template = layout.shape is not None and self._of_shape.get(layout.shape)
        self._wasted[_key(layout.shape)] += layout.hits < (2 * MANY if template else FEWEST)


def _commonest(data: bytes, starts: Integers, size: int) -> bytes | None:
    """Return a line of the commonest outline of some lines of a size, None where each has its own: some are asked."""
    asked = [data[start : start + size] for start in starts[:: max(len(starts) // ASKED, 1)].tolist()]
    outlines = [outline(line) for line in asked]
    best, count = Counter(outlines).most_common(1)[0]
    return asked[outlines.index(best)] if count * SHARE >= len(asked) else None


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
    totals = np.full_like(numbers, np.nan)
    for index, each in enumerate(shape.fields):
        numbers[:, index] = read[each.number]
        if each.factor != 1:
            numbers[:, index] *= each.factor
        if each.scale >= 0:
            numbers[:, index] *= read[each.scale]
        if each.total >= 0:
            totals[:, index] = read[each.total]
    return Entries(
        shape=shape,
        at=starts + window.offset,
        records=lines_of(window, starts),
        ranks=np.full(len(starts), rank, dtype=np.int64),
        times=times,
        numbers=numbers,
        totals=totals,
        bars=np.zeros((len(starts), 0), dtype=np.int64),
    )


def with_bars(window: Window, told: Sequence[Told]) -> Iterator[Entries]:
    """Yield tables, those of dictionaries with the bars behind them, which are looked for together."""
    closings = np.concatenate([NOWHERE, *(closings for entries, closings in told if entries.shape.quoted)])
    order = np.argsort(closings, kind="stable")
    bars = np.empty((len(closings), 2 * BARS_AFTER), dtype=np.int64)
    bars[order] = bars_after(window, closings[order])
    done = 0
    for entries, _ in told:
        if entries.shape.quoted:
            done += len(entries)
            yield replace(entries, bars=bars[done - len(entries) : done])
        else:
            yield entries


def _times_at(buffer: Buffer, at: Integers, size: Integers) -> Floats:
    """Return the times that stand at some places of the text, NaN where the place is unknown."""
    times = np.full(len(at), np.nan)
    for length in distinct(size[at >= 0]).tolist():
        rows = np.flatnonzero((at >= 0) & (size == length))
        times[rows] = clock_columns(buffer.bytes[at[rows][:, None] + np.arange(length)])
    return times
