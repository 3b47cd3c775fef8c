"""Console logs of any trainer, in one pass."""

import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from forensics.deferred.patterns import expression
from forensics.formats.text import AHEAD, stretches
from forensics.model import Artifact, Fact, Skip
from forensics.plugin import reader
from forensics.readers.json_history import looks_like_history
from forensics.readers.metrics_csv import looks_like_table
from forensics.readers.metrics_jsonl import looks_like_metrics
from forensics.readers.text.found import Found
from forensics.readers.text.scan import RARE_BYTES
from forensics.readers.text.settled import facts
from forensics.readers.text.sniffing import looks_like_log
from forensics.readers.text.stretches import Reading, Stretch, scan_stretches
from forensics.storage.file import File

CHUNK_BYTES = 4 << 20
HEAD_BYTES = 1 << 12
PARALLEL_BYTES = 64 << 20
"""From this size on a file is scanned by several processes; below, starting them would cost more than it saves."""
MAX_PROCESSES = 4
STRETCH_BYTES = 16 << 20

_LOG_NAMES = (
    r"\.(?:log|out|err|txt|console)(?:\.\d+)?$",
    r"(?:^|/)(?:stdout|stderr|nohup|output|console|typescript|std_log)[^/]*$",
    r"(?:^|/)slurm-[^/]*$",
    r"\.[oe]\d+$",
)


_ENTRIES = expression(rb"\s{0,40}\[\s{0,40}\{\s{0,40}\"(?!stream_name)")
"""One JSON list of entries: that and JSON lines have readers of their own. Kaggle's log is such a list of lines."""


def _sniff(head: bytes) -> bool:
    return looks_like_log(head) and not (looks_like_metrics(head) or looks_like_history(head) or _ENTRIES.match(head))


@reader("text-log", match=_LOG_NAMES, sniff=_sniff, tested="64 public logs of 41 repositories, 584 formats as lines")
def text_log(artifact: Artifact) -> Iterator[Fact]:
    """Console logs: Hugging Face Trainer, DeepSpeed, Megatron-LM, all their kin, and plain `step N loss X`.

    Reads progress bars, ranks and colours away; any mixture of formats may stand in one file. Metrics get their
    true steps from the progress bar, the epoch or the schedule; warnings, errors and milestones become events;
    versions, arguments and the configuration in force become settings.
    """
    with File(artifact.location) as file:
        table = looks_like_table(file.head(HEAD_BYTES))
    if not table:  # it has a reader of its own
        yield from read_text(artifact)


def read_text(
    artifact: Artifact,
    chunk_bytes: int = CHUNK_BYTES,
    processes: int | None = None,
    ahead: int = AHEAD,
    stretch_bytes: int = STRETCH_BYTES,
) -> Iterator[Fact]:
    """Yield the facts of a log. Where it is cut, and into how many processes, changes nothing."""
    with File(artifact.location) as file:
        count = _processes(file.size) if processes is None else processes
        if not isinstance(artifact.location, Path):
            count = 1  # connections to a store do not survive a fork, and a part of a document is small
        parts = stretches(file, stretch_bytes) if count > 1 else [(0, file.size)]
    reading = Reading(artifact.location, artifact.limits.text_line_bytes, chunk_bytes, ahead)
    whole, changed = _scan(reading, parts, count)
    rare = replace(reading, rare=True)
    if not whole.tells_of_training and _scan(rare, [(0, min(RARE_BYTES, file.size))], 1)[0].tells_of_training:
        whole, changed = _scan(rare, parts, count)
    yield from facts(whole, artifact.path)
    if whole.cut:
        limit = artifact.limits.text_line_bytes
        yield Skip(artifact.path, f"{whole.cut:,} lines were read up to byte {limit:,} of the line only")
    if whole.passed:
        yield Skip(artifact.path, f"{whole.passed:,} lines were passed over: too many come once in their form")
    for each in whole.unread:
        yield Skip(artifact.path, f"line {each.record}: {each.reason}")
    if changed:
        yield Skip(artifact.path, f"the end was not read: {changed}")


def _scan(reading: Reading, parts: Sequence[Stretch], count: int) -> tuple[Found, str]:
    """Return what all stretches tell, and why the end was not read."""
    whole, changed = Found(), ""
    for found, changed in scan_stretches(reading, parts, count):  # noqa: B007  (the last one counts)
        whole.extend(found)
    return whole, changed


def _processes(size: int) -> int:
    if size < PARALLEL_BYTES or threading.active_count() > 1 or not hasattr(os, "fork"):
        return 1
    return max(1, min(MAX_PROCESSES, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1))
