"""What was noted of one window, by kind, until it is put in order as tables."""

import zlib
from collections.abc import Iterator
from dataclasses import field

import numpy as np

from forensics.deferred.records import dataclass
from forensics.formats.text import Window, fragment_start, line_rank, redact
from forensics.model import UNKNOWN_STEP, Integers
from forensics.names import Kind
from forensics.readers._events.rows import MAX_TEXTS, NO_RANK, EventRows
from forensics.signatures import BY_NAME

TEXT_BYTES = 800
NOWHERE = np.zeros(0, dtype=np.int64)
Hit = tuple[int, float, int, int, bytes]
"""Where in the window (bytes), the value, the step, the rank, and the words as they are quoted."""


@dataclass(slots=True)
class Noted:
    """The events of one window as they are found."""

    window: Window
    columns: dict[str, list[Hit]] = field(default_factory=dict)
    quoted: list[tuple[int, int]] = field(default_factory=list)
    unexpected: Integers = field(default_factory=lambda: NOWHERE)
    """Where the lines begin that hold a word of `complaints.UNEXPECTED`."""

    def note(  # noqa: PLR0913, PLR0917  (the columns of one occurrence)
        self,
        kind: str,
        position: int,
        text: bytes,
        value: float = np.nan,
        step: int = UNKNOWN_STEP,
        rank: int = NO_RANK,
        lead: bytes | None = None,
    ) -> None:
        """Note an occurrence; `lead` is what stands before it in its line, where that is at hand."""
        if rank == NO_RANK and lead is None:
            lead = self.window.data[fragment_start(self.window.data, position, self.window.floor(position)) : position]
        rank = line_rank(lead or b"") if rank == NO_RANK else rank
        self.columns.setdefault(kind, []).append((position, value, step, rank, text))

    def lines(self, kind: str) -> Iterator[int]:
        """Yield where the lines begin in which a kind was found."""
        for position, *_ in self.columns.get(kind, ()):
            yield fragment_start(self.window.data, position, self.window.floor(position))

    def tables(self) -> Iterator[EventRows]:
        """Yield one table for each kind, at most one event of a kind for each line."""
        for kind, hits in self.columns.items():
            rows = _rows(kind, hits, self)
            if rows is not None:
                yield rows


def _rows(kind: str, found: list[Hit], noted: Noted) -> EventRows | None:
    """Order the occurrences; two phrases of one kind on one line are one occurrence, and quotes are none."""
    window = noted.window
    hits = []
    ended = -1
    found = sorted(found)
    ends = window.fragments(np.array([hit[0] for hit in found], dtype=np.int64))[1]
    for hit, end in zip(found, ends.tolist(), strict=True):
        position = hit[0]
        if position < ended or any(begin <= position <= last for begin, last in noted.quoted):
            continue
        hits.append(hit)
        ended = end
    if not hits:
        return None
    positions = np.asarray([hit[0] for hit in hits], dtype=np.int64)
    quoted = kind in BY_NAME or kind in {Kind.SIGNAL, Kind.KILLED, Kind.TRACEBACK, Kind.COMPLAINT, Kind.STACK}
    quoted = quoted or kind in {Kind.FRAMEWORK_WARNING, Kind.COLUMN_FILLED}
    kept = hits[: MAX_TEXTS if quoted else 1]
    texts = tuple(redact(hit[4][:TEXT_BYTES].decode("utf-8", "replace")) for hit in kept)
    return EventRows(
        kind=kind,
        at=positions + window.offset,
        records=_records(window, positions),
        steps=np.asarray([hit[2] for hit in hits], dtype=np.int64),
        values=np.array([hit[1] for hit in hits], dtype=np.float64),
        ranks=np.asarray([hit[3] for hit in hits], dtype=np.int64),
        signatures=np.asarray([zlib.crc32(hit[4]) for hit in hits], dtype=np.int64),
        text=texts[0],
        texts=(texts + ("",) * (len(hits) - len(texts))) if quoted else (),
    )


def _records(
    window: Window, positions: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return line numbers; what the end of a text tells may stand before the window itself."""
    lines = window.lines(positions)
    for index in np.flatnonzero(positions < window.begin).tolist():
        lines[index] = window.line - window.data.count(b"\n", int(positions[index]), window.begin)
    return lines
