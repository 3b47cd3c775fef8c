"""A quantity of reinforcement learning or of preference pairs is NaN while the loss is a number."""

import re
from collections.abc import Iterator

import numpy as np

from forensics.analysis import context
from forensics.analysis.onset import point_onset
from forensics.detectors._wording import counted, listed
from forensics.model import Finding, Run
from forensics.plugin import detector

LEAST = 2
QUANTITY = re.compile(
    r"(?:^|[/ ])(?:\w+_)?(?:reward|kl|logit|logp|entropy|advantage|value|ratio)s?(?:_(?:mean|max|min|sum))?(?:$|[/ ])",
    re.IGNORECASE,
)
"""Whole words of a name; a standard deviation is NaN by definition where a group has one member."""


@detector("metric-nan")
def metric_nan(run: Run) -> Iterator[Finding]:
    """Find a reward, KL, logit, log-probability, entropy, advantage, value or ratio that is NaN or infinite.

    Source: `kl_mean: nan` in every entry beside finite rewards (TRL, verl): the gradient is NaN with it or the term
    is lost. 3 of 59 faulty runs that were called healthy, 0 of 396 others.
    Minimum: two entries; a warning, told from the first one on.
    Silenced by: nothing.
    Known false alarms: a quantity that is logged as NaN where it does not apply, as a value without a critic.
    Counts of healthy and missed runs are those of the simulation that chose the thresholds, not of this code
    (docs/design/0004-evidence.md); as written it is silent on 39 healthy runs.
    """
    ill = []
    for name in sorted(run.timeline.series):
        series = run.timeline[name]
        bad = ~np.isfinite(series.values)
        if QUANTITY.search(name) and np.count_nonzero(bad) >= LEAST:
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
