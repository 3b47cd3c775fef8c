"""The learning rate is 0 throughout, or long before the end."""

from collections.abc import Iterator

import numpy as np

from forensics.analysis import context
from forensics.analysis.onset import tail_onset
from forensics.analysis.printed import rounded_away
from forensics.analysis.robust import trend
from forensics.detectors._wording import counted, number
from forensics.model import Finding, Run, Series, Severity
from forensics.names import GRAD_NORM, LEARNING_RATE, LOSS, is_loss
from forensics.plugin import detector

LEAST = 3
SURE = 5
SHARE = 0.1
LONG, EARLY = 20, 0.3
NEXT_TO_0, FIFTH = 1e-6, 0.2
"""Share of its highest at which a rate moves nothing, which no schedule wants, and of the entries that are so low."""
LEARNED = 0.1
"""Share by which a loss falls where something is learned at all; batches differ by less in their medians."""


@detector("lr-zero")
def lr_zero(run: Run) -> Iterator[Finding]:
    """Find a learning rate of 0 in every entry, or in the last tenth and more of them.

    Source: trainproof 0.22 (99 % of the points fail, 10 % warn), without counting a warm-up or the end of a decay.
    Minimum: three entries for a warning, five for an error, one when the run recorded a learning rate of 0.
    Silenced by: a loss that falls all the same (another optimizer moves the weights, a notice); zeros at the start
    that end (a warm-up from 0, or fp16 steps skipped at the start, BELLE #134); a tail below 10 % or five entries.
    Besides, a rate of exactly 0 in the first 30 % of 20 entries and more, and above 0 after: a warning (1 of 59 faulty
    runs that were called healthy, 0 of 396 others).
    A rate below 0 is a warning: no optimizer means that. So is one that is below a millionth of its highest in the last
    fifth of the entries and in five: a schedule of epochs that is stepped in batches (0 of 525 healthy runs).
    Silenced, too, by a source that prints three decimals, where gradients above 0 stand beside the zeros, and by zeros
    that follow one or two units of the last digit that is printed (`analysis.printed.rounded_away`).
    A rate that is configured as 0 and not logged is an error where neither a loss fell nor a quality rose.
    Known false alarms: a scheduler set up for fewer steps than were trained, which is what the warning says.
    Counts of healthy and missed runs are those of the simulation that chose the thresholds, not of this code
    (docs/design/0004-evidence.md); as written it is silent on 39 healthy runs.
    """
    series = context.recorded(run, LEARNING_RATE)
    if not len(series):
        yield from _configured(run)
        return
    if bool((series.values < 0).any()):
        yield _below(series)
        return
    index = tail_onset(series.values == 0)
    if _printed_as_zero(run, series):
        return
    if index is None:
        yield from _early(series)
        yield from _next_to_zero(series)
        return
    if index == 0:
        yield from _throughout(run, series)
        return
    if rounded_away(series):
        return
    count = len(series) - index
    if count >= SURE and count > SHARE * len(series):
        step = int(series.steps[index])
        yield Finding(
            symptom="lr-zero",
            severity="warning",
            statement=f"the learning rate reached 0 at step {step} and stays there for "
            f"{counted(count, 'entry', 'entries')} of {len(series):,}: these steps train nothing",
            source=series.source_at(index),
            step=step,
            step_range=(int(series.steps[index - 1]), step),
        )


def _configured(run: Run) -> Iterator[Finding]:
    """Tell a rate of 0 that stands among the settings, of a run that got better at nothing."""
    setting = run.environment.best(LEARNING_RATE)
    curve = next((run.timeline[name] for name in (LOSS, *sorted(run.timeline.series)) if name in run.timeline), None)
    if setting is None or run.environment.number(LEARNING_RATE) != 0 or curve is None or not len(curve):
        return
    if not context.policy_gradient(run) and _learned(run):
        return
    yield Finding(
        symptom="lr-zero",
        severity="error",
        statement=f"the learning rate is set to {setting.value}, so that no weight can move, and nothing got better",
        source=setting.source,
        step=int(curve.steps[0]),
        step_range=(None, int(curve.steps[0])),
    )


def _learned(run: Run) -> bool:
    """Tell whether a loss fell or a quality rose by a tenth and by more than chance."""
    for name, series in run.timeline.series.items():
        known = series.values[np.isfinite(series.values)]
        sign = 1 if is_loss(name) else -1 if context.BETTER_HIGHER.search(name) else 0
        if sign and trend(sign * known, least=LEARNED).falls:
            return True
    return False


def _below(series: Series) -> Finding:
    """Tell a schedule that runs on through 0: the loss is climbed from there on."""
    index = int(np.argmax(series.values < 0))
    step = int(series.steps[index])
    return Finding(
        symptom="lr-zero",
        severity="warning",
        statement=f"the learning rate falls through 0 and is negative from step {step}, down to "
        f"{number(float(series.values.min()))}: the schedule ended before the run did",
        source=series.source_at(index),
        step=step,
        step_range=(int(series.steps[index - 1]) if index else None, step),
    )


def _early(series: Series) -> Iterator[Finding]:
    """Tell a rate of 0 that lasts for a third of the run before the schedule begins."""
    count = int(np.argmax(series.values != 0))
    if len(series) < LONG or count < EARLY * len(series):
        return
    step = int(series.steps[count - 1])
    yield Finding(
        symptom="lr-zero",
        severity="warning",
        statement=f"the learning rate is 0 in the first {counted(count, 'entry', 'entries')} of {len(series):,}, up to "
        f"step {step}: until then no weight can move",
        source=series.source_at(0),
        step=int(series.steps[0]),
        step_range=(None, int(series.steps[0])),
        until=step,
    )


def _next_to_zero(series: Series) -> Iterator[Finding]:
    """Tell a rate that decays to nothing long before the end, without ever being 0."""
    index = tail_onset(series.values < NEXT_TO_0 * float(series.values.max()))
    if index is None or len(series) - index < max(SURE, FIFTH * len(series)):
        return
    step = int(series.steps[index])
    yield Finding(
        symptom="lr-zero",
        severity="warning",
        statement=f"the learning rate is below a millionth of its highest from step {step} on and ends at "
        f"{number(float(series.values[-1]))}: these {counted(len(series) - index, 'entry', 'entries')} train nothing",
        source=series.source_at(index),
        step=step,
        step_range=(int(series.steps[index - 1]), step),
    )


def _printed_as_zero(run: Run, series: Series) -> bool:
    """Tell whether rates below 5e-4 are printed as 0.000: the norms beside them have no more than three decimals.

    verl's console logger does that (`verl/utils/logger`, three decimals for every number).
    """
    norms = context.recorded(run, GRAD_NORM)
    if bool(np.any(series.values != 0)) or run.environment.number("learning_rate") == 0 or not len(norms):
        return False
    if not bool(np.all((norms.values > 0) & (norms.values < 1e9))):
        return False
    coarse = bool(np.all(np.abs(norms.values * 1e3 - np.rint(norms.values * 1e3)) < 1e-6))
    return context.policy_gradient(run) and coarse


def _throughout(run: Run, series: Series) -> Iterator[Finding]:
    set_to_zero = run.environment.number("learning_rate") == 0
    if len(series) < LEAST and not set_to_zero:
        return
    severity: Severity = "error" if set_to_zero or len(series) >= SURE else "warning"
    reason = "no weight can move"
    losses = run.timeline.get(LOSS)
    if losses is None or context.policy_gradient(run):
        severity = "error" if set_to_zero else "warning"
    elif trend(losses.values[np.isfinite(losses.values)]).falls and not bool(np.any(losses.values == 0)):
        severity, reason = (
            "notice",
            "but the loss falls, so the optimizer that trains is not the one that is logged",
        )
    step = int(series.steps[0])
    yield Finding(
        symptom="lr-zero",
        severity=severity,
        statement=f"the learning rate is 0 in every entry ({counted(len(series), 'entry', 'entries')}); {reason}",
        source=series.source_at(0),
        step=step,
        step_range=(0 if (context.logging_window(run) or 1) >= step else None, step),
    )
