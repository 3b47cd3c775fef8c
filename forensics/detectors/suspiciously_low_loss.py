"""The loss is lower than real text allows."""

import re
from collections.abc import Iterator

import numpy as np

from forensics.analysis import context
from forensics.deferred.patterns import expression
from forensics.detectors._wording import number
from forensics.model import Finding, Floats, Run, Series
from forensics.model.statistics import median
from forensics.names import LOSS
from forensics.plugin import detector

LOW = 1e-3
LONG = 20
FLOOR, NEARLY = -1.0, 0.005
"""The least that a negated cosine can be, and how near it is in the whole second half of a collapse."""
LEAST = 5
SPENT, GUESSED = 50, 0.3
"""Entries of a loss that has nothing left to teach, and what guessing cost at first."""
ROUNDED = 10
"""Entries below 0 of a loss that is 0 but for the rounding of a fused cross-entropy."""
OF_AN_EQUATION = expression(r"\bpdes?\b|residual|\bl2[ _](?:rel\w{0,5}[ _])?err", re.IGNORECASE)
"""What is logged where an equation is solved: its residual, or how far the solution is off."""
NAMED = expression(r"^(?:padded_)?vocab(?:ulary)?_size$", re.IGNORECASE)


@detector("suspiciously-low-loss", needs=("loss",))
def suspiciously_low_loss(run: Run) -> Iterator[Finding]:
    """Find a loss whose last entries lie below 0.001.

    Source: the entropy of text is some tenths of a nat a token, so that less means memorised data or leaked
    labels. The Trainer of transformers < 5.0 prints a loss below 0.00005 as 0.0.
    Minimum: five finite entries; the median of the last five counts, and one of the first
    five must have been 10 times higher.
    Silenced by: a policy-gradient trainer; a loss with negative values beyond rounding; the residual of an equation,
    which may sink as far as numbers reach.
    Known false alarms: classification of separable classes; hence a notice. It is a warning where fifty entries and
    more are as low and the loss is one of tokens (a model without a causal mask on random tokens; 0 of 691 healthy
    runs), and where ten entries and more lie below 0, by less than 0.001, as does the middle one of the last ten: what
    is 0 but for rounding (0 of 447 healthy runs). It is one too where a negated cosine is at its floor, within 0.005 of
    -1, from a tenth of 20 entries and more on: all inputs get the same place.
    """
    series = context.recorded(run, LOSS)
    finite = np.flatnonzero(np.isfinite(series.values))
    if len(finite) < LEAST or context.policy_gradient(run) or any(map(OF_AN_EQUATION.search, run.timeline.series)):
        return
    values = series.values[finite]
    if _at_the_floor(values):
        yield _collapsed(series, int(finite[0]), float(values[-1]))
        return
    level, start = median(values[-LEAST:]), float(values[:LEAST].max())
    if level >= LOW or bool((values < -LOW).any()) or start < 10 * max(level, 1e-12) or not bool((values > 0).any()):
        return
    low = np.flatnonzero(values >= LOW)
    index = int(finite[min(low[-1] + 1, len(values) - 1)]) if len(low) else int(finite[0])
    if index == len(series) - 1 or _sudden(values):
        return
    step = int(series.steps[index])
    yield Finding(
        symptom="suspiciously-low-loss",
        severity="warning" if _given_away(run, start, values) else "notice",
        statement=f"the loss ends near {number(level)}, lower than text that was not seen before can have: "
        "memorised data, or labels that the input gives away",
        source=series.source_at(index),
        step=step,
        step_range=(int(series.steps[index - 1]) if index else None, step),
    )


def _given_away(run: Run, start: float, values: Floats) -> bool:
    """Tell whether no skill explains the loss: each of many tokens is known, long after nothing was left to learn.

    Classes that separate cost as little, in evaluations too: of 140 small classifiers seven end below 5e-5 in both.
    """
    named = any(NAMED.search(name) for name in run.timeline.series)
    spent = int(np.count_nonzero(values < LOW)) >= SPENT and (named or context.token_losses(run))
    rounded = int(np.count_nonzero(values < 0)) >= ROUNDED and median(values[-ROUNDED:]) <= 0
    return start >= GUESSED and (spent or rounded)


def _at_the_floor(values: Floats) -> bool:
    late = values[max(1, len(values) // 10) :]
    return len(values) >= LONG and float(late.min()) >= FLOOR - 1e-6 and float(late.max()) <= FLOOR + NEARLY


def _collapsed(series: Series, index: int, level: float) -> Finding:
    return Finding(
        symptom="suspiciously-low-loss",
        severity="warning",
        statement=f"the loss is at the floor of a negated cosine almost from the start and ends at {level:.5g}: "
        "every input is given the same place",
        source=series.source_at(index),
        step=int(series.steps[index]),
        step_range=(None, int(series.steps[index])),
    )


def _sudden(values: Floats) -> bool:
    """Tell whether the loss drops from a clear value straight to exactly 0, which is `loss-to-zero`."""
    zeros = np.flatnonzero(values == 0)
    return len(zeros) > 0 and zeros[0] > 0 and bool(values[zeros[0] - 1] > 0.05)
