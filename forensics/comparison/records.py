"""Two records of the black box, step by step: the first tensor in backward order where they part, and what that means.

Steps are paired by the check sums of their batches. The column that differs first names the layer of the fault:
measured on pairs of runs that differ in one thing, another seed shows in the local gradient, another clipping in the
reduced one, another rate or optimizer in the update (docs/how-to/record.md).
"""

from collections.abc import Iterator

import numpy as np

from forensics.analysis.recorded import Attempt, attempts, index_of
from forensics.comparison.difference import RecordsCompared
from forensics.deferred.records import dataclass
from forensics.model import Floats, Recording, Run
from forensics.model.recording import LOCAL, REDUCED, STILL, UPDATE

COLUMNS = {
    "local": "data, model, kernel or precision: the gradients already differ before anything is reduced",
    "reduced": "communication or clipping: the gradients were the same before",
    "update": "optimizer or learning rate: the gradients were the same",
    "still": "precision of the weights: the updates were the same",
}
SAME_PRECISION, OTHER_PRECISION = 1e-5, 2e-2
"""Relative. Thread counts and DDP against FSDP2 stay below 1e-6 in float32; bfloat16 against float32 shows 4.5e-4."""
SHARP_STEPS = 3
"""Beyond these rounding alone has grown (7e-8 to 1e-4 in seven steps under Adam); of runs in two precisions
nothing further is compared."""
TINY = 1e-6
"""Adam makes a full step of the smallest gradient, so that their updates are no measure."""
LEAST_STILL = 0.05


@dataclass(frozen=True, slots=True)
class _Pair:
    good: Attempt
    bad: Attempt
    tolerance: float

    @property
    def other_world(self) -> bool:
        """Whether the number of ranks differs: then only what all ranks have in common is compared."""
        return self.good.ranks[0].world != self.bad.ranks[0].world

    @property
    def names(self) -> list[str]:
        """The tensors of both, in the order in which the gradients of the first came."""
        recording = self.good.ranks[0]
        others = set(self.bad.ranks[0].names)
        every = recording.first(np.ones(len(recording.names), dtype=bool))
        return [name for name in every if name in others]


def compare_records(good: Run, bad: Run) -> RecordsCompared | None:
    """Compare the first attempts of two runs; None where one of them has no record."""
    one, other = attempts(good), attempts(bad)
    if not one or not other:
        return None
    same = _precision(good, one[0].ranks[0]) == _precision(bad, other[0].ranks[0])
    pair = _Pair(one[0], other[0], SAME_PRECISION if same else OTHER_PRECISION)
    if not pair.names:
        return RecordsCompared("the two records have no tensor in common", 0, False, pair.tolerance)
    steps, refused = _aligned(pair)
    if refused is not None:
        return refused
    return _first_difference(pair, steps)


def _precision(run: Run, recording: Recording) -> tuple[frozenset[str], bool, bool]:
    """Return the types of the weights, and whether autocast made the gradients in another one."""
    mixed = [bool(run.environment.flag(name)) for name in ("bf16", "fp16")]
    return frozenset(recording.dtypes), mixed[0], mixed[1]


def _data(attempt: Attempt, *, whole: bool) -> dict[int, tuple[str, ...]]:
    """Return by step the check sums of the batches of the first rank, or with `whole` of all ranks, in no order."""
    if not whole:
        return dict(attempt.ranks[0].batches)
    steps = set.intersection(*(set(r.batches) for r in attempt.ranks))
    return {step: tuple(sorted(s for r in attempt.ranks for s in r.batches[step])) for step in sorted(steps)}


def _aligned(pair: _Pair) -> tuple[list[tuple[int, int]], RecordsCompared | None]:
    """Return the pairs of steps with the same data, or why there is nothing to compare."""
    worlds = [attempt.ranks[0].world for attempt in (pair.good, pair.bad)]
    one, other = (_data(attempt, whole=pair.other_world) for attempt in (pair.good, pair.bad))
    if not one or not other:
        return [(step, step) for step in pair.good.common() if step in set(pair.bad.common())], None
    place = {sums: step for step, sums in sorted(other.items(), reverse=True)}
    have, there = set(pair.good.common()), set(pair.bad.common())
    steps = [(step, place[sums]) for step, sums in sorted(one.items()) if sums in place]
    if steps[:1] == [(min(one), min(other))]:
        return [(a, b) for a, b in steps if a in have and b in there], None
    if steps:
        a, b = steps[0]
        said = f"the data differ: step {a} of the first run sees the batch of step {b} of the second"
        return [], RecordsCompared(said, len(steps), False, pair.tolerance, a, b)
    micro = [_counts({len(sums) for sums in data.values()}) for data in (one, other)]
    why = f", {micro[0]} micro-batches a step against {micro[1]}" if micro[0] != micro[1] else ""
    if pair.other_world:
        why = f", on {worlds[0]} against {worlds[1]} ranks{why}"
    said = f"the data differ: no batch of the first run comes in the second{why}"
    return [], RecordsCompared(said, 0, False, pair.tolerance, min(one), min(other))


def _counts(found: set[int]) -> str:
    return ", ".join(str(count) for count in sorted(found))


def _first_difference(pair: _Pair, steps: list[tuple[int, int]]) -> RecordsCompared:
    largest, rounding = 0.0, None
    if pair.tolerance == OTHER_PRECISION:
        steps = steps[:SHARP_STEPS]  # two precisions train two models before long
    for place, (a, b) in enumerate(steps):
        for column in COLUMNS:
            for name, x, y in _values(pair, column, a, b):
                apart = _apart(x, y, column)
                if apart > pair.tolerance:
                    grown = rounding is not None and place >= SHARP_STEPS
                    return _parted(pair, (a, b), (name, column, x, y), len(steps), grown=grown)
                if apart > largest:
                    largest, rounding = apart, a if rounding is None else rounding
    if rounding is None:
        said = f"equal in all {len(steps)} steps, to the last bit of every norm"
    else:
        said = f"equal within rounding in all {len(steps)} steps: the largest relative difference is {largest:.1e}"
    return RecordsCompared(said, len(steps), True, pair.tolerance)


def _parted(
    pair: _Pair, steps: tuple[int, int], found: tuple[str, str, float, float], aligned: int, *, grown: bool
) -> RecordsCompared:
    name, column, x, y = found
    at = f"step {steps[0]}" if steps[0] == steps[1] else f"step {steps[0]} (there {steps[1]})"
    meaning = "rounding that grew: only the first three steps tell" if grown else COLUMNS[column]
    if pair.tolerance == OTHER_PRECISION:
        kinds = (" and ".join(sorted(set(attempt.ranks[0].dtypes))) for attempt in (pair.good, pair.bad))
        meaning = f"the weights are {' against '.join(kinds)}, which alone may be it"
    said = f"they part at {at}, in the {column} column of {name}: {x:.6g} against {y:.6g}; {meaning}"
    return RecordsCompared(said, aligned, True, pair.tolerance, steps[0], steps[1], name, column, x, y)


def _apart(x: float, y: float, column: str) -> float:
    if x == y or (np.isnan(x) and np.isnan(y)):
        return 0.0
    if not (np.isfinite(x) and np.isfinite(y)):
        return float("inf")
    if column == "still":
        return float("inf") if abs(x - y) > LEAST_STILL else 0.0
    return abs(x - y) / max(abs(x), abs(y))


def _values(pair: _Pair, column: str, a: int, b: int) -> Iterator[tuple[str, float, float]]:
    """Yield the tensors of both with their values, in backward order; what one of them did not see is left out."""
    if column == "local" and pair.other_world:
        return  # each rank has another part of the batch
    one, other = (_column(x, column, step, mean=pair.other_world) for x, step in ((pair.good, a), (pair.bad, b)))
    if column in {"update", "still"} and pair.good.sharded != pair.bad.sharded:
        return  # other positions are probed where a rank holds a part only
    first, second = (_places(attempt) for attempt in (pair.good, pair.bad))
    for name in pair.names:
        x, y = float(one[first[name]]), float(other[second[name]])
        if not np.isneginf(x) and not np.isneginf(y):
            yield name, x, y


def _places(attempt: Attempt) -> dict[str, int]:
    return {name: i for i, name in enumerate(attempt.ranks[0].names)}


def _column(attempt: Attempt, column: str, step: int, *, mean: bool) -> Floats:
    """Return one value a tensor; of shards the norm over the ranks. What was not seen is minus infinity.

    With `mean` one process gives for the reduced gradient the one it accumulated, which is not clipped yet either.
    """
    rows = [(r, at) for r in attempt.ranks if (at := index_of(r, step)) is not None]
    side = {"local": LOCAL, "reduced": REDUCED}.get(column)
    if mean and side == REDUCED and attempt.ranks[0].kind == "single":
        side = LOCAL
    if side is not None:
        seen = np.any([r.seen(side)[at] for r, at in rows], axis=0)
        parts = np.array([np.where(r.seen(side)[at], r.length(side)[at], 0) for r, at in rows], dtype=np.float64)
        shards = side == REDUCED and any(r.kind not in {"single", "replicated"} for r, _ in rows)
        with np.errstate(all="ignore"):
            values = np.sqrt(np.square(parts).sum(axis=0)) if shards else parts[0]
        return np.asarray(np.where(seen, values, -np.inf), dtype=np.float64)
    recording, at = rows[0]
    index = {"update": UPDATE, "still": STILL}[column]
    largest = recording.values[at, :, 1]
    counts = recording.probed[at] & ~((largest < TINY) & (column == "update"))
    return np.asarray(np.where(counts, recording.values[at, :, index], -np.inf), dtype=np.float64)
