"""A quantity of reinforcement learning or of preference pairs is NaN while the loss is a number."""

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from forensics.analysis import context
from forensics.analysis.onset import point_onset
from forensics.deferred.patterns import expression
from forensics.detectors._names import ERROR
from forensics.detectors._wording import counted, listed
from forensics.model import Finding, Run
from forensics.names import EVAL_LOSS, EVALUATION, GRAD_NORM, LEARNING_RATE, LOSS, LOSS_SCALE, TRAIN_LOSS
from forensics.plugin import detector

LEAST = 2
OWN = frozenset({LOSS, TRAIN_LOSS, EVAL_LOSS, GRAD_NORM, LEARNING_RATE, LOSS_SCALE})
TERM = expression(r"loss|grad|norm", re.IGNORECASE)
"""What has symptoms of its own: loss-nan, eval-nan, loss-term-nan, grad-norm-nan."""
LEAST_BEFORE = 3
ALWAYS = 5
"""Entries of which none is a number: no healthy run of 576 has such a metric."""
SPREAD = expression(r"std|var(?:iance)?(?:$|[/_ ])", re.IGNORECASE)
QUANTITY = expression(
    r"(?:^|[/ ])(?:\w+_)?(?:reward|kl|logit|logp|entropy|advantage|value|ratio)s?(?:_(?:mean|max|min|sum))?(?:$|[/ ])",
    re.IGNORECASE,
)
"""Whole words of a name; a standard deviation is NaN by definition where a group has one member."""


@detector("metric-nan")
def metric_nan(run: Run) -> Iterator[Finding]:
    """Find a reward, KL, logit, log-probability, entropy, advantage, value, ratio or error that is NaN or infinite.

    Source: `kl_mean: nan` in every entry beside finite rewards (TRL, verl): the gradient is NaN with it or the term
    is lost. 3 of 59 faulty runs that were called healthy, 0 of 396 others.
    Minimum: two entries; of any other metric three numbers before and two entries of NaN to the end, or all of five
    entries and more; of an error over validation data (mse, mae ...) one at the end. A warning, told from the first on.
    Silenced by: of other metrics, a standard deviation or a variance, which one member of a group does not have; a
    score over validation data, which is none where no sample is positive.
    Known false alarms: a quantity that is logged as NaN where it does not apply, as a value without a critic.
    Counts of healthy and missed runs are those of the simulation that chose the thresholds, not of this code
    (docs/design/0004-evidence.md); as written it is silent on 39 healthy runs.
    """
    ill = []
    for name in sorted(run.timeline.series):
        series = run.timeline[name]
        bad = ~np.isfinite(series.values)
        quantity = QUANTITY.search(name) and np.count_nonzero(bad) >= LEAST
        broke = _broke(bad) and (_is_error(name) or (_is_trained(name) and np.count_nonzero(bad) >= LEAST))
        if quantity or broke or (_is_other(name) and _never(bad)):
            ill.append((name, int(np.argmax(bad)), int(np.count_nonzero(bad))))
    if not ill:
        return
    name, index, count = min(ill, key=lambda each: int(run.timeline[each[0]].steps[each[1]]))
    series = run.timeline[name]
    others = listed([each for each, _, _ in ill if each != name])
    ends = bool(np.isfinite(series.values[-1]))
    yield Finding(
        symptom="metric-nan",
        severity="warning",
        statement=f"{name} is NaN or infinite in {counted(count, 'entry', 'entries')} of {len(series):,}, first at "
        f"step {int(series.steps[index])}" + (f"; so are {others}" if others else ""),
        source=series.source_at(index),
        step=int(series.steps[index]),
        step_range=point_onset(series, index, context.logging_window(run)).bracket(),
        until=int(series.steps[np.flatnonzero(~np.isfinite(series.values))[-1]]) if ends else None,
    )


def _is_error(name: str) -> bool:
    return name != EVAL_LOSS and ERROR.search(name) is not None  # the loss has a symptom of its own, eval-nan


def _is_other(name: str) -> bool:
    """Tell whether no other symptom speaks of a metric, and it should be a number throughout."""
    return name not in OWN and not TERM.search(name) and not SPREAD.search(name)


def _is_trained(name: str) -> bool:
    """Tell whether it is a metric of training: a score over validation data is none where no sample is positive."""
    return _is_other(name) and EVALUATION.search(name) is None


def _never(bad: NDArray[np.bool_]) -> bool:
    return len(bad) >= ALWAYS and bool(bad.all())


def _broke(bad: NDArray[np.bool_]) -> bool:
    """Tell whether a series was a number at least three times and is none from some entry to the end."""
    if not bad.any():
        return False
    first = int(np.argmax(bad))
    return first >= LEAST_BEFORE and bool(bad[first:].all())
