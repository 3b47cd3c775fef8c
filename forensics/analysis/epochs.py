"""How far into which epoch a run was, as its sources tell it."""

import numpy as np

from forensics.model import Floats, Integers, Run
from forensics.names import EPOCH, LOSS


def epochs_of(run: Run) -> tuple[Integers, Floats]:
    """Return optimizer steps and the epochs that were told for them; both (n,), empty where none is.

    They are a metric of their own, or stand beside the loss as the Trainer of transformers prints them.
    """
    series = run.timeline.get(EPOCH)
    if series is not None and series.axis == "step" and len(series) > 1:
        return series.steps, series.values
    for block in run.timeline.samples:
        if block.name == LOSS and block.epochs is not None and block.axis == "step":
            return block.steps, block.epochs
    return (np.empty(0, dtype=np.int64), np.empty(0)) if series is None else (series.steps, series.values)


def epoch_at(run: Run, step: int) -> float | None:
    """Return the epoch that was told for exactly this step."""
    steps, values = epochs_of(run)
    at = np.flatnonzero(steps == step)
    return float(values[at[0]]) if len(at) else None


def last_epoch(run: Run) -> float | None:
    steps, values = epochs_of(run)
    known = np.isfinite(values)
    return float(values[known].max()) if len(steps) and bool(known.any()) else None
