"""All completions of a group earn the same reward."""

from collections.abc import Iterator

from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.plugin import Condition, rule
from forensics.rules._curves import norm_is
from forensics.rules._rewards import no_variance, rewarded
from forensics.rules._seen import opposite, unless, weigh_yes


@rule(
    "RL002",
    "grpo-no-reward-variance",
    explains=(
        "grad-norm-zero",
        "gradients-all-zero",
        "loss-to-zero",
        "loss-plateau",
        "loss-constant",
        "reward-collapse",
    ),
    helps=("frac_reward_zero_std", "reward_std", "grad_norm"),
    references=(
        "https://github.com/huggingface/trl/issues/3857",
        "https://github.com/huggingface/trl/issues/3452",
        "https://github.com/huggingface/open-r1/issues/239",
        "https://github.com/huggingface/trl/issues/2703",
    ),
    requires=(
        Condition(
            "all rewards of a group are equal",
            lambda run, e: unless(no_variance(run), norm_is(run, e, "nonfinite", "sentinel"), opposite(rewarded(run))),
        ),
    ),
)
def grpo_no_reward_variance(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """All completions of a group earn the same reward, so every advantage is zero and nothing is learnt.

    ## What happens
    GRPO centres rewards within a group. If the reward function gives each completion the same value (always
    wrong, always right, or a parser that never matches), the advantages are zero, and so is the gradient.

    ## How to tell
    frac_reward_zero_std is 1.0 or reward_std 0, with grad_norm 0.0.

    ## What to do
    Look at completions with their rewards; choose tasks of middling difficulty, a higher temperature, more
    generations, or a reward with steps between.

    ## Sources
    TRL issue 3857.
    """
    yield from weigh_yes(no_variance(run), 5)
    yield from weigh_yes(norm_is(run, explained, "zero"), 3)
    yield Fix(
        "Make the reward tell completions apart.",
        {"temperature": 1.0},
        "https://github.com/huggingface/trl/issues/3857",
    )
    yield Experiment("Print the rewards of one group.", "all equal", 1)
