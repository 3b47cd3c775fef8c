"""The run crashed: what the log says it died of."""

import math
from collections.abc import Iterator

from forensics.analysis.crashes import TOLD_OTHERWISE
from forensics.detectors._wording import counted
from forensics.model import Events, Finding, Run, Severity
from forensics.names import Kind
from forensics.plugin import detector

EXCEPTIONS = (
    Kind.TRACEBACK,
    Kind.CUDA_ERROR,
    Kind.NAN_ASSERTION,
    Kind.DATA_LOADER,
    Kind.CHECKPOINT_REFUSED,
    Kind.SIZE_MISMATCH,
    Kind.UNSCALE_FP16,
    Kind.SIGNAL,
)
KILLS = (Kind.OOM_KILL_RECORD, Kind.KILLED, Kind.SIGNAL, Kind.TIME_LIMIT)
NCCL = (Kind.NCCL_TIMEOUT, Kind.NCCL_ERROR)
STOPPED = ("KeyboardInterrupt", "SystemExit: 0", "SystemExit(0)")


def _needs(*kinds: str) -> tuple[str, ...]:
    return tuple(f"event {kind}" for kind in kinds)


@detector("crash-oom", any_of=_needs(Kind.OUT_OF_MEMORY))
def crash_oom(run: Run) -> Iterator[Finding]:
    """Find accelerator memory that ran out.

    Source: `torch.OutOfMemoryError` (>= 2.5), `torch.cuda.OutOfMemoryError` (1.13-2.4), "CUDA out of memory".
    Minimum: one.
    Silenced by: a run that went on (a batch size finder tries until one fits), a notice.
    Known false alarms: see there.
    """
    yield from _crash(run, "crash-oom", (Kind.OUT_OF_MEMORY,), "accelerator memory ran out")


@detector("crash-nccl", any_of=_needs(*NCCL))
def crash_nccl(run: Run) -> Iterator[Finding]:
    """Find collectives that timed out or failed.

    Source: `ProcessGroupNCCL.cpp`, "Watchdog caught collective operation timeout".
    Minimum: one. The rank that times out is often not the one that died.
    Silenced by: a run that went on, a notice.
    Known false alarms: watchdog lines while another crash tears the ranks down.
    """
    yield from _crash(run, "crash-nccl", NCCL, "a collective operation between ranks failed")


@detector("crash-killed", any_of=_needs(*KILLS))
def crash_killed(run: Run) -> Iterator[Finding]:
    """Find processes that were killed from outside.

    Source: launcher and scheduler lines (exit code -9, SIGKILL, "DUE TO TIME LIMIT", kernel out-of-memory
    records).
    Minimum: one. A bare "Killed" says nothing of who did it: only a kernel or cgroup record confirms a host
    out-of-memory kill.
    Silenced by: a run that finished, a notice.
    Known false alarms: the launcher's own clean-up after another rank's crash.
    """
    confirmed = any(run.timeline.events_of(Kind.OOM_KILL_RECORD))
    told = "the host ran out of memory and killed a process" if confirmed else "a process was killed from outside"
    if any(run.timeline.events_of(Kind.TIME_LIMIT)):
        told = "the scheduler ended the job at its time limit"
    yield from _crash(run, "crash-killed", KILLS, told)


@detector("crash-disk", any_of=_needs(Kind.DISK_FULL))
def crash_disk(run: Run) -> Iterator[Finding]:
    """Find a disk that was full.

    Source: `OSError: [Errno 28] No space left on device`, and what torch and safetensors make of it.
    Minimum: one.
    Silenced by: a run that went on, a notice.
    Known false alarms: none known.
    """
    yield from _crash(run, "crash-disk", (Kind.DISK_FULL,), "the disk was full")


@detector("crash-exception", any_of=_needs(*EXCEPTIONS))
def crash_exception(run: Run) -> Iterator[Finding]:
    """Find an uncaught exception.

    Source: the traceback's last line; the first one in the log, as later ones are often its consequence.
    Minimum: one.
    Silenced by: a run that finished or went on, and the user's own interrupt: a notice.
    Known false alarms: a traceback that the script printed and survived as its last output.
    """
    told = any(run.has(f"event {kind}") for kind in (Kind.OUT_OF_MEMORY, Kind.DISK_FULL, *NCCL))
    # The exit code of a process that died of something else is no exception of its own.
    kinds = EXCEPTIONS[:-1] if told else EXCEPTIONS
    yield from _crash(run, "crash-exception", kinds, "the run ended in an exception")


def _crash(run: Run, symptom: str, kinds: tuple[str, ...], told: str) -> Iterator[Finding]:
    found = [events for kind in kinds for events in run.timeline.events_of(kind) if _belongs(symptom, events)]
    if not found:
        return
    first = min(found, key=lambda events: (kinds.index(events.kind), events.path, int(events.records[0])))
    count = max(len(events) for events in found)
    severity, after = _severity(run, first)
    text = " ".join(first.text.split())
    quoted = f": {text[:200]}" if text else ""
    often = f" ({counted(count, 'line')})" if count > 1 else ""
    last = len(first) - 1
    step = int(first.steps[last]) if first.steps[last] >= 0 else run.timeline.last_step
    yield Finding(
        symptom=symptom,
        severity=severity,
        statement=f"{told}{often}{after}{quoted}",
        source=first.source_at(0),
        step=step,
        step_range=(None, step),
    )


def _belongs(symptom: str, events: Events) -> bool:
    """Tell whether events count for a symptom.

    A signal (a code below zero, or of 128 and more, as shells count) is told from the exit code of a failure.
    """
    if events.kind == Kind.TRACEBACK and TOLD_OTHERWISE.search(events.text):
        return False
    if len(events) == 0 or events.kind != Kind.SIGNAL:
        return len(events) > 0
    code = float(events.values[0])
    signal = code < 0 or code >= 128 or math.isnan(code)
    return signal == (symptom == "crash-killed") and code != 0


def _severity(run: Run, events: Events) -> tuple[Severity, str]:
    """Return error unless the run finished, or logged steps, after the last such line."""
    if any(word in events.text for word in STOPPED):
        return "notice", ", by the user"
    last = int(events.records[-1])
    for finished in run.timeline.events_of(Kind.TRAINING_FINISHED):
        if len(finished) and (finished.path != events.path or int(finished.records[-1]) > last):
            return "notice", ", but training finished"
    if _went_on(run, events):
        return "notice", ", but the run went on"
    return "error", ""


def _went_on(run: Run, events: Events) -> bool:
    step, end = int(events.steps[-1]), run.timeline.last_step
    return step >= 0 and end is not None and end > step + max(10, step // 20)
