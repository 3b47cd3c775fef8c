"""A policy that acts at random from the first entry to the last, and earns no more for it."""

import re

import numpy as np

from forensics.analysis.learning import MOST, finite, rank
from forensics.analysis.returns import returns, solved
from forensics.deferred.patterns import expression
from forensics.detectors._wording import number
from forensics.model import Run, Series
from forensics.model.statistics import median
from forensics.names import snake_case

ENTROPY = expression(r"(?:^|[/_])(?:entropy|ent|h)(?:_(?:mean|loss|avg))?$", re.IGNORECASE)
EPSILON = expression(r"(?:^|[/_])(?:eps(?:ilon)?|exploration(?:_(?:rate|prob|eps|epsilon))?)$", re.IGNORECASE)
LEAST, MOST_CHOICES = 15, 64
NEAR, WITHIN, MOSTLY, SAME, RISES = 0.003, 0.03, 0.9, 1e-5, 0.35
EXACTLY, SURELY = 2e-3, 0.6
"""How near to the logarithm of a number of choices an entropy lies in the middle, and how far off at most; the share of
actions at random that is never less; the share of itself within which an entropy is one number;
the rank correlation with time of a return that rises, and
of one that surely does where the entropy stays nearer than any policy that learned would."""


def at_random(run: Run) -> tuple[Series, str] | None:
    """Return an entropy that is that of a choice by lot, or a share of actions at random that never falls.

    It is told where returns are logged and none of them rises: an early part of a run looks the same otherwise. An
    entropy that is the very same number in all entries, or one of 30 and more that stays within a five-hundredth of
    that of a lot and does not sink, needs no return: no update has moved the policy.
    """
    earned = [finite(each) for each in returns(run)]
    if any(map(solved, earned)):
        return None
    rises = max((rank(each[:: max(1, len(each) // MOST)]) for each in earned), default=1.0)
    earns_no_more = rises <= RISES
    for name, series in sorted(run.timeline.series.items()):
        values = finite(series)
        if len(values) < LEAST:
            continue
        if ENTROPY.search(snake_case(name)):
            choices = int(np.rint(np.exp(min(abs(median(values)), 10.0))))
            lot = float(np.log(max(choices, 1)))
            near = 2 <= choices <= MOST_CHOICES and abs(abs(median(values)) - lot) <= NEAR * lot
            if not near or float(np.abs(np.abs(values) - lot).max()) > WITHIN * lot:
                continue
            sinks = rank(np.abs(values[:: max(1, len(values) // MOST)])) < -RISES
            unknown = not earned and len(values) >= 2 * LEAST and not sinks
            exactly = (rises <= SURELY or unknown) and float(np.abs(np.abs(values) - lot).max()) <= EXACTLY * lot
            if earns_no_more or exactly or float(np.ptp(values)) <= SAME * lot:
                return series, f"{name} is that of a choice by lot among {choices} in all of {len(values):,} entries"
        one = MOSTLY <= float(values.min()) == float(values.max()) <= 1
        if earns_no_more and one and EPSILON.search(snake_case(name)):
            return series, f"{name} is {number(float(values[0]))} in all of {len(values):,} entries"
    return None
