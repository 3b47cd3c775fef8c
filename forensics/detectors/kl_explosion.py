"""The policy leaves its reference: the KL divergence grows without bound."""

import re
from collections.abc import Iterator

import numpy as np

from forensics.analysis import context
from forensics.deferred.patterns import expression
from forensics.detectors._wording import number
from forensics.model import Finding, Run
from forensics.plugin import detector

LEAST = 20
KL = expression(
    r"(?:^|/)(?:train_)?(?:mean_|approx_|ppo_|reference_|ref_)?kl(?:_loss|_mean|_div|_divergence|avg)?$", re.IGNORECASE
)
RECONSTRUCTION = expression(r"(?:^|[/_ ])(?:recon\w{0,12}|elbo|vae)(?:[/_ ]|$)", re.IGNORECASE)
"""Of an autoencoder, whose divergence to the prior is let grow: its weight is raised from 0."""
TIMES, HIGH = 20.0, 5.0


@detector("kl-explosion", any_of=(*sorted(context.POLICY_GRADIENT), "kl", "actor/kl_loss"))
def kl_explosion(run: Run) -> Iterator[Finding]:
    """Find a KL divergence to the reference whose last tenth is far above all of its first half.

    Source: a divergence that training keeps in bounds grows about as fast throughout, from 0 on, so that its end is a
    few times the median of its first half; one that runs away is a multiple of it. TRL and verl log nats a token, or
    a sequence of some hundred tokens.
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
        usual = max(float(np.median(np.abs(values[: len(values) // 2]))), 1e-9)
        tail = max(3, len(values) // 10)
        end = float(np.median(values[-tail:]))
        if end < max(TIMES * usual, HIGH):
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
