"""All gradients are zero."""

from collections.abc import Iterator

import numpy as np

from forensics.model import Evidence, Experiment, Explained, Run
from forensics.names import LOSS
from forensics.plugin import rule
from forensics.rules._curves import after, loss_falls, norm_is, onset, series_of, shown
from forensics.rules._seen import Seen, weigh_yes
from forensics.rules._tensors import poisoned, unmoved


def finite_loss(run: Run, explained: Explained) -> Seen | None:
    """Tell whether the loss beside the zero gradient is a finite number above zero."""
    loss = series_of(run, LOSS)
    values = after(loss, onset(explained)) if loss is not None else None
    if loss is None or values is None or not len(values):
        return None
    alive = np.isfinite(values) & (values > 0)
    index = len(loss) - len(values)
    said = f"loss is {shown(float(values[0]))} beside it, finite in {int(alive.sum())} of {len(values)} entries"
    return Seen(bool(alive.mean() > 0.5), said, loss.source_at(index), "loss beside it")


@rule(
    "NUM005",
    "gradients-all-zero",
    explains=("grad-norm-zero", "weights-unchanged", "loss-plateau", "loss-constant", "loss-uniform"),
    mechanism=True,
    helps=("grad_norm", "loss", "weights"),
    references=("https://github.com/microsoft/LoRA/issues/120",),
)
def gradients_all_zero(run: Run, explained: Explained) -> Iterator[Evidence | Experiment]:
    """No gradient reaches the weights: their norm is exactly 0.0 while the loss is a number.

    ## What happens
    The loss is computed, but the graph does not lead to a weight that trains: everything is frozen,
    checkpointing cut the graph, the outputs are multiplied by zero, or a custom loss lost its gradient. With
    SGD the weights stay bit-identical; Adam's momentum and weight decay keep moving them for some steps.

    ## How to tell
    grad_norm is exactly 0.0 entry after entry, and the loss is flat and above zero. A loss that falls
    meanwhile proves that the norm is only reported wrong. With a loss of 0.0 or NaN beside it, look at the
    labels.

    ## What to do
    Print the parameters with requires_grad, and the gradient of one of them after a backward pass.

    ## Sources
    LoRA issue 120, ms-swift issue 3935, TRL issue 2486.
    """
    yield from weigh_yes(norm_is(run, explained, "zero"), 4)
    yield from weigh_yes(
        norm_is(run, explained, "positive", "nonfinite", "sentinel"), -10, "the gradients are not zero"
    )
    beside = finite_loss(run, explained)
    yield from weigh_yes(beside, 1)
    if beside is not None and not beside.holds:
        yield Evidence(-5, f"{beside.statement}; masked labels show so", beside.source, beside.key)
    yield from weigh_yes(loss_falls(run), -8, "something learns")
    yield from weigh_yes(unmoved(run), 2)
    yield from weigh_yes(poisoned(run, explained), -6)
    yield Experiment(
        "Print the number of parameters with requires_grad before training.", "it is 0 or too small", 1
    )
