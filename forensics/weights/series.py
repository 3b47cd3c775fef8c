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
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from forensics.cluster import Cluster
from forensics.deferred.records import dataclass
from forensics.model.columns import Coded
from forensics.model.facts import Floats
from forensics.model.tensors import TensorRecord, Tensors, Trained
from forensics.model.weights import Depth, TensorTable
from forensics.storage.locations import Locations, Root
from forensics.storage.remote_file import REQUEST_BYTES
from forensics.weights import ahead, on_cluster, sampling, statistics
from forensics.weights.ahead import Ahead
from forensics.weights.blocks import GATHER_BYTES, TASK_BYTES, Part, tasks
from forensics.weights.on_cluster import Answer, answers
from forensics.weights.reading import Files
from forensics.weights.small import Small, taken
from forensics.weights.tracks import Plan, Track, follow
from forensics.weights.work import Done, Task, Worker, batches, compiled, installed

if TYPE_CHECKING:
    from concurrent.futures import Future

KERNEL_BYTES = 1_500_000_000
"""Below this numpy needs less time than the kernels take to be loaded: 0.27 s from their cache (numba itself 0.24 s),
against 0.2 s a GB that they save on two cores. The first time ever they are compiled, for 3 s."""
MOST_THREADS = 16

Progress: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Examination:
    """What a look at a series of checkpoints found.

    `tables` has one table a checkpoint, rows in the order of its records. A tensor whose bytes could not be read
    keeps its row: its `elements` are those declared, none of its counts is known and its numbers are NaN;
    `failures` tells why, by the path of the file (relative to the run). `detection_limits` has one number a
    checkpoint for a quick look, see `sampling.detection_limit`; None for a full one. In a quick look, `elements`
    counts those looked at, so that shares stay shares, and dead rows are not counted.
    """

    tables: tuple[TensorTable, ...]
    failures: Mapping[str, str]
    detection_limits: tuple[float | None, ...]
    bytes_read: int


def scan_series(  # noqa: PLR0913  # options, by keyword
    root: Root,
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
    root: Root,
    checkpoints: Sequence[Sequence[TensorRecord]],
    *,
    depth: Depth = "full",
    threads: int | None = None,
    progress: Progress | None = None,
    trained: Callable[[TensorRecord], Trained] | None = None,
    kernels: bool | None = None,
    cluster: Cluster | None = None,
) -> Examination:
    """Look at all tensors of the checkpoints, in order, and compare each with the checkpoint before that has it.

    A tensor is compared with the one of the same name and role when dtype, shape and memory order are the same;
    elements are equal when their bits are. Records with `alias_of` take the row of that tensor. Every byte is
    read once. `progress(done, total)` gets bytes, in the calling thread. `kernels` forces or forbids compiled
    kernels (default: for `KERNEL_BYTES` and more, where numba is installed). With `cluster` its workers do the work,
    with the same result; then `UsageError` is raised when they cannot. Never raises because of a
    file: see `Examination.failures`.
    """
    files, held = Files(root), [Tensors.of(records) for records in checkpoints]
    size_of = files.size if depth != "off" else _any_size
    small, rest = taken(held, size_of, sampling.BLOCK_BYTES if depth == "quick" else sys.maxsize)
    plan = follow(held, GATHER_BYTES, size_of, rest)
    failures = dict(plan.unreadable.values())
    ranges = list(_ranges(plan, held, depth))
    nbytes = sum(Part(*item).nbytes * len(item[0].places) for item in ranges)
    nbytes += sum(one.nbytes * one.places for one in small)
    use_kernels = nbytes >= KERNEL_BYTES and installed() if kernels is None else kernels
    work = _Total(sum(map(len, held)))
    changed: Mapping[str, str] = {}
    if depth != "off":
        todo: Iterator[Task] = chain(chain.from_iterable(one.tasks() for one in small), tasks(ranges))
        if cluster is None:
            far = isinstance(root, Locations) and root.has_remote(chain(_paths(plan), *(one.paths() for one in small)))
            batched = batches(todo, REQUEST_BYTES if far else 0)
            _Threads(files, batched, work, use_kernels).run(threads or _threads(far), nbytes, progress)
        else:
            batched = batches(todo, on_cluster.BATCH_BYTES)
            changed = _on_cluster(answers(cluster, root, files, batched, use_kernels), files, work, nbytes, progress)
        files.close()
        changed = {**changed, **files.changed}
    failures.update(work.failures)
    failures.update(changed)
    work.failed.update(_rows_in(held, changed))
    work.failed.update(plan.unreadable)
    labels = [Coded.of(map(trained, one)) if trained is not None else one.trained for one in held]
    tables = _tables(held, _judged(plan, small, work, depth), work, labels)
    return Examination(tables, failures, _limits(held, depth), work.read)


def _on_cluster(
    found: Iterator[tuple[int, Answer]], files: Files, work: "_Total", nbytes: int, progress: Progress | None
) -> dict[str, str]:
    """Add what the workers found; return the files that changed, or are others there, with the reason."""
    changed: dict[str, str] = {}
    for number, answer in found:
        work.add(number, answer.done)
        changed.update(answer.changed)
        for path, signature in answer.signatures.items():
            if signature != files.signature(path):
                changed[path] = f"{path} changed while it was read"
        if progress is not None:
            progress(work.read, nbytes)
    return changed


def _any_size(_path: str) -> int:
    return sys.maxsize


def _rows_in(checkpoints: Sequence[Tensors], paths: Container[str]) -> Iterator[int]:
    """Yield the rows of tensors that have a piece in one of the files."""
    base = 0
    for held in checkpoints:
        yield from (held.in_files(paths) + base).tolist()
        base += len(held)


def _paths(plan: Plan) -> Iterator[str]:
    return (piece.path for track in plan.tracks for place in track.places for piece in place.pieces)


def _threads(far: bool) -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    cores = min(len(affinity(0)) if affinity else os.cpu_count() or 1, MOST_THREADS)
    return max(cores, ahead.THREADS) if far else cores


def _ranges(plan: Plan, checkpoints: Sequence[Tensors], depth: Depth) -> Iterator[tuple[Track, int, int]]:
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


def _limits(checkpoints: Sequence[Tensors], depth: Depth) -> tuple[float | None, ...]:
    if depth != "quick":
        return (None,) * len(checkpoints)
    blocks_there = [math.ceil(_size(records)[0] / sampling.BLOCK_BYTES) for records in checkpoints]
    return tuple(sampling.detection_limit(sampling.BLOCKS, of=count) for count in blocks_there)


def _size(held: Tensors) -> tuple[int, int]:
    """Return bytes and elements of the tensors with bytes of their own."""
    own = held.own
    return sum(held.nbytes[own].tolist()), sum(held.elements[own].tolist())


class _Total:
    """What all tasks found, added in the order of the tasks whoever did them, so that sums never depend on chance."""

    def __init__(self, rows: int) -> None:
        self.matrix = statistics.fresh(rows)
        self.failed: set[int] = set()
        self.failures: dict[str, str] = {}
        self.read = 0
        self._next = 0
        self._early: dict[int, Sequence[Done]] = {}

    def add(self, number: int, batch: Sequence[Done]) -> None:
        """Take what the batch of that number found; call from one thread at a time."""
        self.read += sum(done.nbytes for done in batch)
        self._early[number] = batch
        while self._next in self._early:
            for done in self._early.pop(self._next):
                statistics.merge(self.matrix, done.rows, done.found, whole=done.whole)
                self.failed.update(done.failed)
                self.failures.update(done.failed.values())
            self._next += 1


class _Threads:
    """Threads of this process that take batches from one list."""

    def __init__(self, files: Files, batches: Iterator[Sequence[Task]], total: _Total, kernels: bool) -> None:
        self._files, self._batches, self._total = files, enumerate(batches), total
        self._kernels = compiled() if kernels else None
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, threads: int, nbytes: int, progress: Progress | None) -> None:
        if nbytes <= TASK_BYTES:  # Nothing to share: threads would cost more than they do.
            self._take()
            if progress is not None:
                progress(self._total.read, nbytes)
            return
        from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

        with ThreadPoolExecutor(threads) as pool:
            pending: Iterable[Future[None]] = {pool.submit(self._take) for _ in range(threads)}
            try:
                while pending:
                    finished, pending = wait(pending, 0.1, FIRST_EXCEPTION)
                    for future in finished:
                        future.result()
                    if progress is not None:
                        progress(self._total.read, nbytes)
            finally:
                self._stopped = True

    def _take(self) -> None:
        worker = Worker(self._kernels)
        while not self._stopped:
            with self._lock:
                number, batch = next(self._batches, (-1, ()))
            if not batch:
                return
            lender = Ahead(self._files, batch)
            done = [worker.do(lender, task) for task in batch]
            with self._lock:
                self._total.add(number, done)


def _judged(plan: Plan, small: Sequence[Small], work: _Total, depth: Depth) -> statistics.Known:
    """Return what is known of all rows; rows of zeros that follow from other counts are noted in the matrix."""
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
    for one in small:
        compared[one.rows[1:]] = examined[one.rows[:-1]] & examined[one.rows[1:]]
        opaque[one.rows] = one.opaque
        if depth == "full":
            counted[one.rows] = one.one_row | one.no_elements | (one.row_lengths > 0)
            alone, elements = one.rows[:, one.one_row], one.elements[one.one_row]
            work.matrix[alone, statistics.DEAD_ROWS] = work.matrix[alone, statistics.ZERO] == elements
    for row, target in plan.copies.items():
        work.matrix[row] = work.matrix[target]
        for flags in (examined, compared, counted, opaque):
            flags[row] = flags[target]
    return statistics.Known(examined, compared, counted, opaque)


def _tables(
    checkpoints: Sequence[Tensors], known: statistics.Known, work: _Total, trained: Sequence[Coded]
) -> tuple[TensorTable, ...]:
    tables, base = [], 0
    for held, labels in zip(checkpoints, trained, strict=True):
        own = slice(base, base + len(held))
        tables.append(statistics.table_of(held, labels, work.matrix[own], known.taken(own)))
        base += len(held)
    return tuple(tables)


def _count_rows(track: Track, found: Floats) -> bool:
    """Say whether dead rows are known; of a tensor of one row they follow from its zeros."""
    if len(track.shape) > 1 and track.elements and track.shape[0] == 1 and track.dtype.kind != "opaque":
        found[statistics.DEAD_ROWS] = found[statistics.ZERO] == track.elements
        return True
    return track.row_length > 0 or (len(track.shape) > 1 and not track.elements)
