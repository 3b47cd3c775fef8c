"""The policy leaves its reference: the KL divergence grows without bound."""

import re
from collections.abc import Iterator

import numpy as np

from forensics.analysis import context, robust
from forensics.deferred.patterns import expression
from forensics.detectors._wording import number
from forensics.model import Finding, Run, Series
from forensics.model.statistics import median
from forensics.plugin import detector

LEAST = 20
KL = expression(
    r"(?:^|/)(?:train_)?(?:mean_|approx_|ppo_|reference_|ref_)?kl(?:_loss|_mean|_div|_divergence|avg)?$", re.IGNORECASE
)
RECONSTRUCTION = expression(r"(?:^|[/_ ])(?:recon\w{0,12}|elbo|vae)(?:[/_ ]|$)", re.IGNORECASE)
"""Of an autoencoder, whose divergence to the prior is let grow: its weight is raised from 0."""
TIMES, HIGH = 20.0, 5.0
COMPLETIONS = ("completion_length", "completions/mean_length")
"""What TRL logs beside a KL that is a mean over tokens."""
FAR, FEW = 1.0, 3
"""Nats a token: seven healthy runs of GRPO end at 0.36 at most."""


@detector(
    "kl-explosion",
    any_of=(*sorted(context.POLICY_GRADIENT), "kl", "KL", "mean_kl", "approx_kl", "train/approx_kl", "actor/kl_loss"),
)
def kl_explosion(run: Run) -> Iterator[Finding]:
    """Find a KL divergence to the reference whose last tenth is far above all of its first half.

    Source: a divergence that training keeps in bounds grows about as fast throughout, from 0 on, so that its end is a
    few times the median of its first half; one that runs away is a multiple of it. TRL and verl log nats a token, or
    a sequence of some hundred tokens.
    So does one that is a nat a token in the middle of the last third (TRL), 20 times what it was in its first three
    entries, while the reward never rose: 1 of 4 faulty runs that log both, 0 of 7 healthy ones.
    Minimum: 20 finite entries of a metric that is called a KL; an end of 20 times that median and of 5 nats.
    Silenced by: a loss of reconstruction: an autoencoder.
    Known false alarms: none known; 0 of 133 healthy runs, 4 of which log a KL.
    """
    if any(RECONSTRUCTION.search(name) for name in run.timeline.series):
        return
    for name in sorted(run.timeline.series):
        series = run.timeline[name]
        finite = np.flatnonzero(np.isfinite(series.values))
        if len(finite) < LEAST or not KL.search(name):
            continue
        values = series.values[finite]
        usual = max(median(np.abs(values[: len(values) // 2])), 1e-9)
        tail = max(3, len(values) // 10)
        end = median(values[-tail:])
        if end < max(TIMES * usual, HIGH):
            if found := _far_away(run, series):
                yield found
                return
            continue
        bound = max(TIMES * usual, HIGH) / 2
        low = np.flatnonzero(values[:-tail] <= bound)
        index = int(finite[int(low[-1]) + 1 if len(low) else 0])
        step = int(series.steps[index])
        yield Finding(
            symptom="kl-explosion",
            severity="warning",
            statement=f"{name} grows to {number(end)}; its median is {number(usual)} in the first half of the log",
            source=series.source_at(index),
            step=step,
            step_range=(int(series.steps[index - 1]) if index else None, step),
        )
        return


def _far_away(run: Run, series: Series) -> Finding | None:
    """Find a policy that left its reference early, for another place that is no better: whose reward never rose."""
    finite = np.flatnonzero(np.isfinite(series.values))
    values, third = series.values[finite], len(finite) // 3
    first, level = median(np.abs(values[:FEW])), median(values[-third:])
    rewards = context.recorded(run, "reward").values
    rewards = rewards[np.isfinite(rewards)]
    if not any(name in run.timeline for name in COMPLETIONS) or level < max(FAR, TIMES * first):
        return None
    if len(rewards) < LEAST or robust.trend(-rewards).falls:
        return None
    index = int(finite[np.argmax(values > level / 2)])
    step = int(series.steps[index])
    return Finding(
        symptom="kl-explosion",
        severity="warning",
        statement=f"{series.name} goes from {number(first)} to {number(level)} a token and stays there, "
        "and the reward never rose",
        source=series.source_at(index),
        step=step,
        step_range=(int(series.steps[index - 1]) if index else None, step),
    )
