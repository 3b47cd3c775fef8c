"""Gradients were not clipped."""

from collections.abc import Iterator

from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.plugin import Condition, rule
from forensics.rules._curves import loss_rose, norms_grew
from forensics.rules._deepspeed import clipping, clipping_left_out
from forensics.rules._seen import holds, opposite, weigh_no, weigh_yes
from forensics.rules._setup import setting_is


@rule(
    "OPT009",
    "no-clipping",
    explains=("nan-gradient-applied", "loss-divergence", "loss-spike", "grad-norm-explosion"),
    helps=("max_grad_norm", "gradient_clipping", "grad_norm"),
    references=("https://github.com/tatsu-lab/stanford_alpaca/issues/93",),
    requires=(Condition("gradients are not clipped", lambda run, _: opposite(clipping(run))),),
)
def noclipping(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """Gradients were not clipped, so one large step threw the weights off.

    ## What happens
    A single batch with a large gradient moves all weights far. With max_grad_norm 1.0 its effect is bounded;
    with 0, or with a DeepSpeed configuration that lacks gradient_clipping, it is not.

    ## How to tell
    max_grad_norm or gradient_clipping is 0, and grad_norm jumps before the loss does.

    ## What to do
    Set max_grad_norm to 1.0, and gradient_clipping to "auto" in the DeepSpeed configuration.

    ## Sources
    Stanford Alpaca issue 93 (a DeepSpeed configuration without gradient_clipping).
    """
    clip = clipping(run)
    yield from weigh_no(clip, 3, "gradients are not clipped")
    grew = norms_grew(run, explained)
    if not holds(clip) and clip is not None:
        yield from weigh_yes(grew, 3)
        yield from weigh_yes(loss_rose(run, explained), 1)
    if holds(clipping_left_out(run)):
        yield Evidence(-2, "the DeepSpeed configuration that leaves it out is the closer cause")
    yield from weigh_yes(setting_is(run, "optim", ("adafactor",)), -2, "it clips by itself")
    yield Fix("Clip gradients.", {"max_grad_norm": 1.0, "gradient_clipping": "auto"})
    yield Experiment("Run the same steps with max_grad_norm=1.0.", "no divergence", 1)
