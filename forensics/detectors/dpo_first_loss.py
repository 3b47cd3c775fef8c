"""The first loss of a preference run is not that of a policy that equals its reference."""

from collections.abc import Iterator

from forensics.analysis import context, preference
from forensics.detectors._wording import number
from forensics.model import Finding, Run
from forensics.names import LOSS
from forensics.plugin import detector


@detector("dpo-first-loss", needs=("loss",))
def dpo_first_loss(run: Run) -> Iterator[Finding]:
    """Find a DPO run whose loss at step 1 is not ln 2 and whose rewards there are not zero.

    Source: Rafailov et al. (arXiv 2305.18290), equation 7: with policy and reference equal, every reward is 0 and
    -log sigmoid(0) is 0.6931; TRL issue 1236.
    Minimum: an entry of step 1 alone, with rewards/chosen and rewards/rejected. A mean over the first ten steps
    has already moved and is not judged.
    Silenced by: a loss_type that starts elsewhere, metrics of trainers without a reference, rewards that are a
    fixed multiple of the log-probabilities.
    Known false alarms: dropout that is on in the policy only; hence a warning.
    """
    first, rewards = preference.first_loss(run), preference.first_rewards(run)
    if first is None or rewards is None:
        return
    moved = max(map(abs, rewards))
    if abs(first - preference.LN2) <= preference.FAR or moved <= preference.MOVED:
        return
    chosen, rejected = map(number, rewards)
    yield Finding(
        symptom="dpo-first-loss",
        severity="warning",
        statement=f"the first loss is {number(first)} with rewards of {chosen} and {rejected}: a policy that equals "
        "its reference has 0.6931 and 0",
        source=context.recorded(run, LOSS).source_at(0),
        step=1,
        step_range=(0, 1),
        until=1,
    )
