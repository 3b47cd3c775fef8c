"""Whether bad entries come back at an equal distance, as one sample does in every epoch."""

import numpy as np
from numpy.typing import NDArray

from forensics.analysis.rhythm import equal_distance
from forensics.model import Run
from forensics.names import GRAD_NORM, LOSS
from forensics.rules._curves import series_of
from forensics.rules._seen import Seen


def _good_between(bad: NDArray[np.bool_]) -> bool:
    """Tell whether good entries outnumber the bad ones between the first and the last bad one."""
    marked = np.flatnonzero(bad)
    return 2 * len(marked) <= int(marked[-1] - marked[0]) + 1


def periodic(run: Run) -> Seen | None:
    """Tell whether bad entries come back at an equal distance: the same sample, once an epoch."""
    series = series_of(run, GRAD_NORM) or series_of(run, LOSS)
    if series is None:
        return None
    bad = ~np.isfinite(series.values)
    period = equal_distance(series, bad, 2)
    if period is None or not _good_between(bad):
        return None
    said = f"bad entries come back every {period} steps"
    return Seen(True, said, series.source_at(int(np.argmax(bad))), "distance")
