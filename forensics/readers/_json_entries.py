"""What one JSON object of a log says: where it stands, and its numbers."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

import numpy as np

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.formats.flatten import scalar as bounded
from forensics.formats.text import number
from forensics.model import UNKNOWN_STEP, Floats, Integers
from forensics.names import EVALUATION
from forensics.readers.text.lexicon import METRICS, SUBJECTS, Role, earns, role_of, step_named

STEP_KEYS = (
    "step",
    "global_step",
    "current_steps",  # LLaMA-Factory `trainer_log.jsonl`
    "global_step/max_steps",  # ms-swift `logging.jsonl`, "10/1200"
    "iteration",  # Megatron-SWIFT, "10/1000"
    "iter",  # mmengine `vis_data/*.json`
    "train/global_step",
    "_step",  # Weights & Biases
    "training_iteration",  # Ray `result.json`
)
# What ms-swift writes as its last line, and LLaMA-Factory beside every point.
_TOTAL_KEYS = ("total_steps", "max_steps")
_WALL_KEYS = ("timestamp", "_timestamp", "wall_time")
# Places, not metrics.
_NOT_METRICS = frozenset({*STEP_KEYS, *_TOTAL_KEYS, *_WALL_KEYS, "epoch", "percentage", "rank"})
_NOT_NESTED = frozenset({"config", "hist_stats", "sampler_results", "env_info", "meta", "timers", "perf"})
"""Mappings of Ray's and others' that hold settings, histories and times."""
_HOLDERS = frozenset({"values", "metrics", "scalars", "data"})
"""Mappings that hold the metrics of a row whose place stands in a mapping of its own."""
NAME_KEYS = ("metric", "metric_name", "tag", "name", "key", "variable")
"""What holds the name of the metric whose number is under `value`: a table in long form."""
LONGEST_NAME = 80
_PARTS = ("kind", "type", "split", "phase", "mode", "stage")
"""Which part of the run a row is of."""
_OF_TRAINING = frozenset({"lr", "memory", "time", "data_time"})
LONGEST_TEXT = 200
LONGEST_LIST = 64
DEEPEST = 6

RATES = frozenset({"lr", "learning_rate"})
_EVALUATED = expression(r"(?:eval|val|valid|validation|test|train)[_/]", re.IGNORECASE)
_EXACT = 2.0**53
"""Whole numbers below it are floating-point numbers too."""
_COUNTER = expression(r"(\d{1,18})(?:\.0{1,6})?(?:/(\d{1,18}))?")


@dataclass(frozen=True, slots=True)
class Entry:
    """An object with a step or an epoch. `epoch` and `time` (seconds since 1970) are NaN where it tells none.

    `rounded` tells that a rate of 0.0 may be one below 5e-6: mmcv's TextLoggerHook keeps five decimals
    (`_round_float`).
    """

    step: int
    epoch: float
    time: float
    values: tuple[tuple[str, float], ...]
    rounded: bool = False


def is_data(row: Mapping[str, object]) -> bool:
    """Tell whether a row is an example and not an entry of a log: a prompt, an answer, a list of tokens."""
    return any(
        (isinstance(value, str) and len(value) > LONGEST_TEXT)
        or (isinstance(value, list) and len(value) > LONGEST_LIST)
        for value in row.values()
    )


def entry_of(row: dict[str, object]) -> Entry | None:
    """Return every number of an object that tells where it stands, None for one that does not."""
    if isinstance(row.get("data"), dict):  # verl's file logger keeps the metrics one level down
        row = {**row, **row["data"]}  # type: ignore[dict-item]  # checked
    row = _named(_lifted(row))
    step = step_of(row)[0]
    epoch = number_in(row.get("epoch"))
    if step == UNKNOWN_STEP and epoch is None:
        return None
    time = next((value for key in _WALL_KEYS if (value := number_in(row.get(key))) is not None), float("nan"))
    mode = row.get("mode")
    checked = isinstance(mode, str) and mode in {"val", "test"} and "iter" in row
    if checked and epoch is not None:
        step = UNKNOWN_STEP  # mmcv counts the batches of the evaluation there
    evaluation = checked or any(isinstance(part := row.get(key), str) and EVALUATION.fullmatch(part) for key in _PARTS)
    values = tuple(
        (
            str(bounded("name", f"eval/{name}" if checked or (evaluation and not _EVALUATED.match(name)) else name)),
            value,
        )
        for name, value in _numbers(row)
        if not (checked and name in _OF_TRAINING)
    )
    return Entry(step, float("nan") if epoch is None else epoch, time, values, "mode" in row and "iter" in row)


@dataclass(frozen=True, slots=True)
class Table:
    """What `entry_of` says of many rows at once: columns of shape (n,), and one of numbers for each metric.

    No row of one that is not `placed` tells where it stands; it has no times and no metrics either.
    """

    steps: Integers
    epochs: Floats
    times: Floats
    values: tuple[tuple[str, Floats], ...]
    placed: bool


def table_of(rows: Mapping[str, Floats]) -> Table | None:
    """Return what `entry_of` says of rows of the same names, one column of numbers for each; None where rows differ.

    Numbers only: none of the names holds a text, a list or a mapping in any row.
    """
    names = tuple(rows)
    size = len(rows[names[0]])
    steps = np.full(size, UNKNOWN_STEP, dtype=np.int64)
    own = None if any(key in rows for key in STEP_KEYS) else counter_named(names)
    for key in [own] if own else [key for key in STEP_KEYS if key in rows]:
        told = rows[key]
        with np.errstate(invalid="ignore"):
            fits = (steps == UNKNOWN_STEP) & (told >= 0) & (told < _EXACT) & (told == np.floor(told))
        if (told >= _EXACT).any():
            return None  # whole numbers that are no longer told apart
        steps[fits] = told[fits].astype(np.int64)
    counted = steps != UNKNOWN_STEP
    placed = "epoch" in rows or bool(counted.any())
    if placed and "epoch" not in rows and not counted.all():
        return None
    nowhere = np.broadcast_to(np.float64("nan"), size)
    times = next((rows[key] for key in _WALL_KEYS if placed and key in rows), nowhere)
    kept = [name for name in names if placed and name not in _NOT_METRICS and name not in {"data", own}]
    values = tuple((str(bounded("name", name)), rows[name]) for name in kept)
    return Table(steps, rows.get("epoch", nowhere), times, values, placed)


def _named(row: dict[str, object]) -> dict[str, object]:
    """Return a row that names its one metric, `{"name": "loss", "value": 2.5, "step": 3}`, as one that holds it."""
    name = next(
        (held for key in NAME_KEYS if isinstance(held := row.get(key), str) and 0 < len(held) <= LONGEST_NAME), ""
    )
    if not name or number_in(row.get("value")) is None:
        return row
    return {key: value for key, value in row.items() if key != "value" and key not in NAME_KEYS} | {name: row["value"]}


def _lifted(row: dict[str, object]) -> dict[str, object]:
    """Return a row whose place is a mapping of counters, `{"at": {"step": 3}, "values": {...}}`, as a flat one.

    So is a message of a structured log that holds the whole entry, `{"level": "INFO", "fields": {"step": 3, ...}}`.
    """
    inner = {key: value for key, value in row.items() if isinstance(value, dict)}
    entries = [key for key, value in inner.items() if key not in _NOT_NESTED and _is_entry(value)]
    if len(entries) == 1 and _NOT_METRICS.isdisjoint(row.keys() - set(_WALL_KEYS)):
        return {key: value for key, value in row.items() if key != entries[0]} | inner[entries[0]]
    places = [key for key, value in inner.items() if value and _NOT_METRICS.issuperset(value)]
    if len(places) != 1 or not _NOT_METRICS.isdisjoint(row):
        return row
    lifted = {key: value for key, value in row.items() if key not in inner}
    for key, value in inner.items():
        lifted.update(value if key in _HOLDERS or key in places else {key: value})
    return lifted


def _is_entry(row: Mapping[str, object]) -> bool:
    """Tell whether a mapping has a step and, beside it, numbers that are no places."""
    counted = any(number_in(row.get(key)) is not None for key in STEP_KEYS)
    return counted and any(key not in _NOT_METRICS and number_in(value) is not None for key, value in row.items())


def _numbers(row: dict[str, object]) -> Iterator[tuple[str, float]]:
    """Yield the metrics of an entry; of mappings within mappings (Ray's `info`) under names joined by slashes."""
    own = None if any(key in row for key in STEP_KEYS) else counter_named(tuple(row))
    pending: list[tuple[str, object, int]] = [
        (name, value, 0) for name, value in row.items() if name not in {"data", own}
    ]
    for name, value, depth in pending:
        if isinstance(value, dict) and depth < DEEPEST and name.partition("/")[0] not in _NOT_NESTED:
            outer = "" if name in _HOLDERS and row.keys().isdisjoint(value) else f"{name}/"
            pending.extend((f"{outer}{inner}", held, depth + 1) for inner, held in value.items())
        elif name not in _NOT_METRICS and (number_of := number_in(_alone(value))) is not None:
            yield name, number_of


def _alone(value: object) -> object:
    """Return the item of a list of one (`"learn": [0.68]` of CatBoost), anything else as it is."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


@lru_cache(maxsize=64)
def counter_named(names: tuple[str, ...]) -> str | None:
    """Return the name that counts the records: a step, or a round or an episode. Records mostly have the same names.

    A record begins with a round, or tells a loss or what a policy earned in an episode.

    >>> counter_named(("round", "accuracy", "loss")), counter_named(("id", "round", "accuracy"))
    ('round', None)
    >>> counter_named(("type", "episode", "steps", "reward")), counter_named(())
    ('episode', None)
    """
    counter = next((name for name in names if role_of(name) is Role.EPISODE), None)
    begins = (
        counter is not None and counter == names[0] and any(role_of(name) in METRICS - {Role.OTHER} for name in names)
    )
    trains = earns(names) or any(role_of(name) in SUBJECTS for name in names)
    return step_named(names) or (counter if begins or trains else None)


def step_of(row: dict[str, object]) -> tuple[int, int]:
    """Return the step of a row and the planned number of steps, 0 where it does not tell."""
    step, total = UNKNOWN_STEP, 0
    for key in STEP_KEYS if any(key in row for key in STEP_KEYS) else filter(None, [counter_named(tuple(row))]):
        value = row.get(key)
        found = _COUNTER.fullmatch(value.strip()) if isinstance(value, str) else None
        if found:
            step, total = int(found[1]), int(found[2] or 0)
            break
        if (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and value == value // 1
            and 0 <= value < 2**62
        ):
            step = int(value)
            break
    for key in _TOTAL_KEYS:
        value = row.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**62:
            total = value
    return step, total


def number_in(value: object) -> float | None:
    """Return a number, or the number that a text spells ("1234.56", "nan"); None for anything else."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str) and len(value) < 40:
        return number(value.encode("utf-8", "replace"))
    return None
