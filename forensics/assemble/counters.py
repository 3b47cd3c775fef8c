"""A counter that begins anew with every epoch is made global, and one that hardly moves is no axis."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from forensics.deferred.records import dataclass
from forensics.model import UNKNOWN_STEP, Floats, Integers, Samples, Skip
from forensics.model.statistics import distance
from forensics.names import LOSS

MOSTLY = 0.9
"""Share of the epochs that begin with a fall of the counter, and of its falls at which an epoch begins."""
LEAST = 2
CROWDED = 16
"""More entries a step than this are no accounts of one step, and neither are three of a counter that has two places:
it is coarser than the entries are. Processes that each print their own loss are fewer, or tell their rank."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """The lines of a file that hold its loss, in order: record, counter and epoch of each, int64 of shape (n,)."""

    records: Integers
    steps: Integers
    epochs: Integers


def global_steps(samples: Sequence[Samples]) -> tuple[list[Samples], list[Skip]]:
    """Return the samples with counters of an epoch made global, and what was assumed for that.

    mmcv's and mmengine's JSON lines, CSV tables and plain loops write an epoch and the iteration in it. An epoch has
    as many steps as its counter reached at most: where the last ones are not logged it has more, which is told.
    Counters on which most entries share one step are dropped: the entries are counted instead.
    """
    files: dict[tuple[str, str], list[Samples]] = defaultdict(list)
    for block in samples:
        files[(block.path, block.place)].append(block)
    found: list[Samples] = []
    skips: list[Skip] = []
    for (path, _), blocks in files.items():
        rows = _rows(blocks)
        length = None if rows is None else _epoch_length(rows)
        if rows is not None and length is not None:
            skips.append(Skip(f"steps in {path}", f"the counter begins anew each epoch, which has {length:,} steps"))
            found.extend(_over_epochs(blocks, rows, length))
        else:
            found.extend(_uncrowded(path, blocks, skips))
    return found, skips


def _rows(blocks: Sequence[Samples]) -> _Rows | None:
    """Return the lines with the loss, else those of the longest block; None where one lacks a step or whole epoch."""
    block = max(blocks, key=lambda each: (each.name == LOSS, len(each.steps)))
    epochs = block.epochs
    if block.axis != "step" or epochs is None or len(block.steps) < 2 or np.any(block.steps == UNKNOWN_STEP):
        return None
    if not np.all(np.isfinite(epochs)) or np.any(epochs != np.rint(epochs)) or np.any(np.abs(epochs) > 1e9):
        return None
    order = np.argsort(block.records, kind="stable")
    return _Rows(block.records[order], block.steps[order], epochs[order].astype(np.int64))


def _epoch_length(rows: _Rows) -> int | None:
    """Return the most steps that the counter reached in an epoch; None where it does not begin anew with each."""
    longest = int(rows.steps.max())
    falls, rises = np.diff(rows.steps) < 0, np.diff(rows.epochs) > 0
    if longest > 1 and int(rows.steps.min()) == longest and rises.all():
        return longest  # one entry an epoch, each at its end
    # A restart takes both back.
    again = np.diff(rows.epochs) < 0
    count = int(np.sum(falls & rises))
    if count < MOSTLY * int(rises.sum()) or count < MOSTLY * int(np.sum(falls & ~again)) or not count:
        return None
    return longest + (int(distance(rows.steps)) if int(rows.steps.min()) == 0 else 0)


def _over_epochs(blocks: Sequence[Samples], rows: _Rows, length: int) -> Iterator[Samples]:
    """Yield the blocks over global steps; a line without the loss, an evaluation, has that of the line it follows."""
    first = 0 if int(rows.epochs.min()) == 0 else 1
    steps = (rows.epochs - first) * length + rows.steps
    for block in blocks:
        if block.axis != "step":
            yield block
            continue
        at = np.searchsorted(rows.records, block.records, side="right") - 1
        yield replace(block, steps=np.where(at >= 0, steps[np.maximum(at, 0)], UNKNOWN_STEP).astype(np.int64))


def _uncrowded(path: str, blocks: Sequence[Samples], skips: list[Skip]) -> Sequence[Samples]:
    """Return the blocks, without their steps where too many different losses share one."""
    loss = next((block for block in blocks if block.name == LOSS and block.axis == "step"), None)
    if loss is None or bool(np.all(np.diff(loss.steps) > 0)):
        return blocks
    count, step, crowded = _most_shared(loss)
    if not crowded:
        again = (np.diff(loss.steps) == 0) & (loss.steps[1:] != UNKNOWN_STEP)
        differ = int(np.sum(again & (loss.values[1:] != loss.values[:-1]) & np.isfinite(loss.values[1:])))
        if differ:
            told = "each shares its step with the entry behind it, which counts"
            skips.append(Skip(f"{differ:,} {'entry' if differ == 1 else 'entries'} of {LOSS} in {path}", told))
        return blocks
    skips.append(Skip(f"steps in {path}", f"{count:,} entries share step {step}: it does not tell them apart"))
    nowhere = [np.full(len(block.steps), UNKNOWN_STEP, dtype=np.int64) for block in blocks]
    return [replace(b, steps=s) if b.axis == "step" else b for b, s in zip(blocks, nowhere, strict=True)]


def _most_shared(block: Samples) -> tuple[int, int, bool]:
    """Return how many different entries the most crowded step has, which it is, and whether steps tell too little."""
    known = block.steps != UNKNOWN_STEP
    if not known.any():
        return 0, 0, False
    pairs = _distinct(block.steps[known], block.values[known])
    steps, counts = np.unique(pairs, return_counts=True)
    most = int(np.argmax(counts))
    crowded = len(pairs) > (CROWDED if len(steps) > LEAST else 2) * len(steps)
    return int(counts[most]), int(steps[most]), crowded


def _distinct(steps: Integers, values: Floats) -> Integers:
    """Return the step of each different pair of step and value: copies of one entry count once."""
    order = np.lexsort((values, steps))
    ordered_steps, ordered = steps[order], values[order]
    same = (ordered_steps[1:] == ordered_steps[:-1]) & (
        (ordered[1:] == ordered[:-1]) | (np.isnan(ordered[1:]) & np.isnan(ordered[:-1]))
    )
    return np.asarray(ordered_steps[np.append(True, ~same)])
