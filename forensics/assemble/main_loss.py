"""Which series is the loss of training, where none has that name or a side file took it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from forensics.model import Samples
from forensics.model.order import among, distinct
from forensics.names import LOSS, NO_LOSS, OF_ERRORS, OF_TRAINING, TRAIN_LOSS, loss_rank

LOGGED_OFTEN = 3
"""A mean over the run is logged once, twice after a resume; more entries are a loss that was logged as it went."""
_RUNTIME = "train_runtime"
LOGGED_TWICE = 2
"""Of any other name two are a loss of training, one may be a summary."""


def with_loss(samples: Sequence[Samples]) -> list[Samples]:
    """Give the best loss of training the name `loss` where no other has it.

    A `loss` that is one number throughout, in a file without any other loss, is that of a side table if another file
    has a loss that moves, under whatever name: it is told under the name of its file. A term of the loss is taken only
    if it is the only one: an actor's beside a critic's is not the loss. Its own name is kept, as it is the one that a
    reader knows.
    """
    named = [block for block in samples if block.name == LOSS and len(block.steps)]
    others = _candidates(samples)
    aside = {
        id(block): f"{PurePosixPath(block.path).stem}/{LOSS}"
        for block in named
        if _is_aside(block, others) or any(_is_table_beside(block, other) for other in named)
    }
    chosen = _best(others) if len(aside) == len(named) else None
    if chosen is None and (len(aside) == len(named) or not aside):
        return list(samples)
    own = chosen if chosen is not None and loss_rank(chosen) >= OF_TRAINING else ""
    return [
        replace(block, name=LOSS, logged_as=own)
        if block.name == chosen
        else replace(block, name=aside[id(block)])
        if id(block) in aside
        else block
        for block in samples
    ]


def _candidates(samples: Sequence[Samples]) -> dict[str, list[Samples]]:
    """Return the blocks of every further loss that was logged as the run went: one beside a run's time is its mean."""
    grouped: dict[str, list[Samples]] = defaultdict(list)
    ends = {block.path: block.records for block in samples if block.name == _RUNTIME}
    for block in samples:
        mean = block.name == TRAIN_LOSS and block.path in ends and among(block.records, ends[block.path]).all()
        if not mean and (block.name == TRAIN_LOSS or (block.name != LOSS and loss_rank(block.name) < NO_LOSS)):
            grouped[block.name].append(block)
    return {
        name: blocks
        for name, blocks in grouped.items()
        if _entries(blocks) >= (LOGGED_OFTEN if name == TRAIN_LOSS else LOGGED_TWICE)
    }


def _entries(blocks: Sequence[Samples]) -> int:
    """Count entries: those without a step are as many as they are, those of one step are one."""
    return max(len(distinct(block.steps[block.steps >= 0])) + int((block.steps < 0).sum()) for block in blocks)


def _is_table_beside(block: Samples, other: Samples) -> bool:
    """Tell whether a `loss` is one number at steps at which the log, a file of another kind, has one that moves."""
    kinds = {PurePosixPath(each.path).suffix for each in (block, other)}
    return len(kinds) == 2 and _is_flat(block) and not _is_flat(other) and bool(among(block.steps, other.steps).all())


def _is_flat(block: Samples) -> bool:
    return len(block.values) >= LOGGED_OFTEN and len(distinct(block.values)) == 1


def _is_aside(block: Samples, others: dict[str, list[Samples]]) -> bool:
    rivals = [other for blocks in others.values() for other in blocks]
    alone = all(other.path != block.path for other in rivals)
    return _is_flat(block) and alone and any(len(distinct(other.values)) > 1 for other in rivals)


def _best(others: dict[str, list[Samples]]) -> str | None:
    if not others:
        return None
    name = min(others, key=lambda name: (loss_rank(name), -_entries(others[name])))
    errors = loss_rank(name) >= OF_ERRORS  # of errors, all of them say the same
    return name if loss_rank(name) < OF_TRAINING or errors or (len(others) == 1 and "pg_loss" not in name) else None
