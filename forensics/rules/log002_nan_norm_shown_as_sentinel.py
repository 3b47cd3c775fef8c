"""DeepSpeed prints a constant in place of a NaN gradient norm."""

from collections.abc import Iterator

from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.names import LOSS
from forensics.plugin import Condition, rule
from forensics.rules._curves import after, norm_is, onset, series_of
from forensics.rules._deepspeed import deepspeed_used
from forensics.rules._seen import Seen, opposite, unless, weigh, weigh_yes
from forensics.rules._setup import package_within
from forensics.rules._tensors import poisoned


def _loss_dead(run: Run, explained: Explained) -> Seen | None:
    loss = series_of(run, LOSS)
    values = after(loss, onset(explained)) if loss is not None else None
    if loss is None or values is None or not len(values):
        return None
    alive = values[(values > 0) & (values < 1e30)]
    index = len(loss) - len(values)
    dead = len(alive) <= len(values) // 2
    said = f"loss is 0 or NaN in {len(values) - len(alive)} of {len(values)} entries beside it"
    return Seen(dead, said, loss.source_at(index), "loss beside it")


def _constant(run: Run, explained: Explained) -> Seen | None:
    """Tell whether DeepSpeed's constant stands in place of the norm."""
    newer = package_within(run, "deepspeed", ">=0.19.8")
    others = opposite(deepspeed_used(run)), opposite(_loss_dead(run, explained)), newer
    return unless(norm_is(run, explained, "sentinel"), *others)


@rule(
    "LOG002",
    "nan-norm-shown-as-sentinel",
    explains=("grad-norm-sentinel",),
    mechanism=True,
    helps=("package deepspeed", "loss", "weights"),
    references=(
        "https://github.com/deepspeedai/DeepSpeed/issues/5347",
        "https://github.com/deepspeedai/DeepSpeed/pull/7171",
        "https://github.com/deepspeedai/DeepSpeed/pull/7184",
        "https://github.com/deepspeedai/DeepSpeed/issues/5242",
        "https://github.com/deepspeedai/DeepSpeed/issues/5223",
        "https://github.com/hiyouga/LlamaFactory/issues/9298",
        "https://github.com/deepspeedai/Megatron-DeepSpeed/issues/203",
    ),
    requires=(Condition("a constant sqrt(k) of DeepSpeed's stands in place of the norm", _constant),),
)
def nan_norm_shown_as_sentinel(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """The gradients are NaN or infinite, and DeepSpeed prints the constant sqrt(k) in place of their norm.

    ## What happens
    DeepSpeed replaces the norm of a group of parameters that is NaN or infinite by -1 and then takes the
    root of the sum of squares, so k bad groups give sqrt(k): 1.0 with one group, 1.4142135 with two (the
    Trainer makes one with weight decay and one without), 1.7320508 with three. It is the norm before
    clipping and has nothing to do with max_grad_norm = 1.0.

    ## How to tell
    The value repeats to the last digit, entry after entry, while the loss prints 0.0 or NaN. Up to 0.13.1
    and from 0.16.6 every path prints it; between, the GPU path prints nan and only CPU offload and
    BF16_Optimizer print the constant. From 0.19.8 on the norm is inf.

    ## What to do
    Read it as "the gradients are NaN" and look for the cause of the NaN. The number itself is harmless.

    ## Sources
    DeepSpeed `get_grad_norm_direct`, `scaled_global_norm`, `get_global_norm` across tags (v0.12.5 to v0.19.3
    read again in `stage_1_and_2.py`: -1, between v0.13.2 and v0.16.5 NaN times -1); pull requests 7171
    and 7184 (0.16.6); values as printed in DeepSpeed issue 5347 and LLaMA-Factory issues 8004, 8261 and
    9567.
    """
    yield from weigh_yes(norm_is(run, explained, "sentinel"), 4)
    yield from weigh_yes(_loss_dead(run, explained), 3)
    yield from weigh_yes(deepspeed_used(run), 2)
    yield from weigh_yes(package_within(run, "deepspeed", "<0.13.2"), 1, "these print it on every path")
    yield from weigh_yes(package_within(run, "deepspeed", ">=0.16.6,<0.19.8"), 1, "these print it on every path")
    yield from weigh(poisoned(run, explained), 3, -2)
    yield Fix("Treat the constant as NaN gradients: stop the run, and look for where the first NaN arises.")
    yield Experiment(
        "Print torch.isnan of the gradients in one step before the optimizer runs.",
        "they hold NaN or infinities",
        2,
    )
