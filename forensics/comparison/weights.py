"""Checkpoints of two runs after the same step."""

import numpy as np

from forensics.comparison.difference import WeightsCompared
from forensics.model import Checkpoint, Run


def common_step(good: Run, bad: Run) -> tuple[Checkpoint, Checkpoint] | None:
    """Return the newest pair of checkpoints after the same step; None when there is no such pair."""
    by_step = {c.step: c for c in good.checkpoints if c.step is not None}
    pairs = [(by_step[c.step], c) for c in bad.checkpoints if c.step in by_step]
    return max(pairs, key=lambda pair: pair[1].step or 0, default=None)


def compare_weights(good: Checkpoint, bad: Checkpoint) -> WeightsCompared:
    """Sum up a scan of BAD's checkpoint in which every tensor was compared with GOOD's."""
    table = bad.table
    assert table is not None
    weight = table.is_weight
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(table.change_l2 == 0, 0.0, table.change_l2 / table.l2)
    relative = np.where(weight & np.isfinite(relative), relative, -1.0)
    largest = int(np.argmax(relative)) if len(relative) else -1
    moved = largest >= 0 and relative[largest] > 0
    return WeightsCompared(
        step=bad.step or 0,
        good=good.path,
        bad=bad.path,
        tensors=int(np.count_nonzero(weight)),
        differ=int(np.count_nonzero(weight & ~table.unchanged)),
        poisoned=int(np.count_nonzero(weight & ((table.nan > 0) | (table.infinite > 0)))),
        largest=table.names[largest] if moved else None,
        relative_change=float(relative[largest]) if moved else 0.0,
    )
