"""How long a run was meant to be, from the totals beside its counters: `iteration 800/ 2000`, `Epoch 4/30`, a bar."""

from collections.abc import Iterator, Sequence

import numpy as np

from forensics.deferred.records import dataclass
from forensics.model import Floats, Integers, Standing
from forensics.model.order import end_to_end
from forensics.readers.text.found import SettingRow
from forensics.readers.text.lexicon import Role
from forensics.readers.text.tables import Entries
from forensics.readers.text.trainer_steps import DictRows, Schedule, training_totals

MOST = 1 << 53
STEPS, EPOCHS = "inferred.max_steps", "inferred.num_train_epochs"


def planned(tables: Sequence[Entries], dicts: Sequence[DictRows], schedule: Schedule) -> Iterator[SettingRow]:
    """Yield the planned numbers of steps and of epochs, each where all lines with such a total name the same one.

    The total of a step counts for the run only where no line has an epoch and the counter never begins anew.
    """
    epochs, steps = _column(tables, (Role.EPOCH,)), _column(tables, (Role.GLOBAL, Role.STEP))
    yield from _planned(EPOCHS, epochs)
    if any(len(table.rows) for table in dicts):
        yield from _of_bars(dicts, schedule)
    elif not any(field.role is Role.EPOCH for table in tables for field in table.shape.fields):
        yield from _planned(STEPS, steps) if (np.diff(steps.values) >= 0).all() else ()


@dataclass(frozen=True, slots=True)
class _Column:
    """Counters that have a total, in the order of the text; columns of shape (n,)."""

    at: Integers
    records: Integers
    values: Floats
    totals: Floats


def _column(tables: Sequence[Entries], roles: Sequence[Role]) -> _Column:
    parts = [
        np.stack([table.at, table.records, table.numbers[:, index], table.totals[:, index]])
        for table in tables
        for index, field in enumerate(table.shape.fields)
        if field.role in roles and field.total >= 0
    ]
    rows = np.concatenate([*parts, np.empty((4, 0))], axis=1)
    rows = rows[:, np.argsort(rows[0], kind="stable")]
    return _Column(rows[0].astype(np.int64), rows[1].astype(np.int64), rows[2], rows[3])


def _planned(name: str, column: _Column) -> Iterator[SettingRow]:
    totals = column.totals
    if not len(totals) or not np.isfinite(totals).all() or totals.min() != totals.max():
        return
    total = float(totals[0])
    if total.is_integer() and 1 < total < MOST and bool((column.values <= total).all()):
        yield SettingRow(int(column.at[0]), int(column.records[0]), "setting", name, int(total), Standing.INFERRED)


def _of_bars(dicts: Sequence[DictRows], schedule: Schedule) -> Iterator[SettingRow]:
    kept = [table for table in dicts if len(table.rows)]
    after, before = (end_to_end([getattr(table, name) for table in kept]) for name in ("after", "before"))
    totals = training_totals(after[:, 1::2], before[:, 1], schedule)
    first = min(kept, key=lambda table: int(table.rows.at[0])).rows
    if len(totals) == 1:
        yield SettingRow(int(first.at[0]), int(first.records[0]), "setting", STEPS, totals.pop(), Standing.INFERRED)
