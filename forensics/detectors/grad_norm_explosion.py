"""The gradient norm is many times what it was."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from forensics.analysis import context, robust
from forensics.detectors._wording import counted, number
from forensics.model import Finding, Floats, Integers, Run, Series
from forensics.model.statistics import median, medians
from forensics.names import GRAD_NORM, LOSS
from forensics.plugin import detector

TIMES = 10.0
DEVIATIONS = 10 / 0.6745
LEAST = 20
FEW = 5
LEVELS, PEAK = 50.0, 300.0
HUGE = 1000.0
"""Norms that no model shows which was trained before, whatever is fine-tuned: 1 of 300 faulty runs, 0 of 576 others
where the loss does not fall either."""


@detector("grad-norm-explosion", needs=("grad_norm",))
def grad_norm_explosion(run: Run) -> Iterator[Finding]:
    """Find gradient norms over ten times the trailing median and over ten deviations above it.

    Source: runmedic 0.1.1 takes 10 x the median, trainspotter 0.2.6 a modified z-score 0.6745 (x - median) / MAD
    above 10 for gradients; both must hold, over a trailing median, as a global one fires on every converging run.
    Minimum: 20 finite entries, of which the first max(5, 5 %) are not judged (warm-up); in a shorter log the norm
    must be ten times all of at least five before it, whose median is told.
    Silenced by: norms below 1e-3, where a relative rise means nothing; for the two last, a loss that stood still until
    the norms rose and then fell by a tenth: gradients are small at the saddle that was left.
    Known false alarms: single batches; so it is a notice, and a warning only when the last tenth of the run
    stays at ten times the level before and the loss rose by a fifth with it, when the last of the levels (medians of a
    twentieth of the entries, five at least) is above 50 times the lowest, or when the highest is above 300 times the
    median of the first five: 4 and 6 of 59 faulty runs that were called healthy, 0 of 396 others (the highest healthy
    ratio of levels is 21; 30 in place of 300 hits 3).
    Counts of healthy and missed runs are those of the simulation that chose the thresholds, not of this code
    (docs/design/0004-evidence.md); as written it is silent on 39 healthy runs.
    """
    norms = context.recorded(run, GRAD_NORM)
    finite = np.flatnonzero(np.isfinite(norms.values) & (norms.values > 0))
    if len(finite) <= FEW or context.policy_gradient(run):
        return
    values = norms.values[finite]
    baseline = robust.trailing(values, minimum=FEW)
    if _huge(run, values):
        yield _at_once(norms, finite, values)
        return
    high = _high(values, baseline)
    grown = _grown(values)
    if grown and not bool(high.any()):
        high = values > TIMES * median(values[:FEW])
    if not bool(high.any()):
        return
    first, worst = int(np.argmax(high)), int(np.argmax(np.where(high, values, 0.0)))
    last = int(np.flatnonzero(high)[-1])
    step = int(norms.steps[finite[first]])
    grown = grown and not _left_a_saddle(run, norms, step)
    lasting = (_lasting(values) and _loss_rose(run, step, len(values))) or grown
    before = float(baseline.median[worst])
    usual = before if np.isfinite(before) else median(values[:FEW])
    yield Finding(
        symptom="grad-norm-explosion",
        severity="warning" if lasting else "notice",
        statement=f"the gradient norm leaves its level by more than ten times in "
        f"{counted(int(high.sum()), 'entry', 'entries')}; the highest is {number(float(values[worst]))} at step "
        f"{int(norms.steps[finite[worst]])} against a median of {number(usual)} before",
        source=norms.source_at(int(finite[first])),
        step=step,
        step_range=(int(norms.steps[finite[first] - 1]) if finite[first] else None, step),
        until=None if lasting else int(norms.steps[finite[last]]),
    )


def _huge(run: Run, values: Floats) -> bool:
    """Tell whether all norms are in the thousands while the loss does not fall."""
    losses = context.recorded(run, LOSS).values
    losses = losses[np.isfinite(losses)]
    if float(values.min()) < HUGE or len(losses) <= FEW:
        return False
    third = len(losses) // 3
    return median(losses[-third:]) > 0.95 * float(losses[0]) and not robust.trend(losses).falls


def _at_once(norms: Series, finite: Integers, values: Floats) -> Finding:
    step = int(norms.steps[finite[0]])
    return Finding(
        symptom="grad-norm-explosion",
        severity="warning",
        statement=f"the gradient norm is in the thousands from the first entry on, {number(median(values))} "
        f"in the middle of {counted(len(values), 'entry', 'entries')}, and the loss does not fall",
        source=norms.source_at(int(finite[0])),
        step=step,
        step_range=(None, step),
    )


def _left_a_saddle(run: Run, norms: Series, step: int) -> bool:
    """Tell whether the loss stood still until the norms rose, at `step`, and fell from then on for good."""
    series = run.timeline.beside(norms, LOSS)
    if series is None:
        return False
    known = np.isfinite(series.values)
    values, before = series.values[known], series.values[known & (series.steps < step)]
    tenth = len(values) // 10
    if len(values) < LEAST or len(before) < FEW:
        return False
    begun, until, level = (median(v) for v in (values[:tenth], before[-tenth:], values[-tenth:]))
    best = median(np.sort(values)[:tenth])
    fell = begun - level
    return level >= 0 and fell > 0.1 * begun and begun - until < 0.2 * fell and level < best + 0.2 * fell


def _high(values: Floats, baseline: robust.Baseline) -> NDArray[np.bool_]:
    with np.errstate(over="ignore", invalid="ignore"):
        if len(values) < LEAST:
            before = np.maximum.accumulate(np.concatenate((values[:1], values[:-1])))
            high = values > TIMES * before
        else:
            high = (values > TIMES * baseline.median) & (robust.scores(values, baseline) > DEVIATIONS)
    high &= values > 1e-3
    high[: max(FEW, len(values) // 20)] = False
    return high


def _grown(values: Floats) -> bool:
    """Tell whether the norms end at, or peak at, many times their lowest or first level."""
    if len(values) < LEAST:
        return False
    width = max(FEW, len(values) // 20)
    levels = medians(values[: len(values) // width * width].reshape(-1, width))
    ends = median(values[-width:]) > LEVELS * float(levels.min())
    return ends or float(values.max()) > PEAK * median(values[:FEW])


def _lasting(values: Floats) -> bool:
    tenth = max(5, len(values) // 10)
    if len(values) < LEAST:
        return False
    return median(values[-tenth:]) > TIMES * median(values[len(values) // 10 : -tenth])


def _loss_rose(run: Run, step: int, size: int) -> bool:
    """Tell whether the loss of the last tenth lies a fifth above that of the entries before `step`."""
    series = context.recorded(run, LOSS)
    values = series.values
    tenth = max(5, size // 10)
    before, after = values[series.steps < step][-tenth:], values[-tenth:]
    before, after = before[np.isfinite(before)], after[np.isfinite(after)]
    if len(before) == 0 or len(after) == 0:
        return False
    return median(after) > 1.2 * median(before)
