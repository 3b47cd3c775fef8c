"""Where something begins that then holds to the end, and the bracket of steps that this can be said for.

An entry of an averaged metric at step s speaks for its whole window (t, s], where t is the step of the entry
before: `loss` of the Trainer is the mean since the last entry (`Trainer._maybe_log_save_evaluate`), while
`grad_norm` belongs to the last step of the window only.
"""

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.records import dataclass
from forensics.model import Integers, Series, StepRange

Mask = NDArray[np.bool_]


def tail_onset(mask: Mask) -> int | None:
    """Return the first index from which `mask` (bool, (n,)) is true to the end; None when its end is false.

    >>> import numpy as np
    >>> tail_onset(np.array([True, False, True, True]))
    2
    """
    if len(mask) == 0 or not mask[-1]:
        return None
    holes = np.flatnonzero(~mask)
    return int(holes[-1]) + 1 if len(holes) else 0


def stretches(mask: Mask) -> tuple[Integers, Integers]:
    """Return the starts and the ends (half open) of the stretches in which `mask` is true, both int64.

    >>> import numpy as np
    >>> [edges.tolist() for edges in stretches(np.array([True, False, True, True]))]
    [[0, 2], [1, 4]]
    """
    edges = np.diff(np.concatenate(([0], mask.astype(np.int8), [0])))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)


def repeats(values: NDArray[np.float64]) -> Mask:
    """Tell which values equal a neighbour exactly; NaN equals nothing."""
    same = np.zeros(len(values), dtype=bool)
    if len(values) > 1:
        equal = values[1:] == values[:-1]
        same[1:] |= equal
        same[:-1] |= equal
    return same


@dataclass(frozen=True, slots=True)
class Onset:
    """The steps among which an onset lies, both ends included. `earliest` is None when nothing bounds it."""

    earliest: int | None
    latest: int

    @property
    def exact(self) -> bool:
        return self.earliest == self.latest

    def bracket(self) -> StepRange:
        """Return (last step known to be fine, first known to be bad); equal ends when the step is exact."""
        if self.earliest is None:
            return (None, self.latest)
        return (self.latest, self.latest) if self.exact else (self.earliest - 1, self.latest)

    def narrowed(self, other: "Onset | None") -> "Onset":
        """Return what both agree on; unchanged when the other is None or contradicts."""
        if other is None:
            return self
        bounds = [end for end in (self.earliest, other.earliest) if end is not None]
        earliest = max(bounds) if bounds else None
        latest = min(self.latest, other.latest)
        if earliest is not None and earliest > latest:
            return self
        return Onset(earliest, latest)


def from_bracket(bracket: StepRange) -> Onset | None:
    """Return the onset that a bracket stands for; None when it names no step that is bad."""
    fine, bad = bracket
    if bad is None:
        return None
    if fine is None:
        return Onset(None, bad)
    return Onset(bad, bad) if fine >= bad else Onset(fine + 1, bad)


def window_start(series: Series, index: int, window: int | None) -> int | None:
    """Return t of the window (t, s] of an entry; None when the log does not tell.

    The first entry's window reaches back `window` steps, at most to the start of the run. Where entries are counted,
    nothing tells what came before the first.
    """
    if index > 0:
        return int(series.steps[index - 1])
    if series.axis != "step":
        return None
    step = int(series.steps[0])
    if step <= 1:
        return 0
    return None if window is None else max(0, step - window)


def point_onset(series: Series, index: int, window: int | None) -> Onset:
    """Return the onset when entry `index` is the first bad one, and an entry is bad as soon as one step is.

    For a metric that belongs to one step (`grad_norm`) and for a mean that one NaN makes NaN (`loss` unfiltered).
    """
    start = window_start(series, index, window)
    known = index > 0 or start == 0
    return Onset(start + 1 if known and start is not None else None, int(series.steps[index]))


def mean_onset(series: Series, index: int, window: int | None, *, fine_before: bool) -> Onset:
    """Return the onset of the steps' loss when entry `index` is the first of those that show exactly 0.

    Every step of that entry's window is bad, and the window before may hold the first ones: a mean is not 0
    while one step of it was counted. `fine_before` says that the last step of the window before is known to be
    fine (its gradient norm was), which shuts that window out.
    """
    if index == 0 or fine_before:
        return point_onset(series, index, window)
    before = window_start(series, index - 1, window)
    latest = int(series.steps[index - 1]) + 1
    return Onset(None if before is None else min(before + 2, latest), latest)
