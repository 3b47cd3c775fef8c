"""How the run ended, told under the symptom of what it died of."""

from collections.abc import Callable, Iterator

from forensics.analysis.endings import Death, Group, groups_of, stated
from forensics.analysis.endings.hangs import hang_told
from forensics.analysis.endings.memory_told import memory_told
from forensics.detectors._wording import counted
from forensics.model import Finding, Run, Severity
from forensics.names import GRAD_NORM, Kind
from forensics.plugin import Detector, detector
from forensics.signatures import SIGNATURES, Role

QUOTED_CHARACTERS = 200
SEVERITIES: dict[str, Severity] = {
    "crashed": "error",
    "killed": "error",
    "node-lost": "error",
    "hung": "error",
    "preempted": "warning",
    "evicted": "warning",
    "time-limit": "warning",
    "stopped-by-user": "notice",
}
"""What each kind of ending counts for (docs/endings.md)."""
TELLING = (Kind.SIGNAL, Kind.KILLED, Kind.TRACEBACK)
"""Events whose meaning depends on a number or a text: any symptom may come of them."""
WAITED = frozenset({"crash-nccl", "run-hung"})
"""Symptoms of which is told what each rank waited for, and where it stood."""
BY_NUMBER = frozenset({Kind.SIGNAL, Kind.KILLED})
"""Deaths that are told in full by their number; the line around it adds a command only."""


def _needs(symptom: str) -> tuple[str, ...]:
    # What a start misses is an exception where the run was under way.
    told = {symptom, "crash-launcher"} if symptom == "crash-exception" else {symptom}
    kinds = (signature.name for signature in SIGNATURES if signature.symptom in told)
    more = (Kind.CHECKPOINT_REFUSED, Kind.SIZE_MISMATCH, Kind.UNSCALE_FP16) if symptom == "crash-exception" else ()
    return tuple(f"event {kind}" for kind in dict.fromkeys((*kinds, *TELLING, *more)))


def _declare(symptom: str, doc: str) -> Detector:
    def find(run: Run) -> Iterator[Finding]:
        yield from findings_of(run, symptom)
        # The detector of gradient norms is not asked where none was logged; an exception may state one all the same.
        told = stated(run, "grad-norm-nan") if symptom == "crash-exception" and not run.has(GRAD_NORM) else None
        yield from () if told is None else (told,)

    find.__doc__ = doc
    declare: Callable[[Callable[[Run], Iterator[Finding]]], Detector] = detector(symptom, any_of=_needs(symptom))
    return declare(find)


crash_oom = _declare(
    "crash-oom",
    """Find accelerator memory that ran out.

    Source: `torch.OutOfMemoryError` (>= 2.5), `torch.cuda.OutOfMemoryError` (1.13-2.4), "CUDA out of memory" and its
    like. Minimum: one.
    Silenced by: a run that went on (a batch size finder tries until one fits), a notice.
    Known false alarms: see there.
    """,
)
crash_memory = _declare(
    "crash-memory",
    """Find memory of the host that ran out inside the process.

    Source: `MemoryError`, numpy's `_ArrayMemoryError`, torch's `DefaultCPUAllocator`, `std::bad_alloc`, ENOMEM.
    Minimum: one.
    Silenced by: a run that went on, a notice.
    Known false alarms: none known.
    """,
)
crash_device = _declare(
    "crash-device",
    """Find errors that the device reported: assertions of kernels, bad accesses, hardware that failed.

    Source: `cudaGetErrorString`, ROCm, Triton and NVIDIA's Xid lines (`forensics.signatures.device`).
    Minimum: one.
    Silenced by: a run that went on, a notice. An Xid alone is a warning of the driver and no end.
    Known false alarms: Xid 31 and 13 are caused by programs as well as by boards.
    """,
)
crash_signal = _declare(
    "crash-signal",
    """Find native deaths: a segmentation fault, an abort, a bus error, an illegal instruction.

    Source: what shells, launchers, glibc, the C++ runtime and faulthandler write (`forensics.signatures.codes`,
    `.native`). Minimum: one. An abort is told only where nothing says what made the process abort.
    Silenced by: a run that went on, a notice; one that had finished, a warning.
    Known false alarms: a library that faults while the interpreter shuts down.
    """,
)
crash_nccl = _declare(
    "crash-nccl",
    """Find collectives that timed out or failed.

    Source: `ProcessGroupNCCL.cpp`, "Watchdog caught collective operation timeout".
    Minimum: one. The rank that times out is often not the one that died.
    Silenced by: a run that went on, a notice; a rank that died of something else, an echo of it.
    Known false alarms: watchdog lines while another crash tears the ranks down.
    """,
)
crash_killed = _declare(
    "crash-killed",
    """Find processes that were killed from outside.

    Source: launcher and scheduler lines (exit code -9, SIGKILL, "DUE TO TIME LIMIT", kernel out-of-memory
    records).
    Minimum: one. A bare "Killed" says nothing of who did it: only a kernel or cgroup record confirms a host
    out-of-memory kill. The end of the granted time is a warning: nothing failed.
    Silenced by: a run that went on, a notice.
    Known false alarms: the launcher's own clean-up after another rank's crash.
    """,
)
crash_disk = _declare(
    "crash-disk",
    """Find a disk that was full, or a file system that failed.

    Source: `OSError: [Errno 28] No space left on device`, and what torch and safetensors make of it.
    Minimum: one.
    Silenced by: a run that went on, a notice.
    Known false alarms: none known.
    """,
)
crash_launcher = _declare(
    "crash-launcher",
    """Find starts that failed: arguments, files, modules, drivers, ports.

    Source: CPython, bash, the dynamic linker, torch and huggingface_hub (`forensics.signatures.start`).
    Minimum: one.
    Silenced by: a later launch that went on, a notice.
    Known false alarms: none known.
    """,
)
crash_exception = _declare(
    "crash-exception",
    """Find an uncaught exception.

    Source: the traceback's last line; the first one in the log, as later ones are often its consequence.
    Minimum: one.
    Silenced by: a run that went on, and the user's own interrupt: a notice; after the end of training it is a warning.
    Known false alarms: a traceback that the script printed and survived as its last output.
    """,
)
run_preempted = _declare(
    "run-preempted",
    """Find jobs that the scheduler took their nodes from.

    Source: Slurm ("DUE TO PREEMPTION"), LSF, Kubernetes and spot notices.
    Minimum: one. A warning: nothing failed, the run can be resumed.
    Silenced by: a later attempt that went on.
    Known false alarms: none known.
    """,
)
run_evicted = _declare(
    "run-evicted",
    """Find pods that were evicted from their node.

    Source: Kubernetes pod status and events ("The node was low on resource").
    Minimum: one. A warning.
    Silenced by: a later attempt that went on.
    Known false alarms: none known.
    """,
)
run_node_lost = _declare(
    "run-node-lost",
    """Find jobs whose node was lost.

    Source: Slurm ("DUE TO NODE FAILURE", NODE_FAIL), Kubernetes (NodeLost), Ray (NodeDiedError).
    Minimum: one.
    Silenced by: a later attempt that went on.
    Known false alarms: none known.
    """,
)
run_cancelled = _declare(
    "run-cancelled",
    """Find jobs that were cancelled by a person.

    Source: Slurm ("CANCELLED AT ..." without a reason, CANCELLED by UID), LSF. A notice: nothing failed.
    Minimum: one.
    Silenced by: a later attempt that went on.
    Known false alarms: none known.
    """,
)


def findings_of(run: Run, symptom: str) -> Iterator[Finding]:
    """Yield what is told of a symptom: the end of the run, an echo of it, or what was survived; the gravest only."""
    groups = groups_of(run.timeline)
    final = [group for group in groups if group.fate == "final"]
    told = [*_final(run, symptom, final)] or [*_survived(run, symptom, [g for g in groups if g.fate != "final"])]
    yield from told[:1]


def _final(run: Run, symptom: str, groups: list[Group]) -> Iterator[Finding]:
    ending = run.ending
    mine = [(d, g) for g in groups for d in g.deaths if d.symptom == symptom and d.ending]
    if not mine:
        return
    death, group = min(mine, key=lambda pair: (pair[0].role, pair[0].path, pair[0].record))
    deadly = [d for g in groups for d in g.deaths if d.ending]
    lowest = min(d.role for d in deadly)
    if ending is not None and ending.symptom == symptom and ending.source == death.source:
        severity, after = SEVERITIES[death.ending], ""
        if group.after_finish and severity == "error":
            severity, after = "warning", "training finished, then "
        yield _finding(run, symptom, severity, after, death, group, mine)
    elif death.role == lowest or (lowest == Role.ROOT and death.role == Role.WAIT):
        yield _finding(run, symptom, "notice", "besides, ", death, group, mine)


def _survived(run: Run, symptom: str, groups: list[Group]) -> Iterator[Finding]:
    for group in reversed(groups):
        mine = [(d, group) for d in group.deaths if d.symptom == symptom and d.ending and d.role <= Role.ABORT]
        if mine and group.root.symptom == symptom:
            yield _finding(run, symptom, "notice", "", mine[0][0], group, mine, _how_it_went_on(run, group))
            return


def _how_it_went_on(run: Run, group: Group) -> str:
    last = group.deaths[-1]
    if any(word in group.root.text for word in ("KeyboardInterrupt",)):
        return ""
    end = run.timeline.last_step
    if group.fate == "superseded":
        return ", but a later attempt went on"
    if last.after >= 0 and end is not None and end > last.after:
        return f", but the run went on for {end - last.after + 1:,} steps"
    if last.entries_after:
        return f", but the run went on for {counted(last.entries_after, 'entry', 'entries')}"
    return ", but the run went on"


def _finding(  # noqa: PLR0913, PLR0917  (the parts of one sentence)
    run: Run,
    symptom: str,
    severity: Severity,
    before: str,
    death: Death,
    group: Group,
    mine: list[tuple[Death, Group]],
    after: str = "",
) -> Finding:
    count = len({d.record for d, g in mine if g is group and d.name == death.name})
    often = f" ({counted(count, 'line')})" if count > 1 else ""
    quoted = f": {death.text[:QUOTED_CHARACTERS]}" if death.text and death.name not in BY_NUMBER else ""
    if death.ending == "stopped-by-user" and "user" not in death.told:
        after = after or ", by the user"
    waited = hang_told(run.timeline) if symptom in WAITED and group.fate == "final" else ""
    short, numbers = memory_told(death.text) if symptom == "crash-oom" else ("", "")
    meant = waited or numbers
    quoted = f"; {meant}{quoted}" if meant else quoted
    step = group.step if group.step >= 0 else run.timeline.last
    if death.before < 0 and death.entries and group.fate != "final":
        step = None
    return Finding(
        symptom=symptom,
        severity=severity,
        statement=f"{before}{death.told}{f': {short}' if short else ''}{often}{after}{quoted}",
        source=death.source,
        step=step,
        step_range=(None, step),
        axis=run.timeline.axis,
    )
