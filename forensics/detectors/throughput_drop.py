"""The run became slower."""

from collections.abc import Iterator

import numpy as np

from forensics.analysis import context
from forensics.analysis.onset import tail_onset
from forensics.model import Finding, Floats, Integers, Run, Severity
from forensics.names import LOSS
from forensics.plugin import detector

SLOWER = 1.4
MUCH_SLOWER = 3.0
LEAST = 20
SHORT = 0.5
"""Seconds: below it, a step is so short that whatever else the machine does decides how long it takes."""


@detector("throughput-drop", needs=("loss",))
def throughput_drop(run: Run) -> Iterator[Finding]:
    """Find steps that take longer in the last fifth of the run than in its first half.

    Source: trainspotter 0.2.6 (1.4 times the median) and trainproof 0.22 (3 times), over the wall times of the
    loss entries. Medians, so that evaluations and saves between two entries do not count.
    Minimum: 20 distances between entries with wall times.
    Silenced by: a policy-gradient trainer, whose completions grow longer, steps below half a second even then, and
    entries that no step counts, which may lie any number of steps apart (a notice at most).
    Known false alarms: a shared machine; 1.4 times is a notice, 3 times a warning.
    """
    series = context.recorded(run, LOSS)
    timed = np.flatnonzero(np.isfinite(series.wall_times))
    if len(timed) < LEAST + 1:
        return
    seconds = np.diff(series.wall_times[timed])
    steps = np.diff(series.steps[timed])
    kept = np.flatnonzero((seconds > 0) & (steps > 0))
    if len(kept) < LEAST:
        return
    found = _slower(seconds[kept] / steps[kept], series.steps[timed][1:][kept])
    if found is None:
        return
    times, step, usual, late = found
    grave = times >= MUCH_SLOWER and late >= SHORT and not context.policy_gradient(run) and series.axis != "entry"
    severity: Severity = "warning" if grave else "notice"
    yield Finding(
        symptom="throughput-drop",
        severity=severity,
        statement=f"a step takes {late:.3g} s at the end of the run against {usual:.3g} s before, {times:.1f} "
        f"times as long, from about step {step} on",
        source=series.source_at(int(np.searchsorted(series.steps, step))),
        step=step,
        step_range=(None, step),
    )


def _slower(each: Floats, steps: Integers) -> tuple[float, int, float, float] | None:
    size = len(each)
    usual, late = float(np.median(each[: size // 2])), float(np.median(each[-max(5, size // 5) :]))
    if usual <= 0 or late < SLOWER * usual:
        return None
    onset = tail_onset(each > (usual + late) / 2)
    index = onset if onset is not None else size - max(5, size // 5)
    return late / usual, int(steps[index]), usual, late
