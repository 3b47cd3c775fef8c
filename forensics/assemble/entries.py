"""Entries that tell no step are counted: one number for all metrics of a line, and none for the lines between."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from forensics.model import UNKNOWN_STEP, Floats, Integers, Samples
from forensics.names import EPOCH, LOSS


@dataclass(slots=True)
class _Rows:
    """Lines of one file that share metrics with one another: their record numbers, rising, and the blocks."""

    records: Integers
    blocks: list[Samples]

    @property
    def main(self) -> tuple[bool, int]:
        return any(block.name == LOSS for block in self.blocks), len(self.records)


def count_entries(blocks: Sequence[Samples]) -> Iterator[Samples]:
    """Yield the blocks of one file over epochs where each entry has one of its own, else over numbered entries.

    The lines that hold the loss (else the most lines) are numbered from 1, whichever of the other metrics each of
    them has. Lines of another kind, evaluations among them, take the number of the entry that they follow.
    """
    kinds = sorted(_kinds(blocks), key=lambda rows: rows.main, reverse=True)
    if not kinds:
        return
    main = kinds[0]
    epochs = _own_epochs(main)
    for rows in kinds:
        numbers = _numbers(rows.records, main.records)
        for block in rows.blocks:
            if epochs is None or block.epochs is None:
                yield replace(block, steps=numbers[np.searchsorted(rows.records, block.records)], axis="entry")
            else:
                told = np.where(np.isfinite(block.epochs), np.nan_to_num(block.epochs), UNKNOWN_STEP)
                yield replace(block, steps=told.astype(np.int64), axis="epoch")


def _kinds(blocks: Sequence[Samples]) -> list[_Rows]:
    """Group blocks by the lines that they share. The epoch stands in lines of every kind and joins none."""
    kinds: list[_Rows] = []
    for block in sorted(blocks, key=lambda block: block.name == EPOCH):
        records = np.unique(block.records)
        sharing = [rows for rows in kinds if _share(rows.records, records)]
        if block.name == EPOCH and sharing:
            sharing = sharing[:1]
            sharing[0].blocks.append(block.take(np.isin(block.records, sharing[0].records)))
            continue
        merged = _Rows(records, [block])
        for rows in sharing:
            merged = _Rows(np.union1d(merged.records, rows.records), [*rows.blocks, *merged.blocks])
        kinds = [rows for rows in kinds if not any(rows is each for each in sharing)]
        kinds.append(merged)
    return kinds


def _share(one: Integers, other: Integers) -> bool:
    return bool(len(np.intersect1d(one, other, assume_unique=True)))


def _numbers(records: Integers, main: Integers) -> Integers:
    """Return the number of the main line that each line is or follows; their own numbers where two would share one."""
    before = np.searchsorted(main, records, side="right").astype(np.int64)
    own = np.arange(1, len(records) + 1, dtype=np.int64)
    return own if len(records) == len(main) or bool(np.any(np.diff(before) <= 0)) else before


def _own_epochs(main: _Rows) -> Floats | None:
    """Return the epochs of the main lines if each is whole and none comes twice in a row, else None."""
    block = max(main.blocks, key=lambda each: len(each.records))
    epochs = block.epochs
    if epochs is None or len(block.records) < len(main.records) or not np.all(np.isfinite(epochs)):
        return None
    whole = bool(np.all(epochs == np.rint(epochs))) and bool(np.all(np.diff(epochs) != 0))
    return epochs if whole and np.all((epochs >= 0) & (epochs < 2**53)) else None
