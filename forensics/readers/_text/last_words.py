"""An exception as the very last line of a log, without the traceback that belongs to it.

Launchers and job systems keep the last line of what a process wrote to its standard error, and a `tail` or a filter
loses the lines that begin with `Traceback`.
"""

import re
import zlib
from collections.abc import Iterator, Sequence

import numpy as np

from forensics.formats.text import Window, fragment_end, fragment_start, line_rank, redact
from forensics.model import UNKNOWN_STEP
from forensics.names import Kind
from forensics.readers._text.collected import DictRows, EventRows, Found, Rows, as_integers
from forensics.readers._text.events import OF_A_LAUNCHER, TEXT_BYTES

_EXCEPTION = re.compile(
    rb"(?:\[(?:default|rank)\d{1,6}\]:\s?)?((?:[a-z_]\w{0,60}\.){0,6}[A-Z]\w{0,80}(?:Error|Exception): \S.*)"
)


def last_words(window: Window) -> Iterator[EventRows]:
    """Yield the exception on the last line of the window that ends the text, when that line is nothing else."""
    data = window.data
    if window.end != len(data):
        return
    position = len(data.rstrip()) - 1
    if position < window.begin:
        return
    start = fragment_start(data, position, window.floor(position))
    found = _EXCEPTION.fullmatch(data[start : fragment_end(data, position, len(data))].rstrip())
    if found is None or OF_A_LAUNCHER.match(found[1]):
        return
    yield EventRows(
        kind=Kind.TRACEBACK,
        at=as_integers([position]),
        records=window.lines([position]),
        steps=as_integers([UNKNOWN_STEP]),
        values=np.array([np.nan]),
        ranks=as_integers([line_rank(found[0][: found.start(1)])]),
        signatures=as_integers([zlib.crc32(found[1])]),
        text=redact(found[1][:TEXT_BYTES].decode("utf-8", "replace")),
    )


def as_events(found: Found, dicts: Sequence[DictRows], rows: Sequence[Rows]) -> list[EventRows]:
    """Return the last words as events where the log has metrics and nothing else tells of its end.

    A traceback tells more of the same; what comes after the end of training is of no consequence to it.
    """
    told = {table.kind for table in found.events}
    finished = any("train_runtime" in table.rows.names for table in dicts)
    if finished or told & {Kind.TRACEBACK, Kind.TRAINING_FINISHED} or not (rows or dicts):
        return []
    return found.last_words
