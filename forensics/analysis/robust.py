"""Robust statistics over trailing windows, vectorised: a million points in tenths of a second."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from forensics.deferred.records import dataclass
from forensics.model import Floats
from forensics.model.statistics import median

WINDOW = 64
MINIMUM = 8
NORMAL = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""
WORK = 2_000_000
"""Elements that the trailing medians may sort; longer series are looked at every few points."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Level and scatter of what came before each point; float64, (n,), NaN before `MINIMUM` points."""

    median: Floats
    deviation: Floats
    """Median absolute deviation from that median, times `NORMAL`."""


def trailing(values: Floats, window: int = WINDOW, minimum: int = MINIMUM) -> Baseline:
    """Return the median and the deviation of the `window` points before each point, the point itself left out.

    `values` must be finite. Short prefixes use what there is, from `minimum` points on. On a long series the
    window is moved every h-th point only, h = ceil(n * window / WORK), and the points between use the last one:
    O(n) in all, and the baseline is at most h - 1 points old.
    """
    size = len(values)
    median = np.full(size, np.nan)
    deviation = np.full(size, np.nan)
    for i in range(minimum, min(window, size)):
        median[i], deviation[i] = _level(values[:i])
    if size > window:
        hop = max(1, -(-size * window // WORK))
        views = sliding_window_view(values, window)[:-1:hop]
        # Rows are sorted whole: numpy sorts short rows with vector instructions and partitions them without.
        centers = _middle(np.sort(views, axis=1))
        spreads = NORMAL * _middle(np.sort(np.abs(views - centers[:, None]), axis=1))
        last = (np.arange(window, size) - window) // hop
        median[window:], deviation[window:] = centers[last], spreads[last]
    return Baseline(median, deviation)


def _middle(ordered: NDArray[np.float64]) -> Floats:
    """Return the median of each row; `ordered` is (n, window), sorted along the rows."""
    size = ordered.shape[1]
    return np.asarray((ordered[:, (size - 1) // 2] + ordered[:, size // 2]) / 2)


def _level(values: Floats) -> tuple[float, float]:
    center = median(values)
    return center, NORMAL * median(np.abs(values - center))


def scores(values: Floats, baseline: Baseline, floor: float = 0.0) -> Floats:
    """Return how many deviations each point lies above its baseline; NaN where there is none.

    `floor` bounds the deviation from below, so that a flat stretch does not turn rounding into outliers.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        scatter = np.maximum(baseline.deviation, floor)
        return np.asarray((values - baseline.median) / np.where(scatter > 0, scatter, np.nan))


def spike_share(values: Floats, window: int = 128, deviations: float = 6.0) -> float | None:
    """Return the share of points over mean + `deviations` standard deviations of the `window` before them.

    The spike score of OLMo-core (`stability_monitor.py`: last 128 values, 6 deviations, a deviation below 1e-10
    ignored), for comparison with published runs; the robust score beside it finds the spikes. None for a series
    that is not longer than the window.
    """
    size = len(values)
    if size <= window:
        return None
    center = float(values.mean())
    sums = np.concatenate(([0.0], np.cumsum(values - center)))
    squares = np.concatenate(([0.0], np.cumsum((values - center) ** 2)))
    mean = (sums[window:-1] - sums[: -window - 1]) / window
    square = (squares[window:-1] - squares[: -window - 1]) / window
    scatter = np.sqrt(np.maximum(square - mean**2, 0.0))
    above = (values[window:] - center) > mean + deviations * scatter
    return float(np.mean(above & (scatter > 1e-10)))


def noise(values: Floats) -> float:
    """Return the scatter from point to point: `NORMAL` * MAD of the differences / sqrt(2); 0 below 3 points."""
    if len(values) < 3:
        return 0.0
    steps = np.diff(values)
    return NORMAL * median(np.abs(steps - median(steps))) / float(np.sqrt(2.0))


@dataclass(frozen=True, slots=True)
class Trend:
    """Median of the first third, of the last third, and whether the series fell by more than chance."""

    start: float
    end: float
    falls: bool


def trend(values: Floats, least: float = 0.02) -> Trend:
    """Return how a finite series moved.

    It `falls` when the last third lies below the first by at least the share `least` (2 %, the change that
    trainspotter 0.2.6 asks of a loss that still learns) and by three times the standard error of the two
    medians, 1.2533 * noise * sqrt(2 / k).
    """
    size = len(values)
    if size < 2:
        only = float(values[0]) if size else float("nan")
        return Trend(only, only, falls=False)
    third = max(1, size // 3)
    start, end = median(values[:third]), median(values[-third:])
    error = 1.2533 * noise(values) * float(np.sqrt(2.0 / third))
    return Trend(start, end, falls=start - end > max(3 * error, least * abs(start)))
