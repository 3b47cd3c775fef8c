"""How much of its own descent a curve gave back: where its zero lies does not count."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from forensics.analysis import robust
from forensics.analysis.onset import tail_onset
from forensics.detectors._divergence import Found, leaving, levels_of
from forensics.model import Floats
from forensics.model.statistics import medians

LEAST, FULL = 8, 40
"""Entries of a curve, and those from which on its levels are bins and not medians of three entries."""
GIVEN_BACK = 0.5
"""Share of the descent that is lost."""
CLEAR, GAINED = 6.0, 3.0
"""Point-to-point deviations of the rise, and of the descent before it."""
LARGER = 1.08
"""How far a curve that is positive ends above its best level."""
SMALL = 0.1
"""A rise of a positive loss by less is a wobble of what is learned already."""
LEAPS, LONG, FEWEST = 2.0, 2, 5
"""How many times all before the entries of a burst are, how many they are, and those of a log that shows one."""


def given_back(values: Floats) -> Found | None:
    """Return how a finite curve of eight entries and more lost at least half of its descent for good.

    The first level is the highest entry of the first bin, so that the descent is the longest it can be; the last one
    the lowest level of the last eighth. The rise clears the scatter about the best level, of the last third and of
    the whole six times.
    """
    if len(values) < LEAST:
        return None
    levels, width = levels_of(values) if len(values) >= FULL else (_smooth(values), 1)
    kept = max(2, len(levels) // 8)
    end, where = float(levels[-kept:].min()), int(np.argmin(levels[:-kept]))
    best, first = float(levels[where]), float(values[:width].max())
    rise = end - best
    parts = (values, values[: (where + 1) * width], values[-(len(values) // 3) :])
    scatter = max(robust.noise(part) for part in parts)
    if where == 0 or first - best <= GAINED * scatter or rise < GIVEN_BACK * (first - best) or rise <= CLEAR * scatter:
        return None
    if bool((values > 0).all()) and (end < LARGER * best or rise < SMALL):
        return None
    high = tail_onset(levels > best + rise / 2)
    usual = float(values[where * width : (where + 1) * width].max()) + 2 * scatter
    index = leaving(values, (high or 0) * width, min(usual, best + rise / 2), best + rise / 2)
    return "warning", index, best, end


def burst(values: Floats) -> Found | None:
    """Return where two entries in a row and more leap above twice all before them, wherever a positive curve ends.

    Of a log of 5 to 19 entries, of which a fifth is that high; a single entry is a spike.
    """
    if not FEWEST <= len(values) < 2 * LEAST + 4 or bool((values <= 0).any()):
        return None
    for index in range(LONG, len(values) - 1):
        before = float(values[:index].max())
        high = values[index:] > LEAPS * before
        long = int(np.argmin(high)) if not high.all() else len(high)
        if long >= max(LONG, len(values) // 5) and float(values[index]) > before + SMALL:
            return "warning", index, float(values[:index].min()), float(values[index : index + long].max())
    return None


def _smooth(values: Floats) -> Floats:
    smooth = values.copy()
    smooth[1:-1] = medians(sliding_window_view(values, 3))
    return smooth
