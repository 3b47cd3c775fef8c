"""What shows that a model guesses: its accuracy is that of guessing, or never changes."""

import math
import re

import numpy as np

from forensics.analysis import context, robust
from forensics.analysis.learning import MOST, finite, rank
from forensics.deferred.patterns import expression
from forensics.detectors._stuck import EXPLAINED
from forensics.model import Floats, Run, Series
from forensics.model.statistics import median
from forensics.names import EVAL_LOSS, EVALUATION, LOSS, is_loss

NEAR = 0.05
SAME = 3
SURER = 4 / 3
NOTHING, EXPLAINING = 0.02, 8
"""The share of the variance that answering the mean explains, but for chance, and entries that show it."""
ACCURACY = expression(r"(?:^|[/_ .])acc(?:uracy)?(?:$|[/_ .@\d])|top[_-]?1(?:$|\D)|prec@1(?:$|\D)", re.IGNORECASE)
QUIET = 0.005
"""Share of its level by which a loss scatters at most from entry to entry while its model answers nothing but chance.

All answers cost about the same then. A model that knows its task in part finds one batch easier than the next: of the
healthy curves in 579 runs that move by less than 2 %, three are as quiet, all of means over much data.
"""
HIGH_QUIET = 3.5
"""A loss above this, in nats, that is quiet and does not move."""
CHOICES = (*range(2, 11), *(2**power for power in range(4, 18)))
"""Numbers of classes, of candidates in a batch and of prototypes that are usual; others are too dense to tell."""
CLOSE, RESTS = 0.01, 0.01
FEW = 5
"""Entries of an accuracy that show a coin: five of a model that knows more are never all within a hundredth of it."""
SETTLED, EXACT, HALVES = 8, 2e-3, 0.25
"""Entries of a loss that fell to the level of guessing and rests there, how near it must come, and the mean
square error of answering zeros and ones with 0.5."""
LATE, LATE_SCATTER = 20, 1e-3
"""What an excerpt asks for, whose drop may lie before it: as many entries, as still, at the very logarithm."""


CONTRASTIVE = expression(r"contrast|(?<![a-z])(?:info_?)?nce|nt_?xent|simclr|clip_loss|moco", re.IGNORECASE)
BATCH = ("batch_size", "per_device_train_batch_size", "train_batch_size", "queue_size")
MOST_IN_A_BATCH = 1e6
AGREE, TOLERANCE, RISING, LEAST_LOSS, MOST_LOSS, MOST_CLASSES = 15, 0.2, 0.3, 0.9, 12.0, 60
"""Entries of an accuracy and a loss that agree on how many choices there are, by how much they may differ, the rank
correlation of one that rises; losses of guessing among three choices and among more than there are words."""


def quiet(values: Floats) -> bool:
    """Tell whether a loss scatters as little as one of a model that guesses."""
    return robust.noise(values) <= QUIET * abs(median(values))


def at_a_logarithm(run: Run, values: Floats, fewest: int) -> str:
    """Return in words that a quiet loss stands at the logarithm of a number of choices throughout; else nothing.

    It rests within 1 % there, from the start of training on; an excerpt must stand at a power of two to four digits.
    Pairs of answers are left out, whose loss begins at ln 2 and may stay near it while the margins grow, and so are
    losses that play against each other, which stand at ln 2 in balance.
    """
    moved, middle = robust.trend(values), median(values)
    if any(name in run.timeline for name in context.PAIRS) or context.adversarial(run) or not quiet(values):
        return ""
    if run.timeline.excerpt or context.is_excerpt(run):
        still = len(values) >= LATE and robust.noise(values) <= LATE_SCATTER * middle
        return context.guessed(moved.end) if still and context.guessed(moved.start) else ""
    if settled := _settled(values):
        return settled
    if len(values) < fewest or abs(moved.end - moved.start) > RESTS * middle:
        return ""
    near = min(CHOICES, key=lambda choices: abs(math.log(choices) - middle))
    level = math.log(near)
    if max(abs(moved.start - level), abs(moved.end - level)) > CLOSE * level:
        return ""
    return f": ln({near:,}) is {level:.4g}, what guessing among so many gives"


def _settled(values: Floats) -> str:
    """Return in words that the last third of a loss rests at the very level of one answer to every input."""
    late = values[-(len(values) // 3) :]
    moved = robust.trend(late)
    level = moved.end
    if len(late) < SETTLED or not quiet(late) or abs(level - moved.start) > RESTS * level:
        return ""
    near = min(CHOICES, key=lambda choices: abs(math.log(choices) - level))
    if abs(level - math.log(near)) <= EXACT * level:
        return f": it settled at ln({near:,}) = {math.log(near):.4g}, what guessing among so many gives"
    halves = abs(level - HALVES) <= EXACT * HALVES
    return ": it settled at a quarter, the square error of 0.5 for zeros and ones" if halves else ""


def guessing(run: Run, level: float) -> str:
    """Return in words which accuracy shows that a loss which stands at `level` is that of guessing; else nothing.

    It is 1/K, within 5 %, of K classes whose logarithm the loss is (shares and per cent), or it is one and the same
    number, neither 0 nor 1, in three evaluations and more, and the loss is no less than one answer must cost: one class
    is predicted whatever the input. Of a regression it is a share of explained variance that is 0, within 0.02, in
    eight entries and more.
    """
    for name, series in run.timeline.series.items():
        known = series.values[np.isfinite(series.values)]
        if len(known) >= EXPLAINING and EXPLAINED.search(name):
            third = len(known) // 3
            if float(np.ptp(known)) > 0 and abs(median(known[-third:])) < NOTHING > median(known):
                return f", and {name} is {median(known):.2g}: the mean answers as well"
        if len(known) < 2 or not ACCURACY.search(name):
            continue
        if (classes := _classes(level, known)) > 1:
            return f", and {name} is {median(known):.3g}: both are those of guessing among {classes} classes"
        if len(known) >= SAME and float(np.ptp(known)) == 0 and level >= _least_of_one_answer(float(known[0])):
            return (
                f", and {name} is {float(known[0]):.3g} in all of {len(known)} evaluations: one answer to every input"
            )
    return ""


def _least_of_one_answer(right: float) -> float:
    """Return the least cross-entropy in nats of one answer to every input that is right in a share of the cases.

    That of two classes of which it always gives the same odds; any more classes cost more. Infinite for no share
    between 0 and 1.
    """
    if not 0 < right < 1:
        return math.inf
    return -(right * math.log(right) + (1 - right) * math.log(1 - right))


def at_chance(run: Run) -> tuple[Series, str] | None:
    """Return an accuracy that never leaves that of guessing, while the training loss costs no less than guessing does.

    Eight evaluations and more around 1/K, none above a third more, and a loss that ends between ln K and a third more:
    a model that answers one thing is surer of it than a coin. What the loss was in its first third does not count; it
    must rest since.
    """
    losses = context.recorded(run, LOSS).values
    losses = losses[np.isfinite(losses)]
    if len(losses) < EXPLAINING or context.policy_gradient(run) or any(name in run.timeline for name in context.PAIRS):
        return None
    level = median(losses[-(len(losses) // 3) :])
    if robust.trend(losses[len(losses) // 3 :], least=NEAR).falls:
        return None
    for name, series in sorted(run.timeline.series.items()):
        known = series.values[np.isfinite(series.values)]
        if len(known) < EXPLAINING or not ACCURACY.search(name) or not EVALUATION.search(name) or known.min() <= 0:
            continue
        shares = known / (100 if float(known.max()) > 1 else 1)
        classes = round(1 / median(shares))
        near = abs(median(shares) * classes - 1) < 2 * NEAR and float(shares.max()) * classes < SURER
        if classes > 1 and near and (1 - NEAR) * math.log(classes) < level < SURER * math.log(classes):
            return series, (
                f"{name} stays at {median(shares):.3g} in {len(known)} evaluations and the loss ends at "
                f"{level:.4g}: guessing among {classes} classes gives as much (ln {classes} is {math.log(classes):.4g})"
            )
    return None


def two_agree(run: Run) -> tuple[Series, str] | None:
    """Return an accuracy that is what the loss beside it says of guessing: 1/K beside ln K, of three classes and more.

    A model that knows something has a loss whose exponent times its accuracy is far above 1, as it is right where it is
    sure. Fifteen entries; the first third is left out, and neither moves since (0 of 655 healthy runs, 8 faulty ones).
    """
    losses = finite(context.recorded(run, LOSS))
    if len(losses) < AGREE or context.policy_gradient(run) or any(name in run.timeline for name in context.PAIRS):
        return None
    late = losses[len(losses) // 3 :]
    level = median(late)
    if not LEAST_LOSS < level < MOST_LOSS or robust.trend(late).falls:
        return None
    for name, series in sorted(run.timeline.series.items()):
        known = finite(series)
        if not ACCURACY.search(name) or len(known) < AGREE:
            continue
        late = known[len(known) // 3 :] / (100.0 if float(known.max()) > 1 else 1.0)
        product = float(late.mean()) * math.exp(level)
        rises = rank(late[:: max(1, len(late) // MOST)]) > RISING or robust.trend(-late, least=2 * NEAR).falls
        if not rises and 1 - TOLERANCE < product < 1 + TOLERANCE:
            return series, (
                f"{name} stays at {float(late.mean()):.3g} and the loss at {level:.4g}: guessing among "
                f"{round(math.exp(level))} choices gives both"
            )
    return None


def in_its_batch(run: Run) -> tuple[Series, str] | None:
    """Return a contrastive loss whose second half rests at the logarithm of the batch on file: a choice by lot in it.

    One that learned is below it, as each example is told from the others (A. van den Oord et al., arXiv 1807.03748).
    """
    series = context.recorded(run, LOSS)
    values = finite(series)
    if len(values) < AGREE or not CONTRASTIVE.search(f"{series.logged_as or ''} {series.name}"):
        return None
    late = values[len(values) // 2 :]
    for name in BATCH:
        size = run.environment.number(name)
        if size is None or not 2 < size < MOST_IN_A_BATCH or robust.trend(late).falls:
            continue
        if abs(median(late) - math.log(size)) <= 2 * CLOSE * math.log(size):
            return series, f"the loss rests at {median(late):.4g}, and ln({size:g}), of {name}, is {math.log(size):.4g}"
    return None


def a_term_at_chance(run: Run) -> tuple[Series, str] | None:
    """Return a term of a loss that is ln K to three digits in all of fifteen entries and more, of 2 to 60 classes."""
    if context.adversarial(run) or context.policy_gradient(run) or any(name in run.timeline for name in context.PAIRS):
        return None
    for name, series in sorted(run.timeline.series.items()):
        values = finite(series)
        if not is_loss(name) or name in {LOSS, EVAL_LOSS} or len(values) < AGREE:
            continue
        level = median(values)
        classes = round(math.exp(min(level, MOST_LOSS)))
        logarithm = math.log(max(classes, 1))
        if 2 <= classes <= MOST_CLASSES and float(np.abs(values - logarithm).max()) <= EXACT * logarithm:
            return (
                series,
                f"{name} is ln({classes}), {level:.4g}, in all of {len(values)} entries: it guesses",
            )
    return None


def a_coin(run: Run) -> tuple[Series, str] | None:
    """Return an accuracy of five entries and more that are all 0.5 while no loss is below that of guessing, ln 2."""
    losses = [run.timeline[name].values for name in (LOSS, EVAL_LOSS) if name in run.timeline]
    lowest = min((float(np.nanmin(each)) for each in losses if np.isfinite(each).any()), default=0.0)
    if lowest < (1 - CLOSE) * math.log(2) or any(name in run.timeline for name in context.PAIRS):
        return None
    for name, series in sorted(run.timeline.series.items()):
        known = series.values[np.isfinite(series.values)]
        if len(known) >= FEW and ACCURACY.search(name) and bool(np.all(np.abs(known - 0.5) <= CLOSE * 0.5)):
            return series, (
                f"{name} is {float(known.min()):.4g} to {float(known.max()):.4g} in all of {len(known)} entries and no "
                f"loss is below {lowest:.4g}: a coin does as well (ln 2 is {math.log(2):.4g})"
            )
    return None


def _classes(level: float, known: Floats) -> int:
    """Return the number of classes whose logarithm the loss and whose share the accuracy is; 0 for none."""
    classes = round(math.exp(min(level, 10.0)))
    share = median(known) * classes
    if classes < 2 or abs(level - math.log(classes)) > NEAR * level or float(known.max()) * classes >= 2 * share:
        return 0
    return classes if min(abs(share - 1), abs(share / 100 - 1)) <= NEAR else 0
