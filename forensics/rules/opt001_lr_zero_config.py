"""The learning rate was never above zero."""

from collections.abc import Iterator

import numpy as np

from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.names import LEARNING_RATE, LOSS, Kind
from forensics.plugin import Condition, rule
from forensics.rules._curves import series_of, shown
from forensics.rules._seen import Seen, weigh, weigh_yes
from forensics.rules._setup import precision_is
from forensics.rules._told import happened


def always_zero(run: Run) -> Seen | None:
    """Tell whether learning_rate is 0 in every entry; needs three, as warmup starts at 0."""
    series = series_of(run, LEARNING_RATE)
    if series is None:
        return None
    if np.any(series.values > 0):
        index = int(np.argmax(series.values > 0))
        said = f"learning_rate is {shown(float(series.values[index]))} at step {series.steps[index]}"
        return Seen(False, said, series.source_at(index), "learning rate")
    if len(series) < 3:
        return None
    return Seen(True, f"learning_rate is 0 in all {len(series)} entries", series.source_at(0), "learning rate")


def zero_losses(run: Run) -> Seen | None:
    """Tell whether losses of exactly 0 stand among others, which a rate of 0 cannot cause."""
    series = series_of(run, LOSS)
    if series is None:
        return None
    zero = series.values == 0
    mixed = bool(zero.any()) and not bool(zero.all())
    said = f"the loss is 0.0 in {int(zero.sum())} of {len(series)} entries"
    return Seen(mixed, said, series.source_at(int(np.argmax(zero))), "losses of 0")


def _configured(run: Run) -> Seen | None:
    setting, rate = run.environment.best("learning_rate"), run.environment.number("learning_rate")
    if setting is None or rate is None:
        return None
    return Seen(rate == 0, f"learning_rate is set to {setting.value}", setting.source, "configured rate")


@rule(
    "OPT001",
    "lr-zero-config",
    explains=("lr-zero", "weights-unchanged", "loss-plateau", "loss-constant"),
    helps=("learning_rate", "fp16", "events"),
    references=(
        "https://github.com/LianjiaTech/BELLE/issues/134",
        "https://github.com/huggingface/transformers/blob/v4.57.6/src/transformers/optimization.py",
    ),
    requires=(Condition("the configured learning rate is 0", lambda run, _: _configured(run)),),
)
def lr_zero_config(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """The learning rate is zero from the first step to the last, so nothing can be learnt.

    ## What happens
    The rate is set to 0, or a scheduler was built for no steps or for a warmup longer than the run. Every
    update is multiplied by 0.

    ## How to tell
    Every logged learning_rate is exactly 0, the loss is flat, grad_norm is normal and above zero, and the
    weights are bit-identical between checkpoints. Not to be confused: the first entries of a warmup, the
    last entry of a linear schedule, and an integer 0 while an fp16 scaler skips its first steps (BELLE issue
    134).

    ## What to do
    Set the learning rate (2e-5 for full fine-tuning, 1e-4 to 2e-4 for LoRA are usual), and check
    warmup_steps against the number of steps.

    ## Sources
    BELLE issue 134 (the harmless case); `get_linear_schedule_with_warmup` in transformers `optimization.py`.
    """
    del explained
    yield from weigh_yes(_configured(run), 10)
    yield from weigh(always_zero(run), 6, -2)
    yield from weigh_yes(happened(run, Kind.OVERFLOW), -2, "a scaler that skips every step holds the rate at 0")
    yield from weigh_yes(zero_losses(run), -2, "NaN that the Trainer shows as 0, whose steps a scaler skips")
    yield from weigh_yes(happened(run, Kind.LR_UNAVAILABLE), -2, "the scheduler has not started yet")
    yield from weigh_yes(precision_is(run, "fp16"), -2, "a scaler that skips every step holds the rate at 0")
    yield Fix("Set a learning rate above zero.", {"learning_rate": 2e-05})
    yield Experiment("Print the scheduler's rate for the first ten steps.", "all zero", 1)
