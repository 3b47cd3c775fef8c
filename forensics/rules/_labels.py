"""Whether any label counts in the loss: what the rules about masked labels share."""

from forensics.model import Explained, Run
from forensics.names import Kind
from forensics.plugin import Condition
from forensics.rules._curves import finite_beside, norm_is
from forensics.rules._seen import Seen, first, held, unless
from forensics.rules._setup import happened
from forensics.rules._tensors import poisoned


def no_label_counts(run: Run, explained: Explained) -> Seen | None:
    """Tell whether no label counted: a mean over no token is NaN, and its gradients are exactly zero.

    None where neither a gradient norm nor a line of the trainer tells.
    """
    refused = held(happened(run, Kind.ALL_LABELS_IGNORED))
    zero = norm_is(run, explained, "zero")
    return unless(first(refused, zero), finite_beside(run, explained), poisoned(run, explained))


NO_LABEL = Condition("no label counts (grad_norm is exactly 0 beside a loss of 0 or NaN)", no_label_counts)
