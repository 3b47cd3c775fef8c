"""One task: its parts read from every checkpoint in turn, counted, and compared on the way."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from itertools import chain
from types import ModuleType
from typing import NamedTuple, TypeAlias

import numpy as np

from forensics.errors import ForensicsError
from forensics.formats.dtypes import Bytes, DType
from forensics.model.facts import Floats, Integers
from forensics.weights import plain, statistics
from forensics.weights.blocks import BUFFER_BYTES, Block, Part, block_of, steps
from forensics.weights.reading import Failed, Lender, Pieces, gather, located, read_slots, slots_of
from forensics.weights.small import Small, fill

Task: TypeAlias = tuple[Part, ...] | Small


class Done(NamedTuple):
    """What a task found: `found` (n, COLUMNS) adds to the rows `rows` (n,) of the matrix, after `nbytes` read.

    `whole` tells that each row is named once and by no other task.
    """

    rows: Integers
    found: Floats
    nbytes: int
    failed: Failed
    whole: bool = False


def places_of(task: Task) -> int:
    """Return how many checkpoints a task reads."""
    return task.places if isinstance(task, Small) else len(task[0].track.places)


def _bytes_each(task: Task) -> int:
    return task.nbytes if isinstance(task, Small) else sum(part.nbytes for part in task)


def bytes_of(task: Task) -> int:
    return _bytes_each(task) * places_of(task)


def batches(tasks: Iterable[Task], nbytes: int) -> Iterator[tuple[Task, ...]]:
    """Put consecutive tasks together until they read `nbytes` from each checkpoint; with 0 each comes alone."""
    batch: list[Task] = []
    size = 0
    for task in tasks:
        batch.append(task)
        size += _bytes_each(task)
        if size >= nbytes:
            yield tuple(batch)
            batch, size = [], 0
    if batch:
        yield tuple(batch)


def installed() -> bool:
    """Say whether numba is there (medforensics[fast]), without importing it."""
    try:
        return find_spec("numba") is not None
    except ImportError:  # Somebody's import hook refuses it.
        return False


def compiled() -> ModuleType | None:
    """Return the compiled kernels, None where numba is missing or cannot compile."""
    try:
        from forensics.weights import kernels
    except ImportError:
        return None
    return kernels


class Worker:
    """Does task after task in one thread, with two buffers of its own; the bytes come from `files`."""

    def __init__(self, kernels: ModuleType | None) -> None:
        self._kernels = kernels
        self._engine = plain.accumulate if kernels is None else kernels.accumulate
        self._buffers = np.empty(BUFFER_BYTES, np.uint8), np.empty(BUFFER_BYTES, np.uint8)

    def do(self, files: Lender, task: Task) -> Done:
        """Count a task; what cannot be read stands in `Done.failed`."""
        if isinstance(task, Small):
            return self._small(files, task)
        places = len(task[0].track.places)
        shape = places, len(task), statistics.COLUMNS
        found = statistics.fresh(places * len(task)).reshape(shape)
        large = task[0].nbytes > BUFFER_BYTES
        block = block_of(task)
        failed: Failed = {}
        if task[0].track.gathered:
            failed = self._gathered(files, task[0], found)
        elif not self._walk(files, block, large, found):
            found = statistics.fresh(places * len(task)).reshape(shape)
            failed = (self._streamed if large else self._buffered)(files, block, found)
        rows = np.array([[task[part].track.places[place].row for part in block.order] for place in range(places)])
        return Done(rows.reshape(-1), found.reshape(-1, statistics.COLUMNS), bytes_of(task), failed)

    def _small(self, files: Lender, task: Small) -> Done:
        """Count small tensors, checkpoint by checkpoint."""
        found = statistics.fresh(task.places * len(task)).reshape(task.places, len(task), statistics.COLUMNS)
        order, groups = task.groups()
        failed: Failed = {}
        previous, (current, spare) = None, self._buffers
        for place in range(task.places):
            failed.update(fill(files, task, place, current))
            for dtype, runs, rows in groups:
                self._engine(dtype, previous, current, runs, found[place, rows])
            previous, current, spare = current, spare, current
        rows_of = task.rows[:, order].reshape(-1)
        return Done(rows_of, found.reshape(-1, statistics.COLUMNS), bytes_of(task), failed, whole=True)

    def _walk(self, files: Lender, block: Block, large: bool, found: Floats) -> bool:
        """Let compiled code read and count; say no when it cannot, or when a file fails it."""
        if self._kernels is None or len(block.groups) > 1 or not self._kernels.handles(block.groups[0][0]):
            return False
        dtype, runs, _ = block.groups[0]
        with ExitStack() as stack:
            try:
                reads = located(files, [slots_of(block.parts, block.starts, p) for p in range(len(found))], stack)
            except ForensicsError:
                return False
            if not reads or (large and len(reads) > len(found)):
                return False
            total = block.parts[0].nbytes if large else 0
            done: bool = self._kernels.walk(dtype, np.array(reads), total, runs, found, self._buffers)
            return done

    def _buffered(self, files: Lender, block: Block, found: Floats) -> Failed:
        """Read many small parts at once, checkpoint by checkpoint."""
        failed: Failed = {}
        previous, (current, spare) = None, self._buffers
        for place in range(found.shape[0]):
            missing = read_slots(files, slots_of(block.parts, block.starts, place), current.data)
            failed.update({block.parts[n].track.places[place].row: why for n, why in missing.items()})
            for dtype, runs, rows in block.groups:
                self._engine(dtype, previous, current, runs, found[place, rows])
            previous, current, spare = current, spare, current
        return failed

    def _streamed(self, files: Lender, block: Block, found: Floats) -> Failed:
        """Read a range of a large tensor buffer by buffer, each from every checkpoint in turn."""
        failed: Failed = {}
        part = block.parts[0]
        track, bits = part.track, part.track.dtype.bits
        runs = np.array([[0, 0, 0, track.row_length, 0]])
        with ExitStack() as stack:
            sources = [Pieces(files, place.pieces, stack) for place in track.places]
            for first, stop in steps(part, self._step_bytes(track.dtype)):
                begin, size = first * bits // 8, (stop - first) * bits // 8
                runs[0, 2], runs[0, 4] = size, first
                previous, (current, spare) = None, self._buffers
                for source, into, place in zip(sources, found, track.places, strict=True):
                    try:
                        source.read_into(begin, current.data[:size])
                    except (ForensicsError, OSError) as error:
                        failed[place.row] = place.pieces[0].path, str(error)
                    self._engine(track.dtype, previous, current[:size], runs, into)
                    previous, current, spare = current, spare, current
        return failed

    def _step_bytes(self, dtype: DType) -> int:
        """Return what compiled code that reads for itself takes at a time: other cuts would round sums otherwise."""
        size = self._buffers[0].size
        if self._kernels is None or not self._kernels.handles(dtype):
            return size
        return min(int(self._kernels.STREAM_BYTES), size)

    def _gathered(self, files: Lender, part: Part, found: Floats) -> Failed:
        """Read rows of a strided tensor into memory of their own, in order."""
        failed: Failed = {}
        track, first, stop = part
        runs = np.array([[0, 0, part.nbytes, track.row_length, first]])
        previous: Bytes | None = None
        for place, into in zip(track.places, found, strict=True):
            try:
                current = gather(files, track, place.pieces, first, stop)
            except (ForensicsError, OSError) as error:
                failed[place.row] = place.pieces[0].path, str(error)
                previous = None
                continue
            self._engine(track.dtype, previous, current, runs, into)
            previous = current
        return failed


def paths_of(batch: Iterable[Task]) -> frozenset[str]:
    """Return the files that the tasks read."""
    parts = chain.from_iterable(task for task in batch if not isinstance(task, Small))
    tracks = {id(part.track): part.track for part in parts}
    found = {piece.path for track in tracks.values() for place in track.places for piece in place.pieces}
    return frozenset(found.union(*(task.paths() for task in batch if isinstance(task, Small))))
