"""Clipping carries one NaN to every tensor."""

from collections.abc import Iterator

from forensics.model import Evidence, Explained, Run
from forensics.plugin import Condition, rule
from forensics.rules._curves import norm_is
from forensics.rules._deepspeed import clipping
from forensics.rules._seen import Seen, opposite, unless, weigh_yes
from forensics.rules._tensors import widespread


def _spread(run: Run) -> Seen | None:
    return unless(widespread(run), opposite(clipping(run)))


@rule(
    "NUM002",
    "nan-spread-by-clipping",
    explains=("weights-nan", "optimizer-nan"),
    mechanism=True,
    helps=("weights", "max_grad_norm", "grad_norm"),
    references=("https://github.com/pytorch/pytorch/blob/v2.5.0/torch/nn/utils/clip_grad.py",),
    requires=(
        Condition("gradients are clipped, and nearly all tensors that train hold NaN", lambda run, _: _spread(run)),
    ),
)
def nan_spread_by_clipping(run: Run, explained: Explained) -> Iterator[Evidence]:
    """Clipping by a NaN norm made every gradient NaN, so all tensors that train died in one step.

    ## What happens
    `clip_grad_norm_` multiplies each gradient by max_norm / total_norm. When one element of one gradient is
    NaN, the total is NaN, and the product is NaN everywhere. An infinite norm gives the factor 0, and inf *
    0 is NaN.

    ## How to tell
    Nearly all tensors that train hold NaN in the same checkpoint, entirely; only frozen ones and embedding
    rows of unused tokens are spared. NaN in one tensor or in neighbouring layers only is another story.

    ## What to do
    The place of the first NaN is lost in the weights; log grad_norm per step to find the step, and check the
    gradients of that step tensor by tensor.

    ## Sources
    `torch.nn.utils.clip_grad_norm_`; measured with torch 2.13.
    """
    yield from weigh_yes(widespread(run), 4)
    yield from weigh_yes(clipping(run), 1)
    yield from weigh_yes(norm_is(run, explained, "nonfinite", "sentinel"), 1)
