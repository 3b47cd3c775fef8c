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


@detector("lr-jump", needs=("learning_rate",))
def lr_jump(run: Run) -> Iterator[Finding]:
    """Find a leap of the learning rate that is no part of a ramp.

    Source: trainspotter 0.2.6, at least 20 % of the range of the series between neighbours, and here five times
    the larger of the two steps beside it.
    Minimum: ten finite entries; the first three are a warm-up and are not judged.
    Silenced by: leaps of the same size beside it (a coarsely logged ramp), but for one entry that stands alone.
    Known false alarms: cosine restarts and staged schedules; hence always a notice.
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
    step = int(series.steps[finite[index + 1]])
    old, new = number(float(values[index])), number(float(values[index + 1]))
    yield Finding(
        symptom="lr-jump",
        severity="notice",
        statement=f"the learning rate leaps from {old} to {new} "
        f"at step {step} ({counted(int(leaps.sum()), 'leap')} in all)",
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
