"""The evaluation loss rises again while the training loss falls."""

from collections.abc import Iterator

import numpy as np

from forensics.analysis import context
from forensics.analysis.evaluation import training_since
from forensics.detectors._wording import number
from forensics.model import Finding, Floats, Integers, Run, Series, Severity
from forensics.names import EVAL_LOSS
from forensics.plugin import detector

LEAST = 4
RATIO = 1.2
LAST = 3
WORSE, ABOVE, DOUBLE = 1.3, 1.1, 2.0
"""How far the last evaluation lies above the best one, and those just before it; the last one of two in all."""
SMALL = 0.1
"""A loss below this moves by its own size from one evaluation to the next."""
LEVELS = 20
"""A log with more evaluations prints batches of them, or evaluates so often that single ones say little."""


@detector("eval-gap", needs=("eval_loss",))
def eval_gap(run: Run) -> Iterator[Finding]:
    """Find evaluation losses that end well above the best one.

    Source: trainproof 0.22 takes 1.2 x the best over the last three of at least four evaluations: a notice. It is a
    warning where the last evaluation is 1.3 x the best, two at least follow the best and the last two lie at 1.2
    of it or all rise from it on (a second and last evaluation: twice the first), or where the training loss rises too.
    Minimum: two finite evaluations; more than 20 are read as the medians of 20 stretches.
    Silenced by: a best evaluation loss below 0.01; below 0.1 it is a notice.
    Known false alarms: classification, where accuracy may still rise while the loss does, as it does in the one below.
    Measured: 1 of 133 healthy runs (27 of the fixtures, 73 of first contact, 33 further public ones), a classifier
    whose precision rises all the while; no other ends above 1.26 x its best, none of 7 that overfit below 1.31 x.
    """
    series = context.recorded(run, EVAL_LOSS)
    values, index = _levels(series)
    if len(values) < 2:
        return
    best = int(np.argmin(values))
    low = float(values[best])
    since = training_since(run, int(series.steps[index[best]]))
    worse, both = _worse(values, best), since is not None and since.rises
    lasting = len(values) >= LEAST and best < len(values) - LAST and float(values[-LAST:].min()) >= RATIO * low
    if low < 0.01 or not (worse or lasting):
        return
    first = int(index[best + 1 + int(np.argmax(values[best + 1 :] >= ABOVE * low))])
    severity: Severity = "warning" if (worse and low >= SMALL) or (lasting and both) else "notice"
    meaning = "the training loss rises with it" if both else "later steps only fit the training data"
    yield Finding(
        symptom="eval-gap",
        severity=severity,
        statement=f"the evaluation loss was best with {number(low)} at step "
        f"{int(series.steps[index[best]])} and ends at {number(float(values[-1]))}: {meaning}",
        source=series.source_at(first),
        step=int(series.steps[first]),
        step_range=(int(series.steps[index[best]]), int(series.steps[first])),
    )


def _levels(series: Series) -> tuple[Floats, Integers]:
    """Return the finite evaluations and their places, of more than LEVELS the medians and the middles of stretches."""
    finite = np.flatnonzero(np.isfinite(series.values))
    if len(finite) <= LEVELS:
        return series.values[finite], finite
    parts = np.array_split(finite, LEVELS)
    return np.array([float(np.median(series.values[p])) for p in parts]), np.array([int(p[len(p) // 2]) for p in parts])


def _worse(values: Floats, best: int) -> bool:
    """Tell whether the evaluations end far above the best, and not by a single one."""
    low, after = float(values[best]), values[best + 1 :]
    if len(values) == 2:
        return best == 0 and float(values[1]) >= max(DOUBLE * low, low + 0.5)
    if len(after) < 2 or float(after[-1]) < WORSE * low:
        return False
    return float(after[-2:].min()) >= RATIO * low or bool(np.all(np.diff(values[best:]) > 0))
