"""Bytes of remote files fetched in ranges of several MiB before the blocks of a batch of tasks take them.

Where the cuts between blocks lie is part of the result (sums of floats depend on it), so a block stays as small as
it is on this machine; only what is asked of the store is larger. A thread holds no more than `HELD_BYTES`, and at
least a block of each checkpoint.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from forensics.errors import ForensicsError
from forensics.storage.file import File
from forensics.storage.remote_file import REQUEST_BYTES
from forensics.weights.blocks import BUFFER_BYTES
from forensics.weights.reading import Files, Readable, extents
from forensics.weights.small import Small
from forensics.weights.work import Task, places_of

HELD_BYTES = 32 << 20
GAP_BYTES = 64 << 10
"""Ranges this close are one request: what lies between costs less than another answer."""
THREADS = 8
"""Requests in flight at once, whatever the number of cores: they wait, they do not count."""


class Ahead:
    """Files of one thread and one batch of tasks: a read is served from a window that was fetched at once."""

    def __init__(self, files: Files, batch: Sequence[Task]) -> None:
        self._files = files
        places = max(map(places_of, batch), default=1)
        self._window = min(max(HELD_BYTES // places, BUFFER_BYTES), REQUEST_BYTES)
        self._most = max(HELD_BYTES, places * self._window)
        self._ranges: Mapping[str, Sequence[tuple[int, int]]] = _ranges(batch)
        self._windows: dict[tuple[str, int], tuple[int, bytes]] = {}

    @contextmanager
    def borrow(self, path: str) -> Iterator[Readable]:
        """Lend a file whose reads come from the windows; raises what `Files.borrow` raises."""
        with self._files.borrow(path) as file:
            yield file if file.is_local else _Windowed(self, path, file)

    def read_into(self, path: str, file: File, offset: int, buffer: memoryview) -> None:
        number, stop = self._range_at(path, offset)
        size = len(buffer)
        if offset + size > stop or size > self._window:
            file.read_into(offset, buffer)
            return
        start, held = self._windows.get((path, number), (0, b""))
        if not start <= offset <= offset + size <= start + len(held):
            start = offset
            try:
                held = file.read(start, min(stop - start, self._window))
            except ForensicsError:
                file.read_into(offset, buffer)  # Perhaps only what lies beyond cannot be read.
                return
            self._hold((path, number), start, held)
        buffer[:] = held[offset - start : offset - start + size]

    def _hold(self, key: tuple[str, int], start: int, held: bytes) -> None:
        self._windows.pop(key, None)
        self._windows[key] = start, held
        while sum(len(each) for _, each in self._windows.values()) > self._most:
            del self._windows[next(iter(self._windows))]  # the one that was fetched first

    def _range_at(self, path: str, offset: int) -> tuple[int, int]:
        """Return the number and the end of the planned range that an offset lies in; its own place if in none."""
        ranges = self._ranges.get(path, ())
        number = bisect_right(ranges, (offset, 1 << 63)) - 1
        return (number, ranges[number][1]) if number >= 0 else (number, offset)


class _Windowed:
    """A remote file as a batch reads it."""

    def __init__(self, ahead: Ahead, path: str, file: File) -> None:
        self._ahead, self._path, self._file = ahead, path, file

    @property
    def size(self) -> int:
        return self._file.size

    @property
    def descriptor(self) -> int:
        return -1

    def read_into(self, offset: int, buffer: memoryview) -> None:
        self._ahead.read_into(self._path, self._file, offset, buffer)


def _ranges(batch: Iterable[Task]) -> dict[str, list[tuple[int, int]]]:
    """Return what a batch reads of each file, as ranges (first byte, byte after the last) in order."""
    wanted: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for task in batch:
        if isinstance(task, Small):
            _add_small(task, wanted)
            continue
        for part in task:
            if part.track.gathered:
                continue
            bits = part.track.dtype.bits
            for place in part.track.places:
                for path, offset, size in extents(place.pieces, part.first * bits // 8, part.stop * bits // 8):
                    wanted[path].append((offset, offset + size))
    return {path: _merged(sorted(ranges)) for path, ranges in wanted.items()}


def _add_small(task: Small, wanted: dict[str, list[tuple[int, int]]]) -> None:
    for place in range(task.places):
        for first, stop in task.extents(place):
            end = int(task.offsets[place, stop - 1] + task.sizes[stop - 1])
            wanted[task.files[task.file_codes[place, first]]].append((int(task.offsets[place, first]), end))


def _merged(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    made: list[tuple[int, int]] = []
    for first, stop in ranges:
        if made and first <= made[-1][1] + GAP_BYTES:
            made[-1] = made[-1][0], max(made[-1][1], stop)
        else:
            made.append((first, stop))
    return made
