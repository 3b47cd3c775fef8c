"""Lines that tell no step: one number for all metrics of a line, none for the lines between, copies once."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from forensics.assemble.joins import Column, Columns
from forensics.deferred.records import dataclass
from forensics.model import UNKNOWN_STEP, Axis, Floats, Integers, Samples
from forensics.model.order import distinct
from forensics.names import EPOCH, GRAD_NORM, LEARNING_RATE, LOSS

COPIED = 0.8
"""Share of the distinct lines that must come so many times, for all to be copies: the end may be cut off."""
LEAST_COPIED = 3
"""Distinct lines below which nothing is taken for a copy: a dead run repeats its last line."""
IDENTITY = (LOSS, GRAD_NORM, LEARNING_RATE)
"""Metrics by which a line is known again: throughput and memory differ from process to process."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of one file that share metrics with one another.

    `keys` (int64, rising) tell them apart, in the order of the file. Each block comes with the keys of its entries.
    """

    keys: Integers
    blocks: tuple[tuple[Samples, Integers], ...]

    @property
    def rank(self) -> tuple[bool, int]:
        return any(block.name == LOSS for block, _ in self.blocks), len(self.keys)

    @property
    def records(self) -> Integers:
        """The number of each line in its file."""
        found = np.zeros(len(self.keys), dtype=np.int64)
        for block, keys in self.blocks:
            found[np.searchsorted(self.keys, keys)] = block.records
        return found

    @property
    def epochs(self) -> Floats | None:
        """The epoch of each line; None where one has none."""
        found = np.full(len(self.keys), np.nan)
        for block, keys in self.blocks:
            if block.epochs is not None:
                found[np.searchsorted(self.keys, keys)] = block.epochs
        return found if np.all(np.isfinite(found)) else None

    def only(self, kept: Integers) -> "Lines":
        """Return the lines with these keys."""
        blocks = tuple(
            (block.take(chosen), keys[chosen]) for block, keys in self.blocks for chosen in [_in(keys, kept)]
        )
        return Lines(kept, blocks)


@dataclass(frozen=True, slots=True)
class Sheet:
    """What one file tells without a step: the lines that hold the loss (else the most lines), and the others."""

    main: Lines
    others: tuple[Lines, ...]

    @property
    def numbers(self) -> Integers:
        return np.arange(1, len(self.main.keys) + 1, dtype=np.int64)

    @property
    def columns(self) -> Columns:
        """The metrics of the main lines over the numbers of these."""
        found: Columns = {}
        for block, keys in self.main.blocks:
            found[block.name] = Column(np.searchsorted(self.main.keys, keys).astype(np.int64) + 1, block.values)
        return found

    def on(self, axis: Axis, places: Integers) -> Iterator[Samples]:
        """Yield all blocks with the main lines at `places`, int64 of shape (n,).

        A line of another kind, an evaluation among them, stands at the place of the line that it follows. Where two
        follow the same line, only their own count tells them apart: entries bear it, and a step is not known.
        """
        for lines in (self.main, *self.others):
            numbers = _numbers(lines.keys, self.main.keys)
            own = np.arange(1, len(lines.keys) + 1) if axis == "entry" else np.full(len(lines.keys), UNKNOWN_STEP)
            before = places[0] - 1 if axis == "entry" else UNKNOWN_STEP
            after = own if numbers is None else np.where(numbers > 0, places[np.maximum(numbers - 1, 0)], before)
            for block, keys in lines.blocks:
                found = after if np.array_equal(lines.keys, keys) else after[np.searchsorted(lines.keys, keys)]
                yield replace(block, steps=found.astype(np.int64, copy=False), axis=axis)

    def on_epochs(self) -> Iterator[Samples]:
        """Yield all blocks over their epochs; a line without one stands at the epoch of the line that it follows."""
        above = self.main.epochs
        for lines in (self.main, *self.others):
            numbers = _numbers(lines.keys, self.main.keys)
            for block, keys in lines.blocks:
                epochs = np.full(len(block.values), np.nan) if block.epochs is None else block.epochs
                if block.epochs is None and above is not None and numbers is not None:
                    place = numbers[np.searchsorted(lines.keys, keys)]
                    epochs = np.where(place > 0, above[np.maximum(place - 1, 0)], np.nan)
                known = np.where(np.isfinite(epochs), np.nan_to_num(epochs), UNKNOWN_STEP)
                yield replace(block, steps=known.astype(np.int64), axis="epoch")


def sheet_of(blocks: Sequence[Samples]) -> Sheet:
    """Sort the blocks of one file by the lines that they share."""
    kinds = sorted(_kinds(blocks), key=lambda lines: lines.rank, reverse=True)
    return Sheet(kinds[0], tuple(kinds[1:]))


def has_own_epochs(lines: Lines) -> bool:
    """Tell whether each line has a whole epoch of its own, as Keras prints them."""
    epochs = lines.epochs
    if epochs is None or np.any((epochs < 0) | (epochs >= 2**53) | (epochs != np.rint(epochs))):
        return False
    return bool(np.all(np.diff(epochs) != 0))


def without_copies(sheet: Sheet) -> tuple[Sheet, int]:
    """Return the sheet with each entry once, and how often each was printed: once for each process or host.

    Every line of a healthy run differs from the others, so that lines which all come k times are copies. Source:
    pdsh, torchrun and Slurm join the consoles of all processes, and a script that logs on each of them prints k times.
    """
    times, kept = _first_of_copies(sheet.main)
    if times == 1:
        return sheet, 1
    others = []
    for lines in sheet.others:
        again, first = _first_of_copies(lines, times)
        others.append(lines.only(first) if again == times else lines)
    return Sheet(sheet.main.only(kept), tuple(others)), times


def _first_of_copies(lines: Lines, times: int = 0) -> tuple[int, Integers]:
    """Return how often each line comes, and the keys of the first ones; `times` where it is known."""
    same = _same_lines(lines)
    counts = np.bincount(same)
    if not times:
        # The loss of a run that is dead repeats, in lines that differ by nothing: they come m x k times.
        common = np.bincount(counts)
        times = int(np.argmax(common)) if len(counts) >= LEAST_COPIED else 1
    if times < 2 or float(np.mean(counts % times == 0)) < COPIED:
        return 1, lines.keys
    order = np.argsort(same, kind="stable")
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    occurrence = np.empty(len(same), dtype=np.int64)
    occurrence[order] = np.arange(len(same)) - np.repeat(starts, counts)
    return times, lines.keys[occurrence % times == 0]


def _same_lines(lines: Lines) -> Integers:
    """Return a number for each line, the same for lines that tell the same."""
    chosen = [(block, keys) for block, keys in lines.blocks if block.name in IDENTITY] or list(lines.blocks[:1])
    same = np.zeros(len(lines.keys), dtype=np.int64)
    columns = [(block.values, keys) for block, keys in chosen]
    columns += [(block.epochs, keys) for block, keys in chosen if block.epochs is not None]
    for values, keys in columns:
        # Absent, NaN and each number have a code of their own.
        codes = np.zeros(len(lines.keys), dtype=np.int64)
        codes[np.searchsorted(lines.keys, keys)] = np.unique(values, return_inverse=True)[1] + 1
        same = np.unique(same * (int(codes.max(initial=0)) + 1) + codes, return_inverse=True)[1].reshape(-1)
    return same


def _kinds(blocks: Sequence[Samples]) -> list[Lines]:
    """Group blocks by the lines that they share. The epoch stands in lines of every kind and joins none."""
    kinds: list[Lines] = []
    for block, keys in sorted(_keyed(blocks), key=lambda each: each[0].name == EPOCH):
        sharing = [lines for lines in kinds if _meet(lines.keys, keys)]
        if block.name == EPOCH and sharing:
            there = _in(keys, sharing[0].keys)
            joined = Lines(sharing[0].keys, (*sharing[0].blocks, (block.take(there), keys[there])))
            kinds = [joined if lines is sharing[0] else lines for lines in kinds]
            continue
        merged = Lines(keys, ((block, keys),))
        for lines in sharing:
            same = np.array_equal(merged.keys, lines.keys)
            every = merged.keys if same else distinct(np.concatenate((merged.keys, lines.keys)))
            merged = Lines(every, (*lines.blocks, *merged.blocks))
        kinds = [lines for lines in kinds if not any(lines is each for each in sharing)]
        kinds.append(merged)
    return kinds


def _meet(one: Integers, other: Integers) -> bool:
    """Tell whether two rows of distinct keys share one; most are the same rows."""
    return (len(one) > 0 and np.array_equal(one, other)) or len(np.intersect1d(one, other, assume_unique=True)) > 0


def _keyed(blocks: Sequence[Samples]) -> Iterator[tuple[Samples, Integers]]:
    """Yield the blocks in order of their lines, with a rising key for each entry.

    A bar redraws one line many times: entries of one line are told apart by their order in it.
    """
    ordered = [block.take(np.argsort(block.records, kind="stable").astype(np.int64)) for block in blocks]
    repeats = [_repeats(block.records) for block in ordered]
    width = max((int(again.max()) for again in repeats if len(again)), default=0) + 1
    for block, again in zip(ordered, repeats, strict=True):
        yield block, block.records if width == 1 else block.records * width + again


def _repeats(records: Integers) -> Integers:
    """Return for each of the rising numbers how often it stood before."""
    starts = np.flatnonzero(np.concatenate(([True], records[1:] != records[:-1])))
    lengths = np.diff(np.append(starts, len(records)))
    return np.arange(len(records), dtype=np.int64) - np.repeat(starts, lengths)


def _in(keys: Integers, kept: Integers) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.isin(keys, kept, assume_unique=True)


def _numbers(keys: Integers, main: Integers) -> Integers | None:
    """Return the number of the main line that each line is or follows (0 before all); None where two share one.

    Lines that come as often as the main ones, in turn, bear the same numbers, whichever of the two is first.
    """
    before = np.searchsorted(main, keys, side="right").astype(np.int64)
    if len(keys) == len(main) and bool(np.all(np.abs(before - np.arange(1, len(keys) + 1)) <= 1)):
        return np.arange(1, len(keys) + 1, dtype=np.int64)
    return None if bool(np.any(np.diff(before) <= 0)) else before
