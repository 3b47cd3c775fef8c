"""One family of accounts in the order it was written: attempts, rewinds, and the history that was kept."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from forensics.assemble.joins import rounding
from forensics.deferred.records import dataclass
from forensics.model import Floats, Integers, Samples
from forensics.model.order import among

MAXIMUM_REWINDS = 1_000
"""Beyond this the steps are no record of restarts but noise (several writers in one file); they are sorted."""


@dataclass(frozen=True, slots=True)
class Rewind:
    """The step went back: the run was resumed from an older checkpoint, or started anew."""

    from_step: int
    to_step: int
    record: int
    place: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Account:
    """One metric as one family of sources tells it: strictly rising steps, what was overwritten left out.

    `starts` holds the first step of each attempt but the first; `lost` the first and last step of each that a later one
    overwrote as a whole.
    """

    steps: Integers
    values: Floats
    wall_times: Floats
    records: Integers
    origins: NDArray[np.int32]
    precisions: NDArray[np.int8]
    places: tuple[tuple[str, str], ...]
    starts: tuple[int, ...] = ()
    rewinds: tuple[Rewind, ...] = ()
    lost: tuple[tuple[int, int], ...] = ()

    def __len__(self) -> int:
        return len(self.steps)

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.intp] | slice) -> "Account":
        return replace(
            self,
            steps=self.steps[chosen],
            values=self.values[chosen],
            wall_times=self.wall_times[chosen],
            records=self.records[chosen],
            origins=self.origins[chosen],
            precisions=self.precisions[chosen],
        )

    def sorted(self, history: "Account") -> "Account":
        """Return the entries by step, with the starts and rewinds of `history`."""
        order = np.argsort(self.steps, kind="stable")
        return replace(self.take(order), starts=history.starts, rewinds=history.rewinds)

    def followed_by(self, later: "Account") -> "Account":
        return replace(
            self,
            steps=np.concatenate([self.steps, later.steps]),
            values=np.concatenate([self.values, later.values]),
            wall_times=np.concatenate([self.wall_times, later.wall_times]),
            records=np.concatenate([self.records, later.records]),
            origins=np.concatenate([self.origins, later.origins]),
            precisions=np.concatenate([self.precisions, later.precisions]),
        )


def attempts_of(blocks: Sequence[Samples]) -> Account:
    """Lay blocks end to end, oldest first, and keep the history that leads to the end.

    An attempt that starts at step r overwrites every earlier entry from r on. A block that only repeats what is
    already there (each checkpoint's trainer state repeats the history before it; a log may exist twice) adds its
    new entries and is not taken for a restart.
    """
    places = tuple((block.path, block.place) for block in blocks)
    alone = _account(blocks[0], 0, places)
    if len(blocks) == 1 and bool(np.all(alone.steps[1:] > alone.steps[:-1])):
        return alone
    kept = alone.take(slice(0, 0))
    for number, block in enumerate(blocks):
        opened = bool(len(kept)) and not block.place.startswith("log_history")
        for piece in _rising_pieces(_account(block, number, places)):
            kept = _append(kept, piece, opened=opened)
            opened = False
    return kept


def _account(block: Samples, number: int, places: tuple[tuple[str, str], ...]) -> Account:
    size = len(block.steps)
    return Account(
        steps=block.steps,
        values=block.values,
        # What all entries share takes no memory.
        wall_times=np.broadcast_to(np.float64("nan"), size) if block.wall_times is None else block.wall_times,
        records=block.records,
        origins=np.broadcast_to(np.int32(number), size),
        precisions=np.broadcast_to(np.int8(block.precision), size),
        places=places,
    )


def _rising_pieces(whole: Account) -> Iterator[Account]:
    """Split where the step falls; of entries that share a step the last written one stays."""
    if not len(whole):
        return
    falls = np.flatnonzero(np.diff(whole.steps) < 0) + 1
    if len(falls) > MAXIMUM_REWINDS:
        order = np.argsort(whole.steps, kind="stable")
        whole = _reordered(whole, order)
        falls = falls[:0]
    bounds = [0, *falls.tolist(), len(whole)]
    for begin, end in pairwise(bounds):
        piece = whole.take(slice(begin, end))
        last_of_step = np.ones(len(piece), dtype=bool)
        last_of_step[:-1] = piece.steps[1:] != piece.steps[:-1]
        yield piece if last_of_step.all() else piece.take(last_of_step)


def _reordered(whole: Account, order: Integers) -> Account:
    return replace(
        whole,
        steps=whole.steps[order],
        values=whole.values[order],
        wall_times=whole.wall_times[order],
        records=whole.records[order],
    )


def _append(kept: Account, piece: Account, *, opened: bool) -> Account:
    if not len(kept):
        return kept.followed_by(piece)
    begin, end = int(piece.steps[0]), int(kept.steps[-1])
    if begin > end:
        starts = (*kept.starts, begin) if opened else kept.starts
        return replace(kept.followed_by(piece), starts=starts)
    if _repeats(kept, piece):
        return _united(kept, piece)
    rewind = Rewind(end, begin, int(piece.records[0]), piece.places[int(piece.origins[0])])
    history = kept.take(kept.steps < begin)
    starts = (*(start for start in kept.starts if start < begin), begin)
    lost = kept.lost if len(history) else (*kept.lost, (int(kept.steps[0]), end))
    return replace(history.followed_by(piece), starts=starts, rewinds=(*kept.rewinds, rewind), lost=lost)


def _repeats(kept: Account, piece: Account) -> bool:
    """Tell whether the common steps have equal values, as far as the coarser account was written."""
    old, new = _common(kept, piece)
    if not len(old):
        return False
    if np.array_equal(old, new, equal_nan=True):
        return True
    reach = max(rounding(old), rounding(new))
    with np.errstate(invalid="ignore"):
        near = np.abs(old - new) <= 1.02 * reach
    return bool(np.all(near | (old == new) | (np.isnan(old) & np.isnan(new))))


def _common(kept: Account, piece: Account) -> tuple[Floats, Floats]:
    at = np.minimum(np.searchsorted(kept.steps, piece.steps), len(kept) - 1)
    both = kept.steps[at] == piece.steps
    return kept.values[at][both], piece.values[both]


def _united(kept: Account, piece: Account) -> Account:
    """Return all entries of two accounts of the same history; those of the one that was written more exactly win."""
    old, new = _common(kept, piece)
    finer = rounding(new) < rounding(old)
    first, second = (piece, kept) if finer else (kept, piece)
    added = second.take(~among(second.steps, first.steps))
    return first.followed_by(added).sorted(kept)
