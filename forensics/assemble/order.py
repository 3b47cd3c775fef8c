"""Where the events of a text stand among its metrics: the steps before and after, how much the run went on."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from forensics.model import UNKNOWN_STEP, Events, Integers, Order, Samples
from forensics.names import LOSS, TRAIN_LOSS

AFTERWARDS = ("eval_", "test_", "predict_", "train_")
"""What a trainer still prints when training is over."""


def in_order(events: Sequence[Events], samples: Sequence[Samples]) -> tuple[Events, ...]:
    """Return the events, each with its place among the samples of the same artifact (`Events.order`).

    Records are compared, which number the lines of a text. An artifact without metrics gives no order.
    """
    blocks: dict[tuple[str, str], list[Samples]] = defaultdict(list)
    for block in samples:
        blocks[block.path, block.place].append(block)
    entries = {key: _entries(found) for key, found in blocks.items()}
    return tuple(_placed(each, entries.get((each.path, each.place))) for each in events)


def _entries(blocks: Sequence[Samples]) -> tuple[Integers, Integers]:
    """Return the records with metrics of the training, ascending, and the step of each."""
    training = [b for b in blocks if b.name == LOSS]
    training = (
        training or [b for b in blocks if not b.name.startswith(AFTERWARDS) and b.name != TRAIN_LOSS] or [*blocks]
    )
    records = np.concatenate([block.records for block in training])
    steps = np.concatenate(
        [block.steps if block.axis == "step" else np.full(len(block.steps), UNKNOWN_STEP) for block in training]
    )
    order = np.lexsort((steps, records))
    records, steps = records[order], steps[order]
    last = np.ones(len(records), dtype=np.bool_)
    last[:-1] = records[1:] != records[:-1]
    return records[last], steps[last]


def _placed(events: Events, entries: tuple[Integers, Integers] | None) -> Events:
    if entries is None or not len(events):
        return events
    records, steps = entries
    following = np.searchsorted(records, events.records, side="right")
    before = np.where(following > 0, steps[np.maximum(following - 1, 0)], UNKNOWN_STEP)
    after = np.where(following < len(records), steps[np.minimum(following, len(records) - 1)], UNKNOWN_STEP)
    order = Order(before, after, (len(records) - following).astype(np.int64), len(records))
    return replace(events, order=order)
