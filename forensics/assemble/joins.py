"""Entries without a step find it in a source that tells one: the same numbers in the same order are the same entries.

A console prints `{'loss': 1.88, 'epoch': 0.16}` and trainer_state.json keeps step, loss and rate of each entry. Values
that occur once on either side tell which entry is which; what lies between two of them, or follows at the same
distance, is placed by them.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.records import dataclass
from forensics.model import UNKNOWN_STEP, Floats, Integers
from forensics.names import LOSS

LEAST = 3
"""Entries that must be recognised; by chance three numbers of three digits stand in order in one of 6e6 pairs."""
IN_ORDER = 0.9
"""Share of the recognised entries that must follow one another as in the other source."""
EQUAL = 0.9
"""Share of the losses that must be equal once all entries are placed."""
MOST_DECIMALS = 8
SINGLE = 2.0**-22
"""Relative error of float32, twice."""
FOUR_DIGITS = 5.1e-4
"""Relative error of `%.4g` (transformers >= 5)."""


@dataclass(frozen=True, slots=True)
class Column:
    """One metric over places: entry numbers or steps, rising, no two the same. All of shape (n,)."""

    places: Integers
    values: Floats


Columns = dict[str, Column]


@dataclass(frozen=True, slots=True)
class _Losses:
    """The losses of both sides, and how far apart two that are equal may be written."""

    mine: Column
    theirs: Column
    absolute: float
    relative: float

    def equal(self, mine: Floats, theirs: Floats) -> NDArray[np.bool_]:
        """Tell which are equal. A NaN may be shown as 0.0 by one of the two (`logging_nan_inf_filter`)."""
        with np.errstate(invalid="ignore"):
            near = np.abs(mine - theirs) <= self.absolute + self.relative * np.abs(theirs)
        dead = ~np.isfinite(mine) | ~np.isfinite(theirs)
        return np.asarray(near | (mine == theirs) | dead, dtype=np.bool_)

    def agree(self, numbers: Integers, places: Integers) -> NDArray[np.bool_]:
        """Tell for pairs of number and place whether their losses are equal, or not both there."""
        mine, here = _at(self.mine, numbers)
        theirs, there = _at(self.theirs, places)
        return ~(here & there) | self.equal(mine, theirs)


def joined(entries: Columns, known: Columns, numbers: Integers) -> Integers | None:
    """Return the place in `known` of each of `numbers`, `UNKNOWN_STEP` where it has none; None without a join.

    `entries` are over the numbers, rising, to be placed. The loss decides where both have it: other metrics tell
    entries apart only where the loss agrees, as two runs may share a schedule.
    """
    losses = _losses(entries, known)
    pairs = _in_order(_recognised(entries, known, losses))
    if len(pairs) < min(LEAST, len(numbers)) or (len(pairs) < LEAST and not _surely(entries, known, pairs)):
        return None
    placed = _spread(numbers, pairs)
    return placed if _agrees(losses, numbers, placed) else None


def rounding(values: Floats) -> float:
    """Return half a unit of the last decimal in which all values were written; 0 when they have more than eight.

    >>> rounding(np.array([1.88, 1.896])), rounding(np.array([0.1 + 1e-12]))
    (0.0005, 0.0)
    """
    finite = values[np.isfinite(values)]
    for decimals in range(MOST_DECIMALS + 1):
        scaled = finite * 10.0**decimals
        if np.all(np.abs(scaled - np.rint(scaled)) <= 1e-6 + 1e-12 * np.abs(scaled)):
            return float(0.5 * 10.0**-decimals)
    return 0.0


def _tolerance(one: Floats, other: Floats) -> tuple[float, float]:
    """Return the absolute and the relative error of the coarser of two accounts."""
    absolute = max(rounding(one), rounding(other))
    digits = _digits(one) or _digits(other)
    return 1.02 * absolute, FOUR_DIGITS if digits else SINGLE


def _digits(values: Floats) -> bool:
    """Tell whether all values have at most four significant digits, and not all as few decimals."""
    finite = np.abs(values[np.isfinite(values) & (values != 0)])
    if not len(finite):
        return False
    scale = 10.0 ** (3 - np.floor(np.log10(finite)))
    return bool(np.all(np.abs(finite * scale - np.rint(finite * scale)) <= 1e-6))


def _recognised(entries: Columns, known: Columns, losses: _Losses | None) -> list[tuple[int, int]]:
    """Return pairs of number and place whose values are equal and occur once on either side, the most agreed first."""
    votes: dict[tuple[int, int], int] = defaultdict(int)
    for name in entries.keys() & known.keys():
        for pair in _once(entries[name], known[name]):
            votes[pair] += 1
    pairs = sorted(votes, key=lambda pair: (-votes[pair], pair))
    if losses is not None and pairs:
        numbers, places = np.array(pairs, dtype=np.int64).T
        pairs = [pair for pair, agrees in zip(pairs, losses.agree(numbers, places), strict=True) if agrees]
    best: dict[int, tuple[int, int]] = {}
    for pair in pairs:
        best.setdefault(pair[0], pair)
    return sorted(best.values())


def _once(one: Column, other: Column) -> Iterator[tuple[int, int]]:
    absolute, relative = _tolerance(one.values, other.values)
    mine, theirs = np.isfinite(one.values), np.isfinite(other.values)
    values, places = one.values[mine], one.places[mine]
    order = np.argsort(other.values[theirs], kind="stable")
    sorted_values, sorted_places = other.values[theirs][order], other.places[theirs][order]
    reach = absolute + relative * np.abs(values)
    low = np.searchsorted(sorted_values, values - reach, side="left")
    high = np.searchsorted(sorted_values, values + reach, side="right")
    own = np.sort(values)
    alone = np.searchsorted(own, values + 2 * reach, side="right") - np.searchsorted(own, values - 2 * reach) == 1
    for index in np.flatnonzero(alone & (high - low == 1)):
        yield int(places[index]), int(sorted_places[low[index]])


def _losses(entries: Columns, known: Columns) -> _Losses | None:
    if LOSS not in entries or LOSS not in known:
        return None
    return _Losses(entries[LOSS], known[LOSS], *_tolerance(entries[LOSS].values, known[LOSS].values))


def _at(column: Column, places: Integers) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the values at places, and which of them there are."""
    index = np.minimum(np.searchsorted(column.places, places), len(column.places) - 1)
    return column.values[index], column.places[index] == places


def _in_order(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the longest run of pairs that rise on both sides; none when too many are out of order."""
    if not pairs:
        return []
    tails: list[int] = []
    ends: list[int] = []
    before = [-1] * len(pairs)
    for index, (_, place) in enumerate(pairs):
        at = bisect_left(tails, place)
        before[index] = ends[at - 1] if at else -1
        if at == len(tails):
            tails.append(place)
            ends.append(index)
        else:
            tails[at], ends[at] = place, index
    chain: list[tuple[int, int]] = []
    index = ends[-1]
    while index >= 0:
        chain.append(pairs[index])
        index = before[index]
    return chain[::-1] if len(chain) >= IN_ORDER * len(pairs) else []


def _surely(entries: Columns, known: Columns, pairs: Sequence[tuple[int, int]]) -> bool:
    """Tell whether few entries are recognised by two metrics each."""
    shared = [name for name in entries.keys() & known.keys() if len(set(entries[name].values.tolist())) > 1]
    found = [set(_once(entries[name], known[name])) for name in shared]
    return bool(pairs) and all(sum(pair in once for once in found) > 1 for pair in pairs)


def _spread(numbers: Integers, pairs: Sequence[tuple[int, int]]) -> Integers:
    """Place the entries between and around the recognised ones, where the distance of places is the same."""
    known = np.array([pair[0] for pair in pairs], dtype=np.int64)
    places = np.array([pair[1] for pair in pairs], dtype=np.int64)
    at = np.searchsorted(numbers, known)
    placed = np.full(len(numbers), UNKNOWN_STEP, dtype=np.int64)
    placed[at] = places
    gaps, rises = np.diff(at), np.diff(places)
    for left, gap, start, rise in zip(at.tolist(), gaps.tolist(), places.tolist(), rises.tolist(), strict=False):
        if gap > 1 and rise % gap == 0:
            placed[left : left + gap] = start + rise // gap * np.arange(gap)
    even = len(gaps) > 0 and bool(np.all(rises * gaps[0] == gaps * rises[0])) and rises[0] % gaps[0] == 0
    if even:
        each, first = int(rises[0] // gaps[0]), int(at[0])
        around = places[0] + each * (np.arange(len(numbers)) - first)
        outside = (np.arange(len(numbers)) < first) | (np.arange(len(numbers)) > at[-1])
        placed = np.where(outside & (around >= 0), around, placed)
    return placed


def _agrees(losses: _Losses | None, numbers: Integers, placed: Integers) -> bool:
    """Tell whether the losses that are now at the same place are equal."""
    if losses is None:
        return True
    mine, here = _at(losses.mine, numbers)
    theirs, there = _at(losses.theirs, placed)
    both = here & there
    return bool(both.any()) and float(np.mean(losses.equal(mine, theirs)[both])) >= EQUAL
