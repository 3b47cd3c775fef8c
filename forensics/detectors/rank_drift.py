"""Replicas that should be equal are not."""

from collections.abc import Iterator

import numpy as np

from forensics.analysis.recorded import Attempt, attempts, index_of
from forensics.detectors._wording import counted, joined
from forensics.model import Finding, Run, Severity
from forensics.model.recording import LOCAL, REDUCED
from forensics.names import Kind
from forensics.plugin import detector


@detector("rank-drift", any_of=("recordings", f"event {Kind.RANKS_DIFFER}"))
def rank_drift(run: Run) -> Iterator[Finding]:
    """Find the first step after which the weights of two ranks differ, or where the program says that they do.

    Source: hashes of up to 1,024 weights of each tensor: equal weights have equal hashes, exactly.
    Minimum: one step of which two ranks have a row.
    Silenced by: frameworks that give each rank another part (FSDP, ZeRO-3); a few tensors that differ from the first
    row on, as those of expert and tensor parallelism do, are a notice.
    Known false alarms: expert parallelism whose experts all begin equal.
    """
    for attempt in attempts(run):
        if attempt.several and not attempt.sharded and len(attempt.ranks) > 1:
            yield from _drift(attempt)
    yield from _told(run)


def _told(run: Run) -> Iterator[Finding]:
    found = next(iter(run.timeline.events_of(Kind.RANKS_DIFFER)), None)
    if found is None or not len(found):
        return
    known = int(found.steps[0]) if found.order is None or found.steps[0] >= 0 else int(found.order.before[0])
    step = known if known >= 0 else None
    yield Finding(
        symptom="rank-drift",
        severity="error",
        statement=f"the program says that its ranks have different weights: “{found.text.strip()[:120]}”",
        source=found.source_at(0),
        step=step,
        step_range=(None, step),
    )


def _drift(attempt: Attempt) -> Iterator[Finding]:
    steps = attempt.common()
    first = attempt.ranks[0]
    differing = [(step, mask) for step in steps if (mask := _differing(attempt, step)).any()]
    if not differing:
        return
    step, mask = differing[0]
    begun = step != steps[0]
    whole = mask.sum() == len(first.names)
    severity: Severity = "error" if begun or whole else "notice"
    at = index_of(first, step)
    assert at is not None
    unsynced = np.all(first.length(LOCAL)[at] == first.length(REDUCED)[at]) and bool(first.seen(REDUCED)[at].all())
    names = first.first(mask)
    yield Finding(
        symptom="rank-drift",
        severity=severity,
        statement=joined(
            (
                f"from step {step} on the weights of the ranks differ",
                f"{len(names)} of {counted(len(first.names), 'tensor')}, e.g. {names[0]}",
                "until then they were equal to the last bit" if begun else "they differ from the first row on",
                "the gradients of that step were not reduced" if unsynced else "",
                "" if begun or whole else "as those of expert or tensor parallelism do",
            )
        ),
        source=first.source(at),
        step=step,
        step_range=(step - 1 if begun else None, step),
    )


def _differing(attempt: Attempt, step: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    rows = [(r, index_of(r, step)) for r in attempt.ranks]
    hashes = np.stack([r.hashes[at] for r, at in rows if at is not None])
    probed = np.stack([r.probed[at] for r, at in rows if at is not None]).all(axis=0)
    finite = np.stack([np.isfinite(r.values[at, :, 5]) for r, at in rows if at is not None]).all(axis=0)
    differs: np.ndarray[tuple[int], np.dtype[np.bool_]] = (hashes != hashes[0]).any(axis=0) & probed & finite
    return differs
