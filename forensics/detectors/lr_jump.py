"""The learning rate leaps from one entry to the next."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from forensics.analysis import context
from forensics.detectors._wording import counted, number
from forensics.model import Finding, Floats, Run
from forensics.names import LEARNING_RATE
from forensics.plugin import detector

LEAST = 10
SHARE = 0.2
RAMP = 5.0
RETURNS, HAD = 3.0, 0.9
"""The rate triples at least, to within a tenth of the highest before: a schedule from its start, no longer one."""


@detector("lr-jump", needs=("learning_rate",))
def lr_jump(run: Run) -> Iterator[Finding]:
    """Find a leap of the learning rate that is no part of a ramp.

    Source: trainspotter 0.2.6, at least 20 % of the range of the series between neighbours, and here five times
    the larger of the two steps beside it.
    Minimum: ten finite entries; the first three are a warm-up and are not judged.
    Silenced by: leaps of the same size beside it (a coarsely logged ramp), but for one entry that stands alone.
    Known false alarms: cosine restarts and staged schedules; hence a notice, and a warning only where the rate
    returns to its highest value at the very step from which the run was resumed: the state of the schedule was lost.
    """
    series = context.recorded(run, LEARNING_RATE)
    finite = np.flatnonzero(np.isfinite(series.values))
    if len(finite) < LEAST:
        return
    values = series.values[finite]
    moves = np.abs(np.diff(values))
    span = float(np.ptp(values))
    beside = np.maximum(np.concatenate(([0.0], moves[:-1])), np.concatenate((moves[1:], [0.0])))
    wide = (moves >= SHARE * span) & (span > 0)
    leaps = wide & ((moves > RAMP * beside) | _lone(values, wide))
    leaps[:2] = False
    if not bool(leaps.any()):
        return
    index = int(np.argmax(leaps))
    lost = _lost_at(run, series.steps[finite], values, leaps)
    index = index if lost is None else lost
    step = int(series.steps[finite[index + 1]])
    old, new = number(float(values[index])), number(float(values[index + 1]))
    yield Finding(
        symptom="lr-jump",
        severity="notice" if lost is None else "warning",
        statement=f"the learning rate leaps from {old} to {new} "
        f"at step {step} ({counted(int(leaps.sum()), 'leap')} in all)"
        + ("" if lost is None else ", where the run was resumed: the schedule began anew"),
        source=series.source_at(int(finite[index + 1])),
        step=step,
        step_range=(int(series.steps[finite[index]]), step),
        until=int(series.steps[finite[int(np.flatnonzero(leaps)[-1]) + 1]]),
    )


def _lone(values: Floats, wide: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which wide moves lead to a single entry from which the rate returns to where it was; bool, (n - 1,)."""
    lone = np.zeros(len(wide), dtype=np.bool_)
    apart, back = np.abs(np.diff(values))[:-1], np.abs(values[2:] - values[:-2])
    calm = ~np.concatenate(([False], wide[:-2])) & ~np.concatenate((wide[2:], [False]))
    lone[:-1] = wide[:-1] & wide[1:] & calm & (back * RAMP < apart)
    return lone


def _lost_at(run: Run, steps: NDArray[np.int64], values: Floats, leaps: NDArray[np.bool_]) -> int | None:
    """Return the leap at a restart that brings the rate back to its highest value, None when there is none."""
    asked = run.environment.best("lr_scheduler_type")
    if asked is not None and "restart" in str(asked.value):
        return None
    seams = context.seams(run)
    for index in np.flatnonzero(leaps):
        peak = float(values[: index + 1].max())
        between = any(int(steps[index]) < seam <= int(steps[index + 1]) for seam in seams)
        if between and values[index] * RETURNS <= values[index + 1] and HAD <= values[index + 1] / peak <= 1 / HAD:
            return int(index)
    return None
