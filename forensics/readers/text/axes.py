"""The steps of the lines of one stream, decided by how their counters behave.

A global step counts as it is. A step, a batch or a ratio that begins anew with every epoch is made global. Without a
counter of their own lines take that of a heading above them; then the epoch; else they have no step.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.records import dataclass
from forensics.model import UNKNOWN_STEP, Floats, Integers
from forensics.model.order import among, distinct
from forensics.model.statistics import distance, median
from forensics.readers.text.lexicon import Role
from forensics.readers.text.rows import Rows, disorder
from forensics.readers.text.tables import Entries

MOSTLY = 0.9
"""Share of lines that must have a counter, or of epochs that must begin with a fall of it."""
OWN_EPOCH = 0.3
"""Share of lines with an epoch of their own from which on the epoch is their axis."""
NEAR_BYTES = 4000
"""How far above its entry a heading with a step may stand (median)."""
MOST_FALLS = 0.3
"""Share of entries at which a heading's step may fall: what falls more often counts something else."""
BESIDE_BYTES = 1000
"""How far behind an entry with a step a line that goes with it may stand (median)."""
MOST_STEP = 1 << 53
SEVERAL = 3
"""Lines from which on two counters are told apart by their behaviour."""

_ROLES = (Role.GLOBAL, Role.STEP, Role.BATCH, Role.RATIO, Role.EPOCH, Role.LEADING)
_PREFERRED = {Role.GLOBAL: ("global", "updates"), Role.STEP: ("step", "update")}
"""Which of several counters of a line counts the steps of the optimizer, the surest name first."""


@dataclass(frozen=True, slots=True)
class Counter:
    """A counter of every line of a stream and its total; NaN where the line has none."""

    values: Floats
    totals: Floats

    @property
    def known(self) -> bool:
        return bool(len(self.values)) and bool(np.isfinite(self.values).mean() >= MOSTLY)

    @property
    def whole(self) -> bool:
        finite = self.values[np.isfinite(self.values)]
        return bool((finite == np.floor(finite)).all()) and bool((np.abs(finite) < MOST_STEP).all())

    @property
    def usable(self) -> bool:
        return self.known and self.whole

    @property
    def distinct(self) -> int:
        return len(distinct(self.values[np.isfinite(self.values)]))


@dataclass(frozen=True, slots=True)
class Stream:
    """Lines with the same counters, whatever metrics they hold, in the order of the text."""

    at: Integers
    counters: dict[Role, Counter]
    bar: bool
    evaluation: bool

    @property
    def counted(self) -> bool:
        """Whether the lines have counters of their own."""
        return any(counter.known for role, counter in self.counters.items() if role is not Role.LEADING)

    def take(self, kept: NDArray[np.bool_]) -> "Stream":
        counters = {role: Counter(each.values[kept], each.totals[kept]) for role, each in self.counters.items()}
        return replace(self, at=self.at[kept], counters=counters)


@dataclass(frozen=True, slots=True)
class Axis:
    """Steps (int64, unknown where none is told) and epochs (NaN where none); `kept` leaves out redrawn bars."""

    steps: Integers
    epochs: Floats
    kept: NDArray[np.bool_]

    def among(self, lines: NDArray[np.bool_]) -> "Axis":
        """Return the axis of more lines, of which these (bool) are those that it knows; the others are left out."""
        steps = np.full(len(lines), UNKNOWN_STEP, dtype=np.int64)
        epochs, kept = np.full(len(lines), np.nan), np.zeros(len(lines), dtype=np.bool_)
        steps[lines], epochs[lines], kept[lines] = self.steps, self.epochs, self.kept
        return Axis(steps, epochs, kept)


def stream_of(tables: Sequence[Entries], *, bar: bool, evaluation: bool) -> tuple[Stream, Integers]:
    """Return the stream of some tables, and the order in which their rows, one table behind the other, lie in it."""
    at = np.concatenate([table.at for table in tables])
    order = disorder(at)

    def ordered(columns: Sequence[Floats]) -> Floats:
        whole = columns[0] if len(columns) == 1 else np.concatenate(columns)
        return whole if order is None else whole[order]

    found = [_counters(table) for table in tables]
    counters = {
        role: Counter(*(ordered([each[role][index] for each in found]) for index in range(2))) for role in _ROLES
    }
    return (
        Stream(at if order is None else at[order], counters, bar, evaluation),
        np.arange(len(at)) if order is None else order,
    )


def _counters(table: Entries) -> dict[Role, tuple[Floats, Floats]]:
    """Return the counters of a table of lines, values and totals; of two nameless ones one may be the other's epoch."""
    counters = {role: _counter(table, role) for role in _ROLES}
    if table.shape.has(Role.GLOBAL, Role.STEP, Role.EPOCH):
        return counters
    none = np.full(len(table), np.nan)
    for outer, inner in _pairs(table):
        if _within(outer, inner):
            epoch = outer if len(distinct(outer)) > 1 else none
            hidden = dict.fromkeys((Role.LEADING, Role.BATCH, Role.RATIO), (none, none))
            return counters | hidden | {Role.EPOCH: (epoch, none), Role.STEP: (inner, none)}
    return counters


def _pairs(table: Entries) -> Iterator[tuple[Floats, Floats]]:
    """Yield two nameless counters side by side, as in `[1, 2000]`, and what stands before and behind a slash."""
    leading = [index for index, field in enumerate(table.shape.fields) if field.role is Role.LEADING]
    if len(leading) > 1 and len(distinct(table.numbers[:, leading[0]])) > 1:
        yield table.numbers[:, leading[0]], table.numbers[:, leading[1]]
    for index, field in enumerate(table.shape.fields):
        if field.total >= 0 and field.role in {Role.BATCH, Role.RATIO}:
            yield table.numbers[:, index], table.totals[:, index]


def _within(outer: Floats, inner: Floats) -> bool:
    """Tell whether one counter begins anew wherever the other rises, and rises everywhere else."""
    if len(outer) < SEVERAL or not np.isfinite(outer).all() or not np.isfinite(inner).all():
        return False
    steps, rises = np.diff(outer), np.diff(inner)
    whole = bool((outer == np.floor(outer)).all() and (inner == np.floor(inner)).all())
    same = steps == 0
    return whole and bool((steps >= 0).all() and same.any() and (rises[same] > 0).all() and (rises[~same] < 0).all())


def _counter(table: Entries, role: Role) -> tuple[Floats, Floats]:
    found = [index for index, field in enumerate(table.shape.fields) if field.role is role]
    if not found:
        none = np.full(len(table), np.nan)
        return none, none
    words = _PREFERRED.get(role, ())
    if role is Role.LEADING:  # of several nameless numbers the one that rises
        best = max(
            found,
            key=lambda index: bool((np.diff(table.numbers[:, index]) > 0).mean() > MOSTLY) if len(table) > 1 else 0,
        )
        return table.numbers[:, best], table.totals[:, best]
    names = {index: table.shape.fields[index].name.lower() for index in found}
    best = min(found, key=lambda index: next((rank for rank, word in enumerate(words) if word in names[index]), 9))
    return table.numbers[:, best], table.totals[:, best]


def axis_of(stream: Stream, headings: "Headings") -> Axis:
    """Return the axis of a stream."""
    stream = _done_first(stream) if stream.bar else stream
    fresh = _without_stale(stream)
    axis = _fresh_axis(stream if fresh.all() else stream.take(fresh), headings)
    return axis if fresh.all() else axis.among(fresh)


def _fresh_axis(stream: Stream, headings: "Headings") -> Axis:
    """Return the axis of lines of which none is a bar that nothing was counted on."""
    counters = stream.counters
    kept = np.ones(len(stream.at), dtype=np.bool_)
    epoch, step, inner = counters[Role.EPOCH], counters[Role.STEP], _inner(counters)
    if _says_nothing(inner, epoch):
        inner = counters[Role.STEP]
    lines = counters[Role.GLOBAL]
    if not lines.usable and not step.usable and not inner.usable and _rises(counters[Role.LEADING]):
        step = counters[Role.LEADING]
    if not lines.usable and not step.usable and (not inner.usable or inner.distinct == 1) and not _own(epoch):
        above = headings.above(stream.at, (Role.GLOBAL, Role.STEP, Role.BATCH))
        lines = Counter(above, np.full(len(above), np.nan)) if above is not None else lines
    if not epoch.known:
        above = headings.above(stream.at, (Role.EPOCH,), sparse=True)
        named = above is not None
        epoch = Counter(above, np.full(len(above), np.nan)) if above is not None else epoch
    else:
        named = bool(np.isfinite(epoch.totals).any())
    if lines.usable:
        values = lines.values
    elif step.usable:
        values = over_epochs(step, epoch, inner=False, first=1)
    elif inner.usable and not stream.evaluation and not _always_full(inner):
        values = over_epochs(inner, epoch, inner=True, first=1 if named or not stream.bar else 0)
    else:
        values = np.full(len(stream.at), np.nan)
    known = np.isfinite(values) & (values >= 0) & (values < MOST_STEP)
    steps = np.where(known, np.where(known, values, 0), UNKNOWN_STEP).astype(np.int64)
    if stream.bar and known.all():
        kept &= _last_drawing(steps, kept)
    return Axis(steps, epoch.values, kept)


def _done_first(stream: Stream) -> Stream:
    """Return a bar that is told of a step before it counts it (`set_postfix` in the loop) with that step counted.

    It has numbers at 0/n, where nothing is done yet, and more drawings before the last step than behind it.
    """
    role = Role.BATCH if stream.counters[Role.BATCH].known else Role.RATIO
    done = stream.counters[role]
    if not done.usable or not np.isfinite(done.totals).all() or done.values[0] != 0:
        return stream
    at_end, before_end = ((done.values == done.totals - left).sum() for left in (0, 1))
    if not 0 < at_end < before_end:
        return stream
    counted = replace(done, values=np.minimum(done.values + 1, done.totals))
    return replace(stream, counters=stream.counters | {role: counted})


def _inner(counters: dict[Role, Counter]) -> Counter:
    return counters[Role.BATCH] if counters[Role.BATCH].known else counters[Role.RATIO]


def _says_nothing(inner: Counter, epoch: Counter) -> bool:
    """Tell whether a counter within an epoch is one number in several lines of no epoch, or the epoch itself."""
    if not inner.usable or len(inner.values) < SEVERAL:
        return False
    same = epoch.usable and bool((inner.values == epoch.values).all())
    return same or (inner.distinct == 1 and (not epoch.usable or epoch.distinct == 1))


def _rises(counter: Counter) -> bool:
    """Tell whether a counter rises, each of its numbers once or twice: a line that two loggers print."""
    twice = counter.usable and len(counter.values) > 2 and counter.distinct * 2 >= len(counter.values)
    return twice and bool((np.diff(counter.values) >= 0).mean() > MOSTLY)


def _own(epoch: Counter) -> bool:
    return epoch.usable and epoch.distinct == len(epoch.values)


def _always_full(counter: Counter) -> bool:
    """Tell whether a counter is always at its end: that of a bar that is done says nothing."""
    return len(counter.values) > 1 and counter.distinct == 1 and bool((counter.values == counter.totals).all())


def is_epoch_axis(epochs: Floats) -> bool:
    """Tell whether lines without a step are told apart by their epochs."""
    epoch = Counter(epochs, epochs)
    return epoch.usable and (len(epochs) < 2 or epoch.distinct > OWN_EPOCH * len(epochs))


def _without_stale(stream: Stream) -> NDArray[np.bool_]:
    """Drop drawings of a bar at 0/n: nothing is done yet, the numbers are those of the epoch before."""
    kept = np.ones(len(stream.at), dtype=np.bool_)
    if stream.bar:
        done = _inner(stream.counters).values
        kept &= ~((done == 0) & (np.maximum.accumulate(np.nan_to_num(done)) > 0))
    return kept


def _last_drawing(steps: Integers, kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
    last = np.zeros(len(steps), dtype=np.bool_)
    at = np.flatnonzero(kept)
    last[at[np.append(np.diff(steps[at]) != 0, True)]] = True
    return last


def over_epochs(counter: Counter, epoch: Counter, *, inner: bool, first: int) -> Floats:
    """Return a counter that begins anew with every epoch as a global one, any other as it is.

    An epoch has as many steps as the total of the counter, else as the counter ever reached. `first` is the number
    of the first epoch where the lines do not tell: they are an excerpt.
    """
    values, totals = counter.values, counter.totals
    falls = np.flatnonzero(np.diff(values) < 0) + 1
    total = bool(np.isfinite(totals).mean() >= MOSTLY) if len(totals) else False
    if epoch.usable:
        rises = np.flatnonzero(np.diff(epoch.values) > 0) + 1
        restarts = among(rises, falls).mean() if len(rises) else 0.0
        alone = inner and total and not len(falls) and not _goes_on(values, rises)
        if restarts >= MOSTLY or alone:
            return _laid_end_to_end(values, totals if total else None, epoch.values, first)
    elif len(falls) and total and median(values[falls - 1] / np.maximum(totals[falls - 1], 1)) > MOSTLY:
        anew = np.cumsum(np.diff(values, prepend=values[0]) < 0)
        return np.asarray(anew * np.nanmax(totals) + values, dtype=np.float64)
    return values


def _goes_on(values: Floats, rises: Integers) -> bool:
    """Tell whether a counter rises where a new epoch begins: then it is a global one."""
    return bool(len(rises)) and bool((values[rises] > values[rises - 1]).mean() >= MOSTLY)


def _laid_end_to_end(values: Floats, totals: Floats | None, epochs: Floats, first: int) -> Floats:
    steps = values.copy()
    lowest = float(np.nanmin(epochs))
    whole = lowest == 1 and np.nanmin(values[epochs == 1]) <= 1  # from its beginning: no excerpt
    base = 1.0 if lowest >= 1 and (first or whole) else 0.0
    begins = [0, *(np.flatnonzero(np.diff(epochs) < 0) + 1).tolist(), len(values)]
    for begin, end in zip(begins, begins[1:]):  # noqa: RUF007, B905  (an epoch that falls is another run)
        part = slice(begin, end)
        reached = float(np.nanmax(values[part])) + (distance(values) if float(np.nanmin(values)) == 0 else 0)
        each = float(np.nanmax(totals[part])) if totals is not None else reached
        steps[part] = (epochs[part] - base) * each + values[part]
    return steps


class Headings:
    """Lines with counters and without metrics, by role and name."""

    def __init__(self, tables: Sequence[Entries]) -> None:
        self._columns: dict[tuple[Role, str], list[tuple[Integers, Floats]]] = {}
        self._totals = False
        self._settled: list[tuple[Integers, Integers]] = []
        for table in tables:
            done: set[Role] = set()
            for index, field in enumerate(table.shape.fields):
                if field.role in _ROLES and field.role not in done:
                    done.add(field.role)
                    key = field.role, field.name.lower()
                    self._columns.setdefault(key, []).append((table.at, table.numbers[:, index]))
                    self._totals |= field.total >= 0 and field.role is Role.STEP

    def above(self, at: Integers, roles: Sequence[Role], *, sparse: bool = False) -> Floats | None:
        """Return the counters of the nearest headings above, None where headings and entries do not alternate.

        A heading with an epoch may serve many entries (`sparse`), one with a step serves its own only: so a line of
        the engine that comes seldom does not number entries that come often. A heading stands below its entry where
        every entry is followed by one (`Result for trial` of Ray Tune). Beside a step with a total, `Total steps` are
        those of an environment.
        """
        best: tuple[tuple[int, float], Floats] | None = None
        for order, picked, near in self._picked(at, roles, sparse=sparse):
            if best is None or (order, near) < best[0]:
                best = (order, near), picked
        return best[1] if best else self._beside(at, sparse=sparse)

    def settle(self, rows: Sequence[Rows]) -> None:
        """Take the steps of a stream for those of lines that go with its own, one by one."""
        if rows and all((table.steps != UNKNOWN_STEP).all() for table in rows):
            places = np.concatenate([table.at for table in rows])
            order = np.argsort(places, kind="stable")
            steps = np.concatenate([table.steps for table in rows])[order]
            first = np.append(True, np.diff(steps) != 0)  # of several lines of a step
            self._settled.append((places[order][first], steps[first]))

    def _beside(self, at: Integers, *, sparse: bool) -> Floats | None:
        """Return the steps of entries of which each is followed by one of these lines, None where there are none."""
        for places, steps in self._settled if not sparse and len(at) > SEVERAL else ():
            behind = np.searchsorted(places, at) - 1
            used = len(distinct(behind[behind >= 0]))
            near = median(at - places[behind]) if used else np.inf
            if used >= MOSTLY * max(len(at), len(places)) and near <= BESIDE_BYTES:
                return np.where(behind < 0, np.nan, steps[np.maximum(behind, 0)])
        return None

    def _picked(self, at: Integers, roles: Sequence[Role], *, sparse: bool) -> Iterator[tuple[int, Floats, float]]:
        for (role, name), columns in self._columns.items():
            if role not in roles:
                continue
            places = np.concatenate([places for places, _ in columns])
            order = np.argsort(places, kind="stable")
            places, values = places[order], np.concatenate([values for _, values in columns])[order]
            behind = np.searchsorted(places, at) - 1
            if not sparse and _follow(places, at):
                behind = np.arange(len(at))
            served = behind[behind >= 0]
            if len(served) < MOSTLY * len(at):
                continue
            picked = np.where(behind < 0, np.nan, values[np.maximum(behind, 0)])
            used = len(distinct(served))
            near = median(np.abs(at[behind >= 0] - places[served]))
            whole = bool((picked[behind >= 0] == np.floor(picked[behind >= 0])).all())
            whole &= sparse or bool((np.diff(picked[behind >= 0]) < 0).mean() <= MOST_FALLS if len(at) > 1 else True)
            alone = not sparse and (used < MOSTLY * len(at) or near > NEAR_BYTES)
            if whole and not alone and (len(at) <= 2 or used > 1):
                later = len(roles) if self._totals and name.startswith("total") else 0
                yield roles.index(role) + later, picked, near


def _follow(headings: Integers, at: Integers) -> bool:
    """Tell whether every entry is followed by one counter of its own, the first and the last included."""
    return len(headings) == len(at) and bool((headings > at).all() and (headings[:-1] < at[1:]).all())
