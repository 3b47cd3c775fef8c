"""All gradients are zero."""

from collections.abc import Iterator

from forensics.deferred.patterns import expression
from forensics.model import Evidence, Experiment, Explained, Run
from forensics.names import Kind
from forensics.plugin import Condition, rule
from forensics.rules._curves import finite_beside, norm_is
from forensics.rules._seen import first, held, weigh_yes
from forensics.rules._setup import no_gradient_flows
from forensics.rules._tensors import poisoned, unmoved
from forensics.rules._told import said

TOLD = expression(
    "This axis has size 1. The softmax|with num_classes > 1|run with no optimizer|not have any trainable weights"
)
"""Keras 3.11 `ops/nn.py` (`softmax`), `losses/losses.py`, `trainers/trainer.py`; Lightning 2.5 `core/optimizer.py`."""


@rule(
    "NUM005",
    "gradients-all-zero",
    explains=("grad-norm-zero", "weights-unchanged", "loss-plateau", "loss-constant", "loss-uniform"),
    mechanism=True,
    stands_alone=True,
    helps=("grad_norm", "loss", "weights"),
    references=("https://github.com/microsoft/LoRA/issues/120",),
    requires=(
        Condition(
            "grad_norm is exactly 0, and nothing is learnt",
            lambda run, e: first(held(said(run, Kind.FRAMEWORK_WARNING, TOLD)), no_gradient_flows(run, e)),
        ),
    ),
)
def gradients_all_zero(run: Run, explained: Explained) -> Iterator[Evidence | Experiment]:
    """No gradient reaches the weights: their norm is exactly 0.0 while the loss is a number.

    ## What happens
    The loss is computed, but the graph does not lead to a weight that trains: everything is frozen,
    checkpointing cut the graph, the outputs are multiplied by zero, a softmax over one unit is always 1, or a
    custom loss lost its gradient. With SGD the weights stay bit-identical; Adam's momentum and weight decay keep
    moving them for some steps.

    ## How to tell
    grad_norm is exactly 0.0 entry after entry, and the loss is flat and above zero. A loss that falls
    meanwhile proves that the norm is only reported wrong. With a loss of 0.0 or NaN beside it, look at the
    labels.

    ## What to do
    Print the parameters with requires_grad, and the gradient of one of them after a backward pass.

    ## Sources
    LoRA issue 120, ms-swift issue 3935, TRL issue 2486.
    """
    yield from weigh_yes(said(run, Kind.FRAMEWORK_WARNING, TOLD), 8, "nothing can be learnt so")
    yield from weigh_yes(norm_is(run, explained, "zero"), 4)
    beside = finite_beside(run, explained)
    yield from weigh_yes(beside, 1)
    if beside is not None and not beside.holds:
        yield Evidence(-2, f"{beside.statement}; masked labels show so", beside.source, beside.key)
    yield from weigh_yes(unmoved(run), 2)
    yield from weigh_yes(poisoned(run, explained), -2)
    yield Experiment("Print the number of parameters with requires_grad before training.", "it is 0 or too small", 1)
