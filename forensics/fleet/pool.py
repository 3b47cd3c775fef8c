"""Many runs on the cores of this machine. A worker that dies or hangs costs the run it was at, no other."""

import faulthandler
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from types import FrameType, ModuleType
from typing import TextIO

from forensics.fleet.row import Row
from forensics.fleet.work import Task, analysed

AHEAD = 2
"""Tasks a worker that are handed out at a time: few, as all of them are done again when a worker dies."""
GRACE = 1.5
"""A worker that does not answer its time limit after half as long again is ended."""
LONGEST = 75
"""Letters that the temporary folder may have for a fork server to be reached in it: Linux allows 107 for the name of a
socket, macOS 103, and multiprocessing/util.py adds `/pymp-12345678/listener-12345678`."""
ENDING = (signal.SIGINT, signal.SIGTERM)
_silent: TextIO | None = None


def run_here(tasks: Iterable[Task], workers: int) -> Iterator[Row]:
    """Yield the row of every task as it is done."""
    pending = iter(tasks)
    suspects: list[Task] = []
    while True:
        lost = yield from _pooled(pending, workers)
        if not lost:
            break
        suspects.extend(lost)
    # A worker died. Which task killed it is found by doing those that were under way once more, each alone.
    for task in suspects:
        yield from _alone(task)


def _pooled(pending: Iterator[Task], workers: int) -> Generator[Row, None, list[Task]]:
    """Work until all is done or a worker dies; return the tasks that were under way then."""
    under_way: dict[Future[Row], Task] = {}
    handed_out: list[Task] = []
    pool = _pool(workers)
    try:
        while True:
            handed_out = list(islice(pending, workers * AHEAD - len(under_way)))
            while handed_out:
                under_way[_submitted(pool, handed_out[-1])] = handed_out[-1]
                handed_out.pop()
            if not under_way:
                return []
            done, _ = wait(under_way, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
                del under_way[future]
    except BrokenProcessPool:
        return [*under_way.values(), *handed_out]
    except BaseException:  # a signal, or whoever asked for the rows wants no more
        _end(pool)
        raise
    finally:
        # Waited for: at its end the interpreter would wake the thread that manages the workers through a pipe which
        # that may be closing (concurrent/futures/process.py, `_python_exit`).
        pool.shutdown(wait=True, cancel_futures=True)


def _alone(task: Task) -> Iterator[Row]:
    with _pool(1) as pool:
        try:
            yield _submitted(pool, task).result()
        except BrokenProcessPool:
            yield Row(task.path, "failed", note="the process that analysed it died or hung", internal_errors=1)
        except BaseException:
            _end(pool)
            raise


def _end(pool: ProcessPoolExecutor) -> None:
    """End the workers; one that starts would miss what this process had for it, and say so at length."""
    for process in list((pool._processes or {}).values()):  # noqa: SLF001  (`terminate_workers` came with Python 3.14)
        process.terminate()


def _submitted(pool: ProcessPoolExecutor, task: Task) -> Future[Row]:
    """Hand out a task, which may start a worker that is not told what the main module is.

    A worker would run it again (multiprocessing/spawn.py, `get_preparation_data`): a script that calls `triage` without
    asking for its `__name__` would call it in each worker, and one read from standard input is no file to run.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        with _signals_held():
            return pool.submit(_watched, task)
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _signals_held() -> Iterator[None]:
    """Let signals wait until a worker has started, and keep Ctrl-C, which terminals send to all, from its imports."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    came: list[int] = []
    handlers = {number: signal.signal(number, lambda number, _: came.append(number)) for number in ENDING}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # which the worker inherits
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for asked in came:
            signal.raise_signal(asked)


def _pool(workers: int) -> ProcessPoolExecutor:
    # Forking a process that has threads may deadlock; a fork server has none, and imports everything once.
    served = "forkserver" in multiprocessing.get_all_start_methods() and len(tempfile.gettempdir()) <= LONGEST
    context = multiprocessing.get_context("forkserver" if served else "spawn")
    if served:
        context.set_forkserver_preload(["forensics.fleet.warm"])
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_start)


def _start() -> None:
    global _silent  # noqa: PLW0603  (one a process: faulthandler keeps the file for as long as it watches)
    _silent = open(os.devnull, "w")  # noqa: SIM115, PTH123  (see above)
    import forensics.fleet.warm  # noqa: F401  (imports what every run needs)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # without a task there is nothing to unwind: the pool ends us
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _watched(task: Task) -> Row:
    """Analyse a run; end this process when even its time limit does not stop it (a loop outside of Python).

    It ends as well once it was asked to and what was unpacked is deleted: a worker that went on would wait for ever for
    the lock of the queue, if another was ended while it held it.
    """
    asked = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if not asked:  # the pool asks twice where it is broken
            asked = True
            raise KeyboardInterrupt

    if _silent is not None:
        faulthandler.dump_traceback_later(task.seconds * GRACE + 1, exit=True, file=_silent)
    for number in ENDING:
        signal.signal(number, stop)
    try:
        try:
            return analysed(task)
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            faulthandler.cancel_dump_traceback_later()
    finally:
        if asked:
            os._exit(1)
