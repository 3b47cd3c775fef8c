"""The learning rate stands still although its schedule should move it."""

from collections.abc import Iterator

import numpy as np

from forensics.analysis import context
from forensics.analysis.onset import tail_onset
from forensics.detectors._wording import counted, number
from forensics.model import Finding, Precision, Run, Severity
from forensics.names import LEARNING_RATE
from forensics.plugin import detector

DECAYING = ("linear", "cosine", "polynomial", "inverse_sqrt")
LEAST = 3
UNKNOWN_SCHEDULE = 5


@detector("lr-constant", needs=("learning_rate",))
def lr_constant(run: Run) -> Iterator[Finding]:
    """Find a positive learning rate that is the same to the last digit to the end.

    Source: the schedules of `transformers.optimization` give a new double at every step; DeepSpeed's `WarmupLR`
    stays at its top (LLaMA-Factory #1515, Baichuan2 #287).
    Minimum: three entries where the run recorded a decaying `lr_scheduler_type`, which is a warning; five entries
    where nothing is recorded, a notice. At four printed digits the entries must span a tenth of the run.
    Silenced by: a recorded schedule that is constant; a single entry that repeats at the end of a schedule with
    a lower bound (the equal entries must be half of the log).
    Known false alarms: an optimizer and schedule of the user's own beside the default `linear`.
    """
    series = context.recorded(run, LEARNING_RATE)
    if len(series) < LEAST or not (np.isfinite(series.values[-1]) and series.values[-1] > 0):
        return
    index = tail_onset(series.values == series.values[-1])
    count = 0 if index is None else len(series) - index
    schedule = str(run.environment.value("lr_scheduler_type") or "").lower().rpartition(".")[2]
    decays = schedule.startswith(DECAYING) and "min_lr" not in schedule
    if index is None or 2 * count < len(series) or (schedule and not decays):
        return
    if count < (LEAST if decays else UNKNOWN_SCHEDULE) or not _visible(run, index):
        return
    severity: Severity = "warning" if decays else "notice"
    told = f"although the schedule is {schedule}" if decays else "no schedule is recorded that should move it"
    step, rate = int(series.steps[index]), number(float(series.values[-1]))
    yield Finding(
        symptom="lr-constant",
        severity=severity,
        statement=f"the learning rate is {rate} in {counted(count, 'entry', 'entries')} "
        f"from step {step} to the end; {told}",
        source=series.source_at(index),
        step=step,
        step_range=(int(series.steps[index - 1]) if index else None, step),
    )


def _visible(run: Run, index: int) -> bool:
    """Tell whether a decay over the equal entries would show in the digits that were printed."""
    series = context.recorded(run, LEARNING_RATE)
    if int(series.precisions.min()) != int(Precision.FOUR_DIGITS):
        return True
    planned = run.planned_steps
    return planned is not None and int(series.steps[-1] - series.steps[index]) >= 0.1 * planned
