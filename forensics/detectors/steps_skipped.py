"""Optimizer steps were skipped because gradients were not finite."""

from collections.abc import Iterator

import numpy as np

from forensics.analysis import sentinel
from forensics.analysis.learning import came_down
from forensics.deferred.records import dataclass
from forensics.detectors._tables import source_of
from forensics.detectors._wording import counted
from forensics.model import Events, Finding, Precision, Run, Severity, Source
from forensics.names import GRAD_NORM, LEARNING_RATE, LOSS, SKIPPED_STEPS, Kind
from forensics.plugin import detector

NORMAL = 16
"""Skipped steps that a loss scaler needs to settle: 16 halvings from 2**16."""
MANY = 0.05
MOST = 0.5
STALE = 3
UNSCALED = 2


@dataclass(frozen=True, slots=True)
class Skipped:
    """How many of how many steps were skipped, as one source tells it."""

    count: int
    total: int
    source: Source
    told: str
    first: int | None = None
    normal: int = NORMAL
    unscaled: bool = False

    @property
    def share(self) -> float:
        return self.count / max(self.total, self.count, 1)


@detector(
    "steps-skipped",
    any_of=("event overflow", "event nonfinite-gradients-skipped", "skipped_steps", "optimizer", "grad_norm"),
)
def steps_skipped(run: Run) -> Iterator[Finding]:
    """Find optimizer steps that were skipped, by log lines, counters or a gradient norm left from the step before.

    Source: DeepSpeed prints OVERFLOW lines and counts `skipped`; up to 0.19.6 it leaves the norm of the step
    before in place (`stage_1_and_2.py`, `step`), so that gradient norm and learning rate repeat to the last digit.
    Minimum: one skipped step by a counter or a line, three entries with a repeated norm.
    Silenced by: no more than 16 skipped steps (or halvings from the highest scale attempted) or 5 % of all are a
    notice, as a loss scaler settles so; from 5 % on it is a warning, from 50 % on an error. Without a scale, where
    nothing settles, half of two steps and more are a warning.
    Known false alarms: norms that were logged after clipping and repeat the limit are square roots or round
    numbers; values that print with at most three digits are left out, and so is a norm during which the loss falls.
    """
    found = max(_sources(run), key=lambda skipped: skipped.share, default=None)
    if found is None or found.count == 0:
        return
    severity: Severity = "notice"
    if found.count > found.normal and found.share >= MANY:
        severity = "error" if found.share >= MOST else "warning"
    elif found.unscaled and found.count >= UNSCALED and found.share >= MOST:
        severity = "warning"
    yield Finding(
        symptom="steps-skipped",
        severity=severity,
        statement=f"{found.told}, {100 * found.share:.3g} % of {counted(found.total, 'step')}",
        source=found.source,
        step=found.first,
        step_range=(None, run.timeline.last_step if found.first is None else found.first),
    )


def _sources(run: Run) -> Iterator[Skipped]:
    last = run.timeline.last_step or 0
    for kind in (Kind.OVERFLOW, Kind.NONFINITE_SKIPPED):
        for events in run.timeline.events_of(kind):
            first = int(events.steps[0]) if len(events) and events.steps[0] >= 0 else None
            count = len(events)
            if count:
                unscaled = kind == Kind.NONFINITE_SKIPPED
                why = "the gradient norm was NaN or infinite" if unscaled else "gradients overflowed"
                told = f"{counted(count, 'step was', 'steps were')} skipped because {why}"
                settling = _settling(events)
                yield Skipped(count, max(last, count), events.source_at(0), told, first, settling, unscaled)
    series = run.timeline.get(SKIPPED_STEPS)
    if series is not None and len(series) and np.isfinite(series.values[-1]):
        index = int(np.argmax(series.values > 0))
        count, total = int(series.values[-1]), int(series.steps[-1])
        told = f"the engine counts {counted(count, 'skipped step')}"
        yield Skipped(count, total, series.source_at(index), told, int(series.steps[index]))
    yield from _from_optimizer(run)
    yield from _stale(run)


def _settling(events: Events) -> int:
    """Return how many halvings take the highest scale that was attempted to 1: a scaler may begin at 2**32."""
    scales = events.values[np.isfinite(events.values) & (events.values > 1)]
    return max(NORMAL, int(np.log2(scales.max()))) if len(scales) else NORMAL


def _from_optimizer(run: Run) -> Iterator[Skipped]:
    for checkpoint in run.checkpoints:
        state = checkpoint.optimizer
        if state is None or state.skipped_steps is None:
            continue
        total = state.global_steps or checkpoint.step or 0
        told = f"the state of {checkpoint.path} counts {counted(state.skipped_steps, 'skipped step')}"
        yield Skipped(state.skipped_steps, total, source_of(checkpoint), told, None)


def _stale(run: Run) -> Iterator[Skipped]:
    """Yield entries whose gradient norm and learning rate repeat those before to the last digit."""
    norms = run.timeline.get(GRAD_NORM)
    if norms is None or len(norms) < STALE + 1 or int(norms.precisions.min()) < int(Precision.SINGLE):
        return
    values = np.where(np.isfinite(norms.values), norms.values, 0.0)
    same = np.concatenate(([False], values[1:] == values[:-1]))
    same &= (values > 0) & (sentinel.groups(values) == 0)
    same &= np.abs(values * 1000 - np.rint(values * 1000)) > 1e-6
    rates = run.timeline.get(LEARNING_RATE)
    if rates is not None and np.array_equal(rates.steps, norms.steps):
        same[1:] &= rates.values[1:] == rates.values[:-1]
    count = int(same.sum())
    index = int(np.argmax(same))
    loss = run.timeline.get(LOSS)
    if loss is not None and came_down(loss.values[(loss.steps >= norms.steps[index]) & np.isfinite(loss.values)]):
        return  # what is not stepped does not learn
    if count >= STALE:
        told = f"the gradient norm repeats the one before to the last digit in {counted(count, 'entry', 'entries')}"
        window = max(1, int(norms.steps[-1]) // len(norms))
        yield Skipped(count * window, int(norms.steps[-1]), norms.source_at(index), told, int(norms.steps[index]))
