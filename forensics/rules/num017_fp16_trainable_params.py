"""The parameters that train are stored in fp16."""

from collections.abc import Iterator

import numpy as np

from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.names import LOSS, Kind
from forensics.plugin import Condition, rule
from forensics.rules._curves import series_of, shown, single_steps
from forensics.rules._deepspeed import deepspeed_used
from forensics.rules._seen import Seen, first, held, unless, weigh_yes
from forensics.rules._setup import precision_is, setting_is
from forensics.rules._tensors import keeps_masters, weights_stored_as
from forensics.rules._told import happened

HALF = ("float16", "torch.float16", "fp16", "half")


def _trains_in_half(run: Run) -> Seen | None:
    """Tell whether the parameters that train are float16 themselves, without fp32 masters."""
    refused = held(happened(run, Kind.UNSCALE_FP16))
    asked = (held(setting_is(run, name, HALF)) for name in ("torch_dtype", "dtype"))
    stored = weights_stored_as(run, "F16")
    told = held(happened(run, Kind.WEIGHTS_IN_FP16))
    seen = first(stored, *asked, told, held(setting_is(run, "precision", ("16-true",))))
    return refused or unless(seen, deepspeed_used(run), keeps_masters(run), precision_is(run, "bf16"))


def _after_one_update(run: Run) -> Seen | None:
    """Tell whether the first loss is a number and each later one is not; None where single steps are not logged."""
    loss = series_of(run, LOSS)
    if loss is None or len(loss) < 3 or not single_steps(loss):
        return None
    gone = bool(np.isfinite(loss.values[0])) and not bool(np.isfinite(loss.values[1:]).any())
    return Seen(gone, f"loss is {shown(float(loss.values[0]))} once, then NaN", loss.source_at(1), "first update")


@rule(
    "NUM017",
    "fp16-trainable-params",
    explains=(
        "nan-gradient-applied",
        "nan-loss-logged-as-zero",
        "loss-nan",
        "weights-nan",
        "weights-inf",
        "crash-exception",
    ),
    helps=("torch_dtype", "weights", "events", "fp16"),
    cases=4,
    references=(
        "https://github.com/huggingface/peft/issues/1522",
        "https://github.com/huggingface/transformers/issues/27212",
        "https://github.com/Lightning-AI/litgpt/issues/200",
        "https://github.com/QwenAudio/FunMusic/issues/28",
    ),
    requires=(Condition("the parameters that train are float16", lambda run, _: _trains_in_half(run)),),
)
def fp16_trainable_params(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """The parameters that train are themselves float16, which an optimizer cannot handle.

    ## What happens
    Adam's epsilon of 1e-8 is 0 in fp16, so the first update divides by zero; the gradients have no float32
    copy that a scaler could unscale. Weights are infinite or NaN after one step.

    ## How to tell
    Tensors that train are stored as F16; the loss is fine at the first step and 0 or NaN from the second on;
    or torch stops with "Attempting to unscale FP16 gradients".

    ## What to do
    Load in float32 (or bf16) and let fp16=True do the casting; keep adapters and heads in float32.

    ## Sources
    PEFT issue 1522, transformers issue 27212, litgpt issue 200 ("16-true"); measured: pure fp16 weights with
    AdamW are NaN after one step.
    """
    yield from weigh_yes(happened(run, Kind.UNSCALE_FP16), 10)
    yield from weigh_yes(weights_stored_as(run, "F16"), 6)
    if explained.name in {"loss-nan", "nan-gradient-applied"}:
        yield from weigh_yes(happened(run, Kind.WEIGHTS_IN_FP16), 3)
        yield from weigh_yes(_after_one_update(run), 4, "the first update broke it, as an epsilon of 0 does")
    for name in ("torch_dtype", "dtype"):
        yield from weigh_yes(setting_is(run, name, HALF), 3)
    yield from weigh_yes(setting_is(run, "precision", ("16-true",)), 7, "fp16 weights without a scaler")
    yield Fix(
        "Load in float32 and cast in the forward pass only.",
        {"torch_dtype": "float32", "fp16": True},
        "https://github.com/huggingface/peft/issues/1522",
    )
    yield Experiment("Print the dtype of the parameters with requires_grad.", "torch.float16", 1)
