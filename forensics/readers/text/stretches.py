"""A log scanned stretch by stretch, a large one by several processes.

Every process reads its stretches from the file itself and returns columns. Handing the text over instead costs
more than it saves: then one process reads, cleans and pickles what the others wait for.
"""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import numpy as np

from forensics.deferred.records import dataclass
from forensics.errors import ChangedError, TruncatedError, UnreadableError
from forensics.formats.text import BEHIND, pieces, windows
from forensics.readers.text.below import Table
from forensics.readers.text.found import Found
from forensics.readers.text.scan import parser_of, scan_window
from forensics.storage.file import File
from forensics.storage.locations import Held, Packed, Place

Stretch = tuple[int, int]
KEPT_BYTES = (1 << 25) - (1 << 16)
"""The largest block by which the memory allocator of glibc learns (`DEFAULT_MMAP_THRESHOLD_MAX` of malloc(3))."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Which file is read and how: sizes in bytes, `ahead` as in `formats.text.windows`, `rare` as in `Parser`."""

    path: Place | Held | Packed
    line_bytes: int
    chunk_bytes: int
    ahead: int
    rare: bool = False


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a stretch told, counted from its own beginning; how many LFs it has; why its end was not read."""

    found: Found
    newlines: int
    changed: str
    table: Table | None = None
    """The table that goes on behind the stretch."""


def scan_stretches(reading: Reading, stretches: Sequence[Stretch], processes: int) -> Iterator[tuple[Found, str]]:
    """Yield what each stretch tells, in order and counted from the beginning of the file, up to the first change."""
    lines = 0
    table: Table | None = None
    if stretches and stretches[-1][1] - stretches[0][0] > KEPT_BYTES:
        _keep_memory()
    for (first, last), told in zip(stretches, _scanned(reading, stretches, processes), strict=True):
        scanned = told if table is None else scan_stretch(reading, (first, last), table)
        table = scanned.table
        yield scanned.found.moved(first, lines) if first else scanned.found, scanned.changed
        if scanned.changed:
            return
        lines += scanned.newlines


def _scanned(reading: Reading, stretches: Sequence[Stretch], processes: int) -> Iterator[Scanned]:
    if processes <= 1 or len(stretches) <= 1:
        yield from (scan_stretch(reading, stretch) for stretch in stretches)
        return
    import multiprocessing
    from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor

    with ProcessPoolExecutor(processes, multiprocessing.get_context("fork")) as pool:
        waiting: list[Future[Scanned]] = []
        with suppress(BrokenExecutor):  # a process was killed, most likely for its memory
            waiting += (pool.submit(scan_stretch, reading, stretch) for stretch in stretches)
        waiting.reverse()
        for stretch in stretches:
            try:
                yield waiting.pop().result()
            except (BrokenExecutor, IndexError):
                yield scan_stretch(reading, stretch)


def scan_stretch(reading: Reading, stretch: Stretch, table: Table | None = None) -> Scanned:
    """Scan the records that begin in one stretch; they may end in the next. `table` is the one that it begins in."""
    found, parser = Found(), parser_of(rare=reading.rare)
    parser.table = table
    newlines = 0
    changed = ""
    try:
        with File(reading.path) as file, _without_collector():
            text = pieces(file, reading.line_bytes, reading.chunk_bytes, stretch)
            for window in windows(text, reading.ahead, BEHIND, lambda: _beyond(file, reading, stretch[1])):
                found.extend(scan_window(window, parser))
                newlines += len(window.newlines)
    except (ChangedError, TruncatedError, UnreadableError) as error:
        changed = str(error)
    return Scanned(found, newlines, changed, parser.table if parser.table is not None and parser.table.open else None)


def _beyond(file: File, reading: Reading, end: int) -> bytes:
    """Return the text behind a stretch, as much of it as a record may need."""
    data = b""
    for piece in pieces(file, reading.line_bytes, reading.ahead, (end, file.size)):
        data += piece.data
        if len(data) >= reading.ahead:
            break
    return data[: reading.ahead]


def _keep_memory() -> None:
    """Let the allocator keep what is freed for what comes next: glibc does so up to the largest block freed so far.

    Until then every array above 128 KB comes fresh from the kernel, page by page: a fifth of the time of a long log.
    """
    np.empty(KEPT_BYTES, dtype=np.uint8)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Pause the cyclic garbage collector: scanning makes millions of objects and no cycles."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
