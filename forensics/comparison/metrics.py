"""Where two runs part: each metric over the steps that both logged."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from forensics.comparison.difference import Divergence
from forensics.model import Floats, Precision, Run, Series
from forensics.model.statistics import median
from forensics.names import EVAL_LOSS, GRAD_NORM, LEARNING_RATE, LOSS, LOSS_SCALE

COMPARED = (LOSS, GRAD_NORM, LEARNING_RATE, EVAL_LOSS, LOSS_SCALE)
ROUNDING = {
    Precision.FOUR_DIGITS: (5e-4, 0.0),
    Precision.FOUR_DECIMALS: (0.0, 5e-5),
    Precision.SINGLE: (1e-6, 0.0),
    Precision.DOUBLE: (1e-9, 0.0),
}
"""Relative and absolute error of a source; the loss of transformers < 5.0 is rounded before anything stores it."""
NOISES = 5.0
"""Runs have parted when they are further apart than five times the usual step of GOOD's curve (its median absolute
difference from entry to entry, as a standard deviation)."""
TIMES, TIMES_OF_FEW = 1.25, 1.5
FEWEST, FEW = 4, 10
"""A factor that lasts parts two curves within their noise: 1.5 in four entries, 1.25 in ten and more. Norms of another
seed, log-normal with a deviation of 0.3, are on one side of 1.5 in four entries once in some 700 pairs of runs."""
LASTING = 0.9
"""Share of the entries from a point on that must be apart for the runs to have parted there."""


def divergences(good: Run, bad: Run) -> Iterator[Divergence]:
    """Yield one divergence a metric that both runs logged at one step at least, or count on the same axis."""
    for name in COMPARED:
        one, other = good.timeline.get(name), bad.timeline.get(name)
        if one is not None and other is not None and one.axis == other.axis:
            found = divergence(one, other)
            if found is not None:
                yield found


def divergence(good: Series, bad: Series) -> Divergence | None:
    """Compare one metric; None when the runs share no step."""
    steps, mine, theirs = np.intersect1d(good.steps, bad.steps, assume_unique=True, return_indices=True)
    if not len(steps):
        return None
    one, other = good.values[mine], bad.values[theirs]
    differs = _further(one, other, _rounding(good, bad, one))
    noise = 0.0 if good.name == LEARNING_RATE else _noise(one)  # what moves it is a schedule
    apart = _further(one, other, _rounding(good, bad, one) + NOISES * noise)
    # Where both are 0, as the first rate of a warm-up and the last of a decay, no distance can be seen.
    told = np.flatnonzero((one != 0) | (other != 0))
    parts, scaled = (_entry(told, at) for at in (lasting(apart[told]), _scaled(one[told], other[told])))
    if parts is None:
        parts = scaled
    at = parts if parts is not None else len(steps) - 1
    after = told[told >= at]
    return Divergence(
        metric=good.name,
        axis=good.axis,
        aligned=len(steps),
        differs_from=int(steps[np.argmax(differs)]) if differs.any() else None,
        parts_from=None if parts is None else int(steps[parts]),
        step=int(steps[at]),
        good=float(one[at]),
        bad=float(other[at]),
        factor=median(other[after] / one[after]) if parts is not None and parts == scaled else None,
    )


def _entry(told: NDArray[np.intp], at: int | None) -> int | None:
    return None if at is None else int(told[at])


def _scaled(one: Floats, other: Floats) -> int | None:
    """Return the entry from which on BAD is the same side of GOOD by a factor, entry for entry; None where it is not.

    Noise from entry to entry is common to two runs on the same data, so that it hides no factor. Entries that are 0,
    negative or no number have no ratio.
    """
    usable = np.isfinite(one) & np.isfinite(other) & (one > 0) & (other > 0)
    if len(one) < FEWEST or not usable.all():
        return None
    with np.errstate(over="ignore"):
        ratios = np.log(other) - np.log(one)
    towards = np.sign(ratios[-1]) * ratios
    at = lasting(towards > np.log(TIMES))
    if at is not None and len(one) - at >= FEW:
        return at
    return 0 if len(one) < FEW and bool(np.all(towards > np.log(TIMES_OF_FEW))) else None


def _further(one: Floats, other: Floats, tolerance: Floats) -> NDArray[np.bool_]:
    """Tell where two curves are further apart than the tolerance; finite against nonfinite always is."""
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(one - other) > tolerance
    both = np.isfinite(one) & np.isfinite(other)
    unlike = ~both & ~((one == other) | (np.isnan(one) & np.isnan(other)))
    # Exactly 0 is what a logger writes for NaN, what a mask leaves, or a rate that was never set: never noise.
    vanished = (other == 0) != (one == 0)
    return np.asarray((apart & both) | unlike | vanished, dtype=np.bool_)


def _rounding(good: Series, bad: Series, values: Floats) -> Floats:
    relative, absolute = (max(ROUNDING[Precision(int(s.precisions.min()))][i] for s in (good, bad)) for i in (0, 1))
    if good.name in {LOSS, EVAL_LOSS}:
        absolute = max(absolute, 5e-5)
    return np.asarray(2 * (absolute + relative * np.abs(np.nan_to_num(values))), dtype=np.float64)


def _noise(values: Floats) -> float:
    steps = np.abs(np.diff(values[np.isfinite(values)]))
    # 1.4826 turns a median absolute deviation into a standard deviation of normal noise.
    return 1.4826 * median(steps) if len(steps) else 0.0


def lasting(apart: NDArray[np.bool_]) -> int | None:
    """Return the first entry from which on the curves stay apart, single returns allowed; None when they do not.

    >>> lasting(np.array([True, False, False, True, True])), lasting(np.array([True, False]))
    (3, None)
    """
    if not len(apart) or not apart[-1]:
        return None
    rest = np.cumsum(apart[::-1])[::-1] / np.arange(len(apart), 0, -1)
    return int(np.argmax(apart & (rest >= LASTING)))
