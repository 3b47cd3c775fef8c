"""The gradient norm stands at the square root of a small whole number."""

from collections.abc import Iterator
from dataclasses import replace

from forensics.analysis import context, sentinel
from forensics.analysis.onset import tail_onset
from forensics.analysis.refine import refine
from forensics.analysis.tails import gradient_onset, gradient_tail
from forensics.detectors._wording import began, counted, joined
from forensics.model import Finding, Run, Series
from forensics.names import GRAD_NORM, LOSS
from forensics.plugin import detector

ALONE = 5


@detector("grad-norm-sentinel", needs=("grad_norm",))
def grad_norm_sentinel(run: Run) -> Iterator[Finding]:
    """Find a gradient norm that repeats sqrt(k) to the end beside a loss that is 0.0 or NaN.

    Source: DeepSpeed <= 0.19.6 stands -1 for the norm of a group that is NaN or Inf (`analysis.sentinel`).
    Minimum: two entries of 1.0, one entry of a higher root, whose value alone is no coincidence.
    Silenced by: a loss that is an ordinary number: norms logged after clipping to 1.0 repeat 1.0 as well.
    Without a loss it takes five equal entries of a root from 2 on, after other values, and DeepSpeed on file.
    Known false alarms: none known.
    """
    norms = context.recorded(run, GRAD_NORM)
    if LOSS not in run.timeline:
        yield from _alone(run, norms)
        return
    tail = gradient_tail(run)
    if tail is None or tail[1] != context.SENTINEL or context.policy_gradient(run):
        return
    index = tail[0]
    groups = int(sentinel.groups(norms.values[index : index + 1], context.coarsest(norms))[0])
    count = len(norms) - index
    if groups < 1 or (groups == 1 and count < 2):
        return
    step = int(norms.steps[index])
    onset = gradient_onset(run)
    bracket = (None, step) if onset is None else onset.bracket()
    refined = refine(run, Finding("grad-norm-sentinel", "error", "", norms.source_at(index), step, bracket))
    value = repr(float(norms.values[index]))
    where = f"{counted(count, 'entry', 'entries')} from step {step} to the end"
    shown = f"the gradient norm is {value}, the square root of {groups}, in {where}, beside a loss that is no number"
    meaning = f"DeepSpeed reports it when the gradients of {counted(groups, 'parameter group')} are NaN or infinite"
    yield replace(refined, statement=joined((shown, began(refined.step_range, refined.step), meaning)))


def _alone(run: Run, norms: Series) -> Iterator[Finding]:
    """Judge a norm whose loss was not exported."""
    deepspeed = run.has("package deepspeed") or run.has("zero_optimization.stage") or "deepspeed" in run.frameworks
    index = tail_onset(norms.values == norms.values[-1]) if len(norms) else None
    if index is None or not deepspeed or index == 0 or len(norms) - index < ALONE:
        return
    groups = int(sentinel.groups(norms.values[index : index + 1], context.coarsest(norms))[0])
    if groups < 2:
        return
    step = int(norms.steps[index])
    yield Finding(
        symptom="grad-norm-sentinel",
        severity="error",
        statement=f"the gradient norm is {float(norms.values[index])!r}, the square root of {groups}, in "
        f"{counted(len(norms) - index, 'entry', 'entries')} from step {step} to the end; DeepSpeed reports it when the "
        f"gradients of {counted(groups, 'parameter group')} are NaN or infinite",
        source=norms.source_at(index),
        step=step,
        step_range=(int(norms.steps[index - 1]), step),
    )
