"""The loss jumps about from entry to entry and has no trend."""

from collections.abc import Iterator

import numpy as np

from forensics.analysis import context, robust
from forensics.detectors._wording import number
from forensics.model import Finding, Run
from forensics.model.statistics import median
from forensics.names import LOSS
from forensics.plugin import detector

LEAST = 20
SCATTER = 0.10
HIGH = 3.0
WIDE = 2.0
BEGUN, CAME_DOWN = 3, 2.0
"""The first entries, and how many times all that is judged one of them is where the loss came down to its scatter."""


@detector("loss-erratic", needs=("loss",))
def loss_erratic(run: Run) -> Iterator[Finding]:
    """Find a high loss whose entries scatter by a tenth and more around their level.

    Scatter is that of neighbours: 1.4826 * MAD of their differences / sqrt(2), after the first fifth of the entries.
    Source: 350 healthy runs and 46 hard negatives scatter by .04 of their median at most where that is above 3;
    four of 59 faulty runs that were called healthy lie above .10. 0 of 396 false alarms.
    Minimum: 20 finite entries; a median above 3, a highest entry above twice the lowest.
    Silenced by: a policy-gradient trainer; a loss with values of 0 or less, or one that falls.
    Known false alarms: a mean over very few tokens (batch size 1, short answers), where entries differ that much.
    A loss that falls is left alone since a regression that went from 25 to 14 was met (1 of 133 healthy runs, now 0),
    and so is one that came down to this level within its first entries (an error of small batches, in its own units).
    Counts of healthy and missed runs are those of the simulation that chose the thresholds, not of this code
    (docs/design/0004-evidence.md); as written it is silent on 39 healthy runs.
    """
    series = context.recorded(run, LOSS)
    values = series.values[np.isfinite(series.values)]
    if len(values) < LEAST or context.policy_gradient(run) or bool((values <= 0).any()):
        return
    late = values[len(values) // 5 :]
    middle, scatter = median(late), robust.noise(late)
    narrow = scatter <= SCATTER * middle or float(late.max()) <= WIDE * float(late.min())
    if middle <= HIGH or narrow or robust.trend(values).falls or float(values[:BEGUN].max()) > CAME_DOWN * late.max():
        return
    yield Finding(
        symptom="loss-erratic",
        severity="warning",
        statement=f"the loss jumps about between {number(float(late.min()))} and {number(float(late.max()))} around "
        f"{number(middle)}: neighbouring entries differ by {scatter / middle:.0%} of that",
        source=series.source_at(0),
        step=int(series.steps[0]),
        step_range=(None, int(series.steps[0])),
    )
