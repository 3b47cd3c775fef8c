"""Rows of `log_history` to columns of samples, in one pass however many rows and keys there are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field

import numpy as np

from forensics.deferred.records import dataclass
from forensics.formats.flatten import printable
from forensics.model import Artifact, Floats, Integers, Precision, Samples, Skip
from forensics.names import LOSS, canonical

PLACE = "log_history[{}]"
MAX_KEYS = 10_000
MAX_STEP = 1 << 62
_NOT_METRICS = frozenset({"step", "epoch"})
_ALWAYS_METRICS = frozenset({"loss", "eval_loss", "grad_norm", "learning_rate"})
_SPELLED = {"nan": np.nan, "inf": np.inf, "infinity": np.inf, "-inf": -np.inf, "-infinity": -np.inf}


@dataclass(slots=True)
class _Column:
    """The values of one key as they were written, and the rows they stand in."""

    values: list[object] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)


def read_rows(artifact: Artifact, rows: Sequence[object]) -> Iterator[Samples | Skip]:
    """Yield one block of samples for each metric key, then skips for what has no step or no number.

    Record numbers are the indices in `log_history`. A null is NaN: a writer that follows the JSON standard puts
    it where Python puts NaN. Values rounded to four decimals are marked so: transformers before 5.0 rounds `loss`.
    """
    steps, epochs, without_step, strange = _positions(rows)
    columns: dict[str, _Column] = {}
    dropped = 0
    for index, row in enumerate(rows):
        if not isinstance(row, dict) or steps[index] < 0:
            continue
        for key, value in row.items():
            column = columns.get(key)
            if column is None:
                if len(columns) >= MAX_KEYS:
                    dropped += 1
                    continue
                column = columns[key] = _Column()
            column.values.append(value)
            column.rows.append(index)
    for key, column in columns.items():
        if key not in _NOT_METRICS:
            yield from _samples(artifact, key, column, steps, epochs)
    yield from _skips(artifact, without_step, strange, dropped)


def _positions(rows: Sequence[object]) -> tuple[Integers, Floats, list[int], list[int]]:
    """Return steps (-1 where there is none), epochs (NaN where there is none), and the rows that are at fault."""
    steps = np.full(len(rows), -1, dtype=np.int64)
    epochs = np.full(len(rows), np.nan)
    without_step: list[int] = []
    strange: list[int] = []
    for index, row in enumerate(rows):
        if not isinstance(row, Mapping):
            strange.append(index)
            continue
        step = _step(row.get("step"))
        if step is None:
            without_step.append(index)
        else:
            steps[index] = step
        epoch = _number(row.get("epoch"))
        if epoch is not None:
            epochs[index] = epoch
    return steps, epochs, without_step, strange


def _step(value: object) -> int | None:
    if type(value) is int:
        return value if 0 <= value < MAX_STEP else None
    number = _number(value)
    if number is None or not 0 <= number < MAX_STEP or number != int(number):
        return None
    return int(number)


def _number(value: object) -> float | None:
    """Return a value as a float; None for what is no number. Text counts when it spells one."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, str) and len(value) <= 64:
        spelled = _SPELLED.get(value.strip().lower())
        if spelled is not None:
            return spelled
        try:
            return float(value)
        except ValueError:
            return None
    return None


def _samples(
    artifact: Artifact, key: str, column: _Column, steps: Integers, epochs: Floats
) -> Iterator[Samples | Skip]:
    values, records, nulls, unread = _convert(column)
    if unread:
        yield Skip(f"{artifact.path}:{printable(key, 80)}", f"{unread:,} values of log_history are no numbers")
    if nulls == len(values) and key not in _ALWAYS_METRICS:
        # A key that only ever held null is an unset field, not a metric.
        return
    if nulls:
        yield Skip(f"{artifact.path}:{printable(key, 80)}", f"{nulls:,} values are null and were read as NaN")
    name = canonical(printable(key, 200))
    rounded = key == LOSS and _rounded(values)
    yield Samples(
        name=name,
        steps=steps[records],
        values=values,
        records=records,
        path=artifact.path,
        place=PLACE,
        precision=Precision.FOUR_DECIMALS if rounded else Precision.DOUBLE,
        epochs=epochs[records],
    )


def _convert(column: _Column) -> tuple[Floats, Integers, int, int]:
    """Return values, their rows, how many were null (read as NaN), and how many were no numbers (left out)."""
    records = np.asarray(column.rows, dtype=np.int64)
    if set(map(type, column.values)) <= {float, int}:
        return np.array(column.values, dtype=np.float64), records, 0, 0
    kept: list[float] = []
    where: list[int] = []
    nulls = 0
    for index, value in enumerate(column.values):
        number = np.nan if value is None else _number(value)
        if number is not None:
            nulls += value is None
            kept.append(number)
            where.append(index)
    return np.array(kept, dtype=np.float64), records[where], nulls, len(column.values) - len(kept)


def _rounded(values: Floats) -> bool:
    """Tell whether all values have at most four decimals. From 1e10 on a double can hardly have more."""
    finite = values[np.abs(values) < 1e10]
    # np.round agrees with Python's round to within an ulp.
    return bool(np.all(np.abs(finite - np.round(finite, 4)) <= 1e-12 * np.maximum(np.abs(finite), 1.0)))


def _skips(artifact: Artifact, without_step: list[int], strange: list[int], dropped: int) -> Iterator[Skip]:
    for found, what in ((without_step, "have no step that is a usable integer"), (strange, "are no objects")):
        if found:
            yield Skip(
                f"{artifact.path}:{PLACE.format(found[0])}",
                f"{len(found):,} entries of log_history {what}; this is the first",
            )
    if dropped:
        yield Skip(artifact.path, f"{dropped:,} values under further keys than the first {MAX_KEYS:,} metrics")
