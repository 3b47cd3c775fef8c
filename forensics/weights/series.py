"""Series of checkpoints: every byte read once, each tensor compared with itself in the checkpoint before.

Work goes tensor by tensor (and block by block of a large one) through all checkpoints, so that the block before is
still in the cache when it is compared; threads take blocks from one list. Under `KERNEL_BYTES` in all, numpy does
the arithmetic and no compiler is waited for.
"""

import math
import os
import sys
import threading
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

import numpy as np

from forensics.errors import ForensicsError
from forensics.formats.dtypes import Bytes, DType
from forensics.model.facts import Floats, Integers
from forensics.model.weights import Depth, TensorRecord, TensorTable, Trained
from forensics.weights import plain, sampling, statistics
from forensics.weights.blocks import BUFFER_BYTES, GATHER_BYTES, Block, Part, block_of, steps, tasks
from forensics.weights.reading import Files, Pieces, Slot, gather, located, read_slots
from forensics.weights.tracks import Plan, Track, follow

KERNEL_BYTES = 100_000_000
"""Below this numpy needs less time than the first compilation of the kernels (3 s) would."""
MOST_THREADS = 16

Engine: TypeAlias = Callable[[DType, Bytes | None, Bytes, Integers, Floats], None]
Failed: TypeAlias = dict[int, tuple[str, str]]
"""Rows that could not be read: path and reason."""
Progress: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Examination:
    """What a look at a series of checkpoints found.

    `tables` has one table a checkpoint, rows in the order of its records. A tensor whose bytes could not be read
    keeps its row: its `elements` are those declared, its counts are `statistics.UNEXAMINED` (-1), its numbers NaN;
    `failures` tells why, by the path of the file (relative to the run). `detection_limits` has one number a
    checkpoint for a quick look, see `sampling.detection_limit`; None for a full one. In a quick look, `elements`
    counts those looked at, so that shares stay shares, and dead rows are not counted.
    """

    tables: tuple[TensorTable, ...]
    failures: Mapping[str, str]
    detection_limits: tuple[float | None, ...]
    bytes_read: int


def scan_series(  # noqa: PLR0913  # options, by keyword
    root: Path,
    checkpoints: Sequence[Sequence[TensorRecord]],
    *,
    depth: Depth = "full",
    threads: int | None = None,
    progress: Progress | None = None,
    trained: Callable[[TensorRecord], Trained] | None = None,
) -> tuple[TensorTable, ...]:
    """Return the tables of `examine_series` alone."""
    return examine_series(root, checkpoints, depth=depth, threads=threads, progress=progress, trained=trained).tables


def examine_series(  # noqa: PLR0913  # options, by keyword
    root: Path,
    checkpoints: Sequence[Sequence[TensorRecord]],
    *,
    depth: Depth = "full",
    threads: int | None = None,
    progress: Progress | None = None,
    trained: Callable[[TensorRecord], Trained] | None = None,
    kernels: bool | None = None,
) -> Examination:
    """Look at all tensors of the checkpoints, in order, and compare each with the checkpoint before that has it.

    A tensor is compared with the one of the same name and role when dtype, shape and memory order are the same;
    elements are equal when their bits are. Records with `alias_of` take the row of that tensor. Every byte is
    read once. `progress(done, total)` gets bytes, in the calling thread. `kernels` forces or forbids compiled
    kernels (default: for `KERNEL_BYTES` and more). Never raises because of a file: see `Examination.failures`.
    """
    files = Files(root)
    plan = follow(checkpoints, GATHER_BYTES, files.size if depth != "off" else _any_size)
    failures = dict(plan.unreadable.values())
    ranges = list(_ranges(plan, checkpoints, depth))
    total = sum(Part(*item).nbytes * len(item[0].places) for item in ranges)
    use_kernels = total >= KERNEL_BYTES if kernels is None else kernels
    rows = sum(len(records) for records in checkpoints)
    work = _Work(files, tasks(ranges), rows, _compiled() if use_kernels else None)
    if depth != "off":
        work.run(threads or _threads(), total, progress)
    failures.update(work.failures)
    failures.update(files.changed)
    if files.changed:
        work.failed.update(_rows_in(checkpoints, files.changed))
    work.failed.update(plan.unreadable)
    tables = _tables(checkpoints, plan, work, depth, trained or _declared)
    return Examination(tables, failures, _limits(checkpoints, depth), work.done)


def _declared(record: TensorRecord) -> Trained:
    return record.trained


def _any_size(_path: str) -> int:
    return sys.maxsize


def _rows_in(checkpoints: Sequence[Sequence[TensorRecord]], paths: Container[str]) -> Iterator[int]:
    """Yield the rows of tensors that have a piece in one of the files."""
    records = (record for records in checkpoints for record in records)
    for row, record in enumerate(records):
        if any(piece.path in paths for piece in record.pieces):
            yield row


def _threads() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return min(len(affinity(0)) if affinity else os.cpu_count() or 1, MOST_THREADS)


def _compiled() -> ModuleType | None:
    try:
        from forensics.weights import kernels
    except ImportError:
        return None
    return kernels


def _ranges(
    plan: Plan, checkpoints: Sequence[Sequence[TensorRecord]], depth: Depth
) -> Iterator[tuple[Track, int, int]]:
    """Yield what to read of each tensor, in the order of the files of the checkpoint that has it first."""
    present = [track for track in plan.tracks if track.elements and track.places]
    present.sort(key=lambda track: track.places[0].pieces[0].offset)
    present.sort(key=lambda track: track.places[0].pieces[0].path)
    if depth != "quick":
        yield from ((track, 0, track.elements) for track in present)
        return
    sizes = [_size(records) for records in checkpoints]
    for track in present:
        smallest = min(sizes[number] for number in track.checkpoints)
        if track.gathered or smallest[0] <= sampling.BLOCKS * sampling.BLOCK_BYTES:
            yield track, 0, track.elements
        else:
            yield from ((track, first, stop) for first, stop in sampling.drawn(track, smallest[1]))


def _limits(checkpoints: Sequence[Sequence[TensorRecord]], depth: Depth) -> tuple[float | None, ...]:
    if depth != "quick":
        return (None,) * len(checkpoints)
    blocks_there = [math.ceil(_size(records)[0] / sampling.BLOCK_BYTES) for records in checkpoints]
    return tuple(sampling.detection_limit(sampling.BLOCKS, of=count) for count in blocks_there)


def _size(records: Sequence[TensorRecord]) -> tuple[int, int]:
    """Return bytes and elements of the tensors with bytes of their own."""
    own = [record for record in records if record.alias_of is None]
    return sum(record.nbytes for record in own), sum(record.elements for record in own)


class _Work:
    """Threads that take tasks from one list and add what they count to one matrix."""

    def __init__(self, files: Files, todo: Iterator[tuple[Part, ...]], rows: int, kernels: ModuleType | None) -> None:
        self.files = files
        self.matrix = statistics.fresh(rows)
        self.failed: set[int] = set()
        self.failures: dict[str, str] = {}
        self.done = 0
        self.stopped = False
        self._todo, self._kernels = todo, kernels
        self._engine: Engine = plain.accumulate if kernels is None else kernels.accumulate
        self._lock = threading.Lock()

    def run(self, threads: int, total: int, progress: Progress | None) -> None:
        with ThreadPoolExecutor(threads) as pool:
            pending: Iterable[Future[None]] = {pool.submit(self._take) for _ in range(threads)}
            try:
                while pending:
                    finished, pending = wait(pending, 0.1, FIRST_EXCEPTION)
                    for future in finished:
                        future.result()
                    if progress is not None:
                        progress(self.done, total)
            finally:
                self.stopped = True
        self.files.close()

    def _take(self) -> None:
        buffers = np.empty(BUFFER_BYTES, np.uint8), np.empty(BUFFER_BYTES, np.uint8)
        while not self.stopped:
            with self._lock:
                task = next(self._todo, None)
            if task is None:
                return
            self._work(task, buffers)

    def _work(self, task: tuple[Part, ...], buffers: tuple[Bytes, Bytes]) -> None:
        track = task[0].track
        places = len(track.places)
        found = statistics.fresh(places * len(task)).reshape(places, len(task), statistics.COLUMNS)
        large = task[0].nbytes > BUFFER_BYTES
        block = block_of(task)
        failed: Failed = {}
        if track.gathered:
            failed = self._gathered(task[0], found)
        elif not self._walk(block, large, found, buffers):
            found = statistics.fresh(places * len(task)).reshape(found.shape)
            failed = (self._streamed if large else self._buffered)(block, found, buffers)
        rows = np.array([[task[part].track.places[place].row for part in block.order] for place in range(places)])
        with self._lock:
            statistics.merge(self.matrix, rows.reshape(-1), found.reshape(-1, statistics.COLUMNS))
            self.done += sum(part.nbytes for part in task) * places
            self.failed.update(failed)
            self.failures.update(failed.values())

    def _walk(self, block: Block, large: bool, found: Floats, buffers: tuple[Bytes, Bytes]) -> bool:
        """Let compiled code read and count; say no when it cannot, or when a file fails it."""
        if self._kernels is None or len(block.groups) > 1 or not self._kernels.handles(block.groups[0][0]):
            return False
        dtype, runs, _ = block.groups[0]
        with ExitStack() as stack:
            try:
                reads = located(self.files, [_slots(block, place) for place in range(len(found))], stack)
            except ForensicsError:
                return False
            if large and len(reads) > len(found):
                return False
            total = block.parts[0].nbytes if large else 0
            done: bool = self._kernels.walk(dtype, np.array(reads), total, runs, found, buffers)
            return done

    def _buffered(self, block: Block, found: Floats, buffers: tuple[Bytes, Bytes]) -> Failed:
        """Read many small parts at once, checkpoint by checkpoint."""
        failed: Failed = {}
        previous, (current, spare) = None, buffers
        for place in range(found.shape[0]):
            missing = read_slots(self.files, _slots(block, place), current.data)
            failed.update({block.parts[n].track.places[place].row: why for n, why in missing.items()})
            for dtype, runs, rows in block.groups:
                self._engine(dtype, previous, current, runs, found[place, rows])
            previous, current, spare = current, spare, current
        return failed

    def _streamed(self, block: Block, found: Floats, buffers: tuple[Bytes, Bytes]) -> Failed:
        """Read a range of a large tensor buffer by buffer, each from every checkpoint in turn."""
        failed: Failed = {}
        part = block.parts[0]
        track, bits = part.track, part.track.dtype.bits
        runs = np.array([[0, 0, 0, track.row_length, 0]])
        with ExitStack() as stack:
            sources = [Pieces(self.files, place.pieces, stack) for place in track.places]
            for first, stop in steps(part):
                begin, size = first * bits // 8, (stop - first) * bits // 8
                runs[0, 2], runs[0, 4] = size, first
                previous, (current, spare) = None, buffers
                for source, into, place in zip(sources, found, track.places, strict=True):
                    try:
                        source.read_into(begin, current.data[:size])
                    except (ForensicsError, OSError) as error:
                        failed[place.row] = place.pieces[0].path, str(error)
                    self._engine(track.dtype, previous, current[:size], runs, into)
                    previous, current, spare = current, spare, current
        return failed

    def _gathered(self, part: Part, found: Floats) -> Failed:
        """Read rows of a strided tensor into memory of their own, in order."""
        failed: Failed = {}
        track, first, stop = part
        runs = np.array([[0, 0, part.nbytes, track.row_length, first]])
        previous: Bytes | None = None
        for place, into in zip(track.places, found, strict=True):
            try:
                current = gather(self.files, track, place.pieces, first, stop)
            except (ForensicsError, OSError) as error:
                failed[place.row] = place.pieces[0].path, str(error)
                previous = None
                continue
            self._engine(track.dtype, previous, current, runs, into)
            previous = current
        return failed


def _slots(block: Block, place: int) -> list[Slot]:
    return [
        Slot(part, part.track.places[place].pieces, start)
        for part, start in zip(block.parts, block.starts, strict=True)
    ]


def _tables(
    checkpoints: Sequence[Sequence[TensorRecord]],
    plan: Plan,
    work: _Work,
    depth: Depth,
    trained: Callable[[TensorRecord], Trained],
) -> tuple[TensorTable, ...]:
    rows = len(work.matrix)
    examined = np.full(rows, depth != "off")
    examined[np.fromiter(work.failed, dtype=np.intp)] = False
    compared, counted, opaque = np.zeros((3, rows), dtype=bool)
    for track in plan.tracks:
        before = None
        for place in track.places:
            compared[place.row] = before is not None and examined[before] and examined[place.row]
            before = place.row
            opaque[place.row] = track.dtype.kind == "opaque"
            counted[place.row] = depth == "full" and _count_rows(track, work.matrix[place.row])
    for row, target in plan.copies.items():
        work.matrix[row] = work.matrix[target]
        for flags in (examined, compared, counted, opaque):
            flags[row] = flags[target]
    tables, base = [], 0
    for records in checkpoints:
        own = slice(base, base + len(records))
        known = statistics.Known(examined[own], compared[own], counted[own], opaque[own])
        states = [trained(record) for record in records]
        tables.append(statistics.table_of(records, states, work.matrix[own], known))
        base += len(records)
    return tuple(tables)


def _count_rows(track: Track, found: Floats) -> bool:
    """Say whether dead rows are known; of a tensor of one row they follow from its zeros."""
    if len(track.shape) > 1 and track.elements and track.shape[0] == 1 and track.dtype.kind != "opaque":
        found[statistics.DEAD_ROWS] = found[statistics.ZERO] == track.elements
        return True
    return track.row_length > 0 or (len(track.shape) > 1 and not track.elements)
