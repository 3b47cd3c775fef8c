"""The loss rises and stays up: what was learned is lost again."""

from collections.abc import Iterator

import numpy as np

from forensics.analysis import context, robust
from forensics.analysis.onset import tail_onset
from forensics.analysis.tails import loss_tail
from forensics.detectors._wording import number
from forensics.model import Finding, Floats, Run, Severity
from forensics.names import LOSS
from forensics.plugin import detector

LEAST = 20
BIN = 100
HALF = 0.5
LOST_TIMES, UNLEARNT = 1.5, 1.25
SMALL = 0.1
"""A rise below this much loss is a notice: a classifier that has converged moves by as much."""
RISING, SURE_RISING = 5, 10
FEWEST, TURNED, LOST = 4, 6, 10
TAU = 0.75
"""Kendall's rank correlation with the step; chance reaches it in ten entries in about one log of a thousand."""


@detector("loss-divergence", needs=("loss",))
def loss_divergence(run: Run) -> Iterator[Finding]:
    """Find a loss that ends far above its best level and does not come back.

    Levels are medians of bins, a hundred bins at most and at least five entries each (twenty entries have four),
    so that no single entry counts; the last level is the lowest of the last tenth of the levels, at least two.
    It is dated to the entry after the last one no higher than the best bin's highest, plus two deviations.
    Source: runmedic 0.1.1, share of the progress lost: 50 % is a warning, 100 % an error. Progress is the first
    level minus the best before the rise. Besides, the end must be 1.5 times the best (2 times for an error; 1.25 times
    where all progress and a whole 1 of loss is lost: ln(vocabulary) is 11, not 2) and six point-to-point deviations
    above it.
    Minimum: 20 finite entries; in a shorter log the loss must leap to more than three times all that came before
    and stay there: an error with three entries before and two after, else a warning. With four entries before and
    three after, a quarter more than all before is enough where the later half is at twice the best. A loss that
    only ever rises is a warning: by a tenth over ten entries and more, to twice its first level over five. In a
    longer log a leap to more than ten times all before counts from the third entry on, while the first two bins
    last: the bins of such a log hold no good level any more. From ten entries on the level is lost where, from the
    second entry on, all that follows is above 1.5 times the best so far and its median above 2.5 times and 1 more (3 of
    59 faulty runs that were called healthy, 0 of 350 healthy ones and 46 hard negatives). In four to nine entries a
    last one of 1.2 times the first, 1 above it and the highest of all, is a warning (1 and 0). In six to nine entries
    the level is lost where at least two before lie below half of all three and more that follow. A loss that was never
    again near its first level, all that follows above 1.15 times and half of it above 1.3 times that and 0.2 more, is a
    warning from five entries on.
    Silenced by: a policy-gradient trainer; a loss with negative values, whose ratios mean nothing.
    Known false alarms: a curriculum from easy to hard data, a new loss term; a rise below 0.1 is a notice.
    Measured: as written it is silent on 133 healthy runs (27 of the fixtures, 73 of first contact, 33 further public
    ones); the counts above are those of the simulation that chose the thresholds (docs/design/0004-evidence.md).
    """
    series = context.recorded(run, LOSS)
    if context.policy_gradient(run) or len(series) < 2:
        return
    tail = loss_tail(series)
    end = len(series) if tail is None else tail.index
    finite = np.flatnonzero(np.isfinite(series.values[:end]))
    values = series.values[finite]
    if len(values) < 2 or bool((values < 0).any()):
        return
    found = (_long(values) or _early(values)) if len(values) >= LEAST else _short(values)
    found = found or _lost(values) or _climbed(values) or _higher(values) or _never_back(values)
    if found is None:
        return
    severity, index, best, level = found
    step = int(series.steps[finite[index]])
    yield Finding(
        symptom="loss-divergence",
        severity=severity,
        statement=f"the loss rises from {number(best)} to {number(level)} and does not come back; "
        f"it leaves its level at step {step}",
        source=series.source_at(int(finite[index])),
        step=step,
        step_range=(int(series.steps[finite[index - 1]]) if index else None, step),
    )


Found = tuple[Severity, int, float, float]
"""Severity, index of the first high entry, best level, last level."""


def _long(values: Floats) -> Found | None:
    levels, width = _levels(values)
    kept = max(2, len(levels) // 10)
    level = float(levels[-kept:].min())
    where = int(np.argmin(levels[:-1]))
    start, best = float(levels[0]), float(levels[where])
    rise = level - best
    scatter = robust.noise(values[: (where + 1) * width])
    lost = rise / (start - best) if start > best else float("inf")
    times = UNLEARNT if lost >= 1 and rise >= 1 else LOST_TIMES
    if rise < 6 * scatter or level < times * best or rise <= 0:
        return None
    if lost < HALF:
        return None
    high = tail_onset(levels > best + rise / 2)
    about = len(values) - 1 if high is None else high * width
    usual = float(values[where * width : (where + 1) * width].max()) + 2 * scatter
    index = _leaving(values, about, min(usual, best + rise / 2), best + rise / 2)
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


def _lost(values: Floats) -> Found | None:
    """Judge by the best so far: a level that is left early for good was reached before any bin was full."""
    if len(values) < LOST:
        return None
    best = np.minimum.accumulate(values)[:-1]
    after = np.minimum.accumulate(values[::-1])[::-1][1:]
    kept = len(values) - max(3, len(values) // 10)
    for index in np.flatnonzero(after > 1.5 * best)[:kept] + 1:
        if index > kept:
            return None
        level = float(np.median(values[index:]))
        if level > max(2.5 * float(best[index - 1]), float(best[index - 1]) + 1):
            return "error", int(index), float(best[index - 1]), level
    return None


def _higher(values: Floats) -> Found | None:
    """Judge a log of a few entries by its ends alone."""
    first, last = float(values[0]), float(values[-1])
    if not FEWEST <= len(values) < LOST or last < float(values.max()) or last <= max(1.2 * first, first + 1):
        return None
    return "warning", int(np.argmax(values > float(values[: len(values) // 2].max()))), float(values.min()), last


def _climbed(values: Floats) -> Found | None:
    """Judge a log of a few entries whose loss falls, and then stands above twice what it had reached, to the end."""
    if not TURNED <= len(values) < LOST:
        return None
    for index in range(2, len(values) - 2):
        reached = float(np.sort(values[:index])[1])
        if float(values[index:].min()) > max(2 * reached, reached + 1):
            return "error", index, float(values[:index].min()), float(values[-1])
    return None


def _never_back(values: Floats) -> Found | None:
    """Judge by the first level alone: a loss that is above it ever after has learned nothing, and unlearned some."""
    begin = max(1, len(values) // 20)
    first, after = float(values[:begin].max()), values[begin:]
    level = float(np.median(after))
    if len(values) < RISING or float(after.min()) < 1.15 * first or level < max(1.3 * first, first + 0.2):
        return None
    return "warning", begin, first, level


def _levels(values: Floats) -> tuple[Floats, int]:
    """Return the medians of equal bins and their width; a last bin of less than half the width is left out."""
    width = max(5, -(-len(values) // BIN))
    whole = len(values) // width
    levels = np.median(values[: whole * width].reshape(whole, width), axis=1)
    rest = values[whole * width :]
    if len(rest) * 2 >= width:
        levels = np.append(levels, np.median(rest))
    return levels, width


def _leaving(values: Floats, about: int, low: float, middle: float) -> int:
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
    late = np.array([float(np.median(values[i + 1 :])) for i in range(len(values) - 1)])
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
    best, level = float(np.median(first)), float(np.median(last))
    few = len(values) < SURE_RISING
    steady = float(pairs.mean()) >= (1.0 if few else TAU) and float(last.min()) > float(first.max())
    if not steady or level < best * (2 if few else 1.1) or level - best < SMALL:
        return None
    index = int(np.argmax(values > float(first.max())))
    return "warning", index, float(values[:index].min()), level
