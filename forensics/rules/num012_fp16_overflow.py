"""fp16 ran out of range."""

from collections.abc import Iterator

import numpy as np

from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.names import GRAD_NORM, LEARNING_RATE, LOSS_SCALE, Kind
from forensics.plugin import Condition, rule
from forensics.rules._curves import eval_is_nan, norm_is, shown
from forensics.rules._seen import Seen, first, held, holds, weigh_yes
from forensics.rules._setup import fp16_told, fp16_used, pretrained_in
from forensics.rules._tensors import weights_stored_as
from forensics.rules._told import happened

LIMIT, NEAR = 65504.0, 4096.0
"""The largest number of fp16 (IEEE 754 binary16), and a sixteenth of it: a step or two of a quantity that grows."""
LEAST = 5
"""Entries from which on a rate of 0 is no first step of a warm-up."""


def near_the_limit(run: Run) -> Seen | None:
    """Tell whether a metric became infinite that never was above the largest number of fp16, and came near it.

    What leaves float32 or bf16 is seen at larger numbers before.
    """
    for name, series in run.timeline.series.items():
        infinite, finite = np.isinf(series.values), series.values[np.isfinite(series.values)]
        if name in {LOSS_SCALE, GRAD_NORM} or not infinite.any() or not len(finite):
            continue
        largest = float(np.max(np.abs(finite)))
        if NEAR <= largest <= LIMIT:
            at = int(np.argmax(infinite))
            said = f"{name} is infinite at {series.axis} {series.steps[at]}, where finite {shown(largest)} at most"
            return Seen(True, said, series.source_at(at), "near the limit")
    return None


def skips_all(run: Run) -> Seen | None:
    """Tell whether overflows are as many as the logged steps: no step was taken."""
    rate, told = run.timeline.get(LEARNING_RATE), run.timeline.count_of(Kind.OVERFLOW)
    if rate is None or len(rate) < LEAST or not told:
        return None
    said = f"{told} steps overflowed beside {len(rate)} entries, of which each has a rate of 0"
    return Seen(told >= len(rate) and bool(np.all(rate.values == 0)), said, rate.source_at(0), "every step skipped")


@rule(
    "NUM012",
    "fp16-overflow",
    explains=(
        "overflow-steps-skipped",
        "nan-gradient-applied",
        "nan-loss-logged-as-zero",
        "loss-nan",
        "weights-inf",
    ),
    helps=("fp16", "events", "loss_scale", "weights"),
    cases=10,
    references=(
        "https://github.com/deepspeedai/DeepSpeed/issues/4017",
        "https://github.com/ymcui/Chinese-LLaMA-Alpaca/issues/534",
        "https://github.com/hiyouga/LlamaFactory/issues/470",
        "https://github.com/deepspeedai/DeepSpeed/pull/3008",
        "https://github.com/deepspeedai/DeepSpeed/issues/1599",
    ),
    requires=(Condition("fp16 was in use", lambda run, _: fp16_used(run)),),
)
def fp16_overflow(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """Activations or gradients left the range of fp16, which ends at 65504.

    ## What happens
    A value above 65504 becomes infinite, and the next subtraction or product makes NaN of it. Under a loss
    scaler the step is skipped and the scale halved, until it reaches its minimum. Without a scaler (weights
    in fp16) the NaN goes into the weights.

    ## How to tell
    fp16 is on; OVERFLOW lines in a row, a loss scale that falls to 1, grad_norm NaN while the loss is
    finite. The first 16 or so OVERFLOW lines of a run are the scale finding its level. If the model was
    pretrained in bf16, that is the closer cause.

    ## What to do
    Use bf16, or float32 for the layers that overflow; lower the learning rate if the loss had risen before.

    ## Sources
    DeepSpeed issues 4017 and 1599; Chinese-LLaMA-Alpaca issue 534; LLaMA-Factory issue 470.
    """
    yield from weigh_yes(fp16_told(run), 2)
    yield from weigh_yes(happened(run, Kind.WEIGHTS_IN_FP16), 2, "no loss scaler guards them")
    yield from weigh_yes(near_the_limit(run), 4, "fp16 ends at 65504")
    yield from weigh_yes(happened(run, Kind.OVERFLOW), 2)
    yield from weigh_yes(happened(run, Kind.LOSS_SCALE_AT_MINIMUM), 3)
    every = first(held(happened(run, Kind.LR_UNAVAILABLE)), skips_all(run))
    yield from weigh_yes(every, 3, "every step was skipped")
    yield from weigh_yes(norm_is(run, explained, "nonfinite"), 1)
    yield from weigh_yes(eval_is_nan(run, explained), 1)
    yield from weigh_yes(weights_stored_as(run, "F16"), 1)
    pretrained = pretrained_in(run, "bfloat16")
    if holds(pretrained):
        yield from weigh_yes(pretrained, -2, "a bf16 model in fp16 is the closer cause")
    yield Fix("Compute in bf16, which has the range of float32.", {"bf16": True, "fp16": False})
    yield Experiment("Run the same steps in bf16 or float32.", "no overflow", 1)
