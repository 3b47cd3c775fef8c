"""What a run spent after it broke: optimizer steps and wall time."""

from collections.abc import Sequence

import numpy as np

from forensics.model import Cost, Finding, Floats, Integers, Run

SPENT_NOTHING = ("crash-", "checkpoint-")
"""After a crash nothing is spent, and a damaged file costs no step."""


def cost_of(run: Run, findings: Sequence[Finding]) -> Cost | None:
    """Return what went by from the first lasting error to the last step; None when there is no such error."""
    axis = run.timeline.axis
    lasting = [f for f in findings if _lasting(f) and f.axis == axis]
    onset = min((f.onset for f in lasting if f.onset is not None), default=None)
    first, last = run.timeline.first, run.timeline.last
    if onset is None or first is None or last is None or last < onset:
        return None
    return Cost(last - onset + 1, last - first + 1, _seconds(run, onset - 1, last), axis)


def _lasting(finding: Finding) -> bool:
    lost = finding.severity == "error" and not finding.symptom.startswith(SPENT_NOTHING)
    return lost and finding.until is None


def _seconds(run: Run, before: int, last: int) -> float | None:
    """Return the time from the end of step `before` to that of `last`, without the gaps between attempts."""
    steps, times = _clock(run)
    if len(steps) < 2 or steps[-1] <= before:
        return None
    starts = np.array([segment.first for segment in run.timeline.segments[1:]], dtype=np.int64)
    took = np.maximum(np.diff(times), 0.0)
    # An interval in which an attempt begins holds the time between the two.
    took[np.searchsorted(steps, starts[(starts > steps[0]) & (starts <= steps[-1])], side="left") - 1] = 0.0
    spent = np.concatenate([[0.0], np.cumsum(took)])
    at = np.interp([before, last], steps, spent)
    return float(at[1] - at[0])


def _clock(run: Run) -> tuple[Integers, Floats]:
    """Return steps (int64, rising) and the seconds at which the best timed metric wrote them."""
    best: tuple[Integers, Floats] = (np.empty(0, dtype=np.int64), np.empty(0))
    axis = run.timeline.axis
    for series in run.timeline.series.values():
        known = np.isfinite(series.wall_times)
        if series.axis == axis and np.count_nonzero(known) > len(best[0]):
            best = series.steps[known], series.wall_times[known]
    return best
