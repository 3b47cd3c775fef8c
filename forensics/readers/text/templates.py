"""Shapes that come often, compiled: a chain of literals, numbers and junk that reads many lines at once.

A template is made of one line and its shape, from the beginning of the line to its end. What passes it has the same
shape and the same numbers as the general parser gives; what does not is left to the parser. So templates cost no
correctness: they know neither drawings nor junk that they have not met.
"""

from dataclasses import field

import numpy as np

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.model import Floats, Integers
from forensics.readers.text.columns import MARGIN, Buffer, blanks, literal, numbers, outlined
from forensics.readers.text.names import Shape
from forensics.readers.text.shapes import (
    DRAWING,
    JUNK,
    NUMBER,
    SIGNS,
    STAMP,
    STAMP_BYTES,
    UNSAID,
    narrowed,
    outline,
    parted,
)

MOST_OUTLINES = 12
"""Outlines of one piece of junk that are tried one after the other."""
MOST_PIECES = 600
_AMBIGUOUS = expression(rb"[\x00\x01][-:.,]?[\x00\x01]|\x00/\x00 ?/|/ ?[\x00\x01]/|\x01/|/\x01")
"""Numbers so close to each other that more digits make a time, a date or a version of them."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A text, a run of blanks, a number or junk, told apart by its mark."""

    mark: bytes
    text: bytes = b""
    spelled: bool = False
    """Of a number: whether `nan` may stand for it here."""


@dataclass(frozen=True, slots=True)
class Read:
    """Lines that a template took: which of them, a column for each number of the shape, where their dates stand."""

    rows: Integers
    numbers: list[Floats]
    stamps: Integers
    stamp_bytes: Integers


@dataclass(slots=True)
class Template:
    """A compiled shape. `junk` holds the known outlines of each piece of junk, `rank` the process of all its lines."""

    shape: Shape
    pieces: list[_Piece]
    junk: list[list[bytes]]
    rank: int
    tail: int
    hits: int = field(default=0)

    def learn(self, line: bytes) -> None:
        """Take the junk of a line of this shape for known."""
        found = [(start, outline(line[start:end])) for mark, start, end in parted(line) if mark == JUNK]
        for known, (start, text) in zip(self.junk, found, strict=True):
            late = start > STAMP_BYTES // 2 and STAMP.search(text)
            if not late and text not in known and len(known) < MOST_OUTLINES:
                known.append(text)
                known.sort(key=len, reverse=True)

    def read(self, buffer: Buffer, starts: Integers, ends: Integers) -> Read:
        """Read those of some lines that fit."""
        rows = np.flatnonzero((starts >= MARGIN) & (ends + MARGIN <= len(buffer.bytes)))
        at = starts[rows]
        columns: list[Floats] = []
        stamps, stamp_bytes = np.full(len(rows), -1, dtype=np.int64), np.zeros(len(rows), dtype=np.int64)
        junk = iter(self.junk)
        for piece in self.pieces:
            if piece.mark == NUMBER:
                values, after, good = numbers(buffer, at, wanted=True)
                if not piece.spelled:
                    good &= ~np.isnan(values)
                columns.append(values)
            elif piece.mark == JUNK:
                after, good = self._junk(buffer, at, next(junk), stamps, stamp_bytes)
            elif piece.mark:
                after = blanks(buffer, at)
                good = after > at
            else:
                after, good = at + len(piece.text), literal(buffer, at, piece.text)
            if good.all():
                at = after
                continue
            rows, at = rows[good], after[good]
            stamps, stamp_bytes = stamps[good], stamp_bytes[good]
            columns = [column[good] for column in columns]
            if not len(rows):
                return Read(rows, [np.zeros(0)] * sum(each.mark == NUMBER for each in self.pieces), stamps, stamp_bytes)
        whole = at == ends[rows]
        if not whole.all():
            rows, stamps, stamp_bytes = rows[whole], stamps[whole], stamp_bytes[whole]
            columns = [column[whole] for column in columns]
        return Read(rows, columns, stamps, stamp_bytes)

    @staticmethod
    def _junk(
        buffer: Buffer, at: Integers, known: list[bytes], stamps: Integers, stamp_bytes: Integers
    ) -> tuple[Integers, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
        """Pass over junk of known outlines, the longest first; note where the first date stands in it."""
        after, good = at.copy(), np.zeros(len(at), dtype=np.bool_)
        for text in known:
            left = np.flatnonzero(~good)
            if not len(left):
                break
            fit = left[outlined(buffer, at[left], text)]
            after[fit] += len(text)
            good[fit] = True
            stamp = STAMP.search(text)
            if stamp:
                first = fit[stamps[fit] < 0]
                stamps[first] = at[first] + stamp.start()
                stamp_bytes[first] = stamp.end() - stamp.start()
        return after, good


def compiled(shape: Shape, line: bytes, rank: int) -> Template | None:
    """Return the template of a shape, made of one of its lines; None for shapes that must be read one by one."""
    if _AMBIGUOUS.search(shape.key) or DRAWING in shape.key or shape.table or narrowed(line) != line:
        return None
    pieces: list[_Piece] = []
    dated = STAMP.search(line)
    if dated and not any(mark == JUNK and start <= dated.start() < end for mark, start, end in parted(line)):
        return None
    for mark, start, end in parted(line):
        text = line[start:end]
        last = pieces[-1] if pieces else None
        if not mark and last is not None and not last.mark:
            pieces[-1] = _Piece(b"", last.text + text)
        else:
            pieces.append(_Piece(mark, text))
    pieces = _joined(pieces)
    pieces = [
        _Piece(
            piece.mark, piece.text, piece.mark == NUMBER and _may_be_nan(pieces[:index], pieces[index + 1 : index + 3])
        )
        for index, piece in enumerate(pieces)
    ]
    if len(pieces) > MOST_PIECES or not any(piece.mark == NUMBER for piece in pieces):
        return None
    tail = len(line) - line.rfind(b"}") - 1 if shape.quoted else 0
    if tail and any(piece.mark in {NUMBER, JUNK} for piece in _behind_brace(pieces)):
        return None
    template = Template(shape, pieces, [[] for piece in pieces if piece.mark == JUNK], rank, tail)
    template.learn(line)
    return template


def _may_be_nan(before: list[_Piece], behind: list[_Piece]) -> bool:
    if before and before[-1].text.endswith(SIGNS):
        return True
    text = b"".join(piece.text for piece in behind)
    return UNSAID.match(b" " + text.lstrip() if text[:1].isspace() else text) is None


def _joined(pieces: list[_Piece]) -> list[_Piece]:
    """Join words that are parted by blanks into one text: only beside numbers and junk blanks come in any number."""
    joined: list[_Piece] = []
    for index, piece in enumerate(pieces):
        text = piece.mark == b"" or (
            piece.mark == b" "
            and 0 < index < len(pieces) - 1
            and pieces[index - 1].mark == b""
            and pieces[index + 1].mark == b""
        )
        if text and joined and not joined[-1].mark:
            joined[-1] = _Piece(b"", joined[-1].text + piece.text)
        else:
            joined.append(_Piece(b"" if text else piece.mark, piece.text))
    return joined


def _behind_brace(pieces: list[_Piece]) -> list[_Piece]:
    last = max(index for index, piece in enumerate(pieces) if b"}" in piece.text)
    return pieces[last + 1 :]
