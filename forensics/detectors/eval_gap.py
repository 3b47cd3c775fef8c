"""The evaluation loss rises again while the training loss falls."""

from collections.abc import Iterator

import numpy as np

from forensics.analysis import context
from forensics.detectors._wording import number
from forensics.model import Finding, Run
from forensics.names import EVAL_LOSS
from forensics.plugin import detector

LEAST = 4
RATIO = 1.2
LAST = 3


@detector("eval-gap", needs=("eval_loss",))
def eval_gap(run: Run) -> Iterator[Finding]:
    """Find evaluation losses that stay 20 % over the best one.

    Source: trainproof 0.22, at least 1.2 x the best over the last three of at least four evaluations.
    Minimum: four finite evaluations.
    Silenced by: a best evaluation loss below 0.01.
    Known false alarms: classification, where accuracy still rises while the loss does; hence always a notice.
    """
    series = context.recorded(run, EVAL_LOSS)
    finite = np.flatnonzero(np.isfinite(series.values))
    if len(finite) < LEAST:
        return
    values = series.values[finite]
    best = int(np.argmin(values))
    if (
        values[best] < 0.01
        or float(values[-LAST:].min()) < RATIO * float(values[best])
        or best >= len(values) - LAST
    ):
        return
    above = np.flatnonzero(values[best + 1 :] >= RATIO * values[best]) + best + 1
    first = int(finite[above[0]])
    yield Finding(
        symptom="eval-gap",
        severity="notice",
        statement=f"the evaluation loss was best with {number(float(values[best]))} at step "
        f"{int(series.steps[finite[best]])} and ends at {number(float(values[-1]))}: later steps only fit the "
        "training data",
        source=series.source_at(first),
        step=int(series.steps[first]),
        step_range=(int(series.steps[finite[best]]), int(series.steps[first])),
    )
