"""What is evaluated is not what is trained: it does not follow, or is wrong beyond all measure."""

import re

import numpy as np

from forensics.analysis import context, robust
from forensics.analysis.held_out import of_training
from forensics.analysis.learning import QUALITY, finite, may_rest, rank
from forensics.deferred.patterns import expression
from forensics.detectors._names import ERROR
from forensics.detectors._wording import number
from forensics.model import Finding, Floats, Run
from forensics.model.statistics import median
from forensics.names import EVAL_LOSS, EVALUATION, LOSS, is_loss

QUALITIES, FIFTH, LEVELS = 8, 0.2, 20
"""Evaluations that tell of a quality, the share by which training must fall, and the last entries that count."""
SMALL, LEAST, LAST, FEW = 0.1, 4, 3, 5
"""A loss below which evaluations move by their own size; evaluations that are judged, at the end, and that creep."""
AT_FIRST, AT_MOST, FOLLOWS, BEHIND, STEADY = 0.95, 1.25, 0.7, 0.15, 0.9
"""An evaluation that stands by what training began with: the shares of that between which it begins and which it never
leaves downward, what is left of the training loss, its own gain as a share of that of training, and its rank
correlation with time."""
PER_MISTAKE, COSTS = 20.0, 1.0
"""Nats of evaluation loss for each wrong answer, and in all."""
STILL, STANDS, BETTER = 0.03, 0.95, 0.01
"""How far the thirds of evaluations that stand lie apart, what all of them are at least of the first one, and by what
share they may fall."""
RIGHT = expression(r"^(?:eval|val|valid|validation|test|dev)[/_ ](?:acc|accuracy|top[-_]?1)$", re.IGNORECASE)
LEFT, LOW = 0.25, 0.6
"""What is left of a training loss that an accuracy should have followed, and one that leaves room for it."""


def never_better(run: Run) -> Finding | None:
    """Find an accuracy that stands where it began, far from 1, while the training loss is halved and halved again.

    An evaluation loss that falls as well says that more than the data is learned.
    """
    training = training_of(run, QUALITIES)
    if training is None or context.policy_gradient(run):
        return None
    then, now = training
    losses = context.recorded(run, LOSS).values
    if not 0 <= now < LEFT * then or not robust.trend(losses[np.isfinite(losses)], least=FIFTH).falls:
        return None
    evaluated = context.recorded(run, EVAL_LOSS).values
    if robust.trend(evaluated[np.isfinite(evaluated)], least=FIFTH).falls:
        return None
    qualities = [s for name, s in sorted(run.timeline.series.items()) if QUALITY.search(name) and len(s) >= QUALITIES]
    if not qualities or any(not _rests_low(s.values[np.isfinite(s.values)]) for s in qualities):
        return None
    quality = qualities[0]
    return Finding(
        symptom="eval-gap",
        severity="warning",
        statement=f"{quality.name} stands at {number(median(quality.values))} in {len(quality)} evaluations "
        f"while the training loss goes from {number(then)} to {number(now)}: what is learned is learned by heart",
        source=quality.source_at(0),
        step=int(quality.steps[0]),
        step_range=(None, int(quality.steps[0])),
    )


def never_follows(run: Run) -> Finding | None:
    """Find an evaluation loss that stands where it began while three quarters of the training loss are gone since."""
    training = context.recorded(run, LOSS)
    for name, series in sorted(run.timeline.series.items()):
        known = np.flatnonzero(np.isfinite(series.values))
        if not is_error(name) or len(known) < QUALITIES or series.axis != training.axis:
            continue
        values, start = series.values[known], int(series.steps[known[0]])
        since = training.values[np.isfinite(training.values) & (training.steps >= start)]
        thirds = [median(third) for third in np.array_split(values, 3)]
        still = max(thirds) - min(thirds) <= STILL * min(thirds) and float(values.min()) > STANDS * float(values[0])
        better = robust.trend(values, least=BETTER).falls or quality_rises(run, start)
        if len(since) < QUALITIES or not still or better or min(thirds) < SMALL:
            continue
        then, now = median(since[:LAST]), median(since[-max(1, len(since) // 10) :])
        if 0 <= now < LEFT * min(then, thirds[-1]):
            return Finding(
                symptom="eval-gap",
                severity="warning",
                statement=f"{name} stands at {number(thirds[-1])} in {len(values)} evaluations while the training loss "
                f"goes from {number(then)} to {number(now)}: what is evaluated does not learn",
                source=series.source_at(int(known[0])),
                step=start,
                step_range=(None, start),
            )
    return None


def stays_behind(run: Run) -> Finding | None:
    """Find an evaluation loss that is still near what training began with, and creeps down while training leaves it.

    An average of weights that is far too slow does so, as of a decay of 0.9999 over a few hundred steps; what overfits
    turns.
    """
    training = finite(context.recorded(run, LOSS))
    series = context.recorded(run, EVAL_LOSS)
    values = finite(series)
    if min(len(values), len(training)) < FEW or float(min(values.min(), training.min())) <= 0 or may_rest(run):
        return None
    first, now = float(training[0]), median(training[-max(1, len(training) // 10) :])
    won, gained = 1 - now / first, 1 - float(values.min()) / float(values[0])
    creeps = rank(values) <= -STEADY and not quality_rises(run, int(series.steps[0]))
    beside = creeps and AT_FIRST * first <= float(values.min()) and float(values[0]) <= AT_MOST * first
    if not beside or now > FOLLOWS * first or gained > BEHIND * won or values[0] < SMALL:
        return None
    return Finding(
        symptom="eval-gap",
        severity="warning",
        statement=f"the evaluation loss goes from {number(float(values[0]))} to {number(float(values[-1]))} only, "
        f"while the training loss goes from {number(first)} to {number(now)}: what is evaluated does not learn",
        source=series.source_at(0),
        step=int(series.steps[0]),
        step_range=(None, int(series.steps[0])),
    )


def sure_of_the_wrong(run: Run) -> Finding | None:
    """Find an evaluation loss that no share of wrong answers explains: other statistics, or another model, are used."""
    evaluated, training = context.recorded(run, EVAL_LOSS), context.recorded(run, LOSS)
    losses, trained = (s.values[np.isfinite(s.values)][-LEVELS:] for s in (evaluated, training))
    third = max(LAST, len(losses) // 3)
    if len(losses) < LEAST or len(trained) < LEAST or median(losses[-third:]) < COSTS:
        return None
    loss = median(losses[-third:])
    for name, series in sorted(run.timeline.series.items()):
        known = series.values[np.isfinite(series.values)][-third:]
        if len(known) < LAST or not RIGHT.search(name) or not 0 < float(known.min()) <= float(known.max()) <= 100:
            continue
        right = median(known) / (100 if float(known.max()) > 1 else 1)
        if right < 1 and loss > PER_MISTAKE * (1 - right) and median(trained[-third:]) < loss / 5:
            return Finding(
                symptom="eval-gap",
                severity="warning",
                statement=f"the evaluation loss stands at {number(loss)} where {name} is {number(right)}: "
                f"{number(loss / (1 - right))} for each wrong answer, and the training loss is "
                f"{number(median(trained[-third:]))}: what is evaluated is not what is trained",
                source=evaluated.source_at(0),
                step=int(evaluated.steps[0]),
                step_range=(None, int(evaluated.steps[0])),
            )
    return None


def is_error(name: str) -> bool:
    return bool(ERROR.search(name)) or (is_loss(name) and bool(EVALUATION.search(name)))


def training_of(run: Run, fewest: int) -> tuple[float, float] | None:
    """Return the medians of the first and the last tenth of the training loss; None of fewer than `fewest` entries."""
    series = context.recorded(run, LOSS)
    known = series.values[np.isfinite(series.values)]
    some = max(1, len(known) // 10)
    return (median(known[:some]), median(known[-some:])) if len(known) >= fewest else None


def quality_rises(run: Run, step: int) -> bool:
    """Tell whether an accuracy, or another number that is better when it is higher, still rises after a step.

    One over training data does where the model learns it by heart.
    """
    for name, series in run.timeline.series.items():
        before, after = series.values[series.steps <= step], series.values[series.steps > step]
        rises = context.BETTER_HIGHER.search(name) and len(before) and len(after) and after[-1] > before[-1]
        if rises and not of_training(run, name):
            return True
    return False


def _rests_low(values: Floats) -> bool:
    if len(values) < QUALITIES:
        return False
    third = len(values) // 3
    first, last = median(values[:third]), median(values[-third:])
    return 0 < float(values.max()) <= LOW and last <= 1.1 * first and float(values.max()) < 1.3 * first
