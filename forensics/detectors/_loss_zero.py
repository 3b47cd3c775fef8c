"""What speaks for and against a logged loss of 0.0 being a loss that is no number."""

import numpy as np

from forensics.analysis import context
from forensics.analysis.refine import poisoned_checkpoint
from forensics.analysis.tails import Tail
from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.model import Integers, Run, Series
from forensics.model.order import among
from forensics.model.statistics import median
from forensics.names import EVAL_LOSS, GRAD_NORM

BEFORE = 10
"""Entries before the first 0.0 that tell a decay from a drop."""
LOW = 0.01
"""A loss below this, or below 1 % of where it began, is on its way to 0: the filter cuts an entry to half at most
(see `analysis.nan_filter`), so a lower one is a real loss; it may be the last digit of two that are printed."""
_NORM_OF_PART = expression(r"grad\w{0,60}[_/ ](?:l2_)?norm")


@dataclass(frozen=True, slots=True)
class Witnesses:
    """The other facts at the entries that show 0.0, as counts of entries, and what the curve did before."""

    nonfinite: int
    sentinel: int
    zero: int
    fine: int
    eval_nan: bool
    eval_small: bool
    eval_fine: bool
    poisoned: bool
    decayed: bool
    low: float

    @property
    def proof(self) -> str:
        """Return the fact that shows the loss to be no number, in words; empty when there is none."""
        if self.nonfinite:
            return "the gradient norm beside it is NaN or infinite"
        if self.eval_nan:
            return "the evaluation loss is NaN"
        if self.poisoned:
            return "a checkpoint from then on holds NaN or Inf"
        return "the gradient norm beside it stands at the square root of a whole number" if self.sentinel else ""


def witnesses(run: Run, series: Series, tail: Tail) -> Witnesses:
    states = context.gradients_at(run, series)[tail.index :]
    onset = int(series.steps[tail.index])
    poisoned = poisoned_checkpoint(run)
    evals = _evals(run, series, onset)
    low, decayed = _decay(series, tail.index)
    proven = states == context.SENTINEL
    return Witnesses(
        nonfinite=int(np.sum(states == context.NONFINITE)),
        sentinel=int(proven.sum()) if _repeated(run, tail, series) else 0,
        zero=int(np.sum(states == context.ZERO)),
        fine=int(np.sum(states == context.FINE))
        + (0 if _repeated(run, tail, series) else int(proven.sum()))
        + _beside_parts(run, series.steps[tail.index :]),
        eval_nan=bool(np.any(np.isnan(evals))),
        eval_small=len(evals) > 0 and bool(np.all(np.abs(evals) < 0.05)),
        eval_fine=len(evals) > 0 and bool(np.all(np.isfinite(evals))),
        poisoned=poisoned is not None and poisoned.step is not None and _reaches(series, poisoned.step),
        decayed=decayed,
        low=low,
    )


def _reaches(series: Series, step: int) -> bool:
    """Tell whether the log goes on to this step; where only entries are counted, it is taken to."""
    return series.axis != "step" or bool(series.steps[-1] >= step)


def _beside_parts(run: Run, steps: Integers) -> int:
    """Count the steps where the gradient norm of a part of the model is an ordinary number.

    Only where no norm of the whole was logged: a loss of 0 beside it is a column that nobody filled.
    """
    if GRAD_NORM in run.timeline:
        return 0
    parts = [series for name, series in run.timeline.series.items() if _NORM_OF_PART.search(name)]
    fine = [series.steps[np.isfinite(series.values) & (series.values > 0)] for series in parts]
    return int(among(steps, np.concatenate(fine)).sum()) if fine else 0


def _evals(run: Run, losses: Series, onset: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    series = run.timeline.beside(losses, EVAL_LOSS)
    if series is None:
        return np.empty(0)
    return np.asarray(series.values[series.steps >= onset], dtype=np.float64)


def _decay(series: Series, index: int) -> tuple[float, bool]:
    """Return the lowest loss just before the zeros, and whether the loss was on its way there."""
    values = series.values[:index]
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return float("nan"), False
    low, start = float(np.abs(values[-BEFORE:]).min()), median(np.abs(values[:5]))
    return low, low <= LOW or low < 0.01 * start


def _repeated(run: Run, tail: Tail, series: Series) -> bool:
    """Tell whether the norm took its root with the zeros: the same one throughout, and not before them as well."""
    norms = run.timeline.beside(series, GRAD_NORM)
    if norms is None:
        return False
    inside = norms.values[norms.steps >= series.steps[tail.index]]
    before = norms.values[norms.steps < series.steps[max(0, tail.index - 1)]]
    if len(inside) == 0 or not np.allclose(inside, inside[0], rtol=context.SAME_SENTINEL):
        return False
    return len(before) == 0 or not np.allclose(before, inside[0], rtol=context.SAME_SENTINEL)
