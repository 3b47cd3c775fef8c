"""One onset from all sources: the loss, the gradient norm, the evaluations and the checkpoints of one failure.

Each source brackets the same event from its own side: the step that left the first NaN, in a gradient, in the
forward pass or in a weight. Loss and gradient norm show it in that step or in the next, whose forward pass sees
what the update left; a checkpoint shows it from that step on.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from forensics.analysis.onset import Onset, from_bracket
from forensics.analysis.places import axis_at
from forensics.analysis.recorded import breaks
from forensics.analysis.tails import gradient_fine_at, gradient_onset, loss_onset, loss_tail
from forensics.model import Axis, Checkpoint, Finding, Run
from forensics.names import GRAD_NORM, LOSS

LOSSES = frozenset({"loss-to-zero", "loss-nan"})
NORMS = frozenset({"grad-norm-nan", "grad-norm-sentinel"})
STATES = frozenset({"weights-nan", "weights-inf", "optimizer-nan", "eval-nan"})
"""Symptoms of the state that the failed step left."""


def refine(run: Run, finding: Finding) -> Finding:
    """Narrow the bracket of `finding` by what the other sources of the run say about the same failure.

    A source that contradicts the finding's own bracket is left out of account: it speaks of another event. So is one
    that counts something else than the finding: an entry is nowhere between two steps.
    `step` follows the bracket only when it became exact.
    """
    own = from_bracket(finding.step_range)
    forward = finding.symptom in LOSSES | NORMS
    if own is None or not (forward or finding.symptom in STATES):
        return finding
    event = _earlier(own) if forward else own
    axis = axis_at(run, finding.source)
    recorded = shown_at(run, finding.symptom) if axis == "step" else None
    if recorded is not None and (own.earliest or 0) <= recorded <= own.latest:
        return replace(finding, step_range=(recorded - 1, recorded), step=recorded)
    for source in SOURCES:
        event = event.narrowed(source(run, axis))
    onset = own.narrowed(_later(event) if forward else event)
    bracket = onset.bracket()
    if finding.symptom in LOSSES and onset.exact and onset.latest > 1 and not gradient_fine_at(run, onset.latest - 1):
        # The loss of the step before was finite, but its gradient may be what broke the weights.
        bracket = (onset.latest - 1, onset.latest)
    return replace(finding, step_range=bracket, step=onset.latest if onset.exact else finding.step)


def shown_at(run: Run, symptom: str) -> int | None:
    """Return the step at which a symptom must show, by the step that a black box recorded as the failed one.

    The gradient norm shows it in that step, the loss in the next when its own was still finite.
    """
    failed = next((found for found in breaks(run) if found.until is None and not found.skipped), None)
    if failed is None or symptom not in LOSSES | NORMS:
        return None
    return failed.step + 1 if symptom in LOSSES and not failed.loss_bad else failed.step


def _earlier(onset: Onset) -> Onset:
    return Onset(None if onset.earliest is None else max(0, onset.earliest - 1), onset.latest)


def _later(onset: Onset) -> Onset:
    return Onset(onset.earliest, onset.latest + 1)


def from_loss(run: Run, axis: Axis = "step") -> Onset | None:
    """Return the steps among which the failure lies if the loss ends in 0.0 or NaN."""
    series = run.timeline.get(LOSS)
    tail = None if series is None or len(series) == 0 or series.axis != axis else loss_tail(series)
    return None if series is None or tail is None else _earlier(loss_onset(run, series, tail))


def from_checkpoints(run: Run, axis: Axis = "step") -> Onset | None:
    """Return the steps between the last checkpoint that was read in full and is clean, and the first poisoned."""
    bad = poisoned_checkpoint(run)
    if bad is None or bad.step is None or axis != "step":
        return None
    good = last_clean_before(run, bad)
    return Onset(None if good is None or good.step is None else good.step + 1, bad.step)


def from_gradients(run: Run, axis: Axis = "step") -> Onset | None:
    """Return the steps among which the failure lies if the gradient norm ends in NaN, Inf or a sentinel."""
    norms = run.timeline.get(GRAD_NORM)
    onset = gradient_onset(run) if norms is not None and norms.axis == axis else None
    return None if onset is None else _earlier(onset)


def poisoned_checkpoint(run: Run) -> Checkpoint | None:
    """Return the first checkpoint with NaN anywhere, or Inf outside of buffers (masks hold -inf by design)."""
    return next((checkpoint for checkpoint in run.checkpoints if is_poisoned(checkpoint)), None)


def is_poisoned(checkpoint: Checkpoint) -> bool:
    table = checkpoint.table
    if table is None:
        return False
    buffers = np.array([role == "buffer" for role in table.roles], dtype=bool)
    return bool(np.any((table.nan > 0) | ((table.infinite > 0) & ~buffers)))


def last_clean_before(run: Run, bad: Checkpoint) -> Checkpoint | None:
    """Return the newest clean checkpoint before `bad` of which every element was looked at."""
    step = bad.step if bad.step is not None else np.iinfo(np.int64).max
    return max(_clean_before(run, step), key=lambda c: c.step or 0, default=None)


def _clean_before(run: Run, step: int) -> Iterator[Checkpoint]:
    for checkpoint in run.checkpoints:
        known = checkpoint.step is not None and checkpoint.step < step
        clean = checkpoint.status in {"clean", "unsafe"} or (
            checkpoint.status == "poisoned" and not is_poisoned(checkpoint)
        )
        if known and clean and checkpoint.depth == "full":
            yield checkpoint


def from_recordings(run: Run, axis: Axis) -> Onset | None:
    """Return the step at which a black box saw the first gradient of the failure that was not finite: it is exact."""
    lasting = [found.step for found in breaks(run) if found.until is None and not found.skipped]
    return Onset(lasting[-1], lasting[-1]) if lasting and axis == "step" else None


SOURCES: tuple[Callable[[Run, Axis], Onset | None], ...] = (
    from_loss,
    from_gradients,
    from_checkpoints,
    from_recordings,
)
