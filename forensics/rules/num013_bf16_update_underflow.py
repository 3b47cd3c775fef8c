"""bf16 weights without fp32 masters."""

from collections.abc import Iterator

from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.plugin import rule
from forensics.rules._curves import norm_is
from forensics.rules._pure_bf16 import PURE_BF16, small_rate
from forensics.rules._recorded import standing_still
from forensics.rules._seen import weigh, weigh_yes
from forensics.rules._setup import setting_is
from forensics.rules._tensors import ones_unmoved, too_fine, weights_stored_as


@rule(
    "NUM013",
    "bf16-update-underflow",
    explains=("update-below-precision",),
    helps=("weights", "learning_rate", "model.torch_dtype", "package deepspeed"),
    references=(
        "https://github.com/pytorch/ao/pull/1124",
        "https://github.com/pytorch/pytorch/issues/120376",
        "https://github.com/workofart/ml-by-hand/pull/85",
    ),
    requires=PURE_BF16,
)
def bf16_update_underflow(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """The weights are pure bf16 without fp32 masters, at a learning rate they cannot resolve.

    ## What happens
    Loading a model with torch_dtype bfloat16 and handing its parameters to AdamW makes the bf16 numbers the
    only copy. An update below 0.2 to 0.4 % of a weight is lost in rounding, every step anew, so it never
    adds up.

    ## How to tell
    Checkpoint tensors are bf16, the optimizer holds no fp32 masters, the learning rate is 1e-5 or less, and
    weights near 1.0 (norms) are bit-identical from checkpoint to checkpoint. DeepSpeed's bf16 mode and AMP
    keep masters: they are not concerned.

    ## What to do
    Load in float32 with bf16=True, or use an optimizer with stochastic rounding or Kahan summation.

    ## Sources
    torchao pull request 1124 (stochastic rounding, with numbers), pytorch issue 120376, torchdistx pull
    request 52 (AnyPrecision).
    """
    yield from weigh_yes(weights_stored_as(run, "BF16"), 2, "pure bf16 training saves bf16")
    yield from weigh(small_rate(run), 2, -2)
    yield from weigh_yes(ones_unmoved(run), 3)
    yield from weigh_yes(standing_still(run), 4)
    if explained.finding.symptom == "weights-unchanged":
        yield from weigh_yes(norm_is(run, explained, "positive"), 3, "gradients came, and the weights did not move")
    yield from weigh(too_fine(run), 3, -2)
    for name in ("torch_dtype", "dtype", "pure_bf16"):
        yield from weigh_yes(setting_is(run, name, ("bfloat16", "torch.bfloat16", True)), 1)
    yield Fix("Keep fp32 masters: load in float32 and compute in bf16.", {"torch_dtype": "float32", "bf16": True})
    yield Fix(
        "Or keep bf16 weights with an optimizer that rounds stochastically (torchao, bf16_stochastic_round).",
        None,
        "https://github.com/pytorch/ao/pull/1124",
    )
    yield Experiment("Raise the learning rate tenfold for a few steps.", "more weights move", 2)
