"""Several accounts of one metric become one series; where they differ, both stay on record."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from forensics.assemble.attempts import Account, attempts_of
from forensics.assemble.environment import natural
from forensics.deferred.records import dataclass
from forensics.model import (
    Disagreement,
    Events,
    Floats,
    Integers,
    Precision,
    Samples,
    Segment,
    Series,
    Timeline,
)
from forensics.names import EVAL_LOSS, GRAD_NORM, LOSS, Kind

COMPARED = frozenset({LOSS, EVAL_LOSS, GRAD_NORM})
"""Metrics whose meaning is the same everywhere; the learning rate of one step is not (before or after the
scheduler: transformers changed it between 4.48.3 and 4.51.3)."""
MAXIMUM_DISAGREEMENTS = 20

ABSOLUTE = {
    Precision.FOUR_DIGITS: 0.0,
    Precision.FOUR_DECIMALS: 5.1e-5,
    Precision.SINGLE: 0.0,
    Precision.DOUBLE: 0.0,
}
RELATIVE = {
    Precision.FOUR_DIGITS: 5.1e-4,
    Precision.FOUR_DECIMALS: 1e-6,
    Precision.SINGLE: 2.0**-23,
    Precision.DOUBLE: 1e-12,
}


@dataclass(frozen=True, slots=True)
class Merged:
    """What merging gives: the series, the segments between restarts, the rewinds, the disagreements."""

    series: Mapping[str, Series]
    segments: tuple[Segment, ...]
    rewinds: tuple[Events, ...]
    disagreements: tuple[Disagreement, ...]


def merge(by_name: Mapping[str, Sequence[Samples]]) -> Merged:
    """Merge the blocks of each metric, all on one axis, into one series."""
    series: dict[str, Series] = {}
    starts: set[int] = set()
    rewinds: list[Events] = []
    lost: dict[str, tuple[tuple[int, int], ...]] = {}
    disagreements: list[Disagreement] = []
    for name in sorted(by_name):
        families = _families(by_name[name])
        if not families:
            continue
        accounts = [attempts_of(family) for family in families]
        merged, differing = _combine(name, accounts, families[0][0])
        series[name] = merged
        disagreements.extend(differing[: MAXIMUM_DISAGREEMENTS - len(disagreements)])
        if name in {LOSS, EVAL_LOSS}:
            starts.update(start for account in accounts for start in account.starts)
            lost[name] = max((account.lost for account in accounts), key=len)
            rewinds.extend(event for account in accounts if (event := _rewind(account)) is not None)
    overwritten = lost.get(LOSS) or lost.get(EVAL_LOSS) or ()
    return Merged(series, _segments(Timeline(series), starts, overwritten), tuple(rewinds), tuple(disagreements))


def _families(blocks: Sequence[Samples]) -> list[list[Samples]]:
    """Group blocks that continue one another (all event files, all logs, all trainer states), oldest first.

    Without wall times the account that ends later is taken for the later one. File times are not asked: a copy
    or a clone of the directory does not keep them.
    """
    groups: dict[tuple[str, Precision], list[Samples]] = defaultdict(list)
    for block in blocks:
        if len(block.steps):
            groups[(block.place, block.precision)].append(block)

    def age(block: Samples) -> tuple[float, int, tuple[tuple[int, str], ...]]:
        times = block.wall_times
        begun = float(np.nanmin(times)) if times is not None and np.isfinite(times).any() else np.inf
        return begun, int(block.steps[-1]), natural(block.path)

    ordered = (group for _, group in sorted(groups.items(), key=lambda item: item[0]))
    return [sorted(group, key=age) if len(group) > 1 else group for group in ordered]


def _combine(name: str, accounts: Sequence[Account], like: Samples) -> tuple[Series, list[Disagreement]]:
    if len(accounts) == 1:
        return _alone(name, accounts[0], like), []
    steps = np.concatenate([a.steps for a in accounts])
    precisions = np.concatenate([a.precisions for a in accounts])
    family = np.concatenate([np.full(len(a.steps), i, dtype=np.int32) for i, a in enumerate(accounts)])
    values = np.concatenate([a.values for a in accounts])
    walls = np.concatenate([a.wall_times for a in accounts])
    records = np.concatenate([a.records for a in accounts])
    shift = np.cumsum([0, *(len(a.places) for a in accounts)])
    origins = np.concatenate([a.origins + shift[i] for i, a in enumerate(accounts)]).astype(np.int32)
    places = tuple(place for a in accounts for place in a.places)
    order = np.lexsort((family, -precisions, steps))
    steps, values, records, origins = steps[order], values[order], records[order], origins[order]
    precisions, walls = precisions[order].astype(np.int8), walls[order]
    first = np.ones(len(steps), dtype=bool)
    first[1:] = steps[1:] != steps[:-1]
    keeper = np.maximum.accumulate(np.where(first, np.arange(len(steps)), 0))
    known_walls = _earliest(walls, keeper, first)
    merged = Series(
        name,
        steps[first],
        values[first],
        known_walls,
        records[first],
        origins[first],
        precisions[first],
        places,
        like.axis,
        like.logged_as,
    )
    differing: list[Disagreement] = []
    if name in COMPARED and not first.all():
        whole = Series(name, steps, values, walls, records, origins, precisions, places)
        differing = _disagreements(whole, keeper, first)
    return merged, differing


def _alone(name: str, account: Account, like: Samples) -> Series:
    """Return the series of a metric that one family tells: most of those of a run with thousands of metrics."""
    walls = account.wall_times
    return Series(
        name,
        account.steps,
        account.values,
        np.where(np.isinf(walls), np.nan, walls) if np.isinf(walls).any() else walls,
        account.records,
        account.origins,
        account.precisions,
        account.places,
        like.axis,
        like.logged_as,
    )


def _earliest(walls: Floats, keeper: Integers, first: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Floats:
    known = np.where(np.isnan(walls), np.inf, walls)
    best = np.full(len(walls), np.inf)
    np.minimum.at(best, keeper, known)
    kept = best[first]
    return np.where(np.isinf(kept), np.nan, kept)


def _disagreements(
    whole: Series, keeper: Integers, first: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> list[Disagreement]:
    kept = whole.values[keeper]
    coarse = np.minimum(whole.precisions, whole.precisions[keeper])
    absolute = np.array([ABSOLUTE[p] for p in Precision])[coarse]
    relative = np.array([RELATIVE[p] for p in Precision])[coarse]
    with np.errstate(invalid="ignore"):
        near = np.abs(whole.values - kept) <= absolute + relative * np.abs(kept)
    same = near | (whole.values == kept) | (np.isnan(whole.values) & np.isnan(kept))
    found = np.flatnonzero(~first & ~same)[:MAXIMUM_DISAGREEMENTS]
    return [
        Disagreement(
            whole.name,
            int(whole.steps[i]),
            float(kept[i]),
            whole.source_at(int(keeper[i])),
            float(whole.values[i]),
            whole.source_at(int(i)),
        )
        for i in found
    ]


def _rewind(account: Account) -> Events | None:
    if not account.rewinds:
        return None
    steps = np.array([rewind.to_step for rewind in account.rewinds], dtype=np.int64)
    values = np.array([rewind.from_step for rewind in account.rewinds], dtype=np.float64)
    records = np.array([rewind.record for rewind in account.rewinds], dtype=np.int64)
    path, place = account.rewinds[0].place
    return Events(Kind.STEP_REWIND, steps, values, records, path, place)


def _segments(timeline: Timeline, starts: set[int], lost: Sequence[tuple[int, int]]) -> tuple[Segment, ...]:
    """Return the attempts that were overwritten as a whole, then those that make up the history that was kept."""
    first, last = timeline.first, timeline.last
    if first is None or last is None:
        return ()
    cuts = [first, *sorted(start for start in starts if first < start <= last), last + 1]
    return (*(Segment(a, b) for a, b in lost), *(Segment(a, b - 1) for a, b in pairwise(cuts)))
