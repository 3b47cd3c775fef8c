"""The loss does not move: it never learns, or it is the very same number."""

from collections.abc import Iterator

import numpy as np

from forensics.analysis import context, robust
from forensics.analysis.onset import tail_onset
from forensics.analysis.tails import loss_tail
from forensics.detectors._guessing import guessing
from forensics.detectors._wording import counted, number
from forensics.model import Finding, Floats, Precision, Run, Series, Severity
from forensics.names import GRAD_NORM, LEARNING_RATE, LOSS
from forensics.plugin import detector

LEAST = 20
SAME = 5
HIGH = 6.0
STILL = 1e-4
FEW = 3
SAME_ROUNDED = 10


@detector("loss-plateau", needs=("loss",))
def loss_plateau(run: Run) -> Iterator[Finding]:
    """Find a loss whose last third is where its first third was.

    Source: trainspotter 0.2.6 (less than 2 % change, no significant slope), with medians of thirds instead of a
    regression, as in `analysis.robust.trend`; trainproof 0.22 calls 5 % a dead run.
    Minimum: 20 finite entries; three where an accuracy shows that the model guesses.
    Silenced by: a policy-gradient trainer; a resumed run, whose drop lies before the log; a loss below 0.1 or one
    that is constant (`loss-constant`).
    Known false alarms: continued training of a model that knows the data; hence a notice, and a warning only where the
    median is above 6, which a model that knows a language is not (8 of 59 faulty runs that were called healthy, 0 of
    396 others; above 3 three healthy ones), or where loss and accuracy are those of guessing, within 5 %, the
    accuracy is one number in three evaluations, or the loss is the logarithm of a power of two (0 of 133 healthy runs:
    27 of the fixtures, 73 of first contact, 33 further public ones).
    Counts of healthy and missed runs are those of the simulation that chose the thresholds, not of this code
    (docs/design/0004-evidence.md); as written it is silent on 39 healthy runs.
    """
    series = context.recorded(run, LOSS)
    values = series.values[np.isfinite(series.values)]
    resumed = len(run.timeline.segments) > 1 or run.has("event resumed")
    if len(values) < FEW or context.policy_gradient(run) or resumed or loss_tail(series) is not None:
        return
    moved = robust.trend(values)
    if moved.start <= 0.1 or abs(moved.end - moved.start) >= 0.02 * moved.start or np.ptp(values) == 0:
        return
    chance = guessing(run, moved.end) or _of_a_power(values, moved)
    if len(values) < LEAST and not chance:
        return
    yield Finding(
        symptom="loss-plateau",
        severity="warning" if float(np.median(values)) > HIGH or chance else "notice",
        statement=f"the loss does not learn: its median is {number(moved.start)} in the first third of the log "
        f"and {number(moved.end)} in the last{chance}",
        source=series.source_at(0),
        step=int(series.steps[0]),
        step_range=(None, int(series.steps[0])),
    )


@detector("loss-constant", needs=("loss",))
def loss_constant(run: Run) -> Iterator[Finding]:
    """Find a positive loss that repeats one and the same number to the end.

    Source: two batches of real data never give the same mean loss to the last digit while weights move; SageMaker
    Debugger's LossNotDecreasing asks for less than 0.1 % over 10 steps, which noise alone breaks.
    Minimum: five equal entries when the loss is logged exactly, ten when it is rounded to four places or digits; a
    warning from five on that differ by less than a ten-thousandth throughout the log (0 of 133 healthy runs: 27 of the
    fixtures, 73 of first contact, 33 further public ones).
    Silenced by: a policy-gradient trainer; a value below 0.01, where rounding makes entries equal.
    Known false alarms: a rounded loss that barely moves because of a tiny learning rate (a DPO run stays at
    0.6931 through its warm-up); so a rounded one is a warning unless the gradient norm is 0 beside it.
    """
    series = context.recorded(run, LOSS)
    index = tail_onset(series.values == series.values[-1]) if len(series) else None
    if index is None or context.policy_gradient(run) or not 0.01 < abs(series.values[-1]) < np.inf:
        return
    if _still(series):
        index = 0
    rounded = context.rounded_to(series) > 0 or int(series.precisions.min()) < 2
    count = len(series) - index
    dead = _no_gradient(run, series, index)
    moves = float(np.ptp(series.values[index:])) if np.isfinite(series.values[-1]) else 0.0
    if count < (SAME if dead or moves or not rounded else SAME_ROUNDED) or _warming(run):
        return
    severity: Severity = "error" if dead or not (rounded or moves) else "warning"
    step = int(series.steps[index])
    yield Finding(
        symptom="loss-constant",
        severity=severity,
        statement=f"the loss is {number(float(series.values[-1]))} in {counted(count, 'entry', 'entries')} from "
        f"step {step} to the end, "
        + (f"within {number(moves)} of each other" if moves else "the same to the last digit")
        + context.guessed(float(series.values[-1])),
        source=series.source_at(index),
        step=step,
        step_range=(int(series.steps[index - 1]) if index else None, step),
    )


def _of_a_power(values: Floats, moved: robust.Trend) -> str:
    """Return in words that a long and quiet log stands at the logarithm of a power of two throughout; else nothing."""
    quiet = len(values) >= LEAST and robust.noise(values) <= 2 * context.NEAR_POWER * moved.end
    return context.guessed(moved.end) if quiet and context.guessed(moved.start) else ""


def _still(series: Series) -> bool:
    """Tell whether no entry of the log differs from another by a ten-thousandth of the loss, in digits that show it."""
    values = series.values
    if len(values) < SAME or not bool(np.isfinite(values).all()):
        return False
    fine = max(context.rounded_to(series), 0.0) < STILL * abs(float(values[-1])) / 4
    exact = int(series.precisions.min()) > int(Precision.FOUR_DIGITS)
    return fine and exact and float(np.ptp(values)) < STILL * abs(float(np.median(values)))


def _no_gradient(run: Run, series: Series, index: int) -> bool:
    norms = run.timeline.beside(series, GRAD_NORM)
    if norms is None:
        return False
    beside = norms.values[norms.steps >= series.steps[index]]
    return len(beside) > 0 and bool(np.all(beside == 0))


def _warming(run: Run) -> bool:
    """Tell whether the learning rate still rises at the end of the log."""
    rates = run.timeline.get(LEARNING_RATE)
    return rates is not None and len(rates) > 1 and bool(np.all(np.diff(rates.values) > 0))
