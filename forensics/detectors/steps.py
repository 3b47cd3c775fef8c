"""The step counter has a hole, or goes back."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from forensics.analysis import context
from forensics.detectors._wording import counted
from forensics.model import Finding, Run, Source
from forensics.model.statistics import median
from forensics.names import EPOCH, LOSS, Kind
from forensics.plugin import detector

HOLE = 3.0
LEAST = 10
WHOLE = 1e-3
"""An epoch that is this near to a whole number has ended; transformers logs it with up to four decimals."""


@detector("step-gap", needs=("loss",))
def step_gap(run: Run) -> Iterator[Finding]:
    """Find stretches of the log without entries.

    Source: entries come every `logging_steps`; a hole of more than three times the usual distance means lost lines
    or another log.
    Minimum: ten entries.
    Silenced by: nothing.
    Known false alarms: a changed `logging_steps`; hence always a notice.
    """
    series = context.recorded(run, LOSS)
    if len(series) < LEAST:
        return
    distances = np.diff(series.steps)
    usual = median(distances)
    holes = np.flatnonzero(distances > HOLE * usual)
    if len(holes) == 0 or len(holes) > len(series) // 10 + 1:
        return
    index = int(holes[int(np.argmax(distances[holes]))])
    first, last = int(series.steps[index]), int(series.steps[index + 1])
    yield Finding(
        symptom="step-gap",
        severity="notice",
        statement=f"no loss is logged between steps {first} and {last}, where entries come every {usual:g} steps "
        f"({counted(len(holes), 'hole')} in all)",
        source=series.source_at(index + 1),
        step=last,
        step_range=(first, last),
        until=last,
    )


@detector("step-rewind")
def step_rewind(run: Run) -> Iterator[Finding]:
    """Find places where the step counter goes back: the run was restarted from an earlier checkpoint.

    Source: trainer states, logs and event files of a resumed run overlap (`assemble` splits them in segments).
    Minimum: one.
    Silenced by: nothing.
    Known false alarms: two runs in one directory; a notice, and a warning only where `ignore_data_skip` is on and the
    restart lies inside an epoch: the Trainer then feeds the first part of that epoch a second time.
    """
    for events in run.timeline.events_of(Kind.STEP_REWIND):
        if len(events):
            step = int(events.steps[0])
            yield _rewind(run, step, float(events.values[0]), len(events), events.source_at(0))
            return
    segments = run.timeline.segments
    back = [(a, b) for a, b in pairwise(segments) if b.first <= a.last]
    if back:
        before, after = back[0]
        yield _rewind(run, after.first, float(before.last), len(back), Source("."))


def _rewind(run: Run, step: int, ended: float, count: int, source: Source) -> Finding:
    from_step = f" from step {int(ended)}" if np.isfinite(ended) else ""
    again = _inside_an_epoch(run, step) and bool(run.environment.flag("ignore_data_skip"))
    data = "; ignore_data_skip is on, so the epoch began with its first samples again" if again else ""
    return Finding(
        symptom="step-rewind",
        severity="warning" if again else "notice",
        statement=f"the step counter goes back{from_step} to {step}: the run was restarted "
        f"({counted(count, 'time')} in all){data}",
        source=source,
        step=step if step >= 0 else None,
        step_range=(None, step if step >= 0 else None),
    )


def _inside_an_epoch(run: Run, step: int) -> bool:
    """Tell whether the last step before `step` did not end an epoch; False where no epoch was logged for it."""
    epochs = run.timeline.get(EPOCH)
    reached = epochs.value_at(step - 1) if epochs is not None and epochs.axis == "step" else None
    return reached is not None and np.isfinite(reached) and abs(reached - round(reached)) > WHOLE
