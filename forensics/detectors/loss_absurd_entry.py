"""One entry of the loss is absurd, as the loss filter makes it when gradients are accumulated."""

from collections.abc import Iterator

import numpy as np

from forensics.analysis import context, nan_filter
from forensics.analysis.tails import decodings, loss_tail
from forensics.detectors._wording import number
from forensics.model import Finding, Run, Series, Severity
from forensics.model.statistics import median
from forensics.names import LOSS, is_loss
from forensics.plugin import detector

ABSURD = 100.0
TIMES = 30.0
RECENT = 8
BEYOND = 1e15


@detector("loss-absurd-entry", needs=("loss",))
def loss_absurd_entry(run: Run) -> Iterator[Finding]:
    """Find an entry of 100 and more, right before the loss becomes 0.0 or as the last entry of all.

    Source: the closed form in `analysis.nan_filter`: an entry of 1e2 to 1e6 is what the filter makes of a NaN
    within its window when several micro-steps are accumulated, not a loss that any batch had.
    Minimum: one entry. A warning when zeros follow, or when it decodes with the recorded window and accumulation;
    else a notice.
    An entry of any loss, of one of its terms or its evaluation that is 1e15 and more, of either sign, is a warning: no
    data have units in which errors of 3e7 are right ones (0 of 507 healthy runs).
    Silenced by: earlier entries within 30 times of it (losses of other tasks may be large); a policy-gradient
    trainer.
    Known false alarms: a first loss of a broken forward pass; with a window and an accumulation of 1 nothing but
    that makes it, and the statement says so.
    """
    series = context.recorded(run, LOSS)
    found = None if len(series) == 0 or context.policy_gradient(run) else _filtered(run, series)
    found = found or _beyond_all_units(run)
    if found is not None:
        yield found


def _beyond_all_units(run: Run) -> Finding | None:
    for name, series in sorted(run.timeline.series.items()):
        high = np.isfinite(series.values) & (np.abs(series.values) >= BEYOND)
        if is_loss(name) and bool(high.any()):
            index = int(np.argmax(high))
            step = int(series.steps[index])
            return Finding(
                symptom="loss-absurd-entry",
                severity="warning",
                statement=f"{name} is {number(float(series.values[index]))} at {series.axis} {step}, beyond all units",
                source=series.source_at(index),
                step=step,
                step_range=(int(series.steps[index - 1]) if index else None, step),
            )
    return None


def _filtered(run: Run, series: Series) -> Finding | None:
    """Return an entry that the loss filter may have made."""
    tail = loss_tail(series)
    index = len(series) - 1 if tail is None else tail.index - 1
    if index < 0 or not (np.isfinite(series.values[index]) and series.values[index] >= ABSURD):
        return None
    entry = float(series.values[index])
    before = series.values[:index]
    before = np.abs(before[np.isfinite(before)])
    if len(before) and entry < TIMES * max(median(before), median(before[-RECENT:])):
        return None
    found = tuple(d for d in decodings(run, series, index + 1) if d.loss < entry / 2)
    severity: Severity = "warning" if found or (tail is not None and tail.shows_zero) else "notice"
    step = int(series.steps[index])
    return Finding(
        symptom="loss-absurd-entry",
        severity=severity,
        statement=f"the loss of {number(entry)} at step {step} is absurd; {_reading(run, series, index, found)}",
        source=series.source_at(index),
        step=step,
        step_range=(int(series.steps[index - 1]) if index else None, step),
        until=step,
    )


def _reading(run: Run, series: Series, index: int, found: tuple[nan_filter.Decoding, ...]) -> str:
    if len(found) == 1:
        step = int(series.steps[index]) - found[0].window + found[0].finite_steps
        loss = number(found[0].loss)
        return f"the logging filter shows it for a true loss of {loss} that is NaN from step {step + 1} on"
    if found:
        counts = sorted(decoding.finite_steps for decoding in found)
        return f"the logging filter shows it when {counts[0]} to {counts[-1]} steps of its window were finite"
    window, accumulation = context.logging_window(run), context.accumulation(run)
    if window == 1 and accumulation == 1:
        return "every step is logged alone, so the weights or the forward pass were wrong"
    if window is not None and accumulation is not None:
        return "the logging filter does not explain it with the recorded logging_steps and accumulation"
    return _guesses(float(series.values[index]), window, accumulation)


def _guesses(entry: float, window: int | None, accumulation: int | None) -> str:
    """Name the common settings under which the filter would show the entry."""
    windows = nan_filter.COMMON_WINDOWS if window is None else (window,)
    accumulations = nan_filter.COMMON_ACCUMULATIONS if accumulation is None else (accumulation,)
    found = list(nan_filter.explanations(entry, windows, accumulations))
    if not found:
        return "no common logging_steps and accumulation make the logging filter show it"
    best = found[0]
    return (
        f"the logging filter would show it in {len(found):,} ways, for example with logging_steps {best.window}, "
        f"accumulation {best.accumulation} and {best.finite_steps} finite steps of loss {number(best.loss)}; "
        "the settings that would decide are not recorded"
    )
