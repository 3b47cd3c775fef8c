"""The model's own arithmetic makes the NaN."""

from collections.abc import Iterator

import numpy as np

from forensics.deferred.patterns import expression
from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.names import GRAD_NORM, LOSS, Kind
from forensics.plugin import Condition, rule
from forensics.rules._curves import first_norm_bad_loss_good, norms_grew, series_of, single_steps
from forensics.rules._deepspeed import deepspeed_used
from forensics.rules._seen import Seen, first, held, holds, weigh_no, weigh_yes
from forensics.rules._setup import fp16_used, is_set, precision_is, several_ranks
from forensics.rules._tensors import single, widespread
from forensics.rules._told import said
from forensics.rules._trials import full_precision_works

ANOMALY = expression("returned nan values in its")
"""What torch.autograd raises under anomaly detection: "Function 'LogBackward0' returned nan values in its ..."."""


def began_in_one_place(run: Run) -> Seen | None:
    """Tell whether the NaN is known to begin in one tensor or one operation."""
    return first(held(said(run, Kind.TRACEBACK, ANOMALY)), held(single(run)), held(backward_alone(run)))


def backward_alone(run: Run) -> Seen | None:
    """Tell whether one backward pass broke first where neither fp16, a communication nor a trainer could have done it.

    Only entries of single steps tell which pass it was.
    """
    others = (deepspeed_used(run), fp16_used(run), several_ranks(run))
    if run.frameworks or any(map(holds, others)) or next(iter(run.environment.of("package")), None) is not None:
        return None
    return first_norm_bad_loss_good(run) if single_steps(run.timeline.get(GRAD_NORM)) else None


def _still_numbers(run: Run) -> Seen | None:
    """Tell whether every loss and norm of the run is a number, up to the checkpoint that holds NaN."""
    loss, norm = series_of(run, LOSS), series_of(run, GRAD_NORM)
    if loss is None:
        return None
    fine = bool(np.isfinite(loss.values).all()) and (norm is None or bool(np.isfinite(norm.values).all()))
    return Seen(fine, f"all {len(loss)} losses of the log are numbers", loss.source_at(len(loss) - 1), "curves")


@rule(
    "NUM021",
    "model-code-unstable",
    explains=(
        "nan-gradient-applied",
        "weights-nan",
        "loss-nan",
        "loss-nan-transient",
        "loss-plateau",
        "grad-norm-explosion",
    ),
    helps=("weights", "grad_norm", "loss", "bf16", "world_size"),
    references=(
        "https://github.com/modelscope/modelscope/issues/909",
        "https://pytorch.org/docs/stable/autograd.html#anomaly-detection",
    ),
    requires=(Condition("the NaN begins in one tensor or one operation", lambda run, _: began_in_one_place(run)),),
)
def model_code_unstable(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """The NaN arises in the model itself: one operation or one tensor, before anything spreads it.

    ## What happens
    A division by a sum that can be zero, a logarithm or root at zero, an unbounded exponential, a custom
    layer or loss. The NaN starts in the tensor that the operation belongs to.

    ## How to tell
    The first checkpoint with NaN has it in one tensor only; or the loss is NaN in the very step in which
    grad_norm first is: the forward pass broke first. One process and full range (bf16 or float32) leave
    little else. NaN in all tensors at once tells nothing, as clipping spreads it.

    ## What to do
    Look at the code around that tensor. Run the step before the onset under anomaly detection.

    ## Sources
    modelscope issue 909 (NaN in a range of layers only); PyTorch, automatic differentiation, anomaly
    detection; measured: NaN in one weight kills all tensors one step later.
    """
    one = single(run)
    yield from weigh_yes(one, 6, "it began there")
    if holds(one):
        yield from weigh_yes(_still_numbers(run), -2, "what computes no NaN writes none")
    else:
        yield from weigh_yes(widespread(run), -1, "the place where it began is lost")
    yield from weigh_yes(said(run, Kind.TRACEBACK, ANOMALY), 8, "anomaly detection names the operation")
    forward = first_norm_bad_loss_good(run)
    yield from weigh_no(forward, 2, "the forward pass broke first")
    if holds(backward_alone(run)):
        yield from weigh_yes(forward, 3, "one operation has no gradient there: a root at 0, a norm of nothing")
    else:
        yield from weigh_yes(forward, -1, "the backward pass broke first")
    yield from weigh_yes(full_precision_works(run), 3, "an operation needs more digits than bf16 has")
    yield from weigh_yes(deepspeed_used(run), -1)
    yield from weigh_yes(precision_is(run, "fp16"), -2, "the range of fp16 is the nearer cause")
    yield from weigh_yes(is_set(run, "use_liger_kernel"), -1)
    yield from weigh_yes(norms_grew(run, explained), -2, "a divergence")
    yield Fix("Guard the operation behind the first bad tensor: an epsilon, a clamp, or float32 for that layer.")
    yield Experiment(
        "Resume from the last clean checkpoint under torch.autograd.set_detect_anomaly(True).",
        "it names the operation that first returns NaN",
        2,
    )
    yield Experiment("Run the same steps with eager attention and without fused kernels.", "NaN stays: model code", 2)
