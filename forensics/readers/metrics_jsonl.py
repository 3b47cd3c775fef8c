"""Metrics as JSON lines, one object a record, whatever tool wrote them."""

import re
from collections.abc import Iterator

import numpy as np

from forensics.errors import ChangedError, MalformedError, TruncatedError
from forensics.formats.flatten import scalar as bounded
from forensics.formats.lenient_json import parse
from forensics.formats.text import number, numbered_lines
from forensics.model import UNKNOWN_STEP, Artifact, Fact, Precision, Setting, Skip, Standing
from forensics.plugin import reader
from forensics.readers._text.collected import Rows, plain_rows, samples
from forensics.storage.file import File

STEP_KEYS = (
    "step",
    "global_step",
    "current_steps",  # LLaMA-Factory `trainer_log.jsonl`
    "global_step/max_steps",  # ms-swift `logging.jsonl`, "10/1200"
    "iteration",  # Megatron-SWIFT, "10/1000"
    "iter",  # mmengine `vis_data/*.json`
    "train/global_step",
    "_step",  # Weights & Biases
)
# What ms-swift writes as its last line, and LLaMA-Factory beside every point.
_TOTAL_KEYS = ("total_steps", "max_steps")
_WALL_KEYS = ("timestamp", "_timestamp", "wall_time")
# Places, not metrics.
_NOT_METRICS = frozenset({*STEP_KEYS, *_TOTAL_KEYS, *_WALL_KEYS, "epoch", "percentage", "rank"})
MAX_NAMES = 2000

_OBJECT = re.compile(rb"\s*\{")
_COUNTER = re.compile(r"(\d{1,18})(?:/(\d{1,18}))?")

Columns = dict[str, list[tuple[int, int, float, float, float]]]


def looks_like_metrics(head: bytes) -> bool:
    """Tell whether the first lines are JSON objects and one of them has a step or epoch beside a number."""
    lines = [line for line in head.splitlines()[:20] if line.strip()]
    if not lines or not all(_OBJECT.match(line) for line in lines[: max(1, len(lines) - 1)]):
        return False
    return any(
        re.search(rb'"(?:' + key.encode() + rb')"\s*:\s*"?\d', line) for line in lines for key in (*STEP_KEYS, "epoch")
    )


@reader("metrics-jsonl", match=(r"\.jsonl$", r"(?:^|/)vis_data/[^/]*\.json$"), sniff=looks_like_metrics)
def metrics_jsonl(artifact: Artifact) -> Iterator[Fact]:
    """JSON lines with a step and numbers.

    LLaMA-Factory `trainer_log.jsonl`, ms-swift `logging.jsonl`, torchtune, xtuner `tracker.jsonl`, mmengine
    `vis_data/*.json`, verl, and any file of the kind.
    """
    columns: Columns = {}
    totals: dict[int, int] = {}
    broken: list[int] = []
    with File(artifact.location) as file:
        try:
            for record, line in numbered_lines(file, artifact.limits.small_file_bytes):
                if not _take(line, record, columns, totals):
                    broken.append(record)
        except (ChangedError, TruncatedError) as error:
            yield Skip(artifact.path, f"the end was not read: {error}")
    yield from samples(_tables(columns), artifact.path)
    for total, record in totals.items():
        yield Setting("setting", "max_steps", total, artifact.at("line {}", record), Standing.RECORDED)
    if broken:
        yield Skip(artifact.path, f"{len(broken):,} lines are no whole JSON object, the first of them line {broken[0]}")


def _take(line: bytes, record: int, columns: Columns, totals: dict[int, int]) -> bool:
    """File the numbers of one line; tell whether it was a whole JSON object."""
    try:
        document = parse(line)
    except MalformedError:
        return False
    row = document.value
    if not isinstance(row, dict) or document.broken_at is not None:
        return False
    if isinstance(row.get("data"), dict):  # verl's file logger keeps the metrics one level down
        row = {**row, **row["data"]}
    step, total = _step(row)
    if total:
        totals.setdefault(total, record)
    epoch = _real(row.get("epoch"))
    wall_time = next((value for key in _WALL_KEYS if (value := _real(row.get(key))) is not None), None)
    if step == UNKNOWN_STEP and epoch is None:
        return True
    for name, value in row.items():
        metric = None if name in _NOT_METRICS else _real(value)
        if metric is not None and (name in columns or len(columns) < MAX_NAMES):
            known_epoch = np.nan if epoch is None else epoch
            known_time = np.nan if wall_time is None else wall_time
            columns.setdefault(str(bounded("name", name)), []).append((record, step, metric, known_epoch, known_time))
    return True


def _step(row: dict[str, object]) -> tuple[int, int]:
    """Return the step of a row and the planned number of steps, 0 where it does not tell."""
    step, total = UNKNOWN_STEP, 0
    for key in STEP_KEYS:
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


def _real(value: object) -> float | None:
    """Return a number, or the number that a text spells ("1234.56", "nan"); None for anything else."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str) and len(value) < 40:
        return number(value.encode("utf-8", "replace"))
    return None


def _tables(columns: Columns) -> Iterator[Rows]:
    for name, rows in columns.items():
        records, steps, values, epochs, times = zip(*rows, strict=True)
        yield plain_rows(
            (name,),
            np.array(values, dtype=np.float64)[:, None],
            records,
            np.array(records, dtype=np.int64),
            steps,
            epochs=np.array(epochs),
            wall_times=np.array(times),
            precision=Precision.DOUBLE,
        )
