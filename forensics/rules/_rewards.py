"""What a run of reinforcement learning logs of its rewards."""

import re

import numpy as np

from forensics.deferred.patterns import expression
from forensics.model import Run
from forensics.model.statistics import median
from forensics.rules._curves import series_of, shown
from forensics.rules._seen import Seen, first, held
from forensics.rules._setup import has_metric, is_set

REWARDS = (
    "reward",
    "rewards/mean",
    "reward_std",
    "frac_reward_zero_std",
    "completions/mean_length",
    "completion_length",
)


SPREAD = expression(r"(?:^|[/_ ])(?:rewards?|group|adv(?:antages?)?|scores?)[/_ ]std$", re.IGNORECASE)
"""What loops of one's own call the spread of the rewards of one prompt."""


def rewarded(run: Run) -> Seen | None:
    """Tell whether the run logged rewards of sampled completions: GRPO, RLOO and their kin."""
    return has_metric(run, *REWARDS)


def no_variance(run: Run) -> Seen | None:
    """Tell whether the rewards within each group were all equal in nine of ten entries."""
    series = series_of(run, "frac_reward_zero_std")
    if series is not None:
        share = float(np.mean(series.values >= 1.0))
        said = f"frac_reward_zero_std is 1.0 in {share:.0%} of {len(series)} entries"
        return Seen(share >= 0.9, said, series.source_at(len(series) - 1), "reward variance")
    series = series_of(run, "reward_std") or next(
        (each for name, each in sorted(run.timeline.series.items()) if len(each) and SPREAD.search(name)), None
    )
    if series is None:
        return None
    share = float(np.mean(series.values == 0))
    said = f"{series.name} is {shown(float(series.values[-1]))} at the end, 0 in {share:.0%} of {len(series)} entries"
    return Seen(share >= 0.9, said, series.source_at(len(series) - 1), "reward variance")


RECONSTRUCTS = expression(r"(?:^|[/_ ])(?:recon\w{0,20}|elbo|rec_loss|kld)(?:[/_ ]|$)", re.IGNORECASE)
"""What a variational autoencoder logs beside its KL."""
ASKED_OF_A_POLICY = (
    "kl_loss_type",
    "kl_estimator",
    "kl_coef",
    "init_kl_coef",
    "kl_penalty",
    "ref_model",
    "use_kl_loss",
)


def policy_trained(run: Run) -> Seen | None:
    """Tell whether a policy is trained against a reference; not where the KL is a part of an evidence bound."""
    for name in sorted(run.timeline.series):
        if RECONSTRUCTS.search(name):
            return Seen(False, f"{name} is logged, as of an autoencoder", run.timeline[name].source_at(0), "policy")
    rewards = rewarded(run)
    asked = (is_set(run, name) for name in ASKED_OF_A_POLICY)
    return first(held(rewards), *(held(seen) for seen in asked))


def kl_is_nan(run: Run) -> Seen | None:
    """Tell whether a divergence from the reference was logged as NaN or infinite."""
    for name in sorted(run.timeline.series):
        if re.search(r"(?:^|[/_ ])(?:approx_?)?kl", name):
            bad = ~np.isfinite(run.timeline[name].values)
            said = f"{name} is NaN or infinite in {int(bad.sum())} of {len(bad)} entries"
            if len(bad):
                return Seen(bool(bad.any()), said, run.timeline[name].source_at(int(np.argmax(bad))), "kl")
    return None


CUT = expression(r"(?:^|/)(?:clipped_ratio|clip_ratio|truncat\w{0,20}_(?:ratio|rate))$")
"""Names of the share of completions that reached their limit: TRL's `completions/clipped_ratio`, verl's
`response_length/clip_ratio`."""
ALL = 0.95
ENTRIES = 3


def all_cut(run: Run) -> Seen | None:
    """Tell whether nearly all completions reached their limit, in nine of ten entries of three at least."""
    for name in sorted(run.timeline.series):
        series = run.timeline[name]
        if CUT.search(name) and ("length" in name or "completion" in name) and len(series) >= ENTRIES:
            share = float(np.mean(series.values >= ALL))
            said = f"{name} is {ALL:g} and more in {share:.0%} of {len(series)} entries"
            return Seen(share >= 0.9, said, series.source_at(len(series) - 1), "completions cut")
    return None


APART = expression(
    r"sampling_logp_difference/mean$|rollout_probs_diff_mean$|(?:rollout_corr(?:ection)?|mismatch)/(?:mismatch_)?(?:k3_)?kl$"
)
"""What trainers log of the two probabilities of a sampled token: TRL, verl, ms-swift."""
FAR = 0.1
"""A mean difference that is no rounding: 0.012 a token is ordinary (TRL issue 4772)."""


def sampler_differs(run: Run) -> Seen | None:
    """Tell whether the engine that samples and the model that trains give one token different probabilities."""
    for name in sorted(run.timeline.series):
        series = run.timeline[name]
        last = np.abs(series.values[-5:])
        last = last[np.isfinite(last)]
        if APART.search(name) and len(last):
            typical = median(last)
            said = f"{name} is {shown(typical)} at the end"
            return Seen(typical > FAR, said, series.source_at(len(series) - 1), "sampler and trainer")
    return None
