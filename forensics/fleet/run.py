"""The whole triage: find, leave out what is known, work, yield."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from forensics.deferred.records import dataclass
from forensics.errors import NothingReadableError
from forensics.fleet.find import Found, RemoteFound, find_remote, find_runs
from forensics.fleet.resume import StateFile
from forensics.fleet.row import Row
from forensics.fleet.work import Task, newest_of, signature_of
from forensics.storage.locations import Place, RemotePath
from forensics.weights import WeightsDepth

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Options:
    """How a triage works: processes (0: one a core), where, how deep, and the seconds that one run may take.

    `since` leaves out runs of which no file was written after that time (seconds since 1970).
    """

    workers: int = 0
    cluster: str | None = None
    weights: WeightsDepth = "quick"
    seconds: float = 60.0
    since: float | None = None


def triage(
    root: Place, options: Options, *, state: StateFile | None = None, progress: Progress | None = None
) -> tuple[Row, ...]:
    """Return one row for every run under `root`, a folder or the URL of one, by path.

    Raises `NothingReadableError` when there is none, `UnreadableError` when `root` cannot be listed.
    """
    if isinstance(root, RemotePath):
        found = [_task_there(root, run, options) for run in find_remote(root)]
    else:
        found = [_task(root, run, options) for run in find_runs(root, peek=True)]
    if not found:
        raise NothingReadableError(
            f"no run under {root}: no trainer state, checkpoint, event file, log or file with a loss"
        )
    tasks = [task for task in found if _is_wanted(task, options.since)]
    known = [row for task in tasks if (row := _known(task, state)) is not None]
    names = {row.path for row in known}
    rows = list(known)
    for row in _worked_apart([task for task in tasks if task.path not in names], options):
        rows.append(row)
        if state is not None:
            state.add(row)
        if progress is not None:
            progress(row.path, len(rows), len(tasks))
    return tuple(sorted(rows, key=lambda row: row.path))


def _task(root: Path, run: Found, options: Options) -> Task:
    name = run.path.relative_to(root).as_posix() if run.path != root else "."
    return Task(name, run.path.absolute(), run.apart, options.weights, options.seconds)


def _task_there(root: RemotePath, run: RemoteFound, options: Options) -> Task:
    location = root if run.path == "." else root / run.path
    return Task(run.path, location, run.apart, options.weights, options.seconds)


def _is_wanted(task: Task, since: float | None) -> bool:
    return since is None or newest_of(task) >= since


def _known(task: Task, state: StateFile | None) -> Row | None:
    if state is None or not state.knows(task.path):
        return None
    return state.row(task.path, signature_of(task))


def _worked_apart(tasks: list[Task], options: Options) -> Iterator[Row]:
    """Yield a row for each task, and for each file of a folder whose logs turn out to be several runs."""
    by_path = {task.path: task for task in tasks}
    again: list[Task] = []
    for row in _worked(tasks, options):
        if not row.parts:
            yield row
            continue
        folder = by_path[row.path]
        prefix = "" if row.path == "." else f"{row.path}/"
        again.extend(replace(folder, path=prefix + name, location=folder.location / name) for name in row.parts)
    yield from _worked(again, options)


def _worked(tasks: list[Task], options: Options) -> Iterator[Row]:
    if not tasks:
        return
    if options.cluster is not None:
        from forensics.fleet.cluster import run_there

        yield from run_there(tasks, options.cluster)
        return
    from forensics.fleet.pool import run_here

    workers = options.workers or len(os.sched_getaffinity(0))
    yield from run_here(tasks, min(workers, len(tasks)))
