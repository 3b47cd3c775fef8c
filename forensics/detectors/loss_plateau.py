"""The loss does not move: it never learns, or it is the very same number."""

from collections.abc import Iterator

import numpy as np

from forensics.analysis import context, robust
from forensics.analysis.onset import tail_onset
from forensics.analysis.tails import loss_tail
from forensics.detectors._at_odds import never_at_odds
from forensics.detectors._at_random import at_random
from forensics.detectors._guessing import (
    HIGH_QUIET,
    a_coin,
    a_term_at_chance,
    at_a_logarithm,
    at_chance,
    guessing,
    in_its_batch,
    quiet,
    two_agree,
)
from forensics.detectors._rate_on_file import thrown_by_its_rate
from forensics.detectors._siblings import behind_its_siblings
from forensics.detectors._stuck import stuck
from forensics.detectors._unmoved import knew, unmoved
from forensics.detectors._wording import counted, number
from forensics.model import Finding, Floats, Precision, Run, Series, Severity
from forensics.model.order import distinct
from forensics.model.statistics import median
from forensics.names import EVAL_LOSS, EVALUATION, GRAD_NORM, LEARNING_RATE, LOSS, is_loss
from forensics.plugin import detector

LEAST = 20
SAME = 5
HIGH, GUESSABLE = 6.0, 14.0
"""A loss that a model of language has no more, and one above that of guessing among a million tokens: an error in
units of its own, which may rest at any level once it fell in its first epoch."""
STILL = 1e-4
FEW, FEW_QUIET = 3, 8
SAME_ROUNDED = 10
MOST_PERIODS = 50
CALM, FIRST, FALLS = 0.012, 0.05, 0.005
"""Shares of its level by which a loss that never moved scatters, by which its first entry may lie above it, and by
which it would fall if more than chance did it."""
EVALUATIONS, SURELY, SMALLEST = 5, 8, 0.1
DIP = 0.01
"""Share by which a curve was lower meanwhile that ends where it began."""
FAR_APART, SIXTH = 1000, 1e-5
"""Steps between two evaluations, and the share by which all of them differ at most where nothing was learned."""
EPOCH_LOSS = "epoch_loss"
MARGINS, APART, HALF = "rewards/margins", 0.01, 0.5
"""What pairs are parted by, how far it and ln 2 are off by chance, and the share by which it would still grow."""
APPROACH, NEAR, LEARNED = 10, 0.005, 0.2
"""A loss that comes to rest: entries before it rests, how near they are to where it does, what it had fallen by."""


@detector("loss-plateau")
def loss_plateau(run: Run) -> Iterator[Finding]:
    """Find a loss, or else an evaluation loss, whose last third is where its first third was.

    Source: trainspotter 0.2.6 (less than 2 % change, no significant slope), with medians of thirds instead of a
    regression, as in `analysis.robust.trend`; trainproof 0.22 calls 5 % a dead run.
    Minimum: 20 finite entries; 8 that are quiet (`_guessing.QUIET`), five such evaluations; three where an accuracy
    shows that the model guesses.
    Silenced by: a policy-gradient trainer; a loss below 0.1 or one that is constant (`loss-constant`); for a training
    loss a resume whose drop lies before the log. Of a level that is high as such nothing but a notice is left while
    the rate still rises, and where the means of five epochs and more fall by more than chance.
    A loss of 20 entries that never moved is a warning too, where it scatters by 1.2 % at most and its first entry is no
    more than a twentieth above it, unless the model was trained before, the log is an excerpt, a warm-up goes on or
    something else got better.
    Whatever the loss does, nothing is learned where the evaluation loss is one number in five evaluations while
    training goes on, or any is in eight (0 of 507 healthy runs), an error rate is
    97 % and more or a score 0.01 and less in ten evaluations and more, an accuracy never leaves that of
    guessing while the loss costs as much (`_guessing.at_chance`), one of two classes is within a hundredth of 0.5 in
    five entries and more while no loss is below ln 2, a measure of evaluation changes by 1e-5 of itself in a thousand
    steps, pairs of answers are never parted by more than 0.01, or the loss repeats the same values in the same order
    three times, or other trainings of the same log leave behind where this one ends (`_siblings`): warnings too. So
    are an accuracy and a loss that agree on how many choices are guessed among (`_guessing.two_agree`), a term that is
    the logarithm of such a number throughout, a policy that acts at random (`_at_random`), adversaries of whom neither
    learns (`_at_odds`), a loss that rests where a configured rate that its optimizer does not bear threw it
    (`_rate_on_file`), and a run from scratch in which nothing that was logged moves by 2 % (`_unmoved`).
    Known false alarms: continued training of a model that knows the data; hence a notice, and a warning only where the
    median is above 6, which a model that knows a language is not (above 3.5 where it is quiet: `_guessing.HIGH`), where
    loss and accuracy are those of guessing, within 5 %, the accuracy is one number in three evaluations, or the loss
    stands at the logarithm of a number of choices, or fell to it and rests there (`_guessing.at_a_logarithm`). An error
    above 14 is in units of its own: its first entry must be as low.
    Measured as written: a warning in 0 of 579 healthy runs (27 fixtures, 174 of first contact, the rest further
    public ones and runs of ours), in 20 faulty ones.
    """
    series = context.recorded(run, LOSS)
    resumed = run.has("event resumed") and len(run.timeline.segments) == 1
    found = None if resumed else _plateau(run, series, FEW_QUIET)
    if found is None or found.severity == "notice":
        evaluated = _plateau(run, context.recorded(run, EVAL_LOSS), EVALUATIONS)
        found = evaluated if evaluated is not None and evaluated.severity == "warning" else found
    if found is None or found.severity == "notice":
        found = _of_no_use(run) or thrown_by_its_rate(run) or found
    if found is not None:
        yield found


def _never_moved(run: Run, values: Floats) -> bool:
    """Tell whether a model that knew nothing has learned nothing from the first entry on, where it would show."""
    level = median(values)
    calm = len(values) >= LEAST and robust.noise(values) <= CALM * level and float(values[0]) <= (1 + FIRST) * level
    if (
        not calm
        or robust.trend(values, least=FALLS).falls
        or context.may_know(run)
        or context.is_excerpt(run)
        or run.timeline.excerpt
        or _warming(run)
    ):
        return False
    paired = any(name in run.timeline for name in context.PAIRS)
    return not paired and not context.adversarial(run) and not context.got_better(run, but=LOSS)


def _of_no_use(run: Run) -> Finding | None:
    told = stuck(run) or behind_its_siblings(run) or at_random(run) or never_at_odds(run)
    if told is None:
        told = _same_evaluation(run) or at_chance(run) or a_coin(run) or _same_quality(run)
        told = (
            told
            or two_agree(run)
            or a_term_at_chance(run)
            or in_its_batch(run)
            or _pairs_never_part(run)
            or unmoved(run)
        )
    if told is None and not context.policy_gradient(run):
        told = _over_and_over(context.recorded(run, LOSS))
    if told is None:
        return None
    series, said = told
    return Finding(
        symptom="loss-plateau",
        severity="warning",
        statement=f"nothing is learned: {said}",
        source=series.source_at(0),
        step=int(series.steps[0]),
        step_range=(None, int(series.steps[0])),
    )


def _same_evaluation(run: Run) -> tuple[Series, str] | None:
    """Return an evaluation loss that is one number: another model is evaluated, or one that is dead.

    Of five evaluations while the training loss falls; of eight and of any name, whatever else the run does.
    """
    for name, series in sorted(run.timeline.series.items()):
        values = series.values
        if not (EVALUATION.search(name) and is_loss(name)) or len(values) < EVALUATIONS or not values[0]:
            continue
        if bool(np.isfinite(values).all()) and np.ptp(values) == 0 and (len(values) >= SURELY or _learns(run, series)):
            told = "the evaluation loss" if name == EVAL_LOSS else name
            return series, f"{told} is {number(float(values[0]))} in all of {len(values)} evaluations"
    return None


def _learns(run: Run, evaluated: Series) -> bool:
    """Tell whether training goes on beside an evaluation loss that is not next to 0."""
    losses = context.recorded(run, LOSS).values
    falls = robust.trend(losses[np.isfinite(losses)], least=SMALLEST).falls
    return evaluated.name == EVAL_LOSS and float(evaluated.values[0]) >= SMALLEST and falls


def _same_quality(run: Run) -> tuple[Series, str] | None:
    """Return a measure of evaluation that many steps change in its sixth digit: it is no count of right answers then.

    One that is the very same number may be such a count, or be that of a checkpoint that was evaluated twice.
    """
    for name, series in sorted(run.timeline.series.items()):
        values = series.values
        if not EVALUATION.search(name) or not (context.BETTER_HIGHER.search(name) or is_loss(name)):
            continue
        if len(values) < 2 or not bool(np.isfinite(values).all()) or context.may_know(run):
            continue
        far = int(series.steps[-1]) - int(series.steps[0]) >= FAR_APART and series.axis == "step"
        if far and 0 < float(np.ptp(values)) <= SIXTH * abs(float(values[0])):
            begin, end = int(series.steps[0]), int(series.steps[-1])
            return series, f"{name} is {float(values[0]):.5g} at step {begin} and, to the fifth digit, at step {end}"
    return None


def _pairs_never_part(run: Run) -> tuple[Series, str] | None:
    """Return margins between chosen and rejected answers that never leave 0, at a loss of ln 2: nothing was learned."""
    series, losses = context.recorded(run, MARGINS), context.recorded(run, LOSS).values
    values = series.values[np.isfinite(series.values)]
    if len(values) < LEAST or _warming(run) or float(np.abs(values).max()) > APART:
        return None
    late = losses[-(len(values) // 3) :]
    if not len(late) or not bool(np.all(np.abs(late - np.log(2)) < APART)) or robust.trend(-values, least=HALF).falls:
        return None
    return series, f"{MARGINS} is {number(float(np.abs(values).max()))} at most in {len(values)} entries, the loss ln 2"


def _over_and_over(series: Series) -> tuple[Series, str] | None:
    """Return a loss that repeats the same numbers in the same order: batches come again, weights do not move."""
    values = series.values
    if len(values) < LEAST or not bool(np.isfinite(values).all()) or len(distinct(values)) < FEW:
        return None
    for period in (np.flatnonzero(values[1 : len(values) // FEW + 1] == values[0]) + 1)[:MOST_PERIODS].tolist():
        if bool(np.array_equal(values[period:], values[:-period])):
            return series, f"the loss repeats the same {period} values {len(values) // period} times, digit for digit"
    return None


def _plateau(run: Run, series: Series, fewest: int) -> Finding | None:
    values = series.values[np.isfinite(series.values)]
    if len(values) < FEW or context.policy_gradient(run) or loss_tail(series) is not None:
        return None
    moved = robust.trend(values)
    moves = abs(moved.end - moved.start) >= 0.02 * moved.start
    chance = ("" if moves else guessing(run, moved.end)) or (
        "" if _warming(run) else at_a_logarithm(run, values, fewest)
    )
    if moved.start <= 0.1 or np.ptp(values) == 0 or (moves and not chance) or (_dips(values) and not chance):
        return None
    still = len(values) >= fewest and quiet(values)
    if len(values) < LEAST and not chance and not still:
        return None
    rests = still and not _warming(run) and not robust.trend(values, least=FALLS).falls
    level = median(values)
    learns = _warming(run) or _falls_by_epochs(run, series)
    high = not learns and level > (HIGH_QUIET if rests else HIGH)
    high = high and not knew(run) and (level < GUESSABLE or float(values[0]) < (1 + FIRST) * level)
    never = series.name == LOSS and not moves and _never_moved(run, values)
    return Finding(
        symptom="loss-plateau",
        severity="warning" if high or chance or never else "notice",
        statement=f"the {'evaluation ' if series.name == EVAL_LOSS else ''}loss does not learn: it rests at "
        f"{number(moved.end)} (the median of the last third of the log; of the first {number(moved.start)}){chance}",
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
    0.6931 through its warm-up); so a rounded one is a warning unless the gradient norm is 0 beside it, and a notice
    where the loss had fallen by a fifth and slowed down within the digits (`_came_to_rest`).
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
    if severity == "warning" and _came_to_rest(series, index):
        severity = "notice"
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


def _came_to_rest(series: Series, index: int) -> bool:
    """Tell whether a loss that learned slowed down until its digits show no more of it, at no level of guessing."""
    before, rest = series.values[:index], float(series.values[-1])
    if len(before) < LEAST or not bool(np.isfinite(before).all()) or context.guessed(rest):
        return False
    slowing = bool(np.all(np.abs(before[-APPROACH:] - rest) <= NEAR * abs(rest)))
    return slowing and median(before[:SAME]) > (1 + LEARNED) * rest > 0


def _still(series: Series) -> bool:
    """Tell whether no entry of the log differs from another by a ten-thousandth of the loss, in digits that show it."""
    values = series.values
    if len(values) < SAME or not bool(np.isfinite(values).all()):
        return False
    fine = max(context.rounded_to(series), 0.0) < STILL * abs(float(values[-1])) / 4
    exact = int(series.precisions.min()) > int(Precision.FOUR_DIGITS)
    return fine and exact and float(np.ptp(values)) < STILL * abs(median(values))


def _no_gradient(run: Run, series: Series, index: int) -> bool:
    norms = run.timeline.beside(series, GRAD_NORM)
    if norms is None:
        return False
    beside = norms.values[norms.steps >= series.steps[index]]
    return len(beside) > 0 and bool(np.all(beside == 0))


def _dips(values: Floats) -> bool:
    """Tell whether a curve that ends where it began had come down meanwhile: it learned, and lost it."""
    third = max(FEW, len(values) // 3)
    lowest = min(median(part) for part in np.array_split(values, max(1, len(values) // third * 2)))
    return min(float(values[0]), robust.trend(values).end) - lowest > max(DIP * lowest, 3 * robust.noise(values))


def _falls_by_epochs(run: Run, series: Series) -> bool:
    """Tell whether the means of whole epochs fall, which the noise of single batches hides."""
    means = context.recorded(run, EPOCH_LOSS).values
    means = means[np.isfinite(means)]
    return series.name == LOSS and len(means) >= EVALUATIONS and robust.trend(means).falls


def _warming(run: Run) -> bool:
    """Tell whether the learning rate still rises at the end of the log."""
    rates = context.recorded(run, LEARNING_RATE).values
    rates = rates[np.isfinite(rates)]
    return len(rates) > 1 and bool(np.all(np.diff(rates) > 0))
