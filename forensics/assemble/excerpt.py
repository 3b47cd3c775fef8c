"""Whether a log begins with its run: an entry of epoch 0.54, or of step 10450, is no beginning."""

from collections.abc import Mapping, Sequence

import numpy as np

from forensics.model import UNKNOWN_STEP, Floats, Samples
from forensics.model.statistics import median
from forensics.names import LOSS

LATE = 3.0
"""Distances between entries that lie before the first one: a run may log its first entry late, but not so late."""
EPOCH_UNIT = 0.01
"""The Trainer rounds the epochs it prints to two decimals (transformers < 5)."""


def is_excerpt(blocks: Mapping[str, Sequence[Samples]]) -> bool:
    """Tell whether the entries of the loss, else those of the longest metric, begin in the middle of a run.

    All sources of the metric must: a log of the last attempt beside the state of the whole run is none. A log that
    counts steps from where it was resumed is one as well, if nothing tells of the steps before.
    """
    held = blocks.get(LOSS) or max(blocks.values(), key=lambda each: sum(len(b.steps) for b in each), default=())
    told = [late for block in held if (late := _begins_late(block)) is not None]
    return bool(told) and all(told)


def _begins_late(block: Samples) -> bool | None:
    """Tell whether a block begins in the middle; None where it does not tell."""
    known = block.steps[block.steps != UNKNOWN_STEP]
    if block.axis == "step" and len(known):
        if len(known) > 1:
            return float(known[0]) > LATE * max(_apart(known.astype(np.float64)), 1.0)
        return None if known[0] > 1 else False
    epochs = np.empty(0) if block.epochs is None else block.epochs[np.isfinite(block.epochs)]
    if not len(epochs):
        return None
    return float(epochs[0]) > LATE * max(_apart(epochs), EPOCH_UNIT if block.axis == "entry" else 1.0)


def _apart(places: Floats) -> float:
    rises = np.diff(places)
    rises = rises[rises > 0]
    return median(rises) if len(rises) else 0.0
