"""Updates are smaller than the weights' own rounding."""

from collections.abc import Iterator

from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.plugin import rule
from forensics.rules._curves import norm_is
from forensics.rules._pure_bf16 import PURE_BF16, small_rate
from forensics.rules._recorded import standing_still
from forensics.rules._seen import weigh_no, weigh_yes
from forensics.rules._setup import precision_is
from forensics.rules._tensors import ones_unmoved, too_fine, unmoved, weights_stored_as


@rule(
    "NUM004",
    "update-below-precision",
    explains=("weights-unchanged", "update-stalled", "loss-plateau", "loss-constant"),
    mechanism=True,
    helps=("weights", "learning_rate", "grad_norm", "model.torch_dtype"),
    references=(
        "https://github.com/pytorch/ao/pull/1124",
        "https://github.com/pytorch/torchdistx/pull/52",
        "https://github.com/workofart/ml-by-hand/pull/85",
        "https://github.com/pytorch/pytorch/issues/120376",
    ),
    requires=PURE_BF16,
)
def update_below_precision(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """Each update is smaller than half the distance to the next bf16 number, so it rounds away.

    ## What happens
    bf16 keeps 8 bits of mantissa: between 0.5 and 1 two neighbours are 2^-8 apart. Adam moves a weight by
    about the learning rate, so at 2e-6 only weights below about 1e-3 can move at all. Norm weights, which
    lie near 1.0, stay bit-identical even at 1e-4. The loss stays flat although the gradients are fine.

    ## How to tell
    grad_norm is normal and above zero, the tensors are stored as bf16 without fp32 masters, and norm weights
    are bit-identical between checkpoints while some small-valued matrices moved. Under DeepSpeed and under
    AMP the fp32 masters move, so the bf16 copies of two checkpoints may look alike without any fault.

    ## What to do
    Keep fp32 master weights: load in float32 with `bf16=True`, or use DeepSpeed's bf16 optimizer.

    ## Sources
    torchao pull request 1124 and torchdistx pull request 52 (numbers and remedies); measured with torch
    2.13: 20 AdamW steps at 2e-6 changed 3.9 % of N(0, 0.02) weights and none of the weights equal to 1.0.
    """
    yield from weigh_yes(ones_unmoved(run), 4)
    yield from weigh_yes(unmoved(run), 1)
    yield from weigh_yes(standing_still(run), 5)
    fine = too_fine(run)
    yield from weigh_yes(fine, 3)
    yield from weigh_no(fine, -2, "the updates are large enough")
    yield from weigh_yes(weights_stored_as(run, "BF16"), 2)
    rate = small_rate(run)
    yield from weigh_yes(rate, 2)
    yield from weigh_no(rate, -2)
    yield from weigh_yes(norm_is(run, explained, "positive"), 1, "there is something to apply")
    yield from weigh_yes(norm_is(run, explained, "zero"), -2, "there is nothing to apply")
    yield from weigh_yes(precision_is(run, "fp16"), -2)
    yield Fix("Load the weights in float32 and let autocast compute in bf16.", {"torch_dtype": "float32", "bf16": True})
    yield Experiment(
        "Compare the share of changed elements between two checkpoints, apart for large and small weights.",
        "small-valued weights change, those near 1.0 do not",
        1,
    )
