"""The end of a dead run: from which entry its loss and its gradient norm are no numbers any more."""

import numpy as np

from forensics.analysis import context, nan_filter, robust
from forensics.analysis.onset import Onset, mean_onset, point_onset, tail_onset, window_start
from forensics.deferred.records import dataclass
from forensics.model import Run, Series
from forensics.model.statistics import median
from forensics.names import GRAD_NORM, LOSS

MIXED = 1.5
"""Times the median norm before from which an entry before a lasting sqrt(k) is taken for a mixture."""
OFTEN, RETURNS = 0.25, 3
REFERENCE = 8
"""Entries before a contaminated one that say what its true loss was."""


@dataclass(frozen=True, slots=True)
class Tail:
    """Entries from `index` to the end of a loss: `zeros` exactly 0.0, `nonfinite` NaN or infinite."""

    index: int
    zeros: int
    nonfinite: int

    @property
    def count(self) -> int:
        return self.zeros + self.nonfinite

    @property
    def shows_zero(self) -> bool:
        return self.zeros >= self.nonfinite


def loss_tail(series: Series) -> Tail | None:
    """Return the entries up to the last that are all 0.0, NaN or infinite; None when the last one is a number."""
    zero, nonfinite = series.values == 0, ~np.isfinite(series.values)
    index = tail_onset(zero | nonfinite)
    if index is None:
        return None
    return Tail(index, int(zero[index:].sum()), int(nonfinite[index:].sum()))


def comes_and_goes(series: Series, tail: Tail) -> int:
    """Return the first NaN or infinity of those that come and go until they stay: the index of the tail where none do.

    They are one fault with the tail as long as they are a quarter of the entries from the first one on, and three.
    """
    bad = ~np.isfinite(series.values[: tail.index])
    places = np.flatnonzero(bad)
    if tail.shows_zero or len(places) < RETURNS:
        return tail.index
    left = np.arange(len(places), 0, -1)
    often = (left >= RETURNS) & (left >= OFTEN * (tail.index - places))
    return int(places[np.argmax(often)]) if often.any() else tail.index


def loss_onset(run: Run, series: Series, tail: Tail) -> Onset:
    """Return the steps among which the loss stopped being a number; the loss filter is undone where it can be."""
    index, window = tail.index, context.logging_window(run)
    if not np.isfinite(series.values[index]) or index == 0:
        return point_onset(series, index, window)
    fine_before = gradient_fine_at(run, int(series.steps[index - 1]))
    onset = mean_onset(series, index, window, fine_before=fine_before)
    return onset if fine_before else onset.narrowed(decoded_onset(run, series, index))


def decoded_onset(run: Run, series: Series, index: int) -> Onset | None:
    """Return the steps among which the loss turned NaN, from the entry before the first 0.0 at `index`.

    None when the window or the accumulation is not recorded, the filter was off, or nothing plausible fits.
    """
    found = decodings(run, series, index)
    if not found:
        return None
    start = int(series.steps[index - 1]) - found[0].window
    counts = [decoding.finite_steps for decoding in found]
    return Onset(start + min(counts) + 1, start + max(counts) + 1)


def decodings(run: Run, series: Series, index: int) -> tuple[nan_filter.Decoding, ...]:
    """Return the ways to read the entry before `index`, given the recorded window and accumulation."""
    window, accumulation = context.logging_window(run), context.accumulation(run)
    if index < 1 or window is None or accumulation is None or context.filter_is_off(run):
        return ()
    start, step = window_start(series, index - 1, window), int(series.steps[index - 1])
    if start is None or step - start != window:
        return ()
    entry = float(series.values[index - 1])
    return nan_filter.candidates(entry, window, accumulation, plausible_loss(series, index - 1))


def plausible_loss(series: Series, index: int) -> tuple[float, float]:
    """Return the bounds of the true loss at entry `index`, from the entries before it where there are enough.

    Five deviations around the median of the last `REFERENCE` entries, at least 15 % to either side, and no
    narrower than what these entries themselves span.
    """
    values = series.values[max(0, index - REFERENCE) : index]
    values = values[np.isfinite(values) & (values > 0)]
    if len(values) < 4:
        return nan_filter.PLAUSIBLE
    center = median(values)
    spread = robust.NORMAL * median(np.abs(values - center))
    reach = max(5 * spread, 0.15 * center)
    return min(float(values.min()), max(center - reach, 1e-12)), max(float(values.max()), center + reach)


def gradient_tail(run: Run) -> tuple[int, int] | None:
    """Return the first entry of a gradient norm that is broken to the end, and its state.

    Broken is NaN or infinite, or one square root of a small integer repeated while the loss is no number; a
    norm that is logged after clipping repeats 1.0 too, beside a healthy loss.
    """
    norms = run.timeline.get(GRAD_NORM)
    if norms is None or len(norms) == 0:
        return None
    states = context.gradient_states(norms.values, context.coarsest(norms))
    index = tail_onset(states == context.NONFINITE)
    if index is not None:
        return index, context.NONFINITE
    return _sentinel_tail(run, norms, states)


def gradient_onset(run: Run) -> Onset | None:
    """Return the steps among which the gradient stopped being a number.

    Where only some parameter groups are bad at first, the norm is sqrt(k + the squares of the sound ones), which
    is 1 or more and no square root of a whole number. Such an entry before a lasting sqrt(k) is the onset when it
    is also out of line with the norms before, and may be it when it is not.
    """
    tail = gradient_tail(run)
    if tail is None:
        return None
    norms, window = run.timeline[GRAD_NORM], context.logging_window(run)
    index, state = tail
    onset = point_onset(norms, index, window)
    if state != context.SENTINEL or index == 0 or not norms.values[index - 1] >= 1:
        return onset
    before = norms.values[max(0, index - 1 - REFERENCE) : index - 1]
    mixed = point_onset(norms, index - 1, window)
    if len(before) and norms.values[index - 1] > MIXED * median(before):
        return mixed
    return Onset(mixed.earliest, onset.latest)


def gradient_fine_at(run: Run, step: int) -> bool:
    """Tell whether the gradient norm of this very step was logged, is healthy and lies before a lasting fault."""
    norms, loss = run.timeline.get(GRAD_NORM), run.timeline.get(LOSS)
    comparable = norms is not None and (loss is None or loss.axis == norms.axis)
    value = norms.value_at(step) if norms is not None and comparable else None
    if norms is None or value is None:
        return False
    fine = int(context.gradient_states(np.array([value]), context.coarsest(norms))[0]) == context.FINE
    onset = gradient_onset(run) if fine and value >= 1 else None
    return fine and (onset is None or onset.earliest is None or step < onset.earliest)


def _sentinel_tail(
    run: Run, norms: Series, states: np.ndarray[tuple[int], np.dtype[np.int8]]
) -> tuple[int, int] | None:
    series = run.timeline.beside(norms, LOSS)
    tail = None if series is None or len(series) == 0 else loss_tail(series)
    if series is None or tail is None or states[-1] != context.SENTINEL:
        return None
    same = (states == context.SENTINEL) & np.isclose(norms.values, norms.values[-1], rtol=context.SAME_SENTINEL)
    index = tail_onset(same)
    if index is None:
        return None
    # A norm that was at the root long before the loss died is a clipped one; where it turned bad is not known.
    latest = int(series.steps[tail.index])
    earliest = window_start(series, max(0, tail.index - 1), context.logging_window(run))
    if earliest is not None and int(norms.steps[index]) <= earliest and tail.index > 0:
        index = int(np.searchsorted(norms.steps, latest))
    return (index, context.SENTINEL) if index < len(norms) else None
