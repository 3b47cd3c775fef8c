"""The gradient norm is exactly 0."""

import re
from collections.abc import Iterator

import numpy as np

from forensics.analysis import context
from forensics.analysis.onset import point_onset, tail_onset
from forensics.analysis.robust import trend
from forensics.deferred.patterns import expression
from forensics.detectors._loss_zero import LOW
from forensics.detectors._wording import began, counted, joined, number
from forensics.model import Finding, Floats, Run, Series, Severity
from forensics.model.statistics import median
from forensics.names import GRAD_NORM, LOSS
from forensics.plugin import detector

LASTING = 3
SURE, MANY = 5, 20
VANISHED = 1e-6
ADVANTAGE = expression(r"advantages?[/_](?:max|abs_mean|std)$", re.IGNORECASE)
"""What is above 0 only where rewards of a group differ (verl logs `critic/advantages/max`)."""


@detector("grad-norm-zero", needs=("grad_norm",))
def grad_norm_zero(run: Run) -> Iterator[Finding]:
    """Find a gradient norm of exactly 0 from some entry to the last one.

    Source: a batch without labels, a detached graph (`None of the inputs have requires_grad=True`, torch
    `utils/checkpoint.py`) and saturated logits give exactly 0; measured with torch 2.13. No peer reports a norm
    that turns 0 in mid-run.
    Minimum: one entry for a notice, three for a warning, five for an error. In 20 entries and more a norm that falls
    below a millionth of its first level and below 1e-6, or is below 1e-6 from the first entry on, beside a loss that
    does not fall, has vanished: a warning.
    Silenced by: a policy-gradient trainer (rewards that do not differ give 0; rewards that differ do not), a loss
    that is close to 0 and so has nothing left to teach, and a loss that falls all the same, which shows the report
    to be wrong (finetrainers #63): all three are a notice.
    A norm of a policy that was 0 before and came back takes three entries: it is that of the last step, while the
    shares of equal rewards beside it are means over several.
    Known false alarms: a norm that is never reported and stands at 0 beside a loss that no longer falls; from
    the first entry on it takes ten entries to be an error.
    """
    norms = context.recorded(run, GRAD_NORM)
    index = tail_onset(norms.values == 0)
    if index is None:
        yield from _vanishing(run, norms)
        return
    count = len(norms) - index
    severity, reason = _judge(run, norms, index)
    step = int(norms.steps[index])
    bracket = point_onset(norms, index, context.logging_window(run)).bracket()
    first = "in every entry" if index == 0 else f"from step {step} to the end"
    yield Finding(
        symptom="grad-norm-zero",
        severity=severity,
        statement=joined(
            (
                f"the gradient norm is exactly 0 {first}, {counted(count, 'entry', 'entries')}",
                began(bracket, step),
                reason,
            )
        ),
        source=norms.source_at(index),
        step=step,
        step_range=bracket,
    )


def _vanishing(run: Run, norms: Series) -> Iterator[Finding]:
    """Find norms that shrink to nothing while the loss stays where it is: saturated or dead units."""
    kept = np.flatnonzero(np.isfinite(norms.values) & (norms.values > 0))
    losses = context.recorded(run, LOSS)
    known = losses.values[np.isfinite(losses.values)]
    if len(kept) < MANY or context.policy_gradient(run) or not len(known) or median(known[-SURE:]) < LOW:
        return
    first, last = median(norms.values[kept[:SURE]]), median(norms.values[kept[-SURE:]])
    never = float(norms.values[kept].max()) < VANISHED
    if (last >= VANISHED * min(1.0, first) and not never) or trend(known).falls:
        return
    index = int(kept[0 if never else np.argmax(norms.values[kept] < VANISHED * min(1.0, first))])
    step = int(norms.steps[index])
    yield Finding(
        symptom="grad-norm-zero",
        severity="warning",
        statement=f"the gradient norm vanishes: {number(first)} at first, {number(last)} at the end, "
        "and the loss does not fall",
        source=norms.source_at(index),
        step=step,
        step_range=(int(norms.steps[index - 1]) if index else None, step),
    )


def _judge(run: Run, norms: Series, index: int) -> tuple[Severity, str]:
    count = len(norms) - index
    if context.policy_gradient(run):
        spread = _reward_spread(run, norms, index)
        if spread is not None and count < LASTING and bool((norms.values[:index] == 0).any()):
            return "notice", "it was 0 before and came back: the last group of a step had equal rewards"
        if spread is not None:
            return ("error" if count >= SURE else "warning"), spread
        never = index == 0 and count >= 2 * SURE and _rewards_never_differ(run, norms)
        told = "a policy gradient is 0 where all rewards of a group are equal"
        return (
            ("warning", f"{told}, and here they are in every entry: nothing is learned") if never else ("notice", told)
        )
    series = run.timeline.beside(norms, LOSS)
    if series is None or len(series) == 0:
        return ("warning" if count >= LASTING else "notice"), ""
    return _beside(series, norms, index, count)


def _rewards_never_differ(run: Run, norms: Series) -> bool:
    """Tell whether the log says of every entry that the rewards within a group were equal."""
    shares, spreads = (run.timeline.beside(norms, name) for name in ("frac_reward_zero_std", "reward_std"))
    told = shares.values == 1 if shares is not None and len(shares) else None
    if told is None and spreads is not None and len(spreads):
        told = spreads.values == 0
    return told is not None and bool(told.all())


def _reward_spread(run: Run, norms: Series, index: int) -> str | None:
    """Tell that the rewards of a group differed in every entry beside the zeros, so that there were gradients."""
    for name, level in (("frac_reward_zero_std", 1.0), ("reward_std", 0.0)):
        series = run.timeline.beside(norms, name)
        if series is None:
            continue
        values = series.values[series.steps >= norms.steps[index]]
        differed = values < level if level else values > level
        if len(values) and bool(differed.all()):
            return f"the rewards of a group differ ({name} is {number(float(values[-1]))}), which gives a gradient"
        return None
    highest = next((name for name in sorted(run.timeline.series) if ADVANTAGE.search(name)), None)
    beside = run.timeline.beside(norms, highest) if highest is not None else None
    if beside is None:
        return None
    values = beside.values[beside.steps >= norms.steps[index]]
    if len(values) and bool((values > 0).all()):
        return f"advantages differ from 0 ({highest} is {number(float(values[-1]))}), which gives a gradient"
    return None


def _beside(series: Series, norms: Series, index: int, count: int) -> tuple[Severity, str]:
    """Judge by the loss beside the zeros."""
    after = series.values[series.steps >= norms.steps[index]]
    before = series.values[series.steps < norms.steps[index]]
    sure = SURE if index else 2 * SURE
    if _spent(before, after):
        return "notice", "the loss is close to 0, so there is nothing left to learn from"
    if len(after) and bool(np.all(after == 0)):
        return ("error" if count > 1 or index == 0 else "warning"), "the loss beside it is 0.0"
    if trend(after[np.isfinite(after)]).falls:
        return "notice", "the loss falls all the same, so the norm is not reported rather than 0"
    if count < LASTING:
        return "notice", "too few entries to judge"
    return ("error" if count >= sure else "warning"), "the loss does not fall, so nothing is learned"


def _spent(before: Floats, after: Floats) -> bool:
    """Tell whether the loss was small before the norm turned 0, or is small and positive after."""
    positive = np.abs(after[np.isfinite(after) & (after != 0)])
    recent = np.abs(before[np.isfinite(before)][-5:])
    small_after = len(positive) > 0 and median(positive) < LOW
    return small_after or (len(recent) > 0 and float(recent.min()) < LOW)
