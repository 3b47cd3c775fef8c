"""The evaluation loss rises again while the training loss falls."""

from collections.abc import Iterator

import numpy as np

from forensics.analysis import context
from forensics.detectors._wording import number
from forensics.model import Finding, Run, Severity
from forensics.names import EVAL_LOSS
from forensics.plugin import detector

LEAST = 4
RATIO = 1.2
LAST = 3
FAR = 2.0
COSTS = ("loss", "runtime", "per_second", "time", "perplexity", "entropy", "num_tokens", "compilation")


@detector("eval-gap", needs=("eval_loss",))
def eval_gap(run: Run) -> Iterator[Finding]:
    """Find evaluation losses that stay 20 % over the best one.

    Source: trainproof 0.22, at least 1.2 x the best over the last three of at least four evaluations.
    Minimum: four finite evaluations.
    Silenced by: a best evaluation loss below 0.01.
    Known false alarms: classification, where accuracy still rises while the loss does. So it is a notice, and a
    warning only when the loss ends at twice its best, which was 0.5 or more, and no other quality was evaluated.
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
    severity: Severity = "warning" if far and not _has_quality(run) else "notice"
    yield Finding(
        symptom="eval-gap",
        severity=severity,
        statement=f"the evaluation loss was best with {number(float(values[best]))} at step "
        f"{int(series.steps[finite[best]])} and ends at {number(float(values[-1]))}: later steps only fit the "
        "training data",
        source=series.source_at(first),
        step=int(series.steps[first]),
        step_range=(int(series.steps[finite[best]]), int(series.steps[first])),
    )


def _has_quality(run: Run) -> bool:
    """Tell whether an accuracy, an F1, a word error rate or the like was evaluated beside the loss."""
    names = (name for name in run.timeline.series if name.startswith("eval_"))
    return any(not any(cost in name for cost in COSTS) for name in names)
