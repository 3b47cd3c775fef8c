"""The evaluation loss rises again while the training loss falls."""

from collections.abc import Callable, Iterator

import numpy as np

from forensics.analysis import context, robust
from forensics.analysis.evaluation import Since, training_since
from forensics.analysis.held_out import falls_when_better, is_term, kept_apart, twin
from forensics.analysis.learning import QUALITY, finite
from forensics.analysis.steered import steered
from forensics.deferred.patterns import expression
from forensics.detectors._behind import (
    is_error,
    never_better,
    never_follows,
    quality_rises,
    stays_behind,
    sure_of_the_wrong,
    training_of,
)
from forensics.detectors._leap import lost_at_once
from forensics.detectors._stuck import WORST
from forensics.detectors._wording import number
from forensics.model import Finding, Floats, Integers, Run, Series, Severity
from forensics.model.statistics import median
from forensics.names import EVAL_LOSS, EVALUATION, LOSS
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
NEVER_LESS = 0.03
"""The share by which evaluations were never better than the first one, by which their last third is worse, and by which
the training loss may end above the best of them: nothing that is learned holds for other data."""
QUALITIES, HALF, FIFTH = 8, 0.5, 0.2
"""Evaluations of a quality, and what of its gain and of itself must be lost, as in `reward-collapse`."""
SHORT, RUINED = 5, 0.5
"""Evaluations of a quality of which the last two lie below half of every one before: no more are needed then."""
CREEPS, STEADY, WIDER, AFTER = 1.06, 0.75, 0.5, 10
"""How far the evaluations end above the best one where they creep up ever since, their rank correlation with time, what
the training loss is of the evaluation loss and of itself at that one, and how many levels follow it."""
FARTHER, NARROWER = 1.15, 0.67
"""The same of evaluations that creep farther: less need be left between them and the training loss."""
RUIN, LOW_RUIN = 3.0, 10.0
"""How many times a best evaluation loss below `SMALL` the last two and the last one are where it is no wobble."""
MANY_AFTER, NEVER_AGAIN = 5, 3.0
"""Evaluations after the best one that are all so many times as high, however they jump about."""
MANY, TIMES, ALL, FELL = 10, 1.4, 1.15, 0.85
"""Evaluations that jump about: how many; how far the median, and each one, of the last third lies above the lowest
median of three; what is left of the training loss meanwhile."""
GIVEN_BACK, LEARNT = 0.75, 0.6
"""How much of what the evaluations had gained is lost, and what is left of the training loss meanwhile."""
WORDS, BESIDE = expression(r"[/_ -]"), 0.8
"""What parts the words of a name, and how near two qualities of a kind begin."""
SINKS = 0.1
"""Share by which a measure of training sinks that was fitted."""
LEVELS = 20
"""A log with more evaluations prints batches of them, or evaluates so often that single ones say little."""


@detector("eval-gap")
def eval_gap(run: Run) -> Iterator[Finding]:
    """Find evaluation losses that end well above the best one.

    Source: trainproof 0.22 takes 1.2 x the best over the last three of at least four evaluations: a notice. It is a
    warning where the last evaluation is 1.3 x the best, two at least follow the best and the last two lie at 1.2
    of it or all rise from it on (a second and last evaluation: twice the first), or where the training loss rises too.
    So is a training loss that was halved and is half of the evaluation loss, while that ends above its own first
    value, a twentieth above its best, and was never a tenth better: what is learned is learned by heart. So are five
    evaluations and more of which none is 3 % better than the first one and the last third is 3 % worse, while the
    training loss falls by as much, to the best of them (0 of 655 healthy runs).
    What is called as a measure of training that sank, but for the words that say whose data it is, is judged as its
    loss is (`analysis.held_out`), and one leap to the worse that is never made good is told (`_leap`).
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
    So are five evaluations and more that creep down near what training began with while training leaves it, and a
    quality of five and more whose last two lie below half of every one before.
    Minimum: two finite evaluations; more than 20 are read as the medians of 20 stretches.
    Silenced by: a best evaluation loss below 0.01; below 0.1 it is a notice, unless the last of three and more after
    the best is ten times as high, and 0.01, and the one before it three times; a rise of less than three point-to-point
    deviations; what is learned by heart by an accuracy, or the like, that is higher than at the best evaluation, unless
    it began beside that of training and ends below half of it; evaluations that leaped up with the training loss and
    only ever fall since.
    A notice where something that the program steers moves one way meanwhile (`analysis.steered`).
    Known false alarms: classification, where accuracy may still rise while the loss does, as it does in the one below.
    Measured: 1 of 133 healthy runs (27 of the fixtures, 73 of first contact, 33 further public ones), a classifier
    whose precision rises all the while; no other ends above 1.26 x its best, none of 7 that overfit below 1.31 x.
    """
    found: Finding | None = None
    if EVAL_LOSS in run.timeline:
        found = _judged(run, run.timeline[EVAL_LOSS])
    elif not context.adversarial(run):
        found = _of_another(run, lambda name: is_error(name) or _kept_apart(run, name))
    if found is None or found.severity == "notice":
        found = _of_another(run, lambda name: bool(WORST.search(name))) or found
    if found is None or found.severity == "notice":
        found = _fallen_back(run) or never_better(run) or never_follows(run) or stays_behind(run) or found
    if found is None or found.severity == "notice":
        found = sure_of_the_wrong(run) or lost_at_once(run) or found
    if found is not None:
        yield found


def _of_another(run: Run, wanted: Callable[[str], bool]) -> Finding | None:
    """Judge other errors of evaluation, and no terms of one, as the loss is; return the first that ends well above."""
    names = dict.fromkeys(name for name in sorted(run.timeline.series) if wanted(name))
    wholes = (name for name in names if not is_term(name, names))
    return next((found for name in wholes if (found := _judged(run, run.timeline[name]))), None)


def _kept_apart(run: Run, name: str) -> bool:
    """Tell whether a measure over held-out data has one of training beside it that sank, as one that is fitted does."""
    series = run.timeline[name]
    beside = twin(run, series) if kept_apart(name) and falls_when_better(run, series) else None
    return beside is not None and robust.trend(finite(beside), least=SINKS).falls


def _judged(run: Run, series: Series) -> Finding | None:
    values, index = _levels(series)
    if len(values) < 2:
        return None
    best = int(np.argmin(values))
    low = float(values[best])
    where = int(series.steps[index[best]])
    since = training_since(run, where, None if series.name == EVAL_LOSS else twin(run, series))
    after = values[best + 1 :]
    scatter = max(robust.noise(values[best:]) if len(after) >= LEAST else 0.0, _error_of_levels(series))
    clear = len(after) > 0 and float(after[-2:].min()) - low > CLEAR * scatter
    worse, both = _worse(values, best), since is not None and since.rises
    lasting = len(values) >= LEAST and best < len(values) - LAST and float(values[-LAST:].min()) >= RATIO * low
    heart = _by_heart(run, values, best) or (lasting and _given_back(run, values, best))
    heart = (heart or _creeps(values, best, since)) and (not quality_rises(run, where) or _left_behind(run))
    jumps = low >= SMALL and _stays_above(values, since) and not quality_rises(run, where)
    ruined = _ruined(low, after) and not quality_rises(run, where)
    never = len(after) >= MANY_AFTER and low >= SMALL and float(after.min()) >= NEVER_AGAIN * low
    told = ruined or jumps or never or (clear and (worse or lasting or heart))
    if not told or (low < 0.01 and not ruined) or (both and _comes_down(after)):
        return None
    above = min(ABOVE * low, float(values[-1]))
    first = int(index[best + 1 + int(np.argmax(values[best + 1 :] >= above))])
    grave = heart or jumps or ruined or never or (worse and low >= SMALL) or (lasting and both)
    moved = steered(run, series, int(index[best]) + 1)
    severity: Severity = "warning" if grave and not moved else "notice"
    meaning = "the training loss rises with it" if both else "later steps only fit the training data"
    name = "the evaluation loss" if series.name == EVAL_LOSS else series.name
    return Finding(
        symptom="eval-gap",
        severity=severity,
        statement=f"{name} was best with {number(low)} at step "
        f"{int(series.steps[index[best]])} and ends at {number(float(values[-1]))}: {moved or meaning}",
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
        known = np.flatnonzero(np.isfinite(series.values))
        values = series.values[known]
        if len(values) < SHORT or not QUALITY.search(name):
            continue
        ruined = 0 <= float(values[-2:].max()) < RUINED * float(values[:-2].min())
        if not ruined and (series.axis == "entry" or len(values) < QUALITIES):
            continue
        best = int(np.argmax(values))
        top, level, first = float(values[best]), float(values[-LAST:].max()), float(values[0])
        lost = max(HALF * (top - first), FIFTH * top, 4 * robust.noise(values))
        level = float(values[-2:].max()) if ruined else level
        if not ruined and (best >= len(values) - LAST or top <= 0 or top - level <= lost):
            continue
        low = best + 1 + int(np.argmax(values[best + 1 :] < (top + level) / 2))
        return Finding(
            symptom="eval-gap",
            severity="warning",
            statement=f"{name} was best with {number(top)} at step {int(series.steps[known[best]])} and falls back to "
            f"{number(level)} for good: what was learned is lost again",
            source=series.source_at(int(known[low])),
            step=int(series.steps[known[low]]),
            step_range=(int(series.steps[known[best]]), int(series.steps[known[low]])),
        )
    return None


def _by_heart(run: Run, values: Floats, best: int) -> bool:
    """Tell whether the training loss fell and fell while the evaluation loss gained next to nothing and lost it."""
    training = training_of(run, FEWEST)
    if training is None or len(values) < FEWEST or values[best] < SMALL:
        return False
    then, now = training
    first, low, last = float(values[0]), float(values[best]), float(values[-1])
    rises = bool(np.all(values[-2:] > (1 + RISEN) * low)) and last > first and first < low * (1 + GAINED)
    falls = robust.trend(finite(context.recorded(run, LOSS)), least=NEVER_LESS).falls and now < (1 + NEVER_LESS) * low
    never = first < (1 + NEVER_LESS) * low and median(values[-(len(values) // 3) :]) > (1 + NEVER_LESS) * first
    return (rises and now < BY_HEART * min(then, last)) or (falls and never)


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
    reached = [median(values[i : i + LAST]) for i in range(len(values) - LAST + 1)]
    late = values[-(len(values) // 3) :]
    early = int(np.argmin(reached)) + LAST <= len(values) - len(late)
    return early and median(late) >= TIMES * min(reached) and float(late.min()) >= ALL * min(reached)


def _given_back(run: Run, values: Floats, best: int) -> bool:
    """Tell whether the evaluation loss lost most of what it had gained while the training loss fell on."""
    training = training_of(run, FEWEST)
    if training is None or values[best] < SMALL:
        return False
    then, now = training
    first, low, last = float(values[0]), float(values[best]), float(values[-LAST:].min())
    return last - low >= GIVEN_BACK * (first - low) and now < LEARNT * min(then, last)


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
            first, last = (median(s.values[:begun]) for s in (trained, evaluated))
            learnt, kept = (median(s.values[-third:]) for s in (trained, evaluated))
            if len(trained) == len(evaluated) and last > BESIDE * first > 0 and kept < HALF * learnt:
                return True
    return False


def _comes_down(after: Floats) -> bool:
    """Tell whether evaluations only ever fall since they had leaped up: what was lost is learned again."""
    return len(after) >= LAST and bool(np.all(np.diff(after) < 0))


def _levels(series: Series) -> tuple[Floats, Integers]:
    """Return the finite evaluations and their places, of more than LEVELS the medians and the middles of stretches."""
    known = np.flatnonzero(np.isfinite(series.values))
    if len(known) <= LEVELS:
        return series.values[known], known
    parts = np.array_split(known, LEVELS)
    return np.array([median(series.values[p]) for p in parts]), np.array([int(p[len(p) // 2]) for p in parts])


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
