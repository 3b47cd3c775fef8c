"""The fp16 loss scale falls to its floor."""

from collections.abc import Iterator

import numpy as np

from forensics.analysis.endings import stated
from forensics.analysis.onset import tail_onset
from forensics.detectors._tables import source_of
from forensics.detectors._wording import number
from forensics.model import Checkpoint, Events, Finding, Run, Severity
from forensics.names import LOSS_SCALE, Kind
from forensics.plugin import detector

FLOOR = 1.0
LOW = 64.0
RECOVERED = 200
"""Steps without an overflow after the lowest scale that show the scaler to have settled."""


@detector(
    "loss-scale-collapse",
    any_of=("event overflow", "event loss-scale-at-minimum", "loss_scale", "optimizer", "event nan-assertion"),
)
def loss_scale_collapse(run: Run) -> Iterator[Finding]:
    """Find a dynamic loss scale that was halved down to 1 and below, or that was refused another halving.

    Source: DeepSpeed `DynamicLossScaler.update_scale`: 2**16 at the start, halved at each overflow, and an
    exception at the minimum. Sixteen halvings after the start end at 2 and are normal; one more is not.
    Minimum: one overflow at a scale of 1 or less (an error), or at 64 or less with no 200 clean steps after it (a
    warning).
    A scale that fell in every entry until there is dated to the first of these falls.
    Silenced by: a static scale of 1.0, as bf16 and Megatron print it: the scale must have been higher before.
    Known false alarms: none known.
    """
    for events in run.timeline.events_of(Kind.LOSS_SCALE_AT_MINIMUM):
        yield _refused(run, events)
        return
    found = _from_overflows(run) or _from_series(run) or _from_checkpoints(run) or stated(run, "loss-scale-collapse")
    if found is not None:
        yield found


def _refused(run: Run, events: Events) -> Finding:
    step = int(events.steps[0]) if events.steps[0] >= 0 else run.timeline.last_step
    return Finding(
        symptom="loss-scale-collapse",
        severity="error",
        statement="the loss scale is at its minimum and gradients still overflow: the engine gave up",
        source=events.source_at(0),
        step=step,
        step_range=(None, step),
    )


def _from_overflows(run: Run) -> Finding | None:
    events = max(run.timeline.events_of(Kind.OVERFLOW), key=len, default=None)
    if events is None or not bool(np.isfinite(events.values).any()):
        return None
    scales = np.where(np.isfinite(events.values), events.values, np.inf)
    lowest = float(scales.min())
    if lowest > LOW:
        return None
    index = int(np.argmax(scales <= (FLOOR if lowest <= FLOOR else LOW)))
    step, last = int(events.steps[index]), int(events.steps[-1])
    end = run.timeline.last_step
    recovered = end is not None and last >= 0 and end - last >= RECOVERED
    severity: Severity = "notice" if recovered else "error" if lowest <= FLOOR else "warning"
    if step >= 0 and lowest > FLOOR and last <= 20:
        return None
    return Finding(
        symptom="loss-scale-collapse",
        severity=severity,
        statement=f"the loss scale was halved down to {number(lowest)} by {len(events):,} overflows"
        + (", and has settled since" if recovered else ""),
        source=events.source_at(index),
        step=step if step >= 0 else None,
        step_range=(max(0, step - 1), step) if step >= 0 else (None, None),
        until=last if recovered else None,
    )


def _from_series(run: Run) -> Finding | None:
    series = run.timeline.get(LOSS_SCALE)
    if series is None or len(series) == 0 or not float(np.nanmax(np.append(series.values, 0.0))) > FLOOR:
        return None
    index = tail_onset(series.values <= FLOOR)
    if index is None:
        return None
    begun = index
    while begun > 1 and series.values[begun - 2] > series.values[begun - 1]:
        begun -= 1
    step = int(series.steps[begun])
    return Finding(
        symptom="loss-scale-collapse",
        severity="error",
        statement=f"the loss scale fell from {number(float(np.nanmax(series.values)))} to "
        f"{number(float(series.values[-1]))} and is at {number(FLOOR)} and below from step "
        f"{int(series.steps[index])} on" + (f"; from step {step} on it fell in every entry" if begun < index else ""),
        source=series.source_at(begun),
        step=step,
        step_range=(int(series.steps[begun - 1]) if begun else None, step),
    )


def _from_checkpoints(run: Run) -> Finding | None:
    before: Checkpoint | None = None
    for checkpoint in run.checkpoints:
        state = checkpoint.optimizer
        if state is None or state.loss_scale is None:
            continue
        floor = state.minimum_loss_scale
        if floor is not None and state.loss_scale <= max(floor, FLOOR):
            return _floor_of(checkpoint, before, state.loss_scale)
        before = checkpoint
    return None


def _floor_of(checkpoint: Checkpoint, before: Checkpoint | None, scale: float) -> Finding:
    return Finding(
        symptom="loss-scale-collapse",
        severity="error",
        statement=f"the optimizer state of {checkpoint.path} holds a loss scale of {number(scale)}, its minimum",
        source=source_of(checkpoint),
        step=checkpoint.step,
        step_range=(None if before is None else before.step, checkpoint.step),
    )
