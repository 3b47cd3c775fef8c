"""The loss leaps where the run was resumed."""

import re
from collections.abc import Iterator

import numpy as np

from forensics.analysis import context, robust
from forensics.analysis.steered import steered
from forensics.deferred.patterns import expression
from forensics.detectors._wording import number
from forensics.model import Finding, Floats, Run, Series
from forensics.model.statistics import median
from forensics.names import LOSS
from forensics.plugin import detector

BEFORE = 5
AFTER = 3
REACH = 20
DEVIATIONS = 6
JUMP = 1.3
AGAIN, SAME_LEVEL, CLOSE = 0.7, 0.95, 0.15
"""A curve that begins again: how far it had come down, how near its first level it is, and how far, as a share of what
had been gained, the two curves may lie apart."""
FASTER, SOFTER, LONG = 0.3, 1.2, 10
"""The same share where the second curve lies below the first, as of a model that lost a part of what it knew; how many
times the first level it begins at then, and the entries that it needs at least to be back."""
SEVERAL, ROOF = 3, 2.0
"""Places where a curve without a step counter begins again, from which on it is that of several trainings,
and how many times its first level it may lie there."""
COUNTED, RISING = expression(r"progress|percent|epoch|iter|batch|step|elapsed", re.IGNORECASE), 0.8
"""What counts how far a training is."""
ALL_LOST, LEARNT = 0.8, 1.1
"""Share of the progress that is gone where a restart began from nothing, and how far above its level the loss had
begun. It asks less than any jump does, as two things agree: the place and the level."""


@detector("resume-jump", needs=("loss",))
def resume_jump(run: Run) -> Iterator[Finding]:
    """Find a loss whose level changes at a restart.

    Source: S. Bekman's ml-engineering, training-loss-patterns (resume spikes; a loss that looks better right
    after a resume because data are repeated): lost optimizer state, lost order of data, other weights. A loss that is
    back at the level of the first entries was resumed from nothing.
    Where nothing tells of a restart, a curve of 40 entries and more that leaps to its first level and falls again as
    it did at first, or somewhat faster, has one. A log that does so three times and more holds several trainings, one
    after the other, as of an edit of a model for each fact, a trial for each set of arguments: nothing was lost.
    Minimum: five finite entries before the seam and three after. A seam is a restart that the steps, the files or the
    log tell, or training that is announced again among the entries.
    Silenced by: a change below six point-to-point deviations, or below 30 %; 10 % where four fifths of the progress
    from the first entries are lost; a policy-gradient trainer; a count beside an unannounced one, as of per cents or
    epochs, that falls back with it, or a leap to twice the first level and more.
    Known false alarms: a resume with other data; a rise is a warning, a fall a notice.
    """
    series = context.recorded(run, LOSS)
    if context.policy_gradient(run):
        return
    known = context.begun_again(run, series)
    if not known:
        yield from _unannounced(run, series)
    for seam in sorted(known):
        found = _levels(series, int(np.searchsorted(series.steps, seam)))
        if found is None:
            continue
        cut, old, new, lost = found
        step = int(series.steps[cut])
        yield Finding(
            symptom="resume-jump",
            severity="warning" if new > old else "notice",
            statement=f"the loss goes from {number(old)} to {number(new)} at step {step}, where the run was resumed"
            + (": it is back at the level of its first entries" if lost else ""),
            source=series.source_at(cut),
            step=step,
            step_range=(int(series.steps[cut - 1]), step),
        )


def _unannounced(run: Run, series: Series) -> Iterator[Finding]:
    """Find where a curve begins again: it leaps to its first level and falls as it fell at first."""
    finite = np.flatnonzero(np.isfinite(series.values))
    values = series.values[finite]
    if len(values) < 2 * REACH or bool((values <= 0).any()):
        return
    begun = _begins_again(values)
    if not begun or (series.axis == "entry" and len(begun) >= SEVERAL):
        return
    cut, old, new = begun[0]
    if _counted_anew(run, series, int(finite[cut])) or steered(run, series, int(finite[cut])):
        return
    step = int(series.steps[finite[cut]])
    yield Finding(
        symptom="resume-jump",
        severity="warning",
        statement=f"the loss goes from {number(old)} to {number(new)} at step {step} and falls again as it did "
        "at first: all that was learned was lost there, though the log tells of no restart",
        source=series.source_at(int(finite[cut])),
        step=step,
        step_range=(int(series.steps[finite[cut - 1]]), step),
    )


def _counted_anew(run: Run, series: Series, index: int) -> bool:
    """Tell whether a count beside the loss, which only ever rises else, falls back at this entry."""
    for name, counted in run.timeline.series.items():
        if COUNTED.search(name) and counted.axis == series.axis and len(counted) == len(series):
            moves = np.diff(counted.values)
            if moves[index - 1] < 0 and float(np.mean(moves >= 0)) > RISING:
                return True
    return False


def _begins_again(values: Floats) -> list[tuple[int, float, float]]:
    """Return each place where a curve begins again, with the levels before and after it."""
    found: list[tuple[int, float, float]] = []
    first = median(values[:AFTER])
    leaps = np.flatnonzero(np.diff(values) > (1 - AGAIN) * first) + 1
    for cut in leaps[(leaps >= REACH // 2) & (leaps <= len(values) - REACH // 2)].tolist():
        size = min(cut, len(values) - cut, REACH)
        old, new = median(values[cut - BEFORE : cut]), median(values[cut : cut + AFTER])
        gained = first - old
        apart = median(np.abs(values[cut : cut + size] - values[:size]))
        falls = new - median(values[cut + size - AFTER : cut + size])
        back = old < AGAIN * first and SAME_LEVEL < new / first < ROOF
        above = median(np.maximum(values[cut : cut + size] - values[:size], 0.0))
        faster = above < CLOSE * gained and apart < FASTER * gained and new < SOFTER * first
        faster = faster and bool((values[cut : cut + LONG] > old).all())
        if back and (apart < CLOSE * gained or faster) and falls > 2 * CLOSE * gained:
            found.append((cut, old, new))
    return found


def _levels(series: Series, cut: int) -> tuple[int, float, float, bool] | None:
    """Return the seam, the levels before and after it, and whether all progress is lost; None without a jump."""
    before, after = _usable(series.values[max(0, cut - REACH) : cut]), _usable(series.values[cut : cut + AFTER])
    if len(before) < BEFORE or len(after) < AFTER:
        return None
    old, new = median(before[-BEFORE:]), median(after)
    first = median(_usable(series.values[:cut])[:AFTER])
    lost = first > LEARNT * old and new > LEARNT * old and new - old > ALL_LOST * (first - old)
    if abs(new - old) < DEVIATIONS * max(robust.noise(before), 1e-9):
        return None
    return (cut, old, new, lost) if lost or new > JUMP * old or old > JUMP * new else None


def _usable(values: Floats) -> Floats:
    return values[np.isfinite(values) & (values > 0)]
