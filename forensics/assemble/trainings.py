"""Several trainings in one text, one behind the other: folds, seeds, a sweep over rates, a notebook of trials.

Their counter falls back to its beginning, and their loss to where it came from. A counter that begins anew while the
loss goes on (local epochs within a round, stages of one model) numbers one training, and is made to rise. An attempt
that died and was begun again is no training of its own either: its restart is told by `attempts`.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from forensics.analysis import robust
from forensics.assemble.announced import Between, announced
from forensics.deferred.records import dataclass
from forensics.model import UNKNOWN_STEP, Events, Fact, Floats, Integers, Samples, Setting
from forensics.model.statistics import distance, median
from forensics.names import LOSS, Kind, loss_rank
from forensics.signatures import BY_NAME

LEAST, FEWEST = 3, 2
"""Entries that half of the trainings must have, as fewer show no course; half of the pieces of a counter."""
MOST = 200
"""Trainings beyond which nothing is told apart: what begins anew so often counts something else."""
NEAR = 1.5
"""Distances between entries within which a counter is back at its beginning."""
BACK, ANOTHER = 0.25, 3.0
"""Share of what a loss had gained that is lost where a model begins anew, while one that goes on loses less; how many
times as high or as small a first entry is that is one of another loss."""
GAINED, CHANCE, HALF = 0.05, 3.0, 0.5
"""Share of its first entry and point-to-point deviations by which a piece that tells falls; share of those that do."""
LAST = 3
"""Entries whose median tells where a training ended."""
FALLEN, ALIKE, LEAST_ALIKE, SEAMS = 0.2, 0.6, 5, 2
"""Without a counter that falls: the share of the first entry that was gained, how much of that is lost again, the
entries of each training, which all have as many, and how often it happens: once may be chance."""
OF_THE_ONE_BEFORE = frozenset({Kind.TRAINING_FINISHED, Kind.CHECKPOINT_SAVED, Kind.EVALUATED})
"""What stands between two trainings and belongs to the first of them."""
BETWEEN_ATTEMPTS = frozenset({Kind.RESUMED, Kind.TRACEBACK, Kind.SIGNAL, Kind.KILLED, *BY_NAME})
"""What stands between two attempts of one training."""


@dataclass(frozen=True, slots=True)
class Told:
    """The facts of a run, with counters that rise, and those of each training by itself where there are several."""

    facts: list[Fact]
    trainings: tuple[list[Fact], ...] = ()


@dataclass(frozen=True, slots=True)
class _Entries:
    """The entries of a text that tell its loss (else of its longest metric), in order, and where they begin anew.

    `places` are their steps, else their epochs, NaN where neither is written; `begins` are indices of first entries.
    """

    records: Integers
    places: Floats
    values: Floats
    begins: Integers
    tells_loss: bool

    @property
    def pieces(self) -> list[tuple[int, int]]:
        return list(pairwise([0, *self.begins.tolist(), len(self.records)]))


@dataclass(frozen=True, slots=True)
class _Bounds:
    """The records where the second training of a text and each later one begins, and where the one before it ends."""

    begins: Integers
    ends: Integers

    def __len__(self) -> int:
        return len(self.begins)

    def of(self, records: Integers, *, after: bool) -> Integers:
        """Return the number, from 0, of the training of each record; between two it is the later one's (`after`)."""
        numbers = np.searchsorted(self.ends, records) if after else np.searchsorted(self.begins, records, side="right")
        return numbers.astype(np.int64)


def _nothing(_path: str, _place: str, spans: Sequence[tuple[int, int]]) -> list[list[str]]:
    return [[] for _ in spans]


def told_apart(facts: Iterable[Fact], between: Between = _nothing) -> Told:
    """Return the facts with trainings told apart, where every text that tells a loss holds as many of them.

    Texts that tell none (a configuration, a list of packages) belong to each of them. `between` reads what stands
    between two entries, for stages that are announced.
    """
    found = list(facts)
    texts: dict[tuple[str, str], list[Samples]] = defaultdict(list)
    for fact in found:
        if isinstance(fact, Samples) and fact.place.endswith("line {}"):
            texts[fact.path, fact.place].append(fact)
    bounds: dict[str, _Bounds] = {}
    risen: dict[tuple[str, str], _Entries] = {}
    for (path, place), blocks in texts.items():
        entries = _entries(blocks)
        anew = _is_anew(entries) if len(entries.begins) else False
        if not anew and entries.tells_loss:
            stages = announced(path, place, entries.records, entries.values, between)
            anew, entries = (True, replace(entries, begins=stages)) if len(stages) else (anew, entries)
        if not len(entries.begins) or (anew is not False and _are_attempts(entries, found, path)):
            continue
        if anew:
            bounds[path] = _bounds(entries, blocks)
        elif np.isfinite(entries.places).all():
            risen[path, place] = entries
    found = [_risen(fact, risen) if isinstance(fact, Samples) else fact for fact in found]
    losses = {fact.path for fact in found if isinstance(fact, Samples) and _tells_loss(fact)}
    counts = {len(each) for each in bounds.values()}
    if len(counts) != 1 or not losses <= set(bounds):
        return Told(found)
    return Told(found, tuple(_of_training(found, bounds, number) for number in range(counts.pop() + 1)))


def _tells_loss(block: Samples) -> bool:
    return block.name == LOSS or loss_rank(block.name) < loss_rank("")


def _entries(blocks: Sequence[Samples]) -> _Entries:
    block = max(blocks, key=lambda each: (each.name == LOSS, _tells_loss(each), len(each.steps)))
    block = block.take(np.argsort(block.records, kind="stable").astype(np.int64))
    places = np.where(block.steps != UNKNOWN_STEP, block.steps, np.nan).astype(np.float64)
    if not np.isfinite(places).all() and block.epochs is not None:
        places = block.epochs
    begins = _falls(places) if np.isfinite(places).all() else np.empty(0, dtype=np.int64)
    if not len(begins) and block.name == LOSS:
        begins = _again_and_again(block.values)
    return _Entries(block.records, places, block.values, begins, _tells_loss(block))


def _falls(places: Floats) -> Integers:
    """Return where a counter is back at its beginning; none where that comes after hardly an entry, or too often."""
    rises = np.diff(places)
    gap = median(rises[rises > 0]) if bool((rises > 0).any()) else 0.0
    begins = np.flatnonzero((rises < 0) & (places[1:] <= places.min(initial=np.inf) + NEAR * gap)) + 1
    lengths = np.diff([0, *begins.tolist(), len(places)])
    some = lengths[0] >= FEWEST and median(lengths) >= FEWEST  # one entry is a line that was read wrongly
    return begins if len(begins) < MOST and some else begins[:0]


def _again_and_again(values: Floats) -> Integers:
    """Return where a curve whose counter rises begins anew: after as many entries each time, as high as at first.

    `step 3/15` without an epoch is laid end to end as if epochs had 15 steps; such a curve has the seams of a sweep.
    """
    none = np.empty(0, dtype=np.int64)
    first, before, after = values[:1], values[:-1], values[1:]
    with np.errstate(invalid="ignore"):
        fallen = first - before >= FALLEN * np.abs(first)
        back = fallen & (after - before >= ALIKE * (first - before))
    begins = np.flatnonzero(back | (~np.isfinite(before) & np.isfinite(after))) + 1
    lengths = np.diff([0, *begins.tolist(), len(values)])
    each = int(lengths.min(initial=len(values)))
    if (
        not back.any()
        or len(begins) < SEAMS
        or each < LEAST_ALIKE
        or bool((lengths % each).any())
        or len(values) >= MOST * each
    ):
        return none
    return np.arange(each, len(values), each, dtype=np.int64)


def _are_attempts(entries: _Entries, facts: Sequence[Fact], path: str) -> bool:
    """Tell whether something ended a process, or it was resumed, wherever the counter begins anew."""
    told = [f.records for f in facts if isinstance(f, Events) and f.path == path and f.kind in BETWEEN_ATTEMPTS]
    records = np.sort(np.concatenate(told)) if told else np.empty(0, dtype=np.int64)
    before = np.searchsorted(records, entries.records[entries.begins - 1])
    return bool((np.searchsorted(records, entries.records[entries.begins]) > before).any())


def _is_anew(entries: _Entries) -> bool | None:
    """Tell whether pieces that gain something are followed by one that begins without it, as only a new model does.

    None where no piece gains more than chance: in late epochs of one model a loss ends as high as it begins. Of a last
    piece that gains while none before it did, another model is made.
    """
    if median(np.diff([0, *entries.begins.tolist(), len(entries.records)])) < LEAST:
        return False
    anew: list[bool] = []
    pieces = entries.pieces
    for (first, stop), (_, following) in pairwise(pieces):
        values, begin = entries.values[first:stop], float(entries.values[stop])
        end = _end(values)
        if not np.isfinite(end) or not np.isfinite(begin):
            anew.append(np.isfinite(begin) or following - stop >= LEAST)
        elif 0 < ANOTHER * float(values.max()) < begin or 0 < ANOTHER * begin < end:
            anew.append(True)  # another loss
        elif _gains(values):
            anew.append((begin - end) / (float(values[0]) - end) >= BACK)
    if not anew:
        return True if _gains(entries.values[slice(*pieces[-1])]) else None
    return float(np.mean(anew)) >= HALF


def _end(values: Floats) -> float:
    return median(values[-min(LAST, max(1, len(values) // 3)) :])


def _gains(values: Floats) -> bool:
    gained = float(values[0]) - _end(values)
    return abs(gained) > max(GAINED * abs(float(values[0])), CHANCE * robust.noise(values))


def _bounds(entries: _Entries, blocks: Sequence[Samples]) -> _Bounds:
    """Return where trainings begin and end: an evaluation before the first step of one belongs to it."""
    begins, ends = [], []
    for index in entries.begins.tolist():
        before, begin = int(entries.records[index - 1]), int(entries.records[index])
        between = [(block, (block.records > before) & (block.records < begin)) for block in blocks]
        early = [block.records[near & _is_early(block, entries.places[index])] for block, near in between]
        begins.append(min(begin, *(int(each.min(initial=begin)) for each in early)))
        late = [block.records[near & (block.records < begins[-1])] for block, near in between]
        ends.append(max(before, *(int(each.max(initial=before)) for each in late)))
    return _Bounds(np.array(begins, dtype=np.int64), np.array(ends, dtype=np.int64))


def _is_early(block: Samples, place: float) -> NDArray[np.bool_]:
    places = block.epochs if block.epochs is not None and (block.steps == UNKNOWN_STEP).all() else block.steps
    return np.asarray((places >= 0) & (places <= place))


def _risen(block: Samples, risen: dict[tuple[str, str], _Entries]) -> Samples:
    """Return a block whose places go on where the counter of its text begins anew."""
    entries = risen.get((block.path, block.place))
    if entries is None:
        return block
    ends = np.array([entries.places[first:stop].max() for first, stop in entries.pieces])
    piece = np.searchsorted(entries.records[entries.begins], block.records, side="right")
    # A counter that begins anew at 0 is one distance behind its last entry there, else both are one step.
    ends[:-1] += np.where(entries.places[entries.begins] == 0, distance(entries.places), 0.0)
    offsets = np.concatenate([[0.0], np.cumsum(ends)[:-1]])[piece]
    known = block.steps != UNKNOWN_STEP
    steps = np.where(known, block.steps + offsets.astype(np.int64), UNKNOWN_STEP)
    epochs = block.epochs if block.epochs is None or known.any() else block.epochs + offsets
    return replace(block, steps=steps, epochs=epochs)


def _of_training(facts: Sequence[Fact], bounds: dict[str, _Bounds], number: int) -> list[Fact]:
    """Return what was read of one training, and what is of no text with several."""
    kept: list[Fact] = []
    for fact in facts:
        if isinstance(fact, Samples) and fact.path in bounds:
            chosen = bounds[fact.path].of(fact.records, after=False) == number
            kept.extend([fact.take(chosen)] if chosen.any() else [])
        elif isinstance(fact, Events) and fact.path in bounds:
            chosen = bounds[fact.path].of(fact.records, after=fact.kind not in OF_THE_ONE_BEFORE) == number
            kept.extend([_chosen(fact, chosen)] if chosen.any() else [])
        elif isinstance(fact, Setting) and fact.source.path in bounds:
            ends = bounds[fact.source.path].ends.tolist()
            kept.extend([fact] if number == len(ends) or fact.source.record <= ends[number] else [])
        else:
            kept.append(fact)
    return kept


def _chosen(events: Events, chosen: NDArray[np.bool_]) -> Events:
    texts = tuple(text for text, wanted in zip(events.texts, chosen.tolist(), strict=False) if wanted)
    return replace(
        events,
        steps=events.steps[chosen],
        values=events.values[chosen],
        records=events.records[chosen],
        ranks=None if events.ranks is None else events.ranks[chosen],
        texts=texts,
        text=texts[0] if texts and texts[0] else events.text,
    )
