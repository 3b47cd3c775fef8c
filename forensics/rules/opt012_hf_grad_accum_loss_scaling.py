"""Gradient accumulation scaled the loss wrongly."""

from collections.abc import Iterator

import numpy as np

from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.model.statistics import median
from forensics.names import EVAL_LOSS, LOSS
from forensics.plugin import Condition, rule
from forensics.rules._curves import series_of, shown
from forensics.rules._seen import Seen, first, held, holds, weigh, weigh_no, weigh_yes
from forensics.rules._setup import package_within

AFFECTED = ">=4.46.0,<4.48.1"


def accumulation(run: Run) -> Seen | None:
    name = "gradient_accumulation_steps"
    setting, steps = run.environment.best(name), run.environment.number(name)
    if setting is None or steps is None:
        return None
    return Seen(steps > 1, f"{name} is {setting.value}", setting.source, "accumulation")


def ratio(run: Run) -> Seen | None:
    """Tell whether loss / eval_loss is the number of accumulation steps, within a quarter.

    Where that was not recorded, a whole number from 2 on, within a tenth, counts too.
    """
    loss, evaluated = series_of(run, LOSS), series_of(run, EVAL_LOSS)
    steps = run.environment.number("gradient_accumulation_steps")
    if loss is None or evaluated is None or (steps is not None and steps <= 1):
        return None
    last = loss.values[-5:]
    trained, measured = last[np.isfinite(last)], float(evaluated.values[-1])
    if not (len(trained) and measured > 0 and np.isfinite(measured)):
        return None
    quotient = median(trained) / measured
    if steps is None:
        whole = round(quotient)
        told = f"loss is {shown(quotient)} times eval_loss; gradient_accumulation_steps is not recorded"
        near = whole >= 2 and abs(quotient / whole - 1) < 0.1
        return Seen(near, told, loss.source_at(len(loss) - 1), "ratio") if near else None
    said = f"loss is {shown(quotient)} times eval_loss, gradient_accumulation_steps is {steps:g}"
    return Seen(abs(quotient / steps - 1) < 0.25, said, loss.source_at(len(loss) - 1), "ratio")


@rule(
    "OPT012",
    "hf-grad-accum-loss-scaling",
    explains=("loss-scale-wrong", "grad-norm-explosion", "loss-above-uniform"),
    helps=("package transformers", "gradient_accumulation_steps", "eval_loss", "loss"),
    cases=5,
    references=(
        "https://github.com/huggingface/transformers/issues/34263",
        "https://github.com/huggingface/transformers/pull/35438",
        "https://github.com/huggingface/transformers/issues/35663",
        "https://github.com/huggingface/transformers/pull/34191",
        "https://github.com/huggingface/transformers/issues/35556",
    ),
    requires=(Condition("gradients are accumulated", lambda run, _: first(accumulation(run), held(ratio(run)))),),
)
def hf_grad_accum_loss_scaling(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """Transformers 4.46.0 to 4.48.0 scales the loss by the number of accumulation steps.

    ## What happens
    4.46.0 began to normalise the loss by the tokens of the whole accumulation window. Models and losses that
    do not take that count were left with a sum where a mean belongs; 4.48.0 had the condition inverted. The
    logged loss, the gradients, or both are too large by gradient_accumulation_steps.

    ## How to tell
    loss is about gradient_accumulation_steps times eval_loss, grad_norm likewise. Before 4.46.0 the mean of
    means differed only a little and never gave 0.

    ## What to do
    Install transformers 4.48.1 or later, or 4.45.2.

    ## Sources
    transformers issues 34263, 35556, 35663, pull requests 35438, 35651 and 34191; wheels of 4.46.0, 4.47.1
    and 4.48.0.
    """
    del explained
    version = package_within(run, "transformers", AFFECTED)
    yield from weigh_yes(version, 3)
    found = ratio(run)
    # A model whose forward takes no loss arguments, or a script that forgets to divide, does so in any release.
    yield from weigh_no(version, -1 if holds(found) else -2, "the known releases are others")
    yield from weigh_yes(accumulation(run), 1)
    yield from weigh(found, 5, -2)
    yield Fix(
        "Install transformers 4.48.1 or later (4.45.2 was free of it, too).",
        {"transformers": ">=4.48.1"},
        "https://github.com/huggingface/transformers/issues/35663",
    )
    yield Experiment("Run ten steps with gradient_accumulation_steps=1.", "loss equals eval_loss", 1)
