"""Records of metrics in columns: joined, folded where ranks repeat them, and as samples."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.records import dataclass
from forensics.model import (
    UNKNOWN_STEP,
    Floats,
    Integers,
    Precision,
    Samples,
)
from forensics.model.order import distinct
from forensics.readers._events.rows import NO_RANK, PLACE, unfolded


@dataclass(frozen=True, slots=True)
class Rows:
    """Records with the same metrics: `values` has shape (n, len(names)), every other column shape (n,).

    `at` (int64) is the place in the clean text and orders records across windows; `records` are line numbers.
    `epochs` and `wall_times` are NaN, `ranks` is -1 where the log does not tell.
    """

    names: tuple[str, ...]
    values: Floats
    at: Integers
    records: Integers
    steps: Integers
    epochs: Floats
    wall_times: Floats
    ranks: Integers
    precision: Precision = Precision.DOUBLE

    def __len__(self) -> int:
        return len(self.at)

    def take(self, kept: NDArray[np.bool_] | Integers) -> "Rows":
        return replace(
            self,
            values=self.values[kept],
            at=self.at[kept],
            records=self.records[kept],
            steps=self.steps[kept],
            epochs=self.epochs[kept],
            wall_times=self.wall_times[kept],
            ranks=self.ranks[kept],
        )


def columns_of(values: Floats, which: Sequence[int]) -> Floats:
    """Return some columns of a table; they lie one behind the other, as whatever comes next looks at them."""
    return values if list(which) == [*range(values.shape[1])] else values.T[list(which)].T


def as_integers(values: Sequence[int] | Sequence[Sequence[int]] | Integers) -> Integers:
    return np.asarray(values, dtype=np.int64)


def plain_rows(  # noqa: PLR0913  (each is a column of one table)
    names: tuple[str, ...],
    values: Floats,
    at: Sequence[int] | Integers,
    records: Integers,
    steps: Sequence[int] | Integers,
    *,
    epochs: Floats | None = None,
    wall_times: Floats | None = None,
    ranks: Sequence[int] | None = None,
    precision: Precision = Precision.DOUBLE,
) -> Rows:
    """Build `Rows`, filling the columns that were not recorded."""
    size = len(at)
    unknown = np.broadcast_to(np.float64("nan"), size)  # all one number: it takes no memory
    return Rows(
        names=names,
        values=values,
        at=as_integers(at),
        records=records,
        steps=as_integers(steps),
        epochs=unknown if epochs is None else epochs,
        wall_times=unknown if wall_times is None else wall_times,
        ranks=np.broadcast_to(np.int64(NO_RANK), size) if ranks is None else as_integers(ranks),
        precision=precision,
    )


def fold_rows(tables: Iterable[Rows]) -> Iterator[Rows]:
    """Join the tables of equal metrics, drop what other ranks repeated and what was printed twice in a row."""
    grouped: dict[tuple[tuple[str, ...], Precision], list[Rows]] = defaultdict(list)
    for table in tables:
        grouped[table.names, table.precision].append(table)
    for group in grouped.values():
        yield _fold(joined(group))


def joined(tables: Sequence[Rows]) -> Rows:
    """Return one table of several with the same names, in the order of the text."""
    if len(tables) == 1:
        return tables[0]
    whole = replace(
        tables[0],
        values=np.concatenate([table.values for table in tables]),
        at=np.concatenate([table.at for table in tables]),
        records=np.concatenate([table.records for table in tables]),
        steps=np.concatenate([table.steps for table in tables]),
        epochs=np.concatenate([table.epochs for table in tables]),
        wall_times=np.concatenate([table.wall_times for table in tables]),
        ranks=np.concatenate([table.ranks for table in tables]),
    )
    order = disorder(whole.at)
    return whole if order is None else whole.take(order)


def disorder(at: Integers) -> Integers | None:
    """Return the order that sorts records by their place, None when they are sorted as they nearly always are."""
    if (at[1:] >= at[:-1]).all():
        return None
    return np.argsort(at, kind="stable").astype(np.int64, copy=False)


def _fold(rows: Rows) -> Rows:
    if (rows.ranks != NO_RANK).any():
        keyed = np.column_stack([rows.values, rows.epochs, rows.steps.astype(np.float64)])
        signatures = as_integers([hash(row.tobytes()) for row in keyed])
        rows = rows.take(unfolded(rows.ranks, signatures))
    if len(rows) > 1:
        same = (rows.steps[1:] == rows.steps[:-1]) & (rows.steps[1:] != UNKNOWN_STEP)
        same &= (rows.ranks[1:] == rows.ranks[:-1]) & _equal(rows.values[1:], rows.values[:-1])
        if same.any():
            rows = rows.take(np.concatenate([[True], ~same]))
    return rows


def _equal(left: Floats, right: Floats) -> NDArray[np.bool_]:
    equal: NDArray[np.bool_] = ((left == right) | (np.isnan(left) & np.isnan(right))).all(axis=1)
    return equal


def samples(tables: Iterable[Rows], path: str) -> Iterator[Samples]:
    """Yield one block for each metric, rank and precision, under the names of the tables."""
    columns: dict[tuple[str, int, Precision], list[tuple[Rows, int]]] = defaultdict(list)
    for rows in tables:
        first = int(rows.ranks[0]) if len(rows) else NO_RANK
        same = bool((rows.ranks == first).all())
        ranks = [first] if same else distinct(rows.ranks).tolist()
        for rank in ranks:
            mine = rows if same else rows.take(rows.ranks == rank)
            for index, name in enumerate(rows.names):
                columns[name, int(rank), rows.precision].append((mine, index))
    for (name, rank, precision), parts in columns.items():
        yield _block(name, rank, precision, parts, path)


def _block(name: str, rank: int, precision: Precision, parts: Sequence[tuple[Rows, int]], path: str) -> Samples:
    """Join the parts of a metric; a metric in one part shares its columns with the others of that part."""
    order = disorder(np.concatenate([rows.at for rows, _ in parts]))

    def column(arrays: Sequence[Floats]) -> Floats:
        whole = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
        return whole if order is None else whole[order]

    def counts(arrays: Sequence[Integers]) -> Integers:
        whole = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
        return whole if order is None else whole[order]

    epochs = column([rows.epochs for rows, _ in parts])
    wall_times = column([rows.wall_times for rows, _ in parts])
    return Samples(
        name=name,
        steps=counts([rows.steps for rows, _ in parts]),
        values=np.ascontiguousarray(column([rows.values[:, index] for rows, index in parts])),
        records=counts([rows.records for rows, _ in parts]),
        path=path,
        place=PLACE,
        precision=precision,
        wall_times=None if np.isnan(wall_times).all() else wall_times,
        epochs=None if np.isnan(epochs).all() else epochs,
        rank=None if rank == NO_RANK else rank,
    )
