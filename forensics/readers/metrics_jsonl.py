"""Metrics as JSON lines, one object a record, whatever tool wrote them."""

import re
from collections.abc import Iterator

from forensics.errors import ChangedError, MalformedError, TruncatedError
from forensics.formats.flatten import scalar as bounded
from forensics.formats.lenient_json import parse
from forensics.formats.text import number, numbered_lines
from forensics.model import UNKNOWN_STEP, Artifact, Fact, Setting, Skip, Standing
from forensics.plugin import reader
from forensics.readers._columns import Columns
from forensics.readers._text.collected import samples
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
    "training_iteration",  # Ray `result.json`
)
# What ms-swift writes as its last line, and LLaMA-Factory beside every point.
_TOTAL_KEYS = ("total_steps", "max_steps")
_WALL_KEYS = ("timestamp", "_timestamp", "wall_time")
# Places, not metrics.
_NOT_METRICS = frozenset({*STEP_KEYS, *_TOTAL_KEYS, *_WALL_KEYS, "epoch", "percentage", "rank"})
_NOT_NESTED = frozenset({"config", "hist_stats", "sampler_results", "env_info", "meta", "timers", "perf"})
"""Mappings of Ray's and others' that hold settings, histories and times."""
_OF_TRAINING = frozenset({"lr", "memory", "time", "data_time"})
LONGEST_TEXT = 200
LONGEST_LIST = 64
DEEPEST = 6

_OBJECT = re.compile(rb"\s*\{")
_FRACTION = re.compile(rb""":\s*"?-?(?:\d*\.\d|\d+[eE]-?\d|NaN|nan|-?Infinity|inf\b)""")
_COUNTED = re.compile(rf'"(?:{"|".join((*STEP_KEYS, "epoch"))})"\s*:\s*"?\d'.encode())
_COUNTER = re.compile(r"(\d{1,18})(?:/(\d{1,18}))?")


def looks_like_metrics(head: bytes) -> bool:
    """Tell whether the first lines are JSON objects and one of them has a step or epoch beside a number.

    A file without any fraction among its numbers (a vocabulary, a table of token counts) holds no metrics.
    """
    lines = [line for line in head.splitlines()[:20] if line.strip()]
    if not lines or not all(_OBJECT.match(line) for line in lines[: max(1, len(lines) - 1)]):
        return False
    if not any(_FRACTION.search(line) for line in lines):
        return False
    return any(_COUNTED.search(line) for line in lines)


@reader("metrics-jsonl", match=(r"\.jsonl$", r"(?:^|/)vis_data/[^/]*\.json$"), sniff=looks_like_metrics)
def metrics_jsonl(artifact: Artifact) -> Iterator[Fact]:
    """JSON lines with a step and numbers.

    LLaMA-Factory `trainer_log.jsonl`, ms-swift `logging.jsonl`, torchtune, xtuner `tracker.jsonl`, mmengine
    `vis_data/*.json`, verl, and any file of the kind.
    """
    columns, history = Columns(), Columns()
    totals: dict[int, int] = {}
    broken: list[int] = []
    with File(artifact.location) as file:
        try:
            for record, line in numbered_lines(file, artifact.limits.small_file_bytes):
                if not _take(line, record, columns, history, totals):
                    broken.append(record)
        except (ChangedError, TruncatedError) as error:
            yield Skip(artifact.path, f"the end was not read: {error}")
    # ms-swift ends its file with the whole log_history: it tells what the lines told, unless they are missing.
    yield from samples((columns if columns.rows else history).tables(), artifact.path)
    for total, record in totals.items():
        yield Setting("setting", "max_steps", total, artifact.at("line {}", record), Standing.RECORDED)
    if broken:
        yield Skip(artifact.path, f"{len(broken):,} lines are no whole JSON object, the first of them line {broken[0]}")


def _take(line: bytes, record: int, columns: Columns, history: Columns, totals: dict[int, int]) -> bool:
    """File the numbers of one line; tell whether it was a whole JSON object."""
    try:
        document = parse(line)
    except MalformedError:
        return False
    row = document.value
    if not isinstance(row, dict) or document.broken_at is not None:
        return False
    told = row.get("log_history")
    for entry in told if isinstance(told, list) else ():
        if isinstance(entry, dict):
            _file(entry, record, history)
    total = _step(row)[1]
    if total:
        totals.setdefault(total, record)
    if told is None and not _is_data(row):
        _file(row, record, columns)
    return True


def _is_data(row: dict[str, object]) -> bool:
    """Tell whether a row is an example and not an entry of a log: a prompt, an answer, a list of tokens."""
    return any(
        (isinstance(value, str) and len(value) > LONGEST_TEXT)
        or (isinstance(value, list) and len(value) > LONGEST_LIST)
        for value in row.values()
    )


def _file(row: dict[str, object], record: int, columns: Columns) -> None:
    """Keep every number of an entry that tells where it stands."""
    if isinstance(row.get("data"), dict):  # verl's file logger keeps the metrics one level down
        row = {**row, **row["data"]}  # type: ignore[dict-item]  # checked
    step = _step(row)[0]
    epoch = _real(row.get("epoch"))
    wall_time = next((value for key in _WALL_KEYS if (value := _real(row.get(key))) is not None), None)
    if step == UNKNOWN_STEP and epoch is None:
        return
    checked = row.get("mode") in {"val", "test"} and "iter" in row
    if checked and epoch is not None:
        step = UNKNOWN_STEP  # mmcv counts the batches of the evaluation there
    for name, value in _numbers(row):
        # mmcv's TextLoggerHook rounds to five decimals (`_round_float`): its rate of 0.0 is one below 5e-6.
        if name in {"lr", "learning_rate"} and value == 0.0 and "mode" in row and "iter" in row:
            continue
        if checked and name in _OF_TRAINING:
            continue
        kept = str(bounded("name", f"eval/{name}" if checked else name))
        columns.add(kept, record, step, value, epoch, float("nan") if wall_time is None else wall_time)


def _numbers(row: dict[str, object]) -> Iterator[tuple[str, float]]:
    """Yield the metrics of an entry; of mappings within mappings (Ray's `info`) under names joined by slashes."""
    pending: list[tuple[str, object, int]] = [(name, value, 0) for name, value in row.items() if name != "data"]
    for name, value, depth in pending:
        if isinstance(value, dict) and depth < DEEPEST and name.partition("/")[0] not in _NOT_NESTED:
            pending.extend((f"{name}/{inner}", held, depth + 1) for inner, held in value.items())
        elif name not in _NOT_METRICS and (number_of := _real(value)) is not None:
            yield name, number_of


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
