"""Whether something comes back at an equal distance: a sample that breaks its step does so once an epoch."""

import numpy as np
from numpy.typing import NDArray

from forensics.model import Series
from forensics.model.statistics import median

NEAR = 0.02
"""Relative difference of distances that still count as equal: the last, shorter batch of an epoch may be dropped."""


def equal_distance(series: Series, marked: NDArray[np.bool_], times: int) -> int | None:
    """Return the distance in steps at which marked entries come back, None when they do not.

    `marked` has the shape (n,) of the series. Neighbouring entries are one stretch; at least `times` distances must
    be known, and all of them equal.
    """
    steps = series.steps[marked]
    gaps = np.diff(steps)
    gaps = gaps[gaps > (series.steps[1] - series.steps[0] if len(series) > 1 else 1)]
    if len(gaps) < times or np.ptp(gaps) > max(1, NEAR * float(np.mean(gaps))):
        return None
    return int(median(gaps))
