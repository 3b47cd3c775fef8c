"""The loss is logged as exactly 0.0 to the end."""

from collections.abc import Iterator

import numpy as np

from forensics.analysis import context
from forensics.analysis.refine import refine
from forensics.analysis.tails import Tail, loss_onset, loss_tail
from forensics.detectors._loss_zero import Witnesses, witnesses
from forensics.detectors._wording import began, counted, joined, number
from forensics.model import Finding, Run, Series, Severity
from forensics.names import LOSS, TRAIN_LOSS
from forensics.plugin import detector

CLEAR = 0.3
"""A loss this high was no memorised one: two exact zeros after it are enough."""

Judgement = tuple[Severity, str] | None


@detector("loss-to-zero", any_of=("loss", "train_loss"))
def loss_to_zero(run: Run) -> Iterator[Finding]:
    """Find a loss that is exactly 0.0 from some entry to the last one.

    Source: `logging_nan_inf_filter` of transformers >= 4.11.0 logs a NaN loss as 0.0; a loss over no labels at
    all is NaN and looks the same. trainproof 0.22 asks for five zeros in a row; here one is enough beside a NaN
    gradient, a repeated sqrt(k), a NaN evaluation or a poisoned checkpoint, and alone three after a loss
    above 0.05 or two after one above 0.3.
    Minimum: one entry.
    Silenced by: metrics of a policy-gradient trainer, whose loss may be 0, unless something proves a NaN.
    Known false alarms: a memorised set whose loss decays into the rounding, and zeros beside ordinary gradient
    norms, are told as a notice; a last batch without labels is a warning.
    """
    series = run.timeline.get(LOSS)
    if series is None or len(series) == 0:
        yield from _summary(run)
        return
    tail = loss_tail(series)
    if tail is None or not tail.shows_zero:
        return
    seen = witnesses(run, series, tail)
    judged = _judge(run, series, tail, seen)
    if judged is not None:
        yield _finding(run, series, tail, judged)


def _judge(run: Run, series: Series, tail: Tail, seen: Witnesses) -> Judgement:
    whole = tail.index == 0
    if context.policy_gradient(run) and not (seen.nonfinite or seen.poisoned):
        return None
    if seen.nonfinite or seen.eval_nan or seen.poisoned or (seen.sentinel and (tail.count > 1 or whole)):
        lone_skip = tail.count == 1 and seen.decayed and not seen.poisoned
        return ("warning" if lone_skip else "error", seen.proof)
    if seen.decayed:
        return (
            "notice",
            f"the loss had come down to {number(seen.low)} before, so it is small rather than broken",
        )
    if seen.fine > seen.zero + seen.sentinel:
        return _beside_norms(series, tail, seen)
    if seen.zero:
        severity: Severity = "error" if tail.count > 1 or whole else "warning"
        return (severity, "the gradient norm beside it is exactly 0 as well: nothing is learned from any label")
    return _alone(series, tail, seen)


def _beside_norms(series: Series, tail: Tail, seen: Witnesses) -> Judgement:
    """Judge zeros beside ordinary gradient norms: a loss that no entry before brought near 0 is not small at once."""
    if tail.index and seen.low > CLEAR and float(np.nanmin(np.abs(series.values[: tail.index]))) > CLEAR:
        return ("warning", f"no loss of {number(seen.low)} is 0 an entry later, whatever the norms beside it say")
    return ("notice", "the gradient norms beside it are ordinary numbers, so the loss is small or not logged")


def _alone(series: Series, tail: Tail, seen: Witnesses) -> Judgement:
    """Judge zeros that no gradient norm stands beside."""
    if seen.eval_small:
        return ("notice", "the evaluation loss is close to 0 too")
    sudden = tail.index == 0 or seen.low > 0.05
    enough = tail.count >= 3 or (tail.count == 2 and seen.low > CLEAR)
    if enough and sudden and not seen.eval_fine:
        return ("error", "it was not falling to 0 before" if tail.index else "from the first entry on")
    if tail.count > 1 or (sudden and (tail.index == 0 or len(series) >= 4 or seen.low > CLEAR)):
        return ("warning", "nothing else recorded tells why")
    return ("notice", "a single entry at the very end")


def _finding(run: Run, series: Series, tail: Tail, judged: tuple[Severity, str]) -> Finding:
    severity, reason = judged
    step = int(series.steps[tail.index])
    draft = Finding(
        symptom="loss-to-zero",
        severity=severity,
        statement="",
        source=series.source_at(tail.index),
        step=step,
        step_range=loss_onset(run, series, tail).bracket(),
    )
    refined = refine(run, draft)
    last = float(series.values[tail.index - 1]) if tail.index else float("nan")
    entries = counted(tail.count, "entry", "entries")
    before = f" (the entry before says {number(last)})" if np.isfinite(last) else ""
    first = "from the first entry" if tail.index == 0 else f"from the entry of step {step}"
    shown = f"the loss is logged as exactly 0.0 {first} to the end, {entries}{before}"
    statement = joined((shown, began(refined.step_range, refined.step), reason))
    return Finding(
        refined.symptom, severity, statement, refined.source, refined.step, refined.step_range, refined.until
    )


def _summary(run: Run) -> Iterator[Finding]:
    """Judge the mean over the run alone: 0.0 means that no micro-step was finite, or that no step was trained."""
    series = run.timeline.get(TRAIN_LOSS)
    if series is None or len(series) == 0 or series.values[-1] != 0 or context.policy_gradient(run):
        return
    yield Finding(
        symptom="loss-to-zero",
        severity="warning",
        statement="the mean training loss in the closing summary is exactly 0.0: no step had a finite loss, "
        "or none was trained after a resume",
        source=series.source_at(len(series) - 1),
        step=int(series.steps[-1]),
        step_range=(0, int(series.steps[-1])),
    )
