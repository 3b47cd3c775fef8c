"""The loss is logged as NaN or infinite, to the end or for a while."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from forensics.analysis import context
from forensics.analysis.endings import stated
from forensics.analysis.onset import stretches
from forensics.analysis.refine import refine
from forensics.analysis.rhythm import equal_distance
from forensics.analysis.tails import Tail, comes_and_goes, loss_onset, loss_tail
from forensics.detectors._wording import began, counted, joined, the_loss
from forensics.model import Finding, Run, Series, Severity, Source
from forensics.names import LOSS, TRAIN_LOSS
from forensics.plugin import detector

OFTEN = 0.05
IN_A_ROW = 5
"""Entries that are no number, one after the other, of a training that another one in the log took the place of."""
RETURNS = 3
"""Equal distances: four bad entries at random places among a hundred are so evenly spread once in some 200 runs."""


@detector("loss-nan", any_of=("loss", "train_loss", "event nan-assertion", "event complaint"))
def loss_nan(run: Run) -> Iterator[Finding]:
    """Find a loss that is NaN or infinite from some entry to the last one.

    Source: IEEE 754; with `logging_nan_inf_filter` off, or outside the Trainer, the loss is logged as it is.
    Minimum: one entry, or an exception that states it ("Loss became infinite or NaN at iteration=N"), or, a
    warning, a title above the log that does. A lone last
    entry beside an ordinary gradient norm is a warning: a loss scaler may skip it. Entries that are a number now and
    then belong to it while a quarter is none: it is dated to the first that is none.
    Five in a row of a training that another one in the same log took the place of are a warning.
    Silenced by: nothing.
    Known false alarms: none known for two entries and more.
    """
    series = run.timeline.get(LOSS)
    if series is None or len(series) == 0:
        yield from _summary(run) or _stated(run)
        return
    tail = loss_tail(series)
    if tail is None:
        yield from _stated(run) or _of_another_training(run, series)
    if tail is None or tail.shows_zero:
        return
    index = comes_and_goes(series, tail)
    draft = Finding(
        symptom="loss-nan",
        severity=_severity(run, series, tail),
        statement="",
        source=series.source_at(index),
        step=int(series.steps[index]),
        step_range=loss_onset(run, series, replace(tail, index=index)).bracket(),
    )
    refined = refine(run, draft)
    first = "from the first entry" if tail.index == 0 else f"from the entry of step {int(series.steps[tail.index])}"
    shown = f"{the_loss(series)} is NaN or infinite {first} to the end, {counted(tail.count, 'entry', 'entries')}"
    if index < tail.index:
        count = int(np.count_nonzero(~np.isfinite(series.values[index:])))
        shown += f", and now and then before: {count:,} of the {len(series) - index:,} from step {draft.step} on"
    yield replace(refined, statement=joined((shown, began(refined.step_range, refined.step))))


def _severity(run: Run, series: Series, tail: Tail) -> Severity:
    if tail.count > 1 or tail.index == 0:
        return "error"
    state = int(context.gradients_at(run, series)[tail.index])
    return "error" if state in {context.NONFINITE, context.ZERO} else "warning"


def _stated(run: Run) -> list[Finding]:
    found = stated(run, "loss-nan")
    return [found] if found is not None else []


def _of_another_training(run: Run, series: Series) -> list[Finding]:
    """Find NaN in a training that a later one of the same log took the place of, as each trial of a search does."""
    if not bool(np.isfinite(series.values).all()):
        return []
    for block in run.timeline.samples:
        if block.name != LOSS:
            continue
        starts, ends = stretches(~np.isfinite(block.values))
        lasting = np.flatnonzero(ends - starts >= IN_A_ROW)
        if not len(lasting):
            continue
        start, count = int(starts[lasting[0]]), int(np.sum((ends - starts)[lasting]))
        record = int(block.records[start])
        return [
            Finding(
                symptom="loss-nan",
                severity="warning",
                statement=f"the loss is NaN or infinite in {counted(count, 'entry', 'entries')} of an earlier training "
                "in this log; that of the last one is a number throughout",
                source=Source(block.path, block.place.format(record), record),
                axis=block.axis,
            )
        ]
    return []


def _summary(run: Run) -> list[Finding]:
    series = run.timeline.get(TRAIN_LOSS)
    if series is None or len(series) == 0 or np.isfinite(series.values[-1]):
        return []
    step = int(series.steps[-1])
    closing = Finding(
        symptom="loss-nan",
        severity="error",
        statement="the mean training loss in the closing summary is NaN or infinite",
        source=series.source_at(len(series) - 1),
        step=step,
        step_range=(0, step),
    )
    return [closing]


@detector("loss-nan-transient", needs=("loss",))
def loss_nan_transient(run: Run) -> Iterator[Finding]:
    """Find NaN or infinite losses after which the loss is a number again.

    Source: IEEE 754; fp16 loss scaling skips such steps and goes on.
    Minimum: two entries. A notice; a warning when more than 5 % of the entries and more than two are NaN, which
    no loss scaler explains once it has settled, or when they come back at an equal distance four times and more, as
    the same sample does once an epoch.
    Silenced by: nothing.
    Known false alarms: a mean over ranks or windows turns NaN as soon as one part does.
    """
    series = context.recorded(run, LOSS)
    nonfinite = ~np.isfinite(series.values)
    tail = loss_tail(series)
    if tail is not None:
        nonfinite = nonfinite[: comes_and_goes(series, tail)]
    starts, ends = stretches(nonfinite)
    if len(starts) == 0:
        return
    count = int(nonfinite.sum())
    nonfinite = np.concatenate((nonfinite, np.zeros(len(series) - len(nonfinite), dtype=bool)))
    first, last = int(starts[0]), int(ends[-1]) - 1
    often = count > 2 and count > OFTEN * len(series)
    period = equal_distance(series, nonfinite, RETURNS)
    again = f", every {period} steps" if period is not None else ""
    yield Finding(
        symptom="loss-nan-transient",
        severity="warning" if often or period is not None else "notice",
        statement=f"{counted(count, 'entry', 'entries')} of {the_loss(series)} are NaN or infinite (first at step "
        f"{int(series.steps[first])}, last at step {int(series.steps[last])}{again}), and then it is a number again",
        source=series.source_at(first),
        step=int(series.steps[first]),
        step_range=(int(series.steps[first - 1]) if first else None, int(series.steps[first])),
        until=int(series.steps[last]),
    )
