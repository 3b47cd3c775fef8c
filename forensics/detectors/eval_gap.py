"""The evaluation loss rises again while the training loss falls."""

import re
from collections.abc import Callable, Iterator

import numpy as np

from forensics.analysis import context, robust
from forensics.analysis.evaluation import Since, training_since
from forensics.deferred.patterns import expression
from forensics.detectors._names import ERROR
from forensics.detectors._stuck import QUALITY, WORST
from forensics.detectors._wording import number
from forensics.model import Finding, Floats, Integers, Run, Series, Severity
from forensics.names import EVAL_LOSS, EVALUATION, LOSS, is_loss
from forensics.plugin import detector

LEAST = 4
RATIO = 1.2
LAST = 3
WORSE, ABOVE, DOUBLE = 1.3, 1.1, 2.0
"""How far the last evaluation lies above the best one, and those just before it; the last one of two in all."""
SMALL = 0.1
"""A loss below this moves by its own size from one evaluation to the next."""
CLEAR = 3.0
"""Point-to-point deviations of the evaluations by which the end must clear the best one."""
BY_HEART, FEWEST, GAINED, RISEN = 0.5, 5, 0.1, 0.05
"""By heart: what is left of the training loss; evaluations; what they had gained at their best, and lost since."""
QUALITIES, HALF, FIFTH = 8, 0.5, 0.2
"""Evaluations of a quality, and what of its gain and of itself must be lost, as in `reward-collapse`."""
CREEPS, STEADY, WIDER, AFTER = 1.06, 0.75, 0.5, 10
"""How far the evaluations end above the best one where they creep up ever since, their rank correlation with time, what
the training loss is of the evaluation loss and of itself at that one, and how many levels follow it."""
FARTHER, NARROWER = 1.15, 0.67
"""The same of evaluations that creep farther: less need be left between them and the training loss."""
RUIN, LOW_RUIN = 3.0, 10.0
"""How many times a best evaluation loss below `SMALL` the last two and the last one are where it is no wobble."""
MANY, TIMES, ALL, FELL = 10, 1.4, 1.15, 0.85
"""Evaluations that jump about: how many; how far the median, and each one, of the last third lies above the lowest
median of three; what is left of the training loss meanwhile."""
PER_MISTAKE, COSTS = 20.0, 1.0
"""Nats of evaluation loss for each wrong answer, and in all."""
GIVEN_BACK, LEARNT = 0.75, 0.6
"""How much of what the evaluations had gained is lost, and what is left of the training loss meanwhile."""
WORDS, BESIDE = expression(r"[/_ -]"), 0.8
"""What parts the words of a name, and how near two qualities of a kind begin."""
STILL, STANDS, BETTER = 0.03, 0.95, 0.01
"""How far the thirds of evaluations that stand lie apart, what all of them are at least of the first one, and by what
share they may fall."""
RIGHT = expression(r"^(?:eval|val|valid|validation|test|dev)[/_ ](?:acc|accuracy|top[-_]?1)$", re.IGNORECASE)
LEFT, LOW = 0.25, 0.6
"""What is left of a training loss that an accuracy should have followed, and one that leaves room for it."""
LEVELS = 20
"""A log with more evaluations prints batches of them, or evaluates so often that single ones say little."""


@detector("eval-gap")
def eval_gap(run: Run) -> Iterator[Finding]:
    """Find evaluation losses that end well above the best one.

    Source: trainproof 0.22 takes 1.2 x the best over the last three of at least four evaluations: a notice. It is a
    warning where the last evaluation is 1.3 x the best, two at least follow the best and the last two lie at 1.2
    of it or all rise from it on (a second and last evaluation: twice the first), or where the training loss rises too.
    So is a training loss that was halved and is half of the evaluation loss, while that ends above its own first
    value, a twentieth above its best, and was never a tenth better: what is learned is learned by heart.
    So is one over four and more evaluations whose last three lie at 1.2 x the best, where three quarters of what they
    had gained are lost while the training loss falls below 0.6 of what it was, and of the evaluation loss (two public
    runs that end at 1.24 x, 0 of the 27 healthy ones of the fixtures).
    Where no such loss was logged, its perplexity, or another error over validation data, is judged in its place. An
    accuracy, or the like, of eight evaluations and more that ends below its best by half of what it had gained, a fifth
    of it and four point-to-point deviations is a warning too, and so is one that stands below 0.6 while three quarters
    of the training loss are gone.
    So is one that stands within 3 % of where it began in eight evaluations and more, none of them better by a
    twentieth, while three quarters of the training loss are gone since the first of them.
    So are ten evaluations and more that jump about, where the last third lies at 1.4 x the lowest median of three and
    each of them at 1.15 x, while the training loss falls; and an evaluation loss above 1 that comes to 20 and more for
    each wrong answer of the accuracy beside it, five times the training loss (13.6 at most in 65 healthy runs).
    Minimum: two finite evaluations; more than 20 are read as the medians of 20 stretches.
    Silenced by: a best evaluation loss below 0.01; below 0.1 it is a notice, unless the last of three and more after
    the best is ten times as high, and 0.01, and the one before it three times; a rise of less than three point-to-point
    deviations; what is learned by heart by an accuracy, or the like, that is higher than at the best evaluation, unless
    it began beside that of training and ends below half of it; evaluations that leaped up with the training loss and
    only ever fall since.
    Known false alarms: classification, where accuracy may still rise while the loss does, as it does in the one below.
    Measured: 1 of 133 healthy runs (27 of the fixtures, 73 of first contact, 33 further public ones), a classifier
    whose precision rises all the while; no other ends above 1.26 x its best, none of 7 that overfit below 1.31 x.
    """
    found: Finding | None = None
    if EVAL_LOSS in run.timeline:
        found = _judged(run, run.timeline[EVAL_LOSS])
    elif not context.adversarial(run):
        found = _of_another(run, _is_error)
    if found is None or found.severity == "notice":
        found = _of_another(run, lambda name: bool(WORST.search(name))) or found
    if found is None or found.severity == "notice":
        found = _fallen_back(run) or _never_better(run) or _never_follows(run) or _sure_of_the_wrong(run) or found
    if found is not None:
        yield found


def _is_error(name: str) -> bool:
    return bool(ERROR.search(name)) or (is_loss(name) and bool(EVALUATION.search(name)))


def _of_another(run: Run, wanted: Callable[[str], bool]) -> Finding | None:
    """Judge other errors of evaluation, and no terms of one, as the loss is; return the first that ends well above."""
    names = [name for name in sorted(run.timeline.series) if wanted(name)]
    wholes = (name for name in names if not any(name.startswith(f"{other}_") for other in names))
    return next((found for name in wholes if (found := _judged(run, run.timeline[name]))), None)


def _judged(run: Run, series: Series) -> Finding | None:
    values, index = _levels(series)
    if len(values) < 2:
        return None
    best = int(np.argmin(values))
    low = float(values[best])
    where = int(series.steps[index[best]])
    since = training_since(run, where)
    after = values[best + 1 :]
    scatter = max(robust.noise(values[best:]) if len(after) >= LEAST else 0.0, _error_of_levels(series))
    clear = len(after) > 0 and float(after[-2:].min()) - low > CLEAR * scatter
    worse, both = _worse(values, best), since is not None and since.rises
    lasting = len(values) >= LEAST and best < len(values) - LAST and float(values[-LAST:].min()) >= RATIO * low
    heart = _by_heart(run, values, best) or (lasting and _given_back(run, values, best))
    heart = (heart or _creeps(values, best, since)) and (not _quality_rises(run, where) or _left_behind(run))
    jumps = low >= SMALL and _stays_above(values, since) and not _quality_rises(run, where)
    ruined = _ruined(low, after) and not _quality_rises(run, where)
    told = ruined or jumps or (clear and (worse or lasting or heart))
    if not told or (low < 0.01 and not ruined) or (both and _comes_down(after)):
        return None
    above = min(ABOVE * low, float(values[-1]))
    first = int(index[best + 1 + int(np.argmax(values[best + 1 :] >= above))])
    grave = heart or jumps or ruined or (worse and low >= SMALL) or (lasting and both)
    severity: Severity = "warning" if grave else "notice"
    meaning = "the training loss rises with it" if both else "later steps only fit the training data"
    name = "the evaluation loss" if series.name == EVAL_LOSS else series.name
    return Finding(
        symptom="eval-gap",
        severity=severity,
        statement=f"{name} was best with {number(low)} at step "
        f"{int(series.steps[index[best]])} and ends at {number(float(values[-1]))}: {meaning}",
        source=series.source_at(first),
        step=int(series.steps[first]),
        step_range=(int(series.steps[index[best]]), int(series.steps[first])),
    )


def _ruined(low: float, after: Floats) -> bool:
    """Tell whether evaluations that were next to nothing end at a multiple of it, and at no small number."""
    if low >= SMALL or len(after) < LAST or float(after[-1]) < 0.01:
        return False
    return float(after[-1]) >= LOW_RUIN * low and float(after[-2:].min()) >= RUIN * low


def _fallen_back(run: Run) -> Finding | None:
    """Find a quality of evaluation that was reached and is lost for good."""
    for name, series in sorted(run.timeline.series.items()):
        finite = np.flatnonzero(np.isfinite(series.values))
        values = series.values[finite]
        if series.axis == "entry" or len(values) < QUALITIES or not QUALITY.search(name):
            continue
        best = int(np.argmax(values))
        top, level, first = float(values[best]), float(values[-LAST:].max()), float(values[0])
        lost = max(HALF * (top - first), FIFTH * top, 4 * robust.noise(values))
        if best >= len(values) - LAST or top <= 0 or top - level <= lost:
            continue
        low = best + 1 + int(np.argmax(values[best + 1 :] < (top + level) / 2))
        return Finding(
            symptom="eval-gap",
            severity="warning",
            statement=f"{name} was best with {number(top)} at step {int(series.steps[finite[best]])} and falls back to "
            f"{number(level)} for good: what was learned is lost again",
            source=series.source_at(int(finite[low])),
            step=int(series.steps[finite[low]]),
            step_range=(int(series.steps[finite[best]]), int(series.steps[finite[low]])),
        )
    return None


def _never_better(run: Run) -> Finding | None:
    """Find an accuracy that stands where it began, far from 1, while the training loss is halved and halved again."""
    training = _training(run, QUALITIES)
    if training is None or context.policy_gradient(run):
        return None
    then, now = training
    losses = context.recorded(run, LOSS).values
    if not 0 <= now < LEFT * then or not robust.trend(losses[np.isfinite(losses)], least=FIFTH).falls:
        return None
    qualities = [s for name, s in sorted(run.timeline.series.items()) if QUALITY.search(name) and len(s) >= QUALITIES]
    if not qualities or any(not _rests_low(s.values[np.isfinite(s.values)]) for s in qualities):
        return None
    quality = qualities[0]
    return Finding(
        symptom="eval-gap",
        severity="warning",
        statement=f"{quality.name} stands at {number(float(np.median(quality.values)))} in {len(quality)} evaluations "
        f"while the training loss goes from {number(then)} to {number(now)}: what is learned is learned by heart",
        source=quality.source_at(0),
        step=int(quality.steps[0]),
        step_range=(None, int(quality.steps[0])),
    )


def _never_follows(run: Run) -> Finding | None:
    """Find an evaluation loss that stands where it began while three quarters of the training loss are gone since."""
    training = context.recorded(run, LOSS)
    for name, series in sorted(run.timeline.series.items()):
        known = np.flatnonzero(np.isfinite(series.values))
        if not _is_error(name) or len(known) < QUALITIES or series.axis != training.axis:
            continue
        values, start = series.values[known], int(series.steps[known[0]])
        since = training.values[np.isfinite(training.values) & (training.steps >= start)]
        thirds = [float(np.median(third)) for third in np.array_split(values, 3)]
        still = max(thirds) - min(thirds) <= STILL * min(thirds) and float(values.min()) > STANDS * float(values[0])
        better = robust.trend(values, least=BETTER).falls or _quality_rises(run, start)
        if len(since) < QUALITIES or not still or better or min(thirds) < SMALL:
            continue
        then, now = float(np.median(since[:LAST])), float(np.median(since[-max(1, len(since) // 10) :]))
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


def _sure_of_the_wrong(run: Run) -> Finding | None:
    """Find an evaluation loss that no share of wrong answers explains: other statistics, or another model, are used."""
    evaluated, training = context.recorded(run, EVAL_LOSS), context.recorded(run, LOSS)
    losses, trained = (s.values[np.isfinite(s.values)][-LEVELS:] for s in (evaluated, training))
    third = max(LAST, len(losses) // 3)
    if len(losses) < LEAST or len(trained) < LEAST or float(np.median(losses[-third:])) < COSTS:
        return None
    loss = float(np.median(losses[-third:]))
    for name, series in sorted(run.timeline.series.items()):
        known = series.values[np.isfinite(series.values)][-third:]
        if len(known) < LAST or not RIGHT.search(name) or not 0 < float(known.min()) <= float(known.max()) <= 100:
            continue
        right = float(np.median(known)) / (100 if float(known.max()) > 1 else 1)
        if right < 1 and loss > PER_MISTAKE * (1 - right) and float(np.median(trained[-third:])) < loss / 5:
            return Finding(
                symptom="eval-gap",
                severity="warning",
                statement=f"the evaluation loss stands at {number(loss)} where {name} is {number(right)}: "
                f"{number(loss / (1 - right))} for each wrong answer, and the training loss is "
                f"{number(float(np.median(trained[-third:])))}: what is evaluated is not what is trained",
                source=evaluated.source_at(0),
                step=int(evaluated.steps[0]),
                step_range=(None, int(evaluated.steps[0])),
            )
    return None


def _rests_low(values: Floats) -> bool:
    if len(values) < QUALITIES:
        return False
    third = len(values) // 3
    first, last = float(np.median(values[:third])), float(np.median(values[-third:]))
    return 0 < float(values.max()) <= LOW and last <= 1.1 * first and float(values.max()) < 1.3 * first


def _training(run: Run, fewest: int) -> tuple[float, float] | None:
    """Return the medians of the first and the last tenth of the training loss; None of fewer than `fewest` entries."""
    series = context.recorded(run, LOSS)
    known = series.values[np.isfinite(series.values)]
    some = max(1, len(known) // 10)
    return (float(np.median(known[:some])), float(np.median(known[-some:]))) if len(known) >= fewest else None


def _by_heart(run: Run, values: Floats, best: int) -> bool:
    """Tell whether the training loss fell and fell while the evaluation loss gained next to nothing and lost it."""
    training = _training(run, FEWEST)
    if training is None or len(values) < FEWEST or values[best] < SMALL:
        return False
    then, now = training
    first, low, last = float(values[0]), float(values[best]), float(values[-1])
    rises = bool(np.all(values[-2:] > (1 + RISEN) * low)) and last > first and first < low * (1 + GAINED)
    return rises and now < BY_HEART * min(then, last)


def _creeps(values: Floats, best: int, since: Since | None) -> bool:
    """Tell whether the evaluations rise ever since the best one, slowly, while the training loss is halved."""
    after = values[best:]
    if len(after) <= AFTER or since is None or values[best] < SMALL:
        return False
    low, last = float(values[best]), float(after[-LAST:].min())
    rank = float(np.sign(after[None, :] - after[:, None])[np.triu_indices(len(after), 1)].mean())
    falls = 0 < since.now < WIDER * min(since.then * 1.2, last)
    falls = falls or (last >= FARTHER * low and 0 < since.now < NARROWER * min(since.then, last))
    return rank >= STEADY and last >= CREEPS * low and falls


def _stays_above(values: Floats, since: Since | None) -> bool:
    """Tell whether evaluations that jump about stay above what three in a row had reached, while training goes on."""
    if len(values) < MANY or since is None or not 0 < since.now < FELL * since.then:
        return False
    reached = [float(np.median(values[i : i + LAST])) for i in range(len(values) - LAST + 1)]
    late = values[-(len(values) // 3) :]
    early = int(np.argmin(reached)) + LAST <= len(values) - len(late)
    return early and float(np.median(late)) >= TIMES * min(reached) and float(late.min()) >= ALL * min(reached)


def _given_back(run: Run, values: Floats, best: int) -> bool:
    """Tell whether the evaluation loss lost most of what it had gained while the training loss fell on."""
    training = _training(run, FEWEST)
    if training is None or values[best] < SMALL:
        return False
    then, now = training
    first, low, last = float(values[0]), float(values[best]), float(values[-LAST:].min())
    return last - low >= GIVEN_BACK * (first - low) and now < LEARNT * min(then, last)


def _quality_rises(run: Run, step: int) -> bool:
    """Tell whether an accuracy, or another number that is better when it is higher, still rises after a step."""
    for name, series in run.timeline.series.items():
        before, after = series.values[series.steps <= step], series.values[series.steps > step]
        if context.BETTER_HIGHER.search(name) and len(before) and len(after) and after[-1] > before[-1]:
            return True
    return False


def _left_behind(run: Run) -> bool:
    """Tell whether a quality of evaluation that began beside that of training ends below half of it."""
    for name, evaluated in run.timeline.series.items():
        if not QUALITY.search(name) or len(evaluated) < QUALITIES:
            continue
        kind = WORDS.split(name)[-1].lower()
        for other, trained in run.timeline.series.items():
            if EVALUATION.search(other) or WORDS.split(other)[-1].lower() != kind or len(trained) < QUALITIES:
                continue
            begun, third = max(1, len(evaluated) // 10), len(evaluated) // 3
            first, last = (float(np.median(s.values[:begun])) for s in (trained, evaluated))
            learnt, kept = (float(np.median(s.values[-third:])) for s in (trained, evaluated))
            if len(trained) == len(evaluated) and last > BESIDE * first > 0 and kept < HALF * learnt:
                return True
    return False


def _comes_down(after: Floats) -> bool:
    """Tell whether evaluations only ever fall since they had leaped up: what was lost is learned again."""
    return len(after) >= LAST and bool(np.all(np.diff(after) < 0))


def _levels(series: Series) -> tuple[Floats, Integers]:
    """Return the finite evaluations and their places, of more than LEVELS the medians and the middles of stretches."""
    finite = np.flatnonzero(np.isfinite(series.values))
    if len(finite) <= LEVELS:
        return series.values[finite], finite
    parts = np.array_split(finite, LEVELS)
    return np.array([float(np.median(series.values[p])) for p in parts]), np.array([int(p[len(p) // 2]) for p in parts])


def _error_of_levels(series: Series) -> float:
    """Return the standard error of a median of one stretch, which single evaluations that jump about make large.

    Of Gaussian noise it is 1.25 times that of the mean. A log may print the evaluations of other models between
    those of its own, as a search of architectures does from a table of results.
    """
    values = series.values[np.isfinite(series.values)]
    return 1.25 * robust.noise(values) / float(np.sqrt(len(values) / LEVELS)) if len(values) > LEVELS else 0.0


def _worse(values: Floats, best: int) -> bool:
    """Tell whether the evaluations end far above the best, and not by a single one."""
    low, after = float(values[best]), values[best + 1 :]
    if len(values) == 2:
        return best == 0 and float(values[1]) >= max(DOUBLE * low, low + 0.5)
    if len(after) < 2 or float(after[-1]) < WORSE * low:
        return False
    return float(after[-2:].min()) >= RATIO * low or bool(np.all(np.diff(values[best:]) > 0))
