"""The policy does not start at its reference."""

from collections.abc import Iterator

from forensics.analysis import context, preference
from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.names import LOSS
from forensics.plugin import Condition, rule
from forensics.rules._curves import shown
from forensics.rules._seen import Seen, held, opposite, some, unless, weigh
from forensics.rules._setup import has_metric


def starts_elsewhere(run: Run) -> Seen | None:
    """Tell whether the loss of step 1 differs from ln 2, that of equal policies; None where it need not be that."""
    first = preference.first_loss(run)
    if first is None:
        return None
    said = f"the first loss is {shown(first)}, equal policies give 0.6931"
    source = context.recorded(run, LOSS).source_at(0)
    return Seen(abs(first - preference.LN2) > preference.FAR, said, source, "first loss")


def rewarded_at_once(run: Run) -> Seen | None:
    """Tell whether the rewards of step 1 are not zero, though policy and reference should still be equal."""
    rewards = preference.first_rewards(run)
    if rewards is None or preference.first_loss(run) is None:
        return None
    said = f"the rewards of step 1 are {shown(rewards[0])} and {shown(rewards[1])}, equal policies give 0"
    series = context.recorded(run, "rewards/chosen")
    return Seen(max(map(abs, rewards)) > preference.MOVED, said, series.source_at(0), "first rewards")


def _apart(run: Run) -> Seen | None:
    """Tell whether loss or rewards of step 1 differ from those of equal policies."""
    started = some(starts_elsewhere(run), rewarded_at_once(run)) or held(starts_elsewhere(run))
    return unless(started, opposite(has_metric(run, "rewards/margins", "rewards/chosen")))


@rule(
    "RL004",
    "dpo-reference-mismatch",
    explains=(
        "dpo-first-loss",
        "loss-divergence",
        "loss-spike",
        "loss-plateau",
        "loss-to-zero",
        "suspiciously-low-loss",
    ),
    helps=("rewards/chosen", "logps/chosen", "loss", "loss_type"),
    references=("https://github.com/huggingface/trl/issues/1236", "https://arxiv.org/abs/2305.18290"),
    requires=(Condition("the policy of a preference run does not start at its reference", lambda r, _: _apart(r)),),
)
def dpo_reference_mismatch(run: Run, _: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """The DPO policy does not start at its reference model, so the first loss is not ln 2.

    ## What happens
    At the start policy and reference are one, all rewards are zero, and -log sigmoid(0) is 0.6931. Another
    reference, active dropout, or an adapter that counts for one of them only breaks that.

    ## How to tell
    At step 1 the loss is not 0.6931 and the rewards are not 0, with loss_type sigmoid (label smoothing changes
    neither). An entry that averages ten steps tells nothing. A loss that stays at 0.6931 means that nothing trains.
    ORPO, CPO and SimPO have no reference: their rewards are a fixed multiple of the log-probabilities.

    ## What to do
    Leave ref_model out with PEFT (the adapter is switched off for the reference), and set dropout to 0.

    ## Sources
    Rafailov et al., arXiv 2305.18290, equation 7; `DPOTrainer._compute_loss` of TRL 1.16; TRL issue 1236.
    """
    yield from weigh(starts_elsewhere(run), 4, -2)
    yield from weigh(rewarded_at_once(run), 3, -2)
    kind = preference.loss_type(run)
    if kind is not None and kind not in preference.START_AT_LN2:
        yield Evidence(-2, f"loss_type is {kind}, which need not start at ln 2")
    yield Fix(
        "Use the policy's own starting weights as reference, with dropout 0.",
        None,
        "https://github.com/huggingface/trl/issues/1236",
    )
    yield Experiment("Log rewards/chosen at the first step.", "not 0", 1)
