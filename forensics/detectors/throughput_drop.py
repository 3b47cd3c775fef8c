"""The run became slower."""

import re
from collections.abc import Iterator

import numpy as np

from forensics.analysis import context
from forensics.analysis.onset import tail_onset
from forensics.deferred.patterns import expression
from forensics.model import Finding, Floats, Integers, Run, Series, Severity
from forensics.model.statistics import median
from forensics.names import LOSS
from forensics.plugin import detector

SLOWER = 1.4
MUCH_SLOWER = 3.0
LEAST = 20
SHORT = 0.5
"""Seconds: below it, a step is so short that whatever else the machine does decides how long it takes."""
SPEED = expression(
    r"^(?:(?:train|perf|throughput|timing)[/_])?(?:"
    r"(?:tok(?:en)?s?|samples?|images?|examples?|seqs?|sequences?|steps?|iters?|iterations?|it|batches|frames)"
    r"[_ ]?(?:/|per)[_ ]?s(?:ec(?:ond)?)?(?:[/_ ](?:per[_ ])?(?:gpu|device))?"
    r"|throughput|tps|tgs|sps|wps|mfu|t?flops)$",
    re.IGNORECASE,
)
"""What a program does in a second, which is more when it is faster."""
DURATION = expression(
    r"^(?:(?:train|perf|timing)[/_])?(?:(?:step|iter|iteration|batch)[_ ]?(?:time|duration|ms|seconds|sec)(?:[_ ]?m?s)?"
    r"|(?:time|ms|s|sec|seconds)[_ ]?(?:/|per)[_ ]?(?:step|iter|iteration|batch|it))$",
    re.IGNORECASE,
)
"""What one step takes."""


@detector("throughput-drop")
def throughput_drop(run: Run) -> Iterator[Finding]:
    """Find steps that take longer in the last fifth of the run than in its first half.

    Source: trainspotter 0.2.6 (1.4 times the median) and trainproof 0.22 (3 times), over the wall times of the
    loss entries. Medians, so that evaluations and saves between two entries do not count.
    Where no clock tells, the speed or the duration of a step that the program logs itself does: a warning at 3 times,
    where each entry of the last fifth lies past the middle between the two levels.
    Minimum: 20 distances between entries with wall times, or 20 entries of such a metric.
    Silenced by: a policy-gradient trainer, whose completions grow longer, steps below half a second even then, and
    entries that no step counts, which may lie any number of steps apart (a notice at most).
    Known false alarms: a shared machine; 1.4 times is a notice, 3 times a warning.
    """
    found = list(_by_the_clock(run))
    yield from found or _by_its_own_count(run)


def _by_the_clock(run: Run) -> Iterator[Finding]:
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


def _by_its_own_count(run: Run) -> Iterator[Finding]:
    for name in sorted(run.timeline.series):
        series = run.timeline[name]
        speed = bool(SPEED.search(name))
        if not (speed or DURATION.search(name)):
            continue
        kept = np.flatnonzero(np.isfinite(series.values) & (series.values > 0))
        if len(kept) < LEAST or context.policy_gradient(run):
            continue
        each = 1 / series.values[kept] if speed else series.values[kept]
        found = _slower(each, np.arange(len(kept)))
        if found is None or found[0] < MUCH_SLOWER:
            continue
        times, at, usual, late = found
        if float(each[-max(5, len(each) // 5) :].min()) <= (usual + late) / 2:
            continue
        yield _logged(series, int(kept[at]), times, (1 / usual, 1 / late) if speed else (usual, late))
        return


def _logged(series: Series, index: int, times: float, levels: tuple[float, float]) -> Finding:
    step = int(series.steps[index])
    return Finding(
        symptom="throughput-drop",
        severity="warning",
        statement=f"{series.name} is {levels[1]:.3g} at the end of the run against {levels[0]:.3g} before: a step "
        f"takes {times:.1f} times as long, from about step {step} on",
        source=series.source_at(index),
        step=step,
        step_range=(int(series.steps[index - 1]) if index else None, step),
    )


def _slower(each: Floats, steps: Integers) -> tuple[float, int, float, float] | None:
    size = len(each)
    usual, late = median(each[: size // 2]), median(each[-max(5, size // 5) :])
    if usual <= 0 or late < SLOWER * usual:
        return None
    onset = tail_onset(each > (usual + late) / 2)
    index = onset if onset is not None else size - max(5, size // 5)
    return late / usual, int(steps[index]), usual, late
