"""How a curve that should fall tells that it has left its level for good."""

import numpy as np

from forensics.analysis import robust
from forensics.analysis.onset import tail_onset
from forensics.model import Floats, Severity
from forensics.model.statistics import median, medians

LEAST = 20
BIN = 100
HALF = 0.5
LOST_TIMES, UNLEARNT = 1.5, 1.25
LASTS, UNMISTAKABLE = 1.12, 10.0
"""What is enough where the best level lies in the first third of a log, and the point-to-point deviations by which all
of the last third clears it."""
SMALL = 0.1
"""A rise below this much loss is a notice: a classifier that has converged moves by as much."""
RISING, SURE_RISING = 5, 10
FEWEST, TURNED, LOST, LOST_FAR = 4, 6, 10, 7
BEGUN, FALLEN = 3, 0.2
"""Entries of a first level, and the share of it by which the entry before the best lies below it."""
TAU = 0.75
"""Kendall's rank correlation with the step; chance reaches it in ten entries in about one log of a thousand."""
CREEP, FAR = 0.15, 0.3
"""How far a steady rise leads above the best level: where it costs a quarter of the progress, and a whole 1 of loss."""
APART = 2.0
"""Point-to-point deviations by which all that follows must clear a level that two entries show; twice that for one."""
LAST, TRAILING = 3, 20

Found = tuple[Severity, int, float, float]
"""Severity, index of the first high entry, best level, last level."""


def diverged(values: Floats) -> Found | None:
    """Return how a finite curve without negative values diverged; None for one that did not."""
    if len(values) < 2 or bool((values < 0).any()):
        return None
    # A leap among the first entries is the earlier sign, and its level the better one: it lies in no full bin.
    found = (_early(values) or _long(values) or _creeping(values)) if len(values) >= LEAST else _short(values)
    judges = (_lost, _climbed, _higher, _never_back, _unlearnt, _at_the_end)
    return found or next((told for judge in judges if (told := judge(values))), None)


def _long(values: Floats) -> Found | None:
    levels, width = levels_of(values)
    kept = max(2, len(levels) // 10)
    level = float(levels[-kept:].min())
    where = int(np.argmin(levels[:-1]))
    start, best = float(levels[0]), float(levels[where])
    rise = level - best
    scatter = robust.noise(values[: (where + 1) * width])
    lost = rise / (start - best) if start > best else float("inf")
    times = UNLEARNT if lost >= 1 and rise >= 1 else LOST_TIMES
    third = levels[-(len(levels) // 3) :]
    if where < len(levels) - 2 * len(third) and float(third.min()) - best >= UNMISTAKABLE * robust.noise(values) > 0:
        times = LASTS
    if rise < 6 * scatter or level < times * best or rise <= 0:
        return None
    if lost < HALF:
        return None
    high = tail_onset(levels > best + rise / 2)
    about = len(values) - 1 if high is None else high * width
    usual = float(values[where * width : (where + 1) * width].max()) + 2 * scatter
    index = leaving(values, about, min(usual, best + rise / 2), best + rise / 2)
    severe = lost >= 1 and level >= 2 * best and level >= 1.2 * start
    severity: Severity = "notice" if rise < SMALL else "error" if severe else "warning"
    return severity, index, best, level


def _early(values: Floats) -> Found | None:
    """Judge a log that leaps while its first bins are being filled, so that no level is a good one."""
    before = np.maximum.accumulate(values)[:-1]
    after = np.minimum.accumulate(values[::-1])[::-1][1:]
    leaps = np.flatnonzero((after > 10 * before) & (after > before + 1))
    if len(leaps) == 0 or not 2 <= leaps[0] + 1 < 2 * max(5, -(-len(values) // BIN)):
        return None
    index = int(leaps[0]) + 1
    return "error", index, float(values[:index].min()), float(values[index:].min())


def _creeping(values: Floats) -> Found | None:
    """Judge a loss that rises slowly and steadily from its best level on, over ten levels and more."""
    levels, width = levels_of(values)
    where = int(np.argmin(levels))
    after = levels[where:]
    start, best, level = float(levels[0]), float(levels[where]), float(after[-2:].min())
    rise = level - best
    far = rise >= 1 and level >= (1 + FAR) * best
    if (
        len(after) < (LOST_FAR if far else LOST)
        or level < (1 + CREEP) * best
        or (rise < max(SMALL, HALF / 2 * (start - best)) and not far)
    ):
        return None
    pairs = np.sign((after[None, :] - after[:, None])[np.triu_indices(len(after), 1)])
    if float(pairs.mean()) < TAU or rise < 6 * robust.noise(after):
        return None
    return "warning", where * width + int(np.argmax(values[where * width :] > best + rise / 2)), best, level


def _at_the_end(values: Floats) -> Found | None:
    """Judge the last entries: all above the twenty before by a quarter and above their median by half."""
    if len(values) < LEAST:
        return None
    before, last = values[-LAST - TRAILING : -LAST], values[-LAST:]
    usual, lowest = median(before), float(last.min())
    if lowest < max(1.25 * float(before.max()), 1.5 * usual, usual + SMALL):
        return None
    quiet = np.flatnonzero(values[:-LAST] <= usual + (lowest - usual) / 4)
    index = int(quiet[-1]) + 1 if len(quiet) else len(values) - LAST
    return "warning", index, usual, float(values[-1])


def _lost(values: Floats) -> Found | None:
    """Judge by what was reached before any bin was full: a level that is left early for good.

    The second lowest entry stands for it from the fourth on, so that no single one does.
    """
    if len(values) < LOST:
        return None
    after = np.minimum.accumulate(values[::-1])[::-1]
    kept = len(values) - max(3, len(values) // 10)
    early = kept if len(values) < LEAST else min(kept, 2 * max(5, -(-len(values) // BIN)))
    lowest = np.minimum.accumulate(values[:early])
    # What is not the lowest so far may be the second lowest.
    second = np.minimum.accumulate(np.maximum(values[:early], np.concatenate(([np.inf], lowest[:-1]))))
    reached = np.where(np.arange(1, early + 1) < FEWEST, lowest, second)
    for index in np.flatnonzero(after[1 : early + 1] > 1.5 * reached) + 1:
        best = float(reached[index - 1])
        apart = 2 * APART if index < FEWEST else APART
        if after[index] > best + apart * robust.noise(values[index:]):
            level = median(values[index:])
            return ("error", int(index), best, level) if level > max(2.5 * best, best + 1) else None
    return None


def _climbed(values: Floats) -> Found | None:
    """Judge a log of a few entries whose loss falls, and then stands above twice what it had reached, to the end."""
    if not TURNED <= len(values) < LOST:
        return None
    for index in range(2, len(values) - 2):
        reached = float(np.sort(values[:index])[1])
        if float(values[index:].min()) > max(2 * reached, reached + 1):
            return "error", index, float(values[:index].min()), float(values[-1])
    return None


def _higher(values: Floats) -> Found | None:
    """Judge a log of a few entries by its ends alone."""
    first, last = float(values[0]), float(values[-1])
    if not FEWEST <= len(values) < LOST or last < float(values.max()) or last <= max(1.2 * first, first + 1):
        return None
    return "warning", int(np.argmax(values > float(values[: len(values) // 2].max()))), float(values.min()), last


def _never_back(values: Floats) -> Found | None:
    """Judge by the first level alone: a loss that is above it ever after has learned nothing, and unlearned some."""
    begin = max(1, len(values) // 20)
    first, after = float(values[:begin].max()), values[begin:]
    level = median(after)
    if (
        float(after.min()) < max(1.15 * first, first + APART * robust.noise(after))
        or len(values) < RISING
        or level < max(1.3 * first, first + 0.2)
    ):
        return None
    return "warning", begin, first, level


def _unlearnt(values: Floats) -> Found | None:
    """Judge a loss that two entries in a row show to be learning, and that is at its first level ever after.

    They follow a level of three entries or more that they clear by far; three quarters of the log come behind them.
    """
    best = int(np.argmin(values))
    if len(values) < LEAST or not BEGUN < best < len(values) // FEWEST:
        return None
    first = values[: best - 1]
    level, after = median(first), values[best + 1 :]
    down = max(level - float(first.min()), 2 * robust.noise(after), FALLEN * level)
    if values[best] >= HALF * level or values[best - 1] > level - down or float(after.min()) < level:
        return None
    return "error", best + 1, float(values[best]), median(after)


def levels_of(values: Floats) -> tuple[Floats, int]:
    """Return the medians of equal bins and their width; a last bin of less than half the width is left out."""
    width = max(5, -(-len(values) // BIN))
    whole = len(values) // width
    levels = medians(values[: whole * width].reshape(whole, width))
    rest = values[whole * width :]
    if len(rest) * 2 >= width:
        levels = np.append(levels, median(rest))
    return levels, width


def leaving(values: Floats, about: int, low: float, middle: float) -> int:
    """Return the entry after the last low one before the loss is first above the middle, around `about`."""
    width = max(5, -(-len(values) // BIN))
    start = max(0, about - width)
    start += int(np.argmin(values[start : about + 1]))  # an untrained first entry may be as high as the rise
    high = start + int(np.argmax(values[start : about + width] > middle))
    below = np.flatnonzero(values[: high + 1] <= low)
    return int(below[-1]) + 1 if len(below) and below[-1] < high else high


def _short(values: Floats) -> Found | None:
    """Judge a log of fewer than 20 entries: a leap to three times all that came before, which lasts."""
    before = np.maximum.accumulate(values)[:-1]
    after = np.minimum.accumulate(values[::-1])[::-1][1:]
    leaps = np.flatnonzero((after > 3 * before) & (after > before + 1))
    if len(leaps) == 0:
        return _climb(values, before, after)
    index = int(leaps[0]) + 1
    lasts = len(values) - index >= 2 and index >= 3
    severity: Severity = "error" if lasts else "warning"
    return severity, index, float(values[:index].min()), float(values[index:].min())


def _climb(values: Floats, before: Floats, after: Floats) -> Found | None:
    """Judge a short log whose loss leaves its level and climbs on, so that no single entry leaps."""
    best = np.minimum.accumulate(values)[:-1]
    late = np.array([median(values[i + 1 :]) for i in range(len(values) - 1)])
    left = np.flatnonzero((after > 1.25 * before) & (after > before + 0.5) & (late > 2 * best))
    left = left[(left >= 3) & (left < len(values) - 3)]
    if len(left) == 0:
        return _steady(values)
    index = int(left[0]) + 1
    return "error", index, float(best[index - 1]), float(values[index:].min())


def _steady(values: Floats) -> Found | None:
    """Judge a short log whose loss rises from its first entries to its last ones without ever turning."""
    third = len(values) // 3
    if len(values) < RISING:
        return None
    first, last = values[:third], values[-third:]
    later = values[None, :] - values[:, None]
    pairs = np.sign(later[np.triu_indices(len(values), 1)])
    best, level = median(first), median(last)
    few = len(values) < SURE_RISING
    steady = float(pairs.mean()) >= (1.0 if few else TAU) and float(last.min()) > float(first.max())
    if not steady or level < best * (2 if few else 1.1) or level - best < SMALL:
        return None
    index = int(np.argmax(values > float(first.max())))
    return "warning", index, float(values[:index].min()), level
