"""Clipping carries one NaN to every tensor."""

from collections.abc import Iterator

from forensics.model import Evidence, Explained, Run
from forensics.plugin import rule
from forensics.rules._curves import norm_is
from forensics.rules._deepspeed import clipping
from forensics.rules._seen import holds, weigh_no, weigh_yes
from forensics.rules._tensors import single, widespread


@rule(
    "NUM002",
    "nan-spread-by-clipping",
    explains=("weights-nan", "optimizer-nan"),
    mechanism=True,
    helps=("weights", "max_grad_norm", "grad_norm"),
    references=("https://github.com/pytorch/pytorch/blob/v2.5.0/torch/nn/utils/clip_grad.py",),
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
    spread = widespread(run)
    yield from weigh_yes(spread, 4)
    one = single(run)
    yield from weigh_yes(one, -6, "clipping would have reached the others")
    if not holds(one):
        yield from weigh_no(spread, -4, "clipping would have reached all of them")
    clip = clipping(run)
    yield from weigh_yes(clip, 1)
    yield from weigh_no(clip, -4, "nothing is clipped")
    yield from weigh_yes(norm_is(run, explained, "nonfinite", "sentinel"), 1)
