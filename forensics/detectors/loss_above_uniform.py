"""The loss of a language model is far above that of guessing."""

import math
from collections.abc import Iterator

import numpy as np

from forensics.analysis import context
from forensics.detectors._wording import number
from forensics.model import Finding, Floats, Run
from forensics.model.statistics import median
from forensics.names import LOSS
from forensics.plugin import detector

LEAST = 5
FAR = 1.15
LARGEST = 13.8
"""ln of a million: no vocabulary in use is larger."""
STILL = 5.0


@detector("loss-above-uniform", needs=("loss",))
def loss_above_uniform(run: Run) -> Iterator[Finding]:
    """Find a token loss that is far above ln(vocabulary), at the start and still high at the end, or half of the time.

    A model that knows nothing has ln(vocabulary); more needs confident wrong answers: weights in the wrong place,
    another tokenizer, a sum in place of a mean, a broken kernel.
    Source: first loss above 1.15 ln V (13.8 where V is not known) and a last tenth still above 5: 5 of 59 faulty runs
    that were called healthy, 0 of 396 others (8 without the second half); half of all entries above it: 4 and 0.
    Minimum: five finite entries of a language model with token losses (its vocabulary or head is on file).
    Silenced by: a policy-gradient trainer, preference pairs, a loss with values below 0.
    Known false alarms: a loss that sums over tokens by design.
    Counts of healthy and missed runs are those of the simulation that chose the thresholds, not of this code
    (docs/design/0004-evidence.md); as written it is silent on 39 healthy runs.
    """
    series = context.recorded(run, LOSS)
    values = series.values[np.isfinite(series.values)]
    if len(values) < LEAST or not context.token_losses(run) or bool((values < 0).any()):
        return
    uniform = context.uniform_loss(run)
    limit = FAR * uniform if uniform is not None else LARGEST
    if not _far(values, limit):
        return
    end = number(median(_end(values)))
    told = f"ln(vocabulary) is {uniform:.2f}" if uniform is not None else f"ln of a million is {math.log(1e6):.1f}"
    yield Finding(
        symptom="loss-above-uniform",
        severity="warning",
        statement=f"the loss is {number(float(values[0]))} at first and {end} at the end, "
        f"above what guessing gives: {told}",
        source=series.source_at(0),
        step=int(series.steps[0]),
        step_range=(None, int(series.steps[0])),
    )


def _end(values: Floats) -> Floats:
    return values[-max(1, len(values) // 10) :]


def _far(values: Floats, limit: float) -> bool:
    if values[0] > limit and median(_end(values)) > STILL:
        return True
    return float(np.mean(values > limit)) >= 0.5
