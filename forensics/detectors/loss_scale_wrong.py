"""The training loss is a multiple of the evaluation loss."""

from collections.abc import Iterator

import numpy as np

from forensics.analysis import context
from forensics.detectors._wording import number
from forensics.model import Finding, Floats, Run
from forensics.names import EVAL_LOSS, LOSS
from forensics.plugin import detector

NEAR = 0.15
LEAST = 2


@detector("loss-scale-wrong", needs=("loss",))
def loss_scale_wrong(run: Run) -> Iterator[Finding]:
    """Find a training loss that is the evaluation loss times the accumulated micro-steps.

    Source: transformers 4.46.0-4.47.1 and models that ignore `num_items_in_batch` log the sum over the
    accumulated micro-steps (`Trainer.compute_loss`); evaluation is not accumulated. Without evaluation: a first
    loss above ln(vocabulary) by half that is plausible once divided.
    Minimum: gradient accumulation of 2 or more recorded, and two evaluations, or the vocabulary size.
    Silenced by: a ratio that is not the accumulation within 15 %; a policy-gradient trainer.
    Known false alarms: a task whose training data are harder by just that factor; so it is a warning. With an
    accumulation of 2 three evaluations must agree within 8 %.
    """
    accumulation = context.accumulation(run)
    series = context.recorded(run, LOSS)
    if accumulation is None or accumulation < 2 or context.policy_gradient(run) or len(series) == 0:
        return
    ratios = _ratios(run)
    near, least = (NEAR, LEAST) if accumulation > 2 else (NEAR / 2, LEAST + 1)
    told = ""
    if len(ratios) >= least and bool(np.all(np.abs(ratios / accumulation - 1) < near)):
        told = f"the training loss is {number(float(np.median(ratios)))} times the evaluation loss"
    elif len(ratios) == 0 and _above_uniform(run, float(series.values[0]), accumulation):
        told = f"the first loss, {number(float(series.values[0]))}, is far above that of uniform guessing"
    if told:
        yield Finding(
            symptom="loss-scale-wrong",
            severity="warning",
            statement=f"{told}, and gradients are accumulated over {accumulation} micro-steps: the logged loss is "
            "a sum where it should be a mean",
            source=series.source_at(0),
            step=int(series.steps[0]),
            step_range=(None, int(series.steps[0])),
        )


def _ratios(run: Run) -> Floats:
    """Return training over evaluation loss at each evaluation, with the last training loss at or before it."""
    evals, series = run.timeline.get(EVAL_LOSS), context.recorded(run, LOSS)
    if evals is None or len(evals) == 0:
        return np.empty(0)
    index = np.searchsorted(series.steps, evals.steps, side="right") - 1
    known = (index >= 0) & np.isfinite(evals.values) & (evals.values > 0.05)
    train = series.values[index[known]]
    finite = np.isfinite(train) & (train > 0)
    return np.asarray(train[finite] / evals.values[known][finite], dtype=np.float64)


def _above_uniform(run: Run, first: float, accumulation: int) -> bool:
    vocabulary = run.environment.number("model.vocab_size")
    if vocabulary is None or vocabulary < 16 or not np.isfinite(first):
        return False
    uniform = float(np.log(vocabulary))
    return first > 1.5 * uniform and 0.3 < first / accumulation < uniform
