"""One leap to the worse that is never made good: what was learned is lost at one entry, as where a run is resumed."""

import re

import numpy as np

from forensics.analysis import context, robust
from forensics.analysis.held_out import falls_when_better, is_term, kept_apart
from forensics.analysis.learning import QUALITY, finite
from forensics.deferred.patterns import expression
from forensics.detectors._wording import number
from forensics.model import Finding, Floats, Run, Series
from forensics.model.statistics import median
from forensics.names import LOSS

OF_A_POLICY = expression(r"reward|return|score|episode|(?<![a-z])(?:min|max|std)(?![a-z])", re.IGNORECASE)
"""What jumps with what a policy tries, and what the extremes of anything do."""
LEAST, BEFORE, AFTER, ENDS = 12, 5, 4, 0.05
"""Entries of a curve, before a leap and after it, and the share of the curve that must follow it."""
SCATTERS, OF_THE_GAIN, OF_ITSELF, GONE = 8.0, 0.15, 0.05, 0.35
"""How many point-to-point deviations a leap is, what share of all that had been gained, of the best value itself, and
what share of the leap the best entry since still lies above the best one before."""
ALONE, NEAR = 0.4, 20
"""Share of the gain that a leap takes which one curve alone tells of; entries before it that tell the scatter."""
ANOTHER, FALLS, SOON = 0.5, 0.1, 10
"""A second leap of so much of the first: tasks that come one after the other, not one that was lost; the share by which
a curve falls that begins again at its first level; entries after a
leap of which each is better than the one before: it may come back."""


def lost_at_once(run: Run) -> Finding | None:
    """Find a measure of held-out data that leaps to the worse at one entry and is never what it was again.

    A second curve, of training or of held-out data, leaps at the same entry, or four tenths of all that was gained are
    gone. Curves with several such leaps are those of tasks that follow each other.
    """
    if context.policy_gradient(run) or context.adversarial(run):
        return None
    leaps: list[tuple[Series, int, float]] = []
    for name, series in sorted(run.timeline.series.items()):
        if is_term(name, run.timeline.series):
            continue  # a term, which the whole speaks for
        lower = True if name == LOSS else falls_when_better(run, series) if _judged(name) else None
        if lower is None or len(series) < LEAST or len(finite(series)) < len(series):
            continue
        if (found := leap(series.values if lower else -series.values)) is not None:
            leaps.append((series, *found))
    for series, index, share in leaps:
        where = int(series.steps[index])
        together = sum(other.axis == series.axis and int(other.steps[i]) == where for other, i, _ in leaps) > 1
        if series.name == LOSS or not (together or share >= ALONE):
            continue
        low, high, last = (float(x) for x in (series.values[index - 1], series.values[index], series.values[-1]))
        return Finding(
            symptom="eval-gap",
            severity="warning",
            statement=f"{series.name} goes from {number(low)} to {number(high)} at step {where} and is never what it "
            f"was again: it ends at {number(last)}",
            source=series.source_at(index),
            step=where,
            step_range=(int(series.steps[index - 1]), where),
        )
    return None


def _judged(name: str) -> bool:
    return (kept_apart(name) or QUALITY.search(name) is not None) and not OF_A_POLICY.search(name)


def leap(values: Floats) -> tuple[int, float] | None:
    """Return the entry of the one leap upwards that is never made good, and the share of the gain it takes.

    `values`: float64 (n,), finite, lower is better.
    """
    moves = np.diff(values)
    index = int(np.argmax(moves)) + 1
    after = values[index:]
    if index < BEFORE or len(after) < max(AFTER, ENDS * len(values)):
        return None
    before, drop = values[max(0, index - NEAR) : index], float(moves[index - 1])
    best = float(values[:index].min())
    gained = median(values[:3]) - best
    scatter = max(robust.noise(before), robust.noise(after[:NEAR]))
    again = np.delete(moves, slice(max(0, index - 2), index + 1))
    large = drop >= max(SCATTERS * scatter, OF_THE_GAIN * gained, OF_ITSELF * abs(best)) and gained > 0
    begins_again = (
        robust.trend(after, least=FALLS).falls and float(after[0]) > median(values[:3]) - OF_THE_GAIN * gained
    )
    begins_again = begins_again or (len(after) < SOON and bool((np.diff(after) < 0).all()))
    if begins_again or not large or float(after.min()) < best + GONE * drop:
        return None
    if float(again.max(initial=0.0)) > ANOTHER * drop:
        return None
    return index, drop / gained
