"""How a curve tells that it had left its level for a good part of a run, though it came back."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from forensics.analysis import robust
from forensics.detectors._divergence import LEAST, Found
from forensics.model import Floats, Series, Severity
from forensics.model.statistics import median, medians

SHARE, MANY_TIMES, TENTH = 0.25, 2.0, 0.1
"""What part of a log a level is lost for; more than a tenth is enough where the loss stands at twice the level."""
ABOVE, MIDDLE, RISE, HALF = 1.2, 1.4, 1.0, 0.5
"""How far all entries meanwhile, and the middle one of them, lie above the level; and by how much loss, or what share
of the way down to it."""
PART, LEAST_TIMES, LONGEST, TINY = 0.3, 1.05, 2000, 1e-12
"""The share for all entries meanwhile, the ratio below which none counts, the most entries of a log whose single ones
are asked so, and what stands for a loss of 0."""
DEVIATIONS, FALLS = 4.0, 0.1
"""Point-to-point deviations of the logarithms that the middle one must clear the level by, and the share by which a
loss falls that has been given other data and learns them at once."""
SHORTEST = 6
FEW, STRETCHES = 5, 200


def regained(series: Series, evaluated: Series) -> Found | None:
    """Return the longest time for which a level was lost, and where it began; None where none was.

    A level is a median of five entries, of a two-hundredth of a long log, or one entry that an evaluation at the same
    step confirms. Five entries of 37,700 are a few batches of one text that repeats itself.
    """
    finite = np.flatnonzero(np.isfinite(series.values))
    values = series.values[finite]
    if len(values) < LEAST or bool((values < 0).any()):
        return None
    values = np.maximum(values, TINY)
    middles = values.copy()
    middles[1:-1] = medians(sliding_window_view(values, 3))
    levels = _levels(values)
    reached = np.minimum.accumulate(np.minimum(levels, _confirmed(series, evaluated)[finite]))
    highs = ABOVE * reached
    if len(values) <= LONGEST:
        base = np.minimum(reached, values[0])
        way = np.maximum(LEAST_TIMES * base, base + PART * (values[0] - base))
        highs = np.where(reached < values[0], np.minimum(highs, way), highs)
    found: Found | None = None
    longest, place = 0, 0
    places = np.flatnonzero(middles[1:] > highs[:-1]) + 1
    while place < len(places):
        begin = int(places[place])
        low, high = float(reached[begin - 1]), highs[begin - 1]
        back = np.flatnonzero(middles[begin:] <= high)
        end = begin + int(back[0]) if len(back) else len(values)
        if end - begin > longest and _is_lost(values, begin, end, low):
            longest, level = end - begin, median(values[begin:end])
            severity: Severity = "error" if level >= max(2 * low, ABOVE * float(values[0])) else "warning"
            found = severity, int(finite[begin]), low, level
        place = int(np.searchsorted(places, end))
    return found


def _levels(values: Floats) -> Floats:
    """Return the level about each entry, of a long log that of the stretch that ends there; infinity without one."""
    levels = np.full(len(values), np.inf)
    width = len(values) // STRETCHES
    if width <= FEW:
        levels[2:-2] = medians(sliding_window_view(values, FEW))
    else:
        stretches = values[: len(values) // width * width].reshape(-1, width)
        levels[width - 1 :: width][: len(stretches)] = medians(stretches)
    return levels


def _is_lost(values: Floats, begin: int, end: int, low: float) -> bool:
    """Tell whether entries stand above a level for long, by far, and without falling at once as on other data."""
    lost, first = values[begin:end], float(values[0])
    level = median(lost)
    long = len(lost) > (TENTH if level >= MANY_TIMES * low else SHARE) * len(values)
    enough = max(MIDDLE * low, low + RISE)
    if low < level < first:
        enough = min(enough, max(LEAST_TIMES * low, low + HALF * (first - low)))
    if not long or len(lost) < SHORTEST or level < enough:
        return False
    scatter = max(robust.noise(np.log(part)) for part in (values[:begin], lost))
    clear = float(np.log(level / low)) >= DEVIATIONS * scatter
    return clear and not robust.trend(lost[: max(SHORTEST, len(lost) // 2)], least=FALLS).falls


def _confirmed(series: Series, evaluated: Series) -> Floats:
    """Return, for each entry, the higher one of it and the evaluation at its step; infinity without one."""
    known = np.full(len(series), np.inf)
    if series.axis != evaluated.axis:
        return known
    _, places, beside = np.intersect1d(series.steps, evaluated.steps, return_indices=True)
    known[places] = np.fmax(series.values[places], evaluated.values[beside])
    return known
