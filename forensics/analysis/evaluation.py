"""What the training loss did since an evaluation."""

import numpy as np

from forensics.analysis import context
from forensics.deferred.records import dataclass
from forensics.model import Run, Series
from forensics.model.statistics import median
from forensics.names import LOSS

NEAR, FEWEST = 5, 3
RISES = 1.2


@dataclass(frozen=True, slots=True)
class Since:
    """Levels of the training loss around an evaluation and at the end: medians of up to five entries each."""

    then: float
    now: float

    @property
    def rises(self) -> bool:
        return self.now > RISES * self.then > 0


def training_since(run: Run, step: int, beside: Series | None = None) -> Since | None:
    """Return what the training loss was around `step` and is at the end; None where too few entries tell.

    Three before it are enough; in a log of less than ten entries a half of them, or what there is up to `step`.
    `beside` is the measure of training that stands for the loss, where one has the name of what is evaluated.
    """
    series = context.recorded(run, LOSS) if beside is None else beside
    kept = np.isfinite(series.values)
    steps, values = series.steps[kept], series.values[kept]
    enough = min(NEAR, len(values) // 2)
    near = values[: max(int(np.searchsorted(steps, step, side="right")), 1)][-NEAR:]
    end = values[steps > step][-NEAR:]
    if len(values) < NEAR or len(end) < enough or len(near) < min(enough, 1 if len(values) < 2 * NEAR else FEWEST):
        return None
    return Since(median(near), median(end[-enough:]))
