"""The loss of a run in a few points, for a picture of the size of a word."""

import math

import numpy as np

from forensics.model import Run
from forensics.model.order import distinct
from forensics.names import LOSS

BUCKETS = 20
Points = tuple[tuple[int, float | None], ...]


def small_curve(run: Run) -> Points:
    """Return (place, loss) of at most three entries a bucket: the lowest, the highest, one that is no number (None).

    Both extremes are kept, so that the picture covers what all entries would cover.
    """
    series = run.timeline.get(LOSS)
    if series is None or not len(series):
        return ()
    edges = distinct(np.linspace(0, len(series), min(BUCKETS, len(series)) + 1).astype(np.int64))
    kept = {0, len(series) - 1}
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        part = series.values[start:stop]
        finite = np.isfinite(part)
        if finite.any():
            kept |= {start + int(np.argmin(np.where(finite, part, np.inf)))}
            kept |= {start + int(np.argmax(np.where(finite, part, -np.inf)))}
        if not finite.all():
            kept.add(start + int(np.argmin(finite)))
    return tuple((int(series.steps[i]), _short(float(series.values[i]))) for i in sorted(kept))


def _short(value: float) -> float | None:
    return float(f"{value:.4g}") if math.isfinite(value) else None
