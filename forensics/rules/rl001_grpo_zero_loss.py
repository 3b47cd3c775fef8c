"""GRPO's loss is zero by construction."""

from collections.abc import Iterator

from forensics.model import Evidence, Experiment, Explained, Run
from forensics.plugin import Condition, rule
from forensics.rules._curves import norm_is
from forensics.rules._rewards import no_variance, rewarded
from forensics.rules._seen import Seen, holds, unless, weigh_yes
from forensics.rules._setup import setting_is
from forensics.rules._tensors import poisoned


def _learns(run: Run, explained: Explained) -> Seen | None:
    """Tell whether this is a run with rewards whose gradients are neither bad nor zero."""
    bad = norm_is(run, explained, "nonfinite", "sentinel", "recovering", "zero")
    return unless(rewarded(run), bad, no_variance(run), poisoned(run, explained))


@rule(
    "RL001",
    "grpo-zero-loss",
    explains=("loss-to-zero", "loss-zero-transient", "loss-constant", "suspiciously-low-loss"),
    benign=True,
    helps=("reward", "reward_std", "frac_reward_zero_std", "grad_norm", "beta"),
    references=(
        "https://github.com/huggingface/trl/issues/2703",
        "https://github.com/huggingface/trl/issues/3452",
        "https://github.com/huggingface/open-r1/issues/239",
    ),
    requires=(Condition("rewards are logged, and the gradients are neither bad nor zero", _learns),),
)
def grpo_zero_loss(run: Run, explained: Explained) -> Iterator[Evidence | Experiment]:
    """The loss of GRPO is zero by construction; its gradient is not, and the run is learning.

    ## What happens
    Advantages are centred within a group, so their sum is zero, and at the first iteration the ratio is one:
    with beta 0 (the default since TRL 0.19.0, 0.04 before) the value of the loss is 0 while its gradient
    points where rewards are higher.

    ## How to tell
    Rewards are logged, loss is about 0, and grad_norm is finite and above zero. With grad_norm 0 and
    frac_reward_zero_std 1.0 there is no signal; with grad_norm NaN the failure is real.

    ## What to do
    Nothing. Watch the reward, not the loss.

    ## Sources
    TRL issues 2703 and 3452 (maintainers), open-r1 issue 239; beta in TRL `GRPOConfig` at v0.18.2
    (0.04) and v0.19.0 (0.0).
    """
    rewards = rewarded(run)
    if holds(rewards):
        yield from weigh_yes(rewards, 4)
        yield from weigh_yes(norm_is(run, explained, "positive"), 10, "it learns")
        yield from weigh_yes(setting_is(run, "beta", (0, 0.0)), 2)
    yield Experiment("Plot reward over the run.", "it moves although the loss does not", 1)
