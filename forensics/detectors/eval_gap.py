"""The evaluation loss rises again while the training loss falls."""

from collections.abc import Iterator

import numpy as np

from forensics.analysis import context
from forensics.detectors._wording import number
from forensics.model import Finding, Run, Severity
from forensics.names import EVAL_LOSS, LOSS
from forensics.plugin import detector

LEAST = 4
RATIO = 1.2
LAST = 3
NEAR = 5
FAR = 2.0
COSTS = ("loss", "runtime", "per_second", "time", "perplexity", "entropy", "num_tokens", "compilation")


@detector("eval-gap", needs=("eval_loss",))
def eval_gap(run: Run) -> Iterator[Finding]:
    """Find evaluation losses that stay 20 % over the best one.

    Source: trainproof 0.22, at least 1.2 x the best over the last three of at least four evaluations.
    Minimum: four finite evaluations.
    Silenced by: a best evaluation loss below 0.01.
    Known false alarms: classification, where accuracy still rises while the loss does. So it is a notice, and a
    warning only when the loss ends at twice its best, which was 0.5 or more, and no other quality was evaluated, or
    when the training loss ends a fifth above what it was then (no overfitting, but a fault; 0 of 26 healthy fixtures).
    """
    series = context.recorded(run, EVAL_LOSS)
    finite = np.flatnonzero(np.isfinite(series.values))
    if len(finite) < LEAST:
        return
    values = series.values[finite]
    best = int(np.argmin(values))
    if values[best] < 0.01 or float(values[-LAST:].min()) < RATIO * float(values[best]) or best >= len(values) - LAST:
        return
    above = np.flatnonzero(values[best + 1 :] >= RATIO * values[best]) + best + 1
    first = int(finite[above[0]])
    far = float(values[-LAST:].min()) >= FAR * float(values[best]) and values[best] >= 0.5
    both = _training_rises(run, int(series.steps[finite[best]]))
    severity: Severity = "warning" if (far and not _has_quality(run)) or both else "notice"
    meaning = "the training loss rises with it" if both else "later steps only fit the training data"
    yield Finding(
        symptom="eval-gap",
        severity=severity,
        statement=f"the evaluation loss was best with {number(float(values[best]))} at step "
        f"{int(series.steps[finite[best]])} and ends at {number(float(values[-1]))}: {meaning}",
        source=series.source_at(first),
        step=int(series.steps[first]),
        step_range=(int(series.steps[finite[best]]), int(series.steps[first])),
    )


def _training_rises(run: Run, step: int) -> bool:
    """Tell whether the training loss, too, ends a fifth above what it was around the best evaluation."""
    series = context.recorded(run, LOSS)
    values = np.where(np.isfinite(series.values), series.values, np.nan)
    near, end = values[series.steps <= step][-NEAR:], values[-NEAR:]
    if len(near) < NEAR or int(series.steps[-NEAR]) <= step or bool(np.isnan(near).any() or np.isnan(end).any()):
        return False
    return float(np.median(end)) > RATIO * float(np.median(near)) and float(np.median(near)) > 0


def _has_quality(run: Run) -> bool:
    """Tell whether an accuracy, an F1, a word error rate or the like was evaluated beside the loss."""
    names = (name for name in run.timeline.series if name.startswith("eval_"))
    return any(not any(cost in name for cost in COSTS) for name in names)
