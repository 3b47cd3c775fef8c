"""The loss leaps above its level and comes back."""

from collections.abc import Iterator

import numpy as np

from forensics.analysis import context, robust
from forensics.analysis.onset import stretches
from forensics.detectors._wording import counted, number
from forensics.model import Finding, Floats, Run
from forensics.model.statistics import median
from forensics.names import LOSS
from forensics.plugin import detector

DEVIATIONS = 6 / 0.6745
TIMES = 1.5
LEAST = 12
EXTREME = 10.0
OFTEN, LEVEL, SETTLED = 3, 0.5, 20
"""Entries above ten times the level of the last two thirds of a log, that level, and the entries that this needs."""


@detector("loss-spike", needs=("loss",))
def loss_spike(run: Run) -> Iterator[Finding]:
    """Find losses far above the trailing median that come back down.

    Source: trainspotter 0.2.6, modified z-score 0.6745 (x - median) / MAD over 6; here over a trailing median of
    64 entries, at least 1.5 times that median, and told as extreme from 10 times (losslint 0.4.1, Megatron-LM's
    rerun state machine). OLMo-core's spike score, the share of entries over mean + 6 deviations of the last 128,
    is told beside it.
    Minimum: 12 finite positive entries, 8 of them before the spike.
    Silenced by: a policy-gradient trainer; a spike below 0.05.
    Known false alarms: hard batches; so it is a notice, and a warning where three entries and more of the last two
    thirds lie above ten times their median, and that above 0.5: 0 of 607 healthy runs, all of whose such spikes are of
    losses that are nearly 0, in 4 of 317 faulty ones. A loss that does not come back is `loss-divergence`.
    """
    series = context.recorded(run, LOSS)
    finite = np.flatnonzero(np.isfinite(series.values) & (series.values > 0))
    if len(finite) < LEAST or context.policy_gradient(run):
        return
    values = series.values[finite]
    baseline = robust.trailing(values)
    high = _high(values, baseline)
    starts, ends = stretches(high)
    if len(starts) == 0:
        return
    worst = int(np.argmax(np.where(high, values / np.maximum(baseline.median, 1e-12), 0.0)))
    first, last = int(finite[starts[0]]), int(finite[ends[-1] - 1])
    times = float(values[worst] / baseline.median[worst])
    share = robust.spike_share(values)
    degree = "extreme" if times >= EXTREME else "highest"
    score = "" if share is None else f"; OLMo's spike score is {100 * share:.2g} %"
    step = int(series.steps[first])
    yield Finding(
        symptom="loss-spike",
        severity="warning" if _again_and_again(values) else "notice",
        statement=f"{counted(len(starts), 'spike')} of the loss, the {degree} one {number(float(values[worst]))} "
        f"at step {int(series.steps[finite[worst]])}, {times:.1f} times the median before{score}",
        source=series.source_at(first),
        step=step,
        step_range=(int(series.steps[first - 1]), step),
        until=int(series.steps[last]),
    )


def _again_and_again(values: Floats) -> bool:
    late = values[len(values) // 3 :]
    level = median(late)
    return len(values) >= SETTLED and level > LEVEL and int(np.count_nonzero(late > EXTREME * level)) >= OFTEN


def _high(values: Floats, baseline: robust.Baseline) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    floor = 0.02 * median(values)
    scores = robust.scores(values, baseline, floor)
    with np.errstate(invalid="ignore", over="ignore"):
        return (scores > DEVIATIONS) & (values > TIMES * baseline.median) & (values > 0.05)
