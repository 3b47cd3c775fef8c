"""Whether a run is still being written, by the times of its own entries: file times do not survive a copy."""

import time

import numpy as np

from forensics.model import Timeline
from forensics.model.order import distinct
from forensics.model.statistics import median

LEAST_SECONDS = 600.0
GAPS = 20
"""An entry may be so many usual distances late, and ten minutes at least."""
AHEAD_SECONDS = 60.0
"""By how much the clock of another machine may be ahead."""


def written_ago(timeline: Timeline, now: float) -> float | None:
    """Return how many seconds ago the last entry was written where that is no longer than entries usually take.

    `now` is in seconds since the epoch, UTC. Times in texts name no zone: they may be those of this machine's.
    """
    times = [block.wall_times for block in timeline.samples if block.wall_times is not None]
    known = np.sort(np.concatenate([*times, np.empty(0)]))
    known = distinct(known[np.isfinite(known)])
    if not len(known):
        return None
    zone = time.localtime(now).tm_gmtoff
    ages = [age for age in (now - known[-1], now + zone - known[-1]) if age >= -AHEAD_SECONDS]
    usual = median(np.diff(known)) if len(known) > 1 else 0.0
    age = max(0.0, float(min(ages, default=np.inf)))
    return age if age <= max(LEAST_SECONDS, GAPS * usual) else None
