"""The loss is the logarithm of the vocabulary size: every token is as likely as any other."""

from collections.abc import Iterator

import numpy as np

from forensics.analysis import context
from forensics.analysis.onset import tail_onset, window_start
from forensics.analysis.robust import trend
from forensics.detectors._wording import counted, number
from forensics.model import Finding, Run, Series
from forensics.model.statistics import median
from forensics.names import GRAD_NORM, LEARNING_RATE, LOSS
from forensics.plugin import detector

NEAR = 0.02
EXACT = 0.002
LEAST = 3
SHORT_SEQUENCES = 0.05
"""transformers 4.57 logs (T-1)/T of the loss for sequences of T tokens: 5 % less for 20 tokens."""
STILL = 0.01
LONG = 20


@detector("loss-uniform", needs=("loss", "model.vocab_size"))
def loss_uniform(run: Run) -> Iterator[Finding]:
    """Find a loss that ends at ln(vocabulary size).

    Source: cross-entropy of uniform logits; runmedic 0.1.1 takes within 2 %, here with the real vocabulary size.
    RMSNorm makes the logits of huge finite weights uniform too.
    Minimum: three entries within 2 % to the end. An error when the loss was lower before by a tenth, when the
    gradient norm beside it is 0, or when all of 20 entries and more stay within 1 % of each other there (within
    5 % of the logarithm, for short sequences): no pretrained weights are in use, and nothing is learned.
    Silenced by: a loss that is on its way down; a warm-up that has not ended.
    Known false alarms: training from scratch begins here; a short or a moving log is a notice.
    """
    series = context.recorded(run, LOSS)
    vocabulary = run.environment.number("model.vocab_size")
    if vocabulary is None or not 16 <= vocabulary < 1e9 or len(series) < LEAST:
        return
    uniform = float(np.log(vocabulary))
    never = _never_moved(run, series, uniform)
    with np.errstate(invalid="ignore"):
        near = np.abs(series.values - uniform) <= (SHORT_SEQUENCES if never else NEAR) * uniform
    index = tail_onset(near)
    if index is None or len(series) - index < LEAST:
        return
    bad = never or _collapsed(series, index, uniform) or _dead(run, series, index, uniform)
    step = int(series.steps[index])
    start = window_start(series, index, context.logging_window(run))
    yield Finding(
        symptom="loss-uniform",
        severity="error" if bad else "notice",
        statement=f"the loss stands at ln({int(vocabulary):,}) = {number(uniform)} in "
        f"{counted(len(series) - index, 'entry', 'entries')} from step {step} to the end: every token is equally "
        "likely",
        source=series.source_at(index),
        step=step,
        step_range=(start if index or start == 0 else None, step),
    )


def _never_moved(run: Run, series: Series, uniform: float) -> bool:
    values, rates = series.values, context.recorded(run, LEARNING_RATE).values
    if len(values) < LONG or not bool(np.isfinite(values).all()):
        return False
    warming = len(rates) > 1 and bool(np.all(np.diff(rates) > 0))
    return not warming and float(np.ptp(values)) <= STILL * uniform and not trend(values, least=0.005).falls


def _collapsed(series: Series, index: int, uniform: float) -> bool:
    before = series.values[:index]
    before = before[np.isfinite(before) & (before > 0)]
    lower = len(before) >= LEAST and median(before[-5:]) < 0.9 * uniform
    return lower and float(np.ptp(series.values[index:])) <= EXACT * uniform


def _dead(run: Run, series: Series, index: int, uniform: float) -> bool:
    norms = context.recorded(run, GRAD_NORM)
    beside = norms.values[norms.steps >= series.steps[index]]
    still = float(np.ptp(series.values[index:])) <= EXACT * uniform
    return len(beside) > 0 and bool(np.all(beside == 0)) and still
