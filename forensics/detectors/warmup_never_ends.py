"""The warm-up is longer than the run: the learning rate never gets near the configured one."""

from collections.abc import Iterator

import numpy as np

from forensics.analysis import context
from forensics.analysis.robust import trend
from forensics.detectors._wording import number
from forensics.model import Finding, Floats, Integers, Run
from forensics.names import LEARNING_RATE, LOSS, Kind
from forensics.plugin import detector

LEAST = 5
HALF = 0.5
LEAST_ALONE = 10
"""Entries that a line needs where no configured rate says how far it had to go."""
LEARNT = 0.2
NEARLY = 0.9
"""Share of the planned steps from which a run is taken to be at its end."""


@detector("warmup-never-ends", needs=("learning_rate",))
def warmup_never_ends(run: Run) -> Iterator[Finding]:
    """Find a warm-up that takes as many steps as the whole run, or a rate that only rises and ends below half.

    Source: `warmup_steps` above `max_steps` leaves the run at a fraction of its rate. 1 of 59 faulty runs that were
    called healthy, 0 of 396 others.
    Minimum: the planned steps on file, and a warm-up that equals or exceeds them; or five rates at nine tenths of
    the plan, or of a run that says it has finished, none below the one before, of which the last is below half the
    configured rate (a schedule that is stepped once an epoch rises in stairs). Where no rate is configured: ten entries
    on a straight line through zero at the start, as a warm-up is.
    It is a notice where no rate is configured to compare with and the loss fell by a fifth: it was high enough.
    Silenced by: a run far from its plan, whose warm-up may still end.
    Known false alarms: a schedule that rises by design to the end.
    Counts of healthy and missed runs are those of the simulation that chose the thresholds, not of this code
    (docs/design/0004-evidence.md); as written it is silent on 39 healthy runs.
    """
    planned, warmup = run.planned_steps, run.environment.number("warmup_steps")
    series = context.recorded(run, LEARNING_RATE)
    if not len(series):
        return
    too_long = warmup is not None and np.isfinite(warmup) and planned is not None and warmup >= planned > 1
    if not too_long and not _only_rises(run, planned):
        return
    last, asked = float(series.values[-1]), run.environment.number("learning_rate")
    told = (
        f"warmup_steps is {warmup:g} of {planned:,} planned steps"
        if too_long and warmup is not None and planned is not None
        else ("the learning rate only rises")
    )
    against = f", {number(asked)} is configured" if asked is not None else ""
    step = int(series.steps[-1])
    losses = context.recorded(run, LOSS).values
    learns = asked is None and not too_long and trend(losses[np.isfinite(losses)], least=LEARNT).falls
    yield Finding(
        symptom="warmup-never-ends",
        severity="notice" if learns else "warning",
        statement=f"the warm-up never ends: {told}; the rate is {number(last)} at step {step}{against}",
        source=series.source_at(len(series) - 1),
        step=int(series.steps[0]),
        step_range=(None, int(series.steps[0])),
    )


def _only_rises(run: Run, planned: int | None) -> bool:
    """Tell whether the rate rises to the run's end: to below half of the configured one, or in a line from zero."""
    series, asked = context.recorded(run, LEARNING_RATE), run.environment.number("learning_rate")
    if series.axis != "step" or len(series) < LEAST or not bool(np.isfinite(series.values).all()):
        return False
    ended = run.timeline.count_of(Kind.TRAINING_FINISHED) > 0
    if (int(series.steps[-1]) < NEARLY * planned) if planned is not None else not ended:
        return False
    steps = np.diff(series.values)
    if asked is not None:
        rises = bool(np.all(steps >= 0)) and int(np.count_nonzero(steps)) >= LEAST - 1
        return rises and 0 < float(series.values[-1]) < HALF * asked
    if planned is None or len(series) < LEAST_ALONE or not bool(np.all(steps > 0)):
        return False
    return _from_zero(series.steps, series.values)


def _from_zero(steps: Integers, values: Floats) -> bool:
    """Tell whether a straight line goes through all values, and through zero where the run began."""
    slope = float(values[-1] - values[0]) / float(steps[-1] - steps[0])
    line = values[0] + slope * (steps - steps[0])
    begins = float(steps[0]) - float(values[0]) / slope
    return bool(np.allclose(values, line, rtol=0.02)) and abs(begins) <= 2
