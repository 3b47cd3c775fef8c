"""Nothing that was logged moves: not the loss, not its evaluation, not a quality."""

import re

import numpy as np

from forensics.analysis import context, robust
from forensics.analysis.learning import ERROR, finite, losses, may_rest, qualities, rose
from forensics.analysis.tails import loss_tail
from forensics.deferred.patterns import expression
from forensics.detectors._wording import number
from forensics.model import Floats, Run, Series
from forensics.model.statistics import median
from forensics.names import EVAL_LOSS, LEARNING_RATE, LOSS

LEAST, QUIETLY, QUIET, SAME = 8, 5, 0.002, 5
"""Entries of a curve that shows no descent, and of one whose points scatter by this share at most, as of an evaluation
over the same data; entries of a quality that is one number."""
MOST, ERRORS, SURE = 0.02, 2.5, 0.005
"""The descent that a curve which learned nothing may have had at most, with so many standard errors of it, and one that
counts where it is more than chance."""
FELL, ABOVE, SPREADS = 0.03, 0.05, 3.0
"""Share by which a curve that learned fell, or by which its first entry lies above the rest: it came down within it."""
STANDS = 1e-3
"""Share of its level within which a curve stands still whose zero means nothing."""
ACCURACY = expression(r"(?:^|[/_ ])(?:acc|accuracy)(?:$|[/_ ])", re.IGNORECASE)
KNEW = 0.75
"""An accuracy that more than guessing gives; where most labels are one class a curve that stands says as little."""
LOW = 0.02
"""A loss that has nothing left to teach."""


def unmoved(run: Run) -> tuple[Series, str] | None:
    """Return the steadiest curve of a run from scratch in which nothing moves, and how to say so.

    The descent from the first third to the last, with 2.5 standard errors of these medians (`analysis.robust.trend`),
    is below 2 % of the level in a curve of eight entries and more, of five where it is as quiet as an evaluation, and
    chance in all; no loss fell by 3 % or began above its level, and no quality rises or is high. Without any loss, each
    quality is one number in five entries.
    0 of 447 healthy runs; a model that was trained before, an excerpt and a resumed run may rest so.
    """
    if may_rest(run) or _warming(run) or knew(run):
        return None
    curves = losses(run)
    if any(map(_fell, curves.values())) or any(map(rose, qualities(run))):
        return None
    if not any(map(len, curves.values())):
        return _one_number(run)
    if (alone := curves.get(LOSS)) is not None and len(alone) and (np.ptp(alone) == 0 or loss_tail(run.timeline[LOSS])):
        return None  # `loss-constant` and what became of it tell
    bounds = [(_most_descent(values), name) for name, values in sorted(curves.items())]
    steady = [(bound, name) for bound, name in bounds if bound is not None]
    if not steady or min(steady)[0] > MOST:
        return None
    series = run.timeline[min(steady)[1]]
    level = number(median(finite(series)))
    name = {EVAL_LOSS: "the evaluation loss", LOSS: "the loss"}.get(series.name, series.name)
    return series, f"{name} stays at {level} in {len(series)} entries, and nothing else that was logged got better"


def knew(run: Run) -> bool:
    """Tell whether an accuracy is high from its first entry on, as that of a model that was trained before is."""
    known = [finite(series) for name, series in run.timeline.series.items() if ACCURACY.search(name)]
    return any(len(each) and float(each[0]) >= KNEW * (100.0 if each.max() > 1 else 1.0) for each in known)


def _warming(run: Run) -> bool:
    rates = finite(context.recorded(run, LEARNING_RATE))
    return len(rates) > 1 and bool(np.all(np.diff(rates) > 0))


def _most_descent(values: Floats) -> float | None:
    """Return the largest share that a curve may have fallen by; None where it cannot tell, or rose.

    Of one that is not positive no shares are known: it must stand still within a thousandth.
    """
    level = abs(median(values)) if len(values) >= QUIETLY else 0.0
    if level < LOW or (len(values) < LEAST and robust.noise(values) > QUIET * level):
        return None
    if float(values.min()) <= 0:
        return float(np.ptp(values)) / level if np.ptp(values) <= STANDS * level else None
    moved = robust.trend(values)
    if moved.end > (1 + FELL) * moved.start or robust.trend(values, least=SURE).falls:
        return None
    error = 1.2533 * robust.noise(values) * float(np.sqrt(2.0 / max(1, len(values) // 3)))
    return (max(0.0, moved.start - moved.end) + ERRORS * error) / moved.start


def _fell(values: Floats) -> bool:
    """Tell whether a curve came down, in all or within its first entry."""
    if len(values) < 2:
        return False
    moved, level, scatter = robust.trend(values), median(values), robust.noise(values)
    if float(values.min()) <= 0:
        return moved.falls or float(values[0]) - level > ABOVE * abs(level) + SPREADS * scatter
    return moved.start - moved.end > FELL * moved.start or float(values[0]) - level > ABOVE * level + SPREADS * scatter


def _one_number(run: Run) -> tuple[Series, str] | None:
    """Return a quality where each one that was logged is the same number throughout, and none is perfect or 0."""
    names = [
        name
        for name, series in sorted(run.timeline.series.items())
        if (context.BETTER_HIGHER.search(name) or ERROR.search(name)) and len(finite(series)) >= SAME
    ]
    if not names or any(np.ptp(finite(run.timeline[name])) > 0 for name in names):
        return None
    series = run.timeline[names[0]]
    value = number(float(series.values[0]))
    return series, f"{series.name} is {value} in all of {len(series)} entries, as is all else that was logged"
