"""What else happened where the run broke: a save, an evaluation, the end of warmup, an epoch, a resume."""

import math
from collections.abc import Iterator

import numpy as np

from forensics.analysis.epochs import epochs_of
from forensics.model import Coincidence, Finding, Integers, Run
from forensics.model.order import distinct
from forensics.model.statistics import median
from forensics.names import EVAL_LOSS, LEARNING_RATE, Kind

CHANCE = 0.5
"""Of events that recur, only those are told that an onset would meet by chance less often than this."""
UPDATE_LAG = 1
"""A bad update shows in the loss of the step after it, so that the loss lags by one step."""
WITNESSED_BY_SAVES = ("weights-", "optimizer-", "checkpoint-")
"""The bracket of these symptoms runs from one save to the next, and evaluations keep the same rhythm."""
NO_STEPS: Integers = np.empty(0, dtype=np.int64)


def coincidences(run: Run, finding: Finding) -> tuple[Coincidence, ...]:
    """Return what happened within the onset's bracket, and could have had to do with it.

    An evaluation and a save happen after their step, so those of the onset itself come too late to be its cause.
    """
    first, onset = finding.earliest, finding.onset
    if first is None or onset is None or finding.axis != "step":
        return ()
    if finding.symptom.startswith("crash-"):
        return tuple(_due(run, onset))
    if finding.symptom.startswith(WITNESSED_BY_SAVES):
        return tuple(c for c in _within(run, first, onset, 0) if c.kind not in {"checkpoint-saved", "evaluation"})
    lag = UPDATE_LAG if finding.symptom.startswith(("loss-", "eval-")) else 0
    return tuple(_within(run, first, onset, lag))


def _within(run: Run, first: int, onset: int, lag: int) -> Iterator[Coincidence]:
    before, last = first - 1 - lag, onset - 1
    for step in _recurring(_saves(run), before, last):
        yield Coincidence("checkpoint-saved", step, f"a checkpoint was saved at step {step}")
    for step in _recurring(_steps_of(run, EVAL_LOSS), before, last):
        yield Coincidence("evaluation", step, f"an evaluation at step {step}")
    for segment in run.timeline.segments[1:]:
        if before <= segment.first - 1 <= last:
            yield Coincidence("resumed", segment.first, f"the run was resumed at step {segment.first}")
    for step in _recurring(_epoch_ends(run), before, last):
        yield Coincidence("epoch-ended", step, f"an epoch ended at step {step}")
    yield from _rate(run, before, onset)
    for step in _recurring(_skipped(run), before, onset):
        yield Coincidence("step-skipped", step, f"step {step} was skipped because gradients overflowed")


def _recurring(steps: Integers, first: int, last: int) -> Iterator[int]:
    """Yield the first event within both ends, unless the events are so dense that one is always near."""
    inside = steps[(steps >= first) & (steps <= last)]
    if not len(inside):
        return
    if len(steps) > 1:
        spacing = median(np.diff(steps))
        if last - first + 1 > CHANCE * spacing:
            return
    yield int(inside[0])


def _steps_of(run: Run, name: str) -> Integers:
    series = run.timeline.get(name)
    return NO_STEPS if series is None or series.axis != "step" else series.steps


def _saves(run: Run) -> Integers:
    logged = [e.steps[e.steps >= 0] for e in run.timeline.events_of(Kind.CHECKPOINT_SAVED)]
    found = np.array([c.step for c in run.checkpoints if c.step is not None], dtype=np.int64)
    return distinct(np.concatenate([found, *logged]))


def _skipped(run: Run) -> Integers:
    found = [e.steps[e.steps >= 0] for e in run.timeline.events_of(Kind.OVERFLOW)]
    return distinct(np.concatenate(found)) if found else NO_STEPS


def _epoch_ends(run: Run) -> Integers:
    """Return the last step of every epoch that ended, from the epoch that the trainer printed.

    A share of an epoch tells how long one is. A whole number counts the epoch that runs, from 0 or from 1, and tells
    where one ends only where it rises from one step to the next, or where every entry stands at the end of its epoch.
    """
    steps, values = epochs_of(run)
    known = np.isfinite(values) & (steps > 0) & (values > 0)
    if not known.any():
        return NO_STEPS
    told = np.isfinite(values)
    lengths = steps[known] / values[known]
    at_ends = len(lengths) > 1 and float(np.ptp(lengths) * values[known].max()) < 1
    if bool(np.all(values[told] == np.rint(values[told]))) and not at_ends:
        rises = (np.diff(values[told]) == 1) & (np.diff(steps[told]) == 1)
        return np.asarray(steps[told][:-1][rises], dtype=np.int64)
    last = int(np.flatnonzero(known)[-1])
    length = float(steps[last]) / float(values[last])
    if length < 1:
        return NO_STEPS
    return np.rint(length * np.arange(1, math.floor(values[last]) + 1)).astype(np.int64)


def _rate(run: Run, before: int, onset: int) -> Iterator[Coincidence]:
    warmup = _warmup(run)
    if warmup is not None and before <= warmup <= onset:
        yield Coincidence("warmup-ended", warmup, f"the warmup ended at step {warmup}")
        return
    rates = run.timeline.get(LEARNING_RATE)
    if rates is None or len(rates) < 3 or rates.axis != "step" or not np.isfinite(rates.values).all():
        return
    top = int(np.argmax(rates.values))
    step = int(rates.steps[top])
    if rates.values[0] < rates.values[top] > rates.values[-1] and before <= step <= onset:
        yield Coincidence("lr-peak", step, f"the learning rate was at its peak at step {step}")


def _warmup(run: Run) -> int | None:
    """Return the length of the warmup in steps; transformers rounds the share of all steps up.

    Source: `TrainingArguments.get_warmup_steps`; DeepSpeed's `WarmupLR` counts `warmup_num_steps`.
    """
    for name in ("warmup_steps", "scheduler.params.warmup_num_steps"):
        steps = run.environment.number(name)
        if steps is not None and math.isfinite(steps) and steps >= 1:
            return int(steps)
    share, planned = run.environment.number("warmup_ratio"), run.planned_steps
    if share is None or planned is None or not 0 < share < 1:
        return None
    return math.ceil(share * planned)


def _due(run: Run, last: int) -> Iterator[Coincidence]:
    """Yield what was to come right after the last step that a crashed run logged."""
    for kind, name, what in (
        ("checkpoint-saved", "save_steps", "a checkpoint was to be saved"),
        ("evaluation", "eval_steps", "an evaluation was due"),
    ):
        every = run.environment.number(name)
        if every is not None and math.isfinite(every) and every > 1 and last > 0 and last % int(every) == 0:
            yield Coincidence(kind, last, f"{what} at step {last} ({name} is {int(every)})")
