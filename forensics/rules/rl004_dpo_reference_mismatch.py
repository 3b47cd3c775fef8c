"""The policy does not start at its reference."""

import math
from collections.abc import Iterator

from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.names import LOSS
from forensics.plugin import rule
from forensics.rules._curves import series_of, shown
from forensics.rules._seen import Seen, holds, weigh, weigh_yes
from forensics.rules._setup import has_metric

TOLERANCE = 0.05
"""The mean over a first window of some steps has already moved; single first steps agree to 1e-4."""


def first_loss(run: Run) -> Seen | None:
    """Tell whether the first loss differs from ln 2, the sigmoid loss of equal policies."""
    loss = series_of(run, LOSS)
    if loss is None:
        return None
    first = float(loss.values[0])
    said = f"the first loss is {shown(first)}, equal policies give 0.6931"
    return Seen(abs(first - math.log(2)) > TOLERANCE, said, loss.source_at(0), "first loss")


@rule(
    "RL004",
    "dpo-reference-mismatch",
    explains=("loss-divergence", "loss-spike", "loss-plateau", "loss-to-zero", "suspiciously-low-loss"),
    helps=("rewards/margins", "loss", "loss_type"),
    references=("https://github.com/huggingface/trl/issues/1236",),
)
def dpo_reference_mismatch(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """The DPO policy does not start at its reference model, so the first loss is not ln 2.

    ## What happens
    At the start policy and reference are one, all rewards are zero, and -log sigmoid(0) is 0.6931. Another
    reference, active dropout, or an adapter that counts for one of them only breaks that.

    ## How to tell
    rewards/margins are logged, and the first loss is not 0.6931 with loss_type sigmoid. A loss that stays at
    0.6931 means that nothing trains.

    ## What to do
    Leave ref_model out with PEFT (the adapter is switched off for the reference), and set dropout to 0.

    ## Sources
    Definition of the loss; TRL issue 1236.
    """
    del explained
    margins = has_metric(run, "rewards/margins", "rewards/chosen")
    if margins is not None and not margins.holds:
        yield Evidence(-10, f"{margins.statement}; this is no preference run", None, margins.key)
    if holds(margins):
        yield from weigh_yes(margins, 1)
        yield from weigh(first_loss(run), 4, -6)
    kind = run.environment.best("loss_type")
    if kind is not None and str(kind.value) not in {"sigmoid", "None"}:
        yield Evidence(-6, f"loss_type is {kind.value}, which need not start at ln 2", kind.source)
    yield Fix(
        "Use the policy's own starting weights as reference, with dropout 0.",
        None,
        "https://github.com/huggingface/trl/issues/1236",
    )
    yield Experiment("Log rewards/chosen at the first step.", "not 0", 1)
