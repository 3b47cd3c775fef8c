"""Console logs of any trainer, in one pass."""

import gc
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from forensics.errors import ChangedError, TruncatedError
from forensics.formats.file import File
from forensics.formats.text import AHEAD, BEHIND, Window, pieces, windows
from forensics.model import Artifact, Fact, Skip
from forensics.plugin import reader
from forensics.readers._text.collected import Found
from forensics.readers._text.scan import scan_window
from forensics.readers._text.settled import facts
from forensics.readers._text.sniffing import looks_like_log

CHUNK_BYTES = 1 << 20
PARALLEL_BYTES = 64 << 20
"""From this size on a file is scanned by several processes; below, starting them would cost more than it saves."""
MAX_PROCESSES = 4

_LOG_NAMES = (
    r"\.(?:log|out|err|txt|console)(?:\.\d+)?$",
    r"(?:^|/)(?:stdout|stderr|nohup|output|console|typescript|std_log)[^/]*$",
    r"(?:^|/)slurm-[^/]*$",
    r"\.[oe]\d+$",
)


@reader("text-log", match=_LOG_NAMES, sniff=looks_like_log)
def text_log(artifact: Artifact) -> Iterator[Fact]:
    """Console logs: Hugging Face Trainer, DeepSpeed, Megatron-LM, all their kin, and plain `step N loss X`.

    Reads progress bars, ranks and colours away; any mixture of formats may stand in one file. Metrics get their
    true steps from the progress bar, the epoch or the schedule; warnings, errors and milestones become events;
    versions, arguments and the configuration in force become settings.
    """
    yield from read_text(artifact)


def read_text(
    artifact: Artifact, chunk_bytes: int = CHUNK_BYTES, processes: int | None = None, ahead: int = AHEAD
) -> Iterator[Fact]:
    """Yield the facts of a log. Where it is cut into chunks, and into how many processes, changes nothing."""
    whole = Found()
    changed = ""
    with File(artifact.location) as file:
        count = _processes(file.size) if processes is None else processes
        text = windows(pieces(file, artifact.limits.text_line_bytes, chunk_bytes), ahead, BEHIND)
        try:
            with _without_collector():
                for found in _scanned(text, count):
                    whole.extend(found)
        except (ChangedError, TruncatedError) as error:
            changed = str(error)
    yield from facts(whole, artifact.path)
    if whole.cut:
        limit = artifact.limits.text_line_bytes
        yield Skip(artifact.path, f"{whole.cut:,} lines were read up to byte {limit:,} of the line only")
    for what in whole.unread:
        yield Skip(artifact.path, what)
    if changed:
        yield Skip(artifact.path, f"the end was not read: {changed}")


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


def _processes(size: int) -> int:
    if size < PARALLEL_BYTES or threading.active_count() > 1 or not hasattr(os, "fork"):
        return 1
    return max(1, min(MAX_PROCESSES, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1))


def _scanned(text: Iterable[Window], processes: int) -> Iterator[Found]:
    """Scan windows in order; with several processes at most two windows a process are in memory."""
    if processes <= 1:
        yield from map(scan_window, text)
        return
    import multiprocessing
    from concurrent.futures import Future, ProcessPoolExecutor

    with ProcessPoolExecutor(processes, multiprocessing.get_context("fork")) as pool:
        waiting: deque[Future[Found]] = deque()
        for window in text:
            waiting.append(pool.submit(scan_window, window))
            if len(waiting) >= 2 * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
