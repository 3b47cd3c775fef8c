"""Metrics as a table of comma-separated values."""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from forensics.errors import ChangedError, TruncatedError
from forensics.formats.text import clock_times, number, numbered_lines
from forensics.model import UNKNOWN_STEP, Artifact, Fact, Skip
from forensics.plugin import reader
from forensics.readers._text.collected import Rows, plain_rows, samples
from forensics.storage.file import File

_STEP = (
    "step",
    "global_step",
    "iteration",
    "iter",
    "steps",
    "current_steps",
    "train/global_step",
    "_step",
    "Step",
)
_PLACES = frozenset({*_STEP, "epoch", "wall_time", "timestamp", "time"})
# DeepSpeed's csv_monitor: `Train_Samples_train_loss.csv`, header `step,train_loss`, its step counts samples.
_MONITOR = re.compile(r"(?:^|/)Train_Samples_[^/]*\.csv$")
MAX_COLUMNS = 2000

Columns = dict[str, list[tuple[int, int, float, float, float]]]


def looks_like_table(head: bytes) -> bool:
    """Tell whether the first line is a header with a step or epoch, and the next has numbers."""
    lines = head.decode("utf-8", "replace").splitlines()
    if not lines or "," not in lines[0]:
        return False
    header = [name.strip().strip('"') for name in lines[0].lstrip("\ufeff").split(",")]
    return any(name in {*_STEP, "epoch"} for name in header) and len(set(header)) > 1


@reader("metrics-csv", match=(r"\.csv$",), sniff=looks_like_table, tested="lightning 2.6.6")
def metrics_csv(artifact: Artifact) -> Iterator[Fact]:
    """CSV with a step and numbers.

    Lightning `metrics.csv` (empty cells, training and validation on rows of their own), DeepSpeed's csv monitor
    (header repeated at every start, steps in samples), and any table of the kind.
    """
    columns: Columns = {}
    skipped: list[int] = []
    with File(artifact.location) as file:
        try:
            _read(file, artifact.limits.text_line_bytes, columns, skipped)
        except (ChangedError, TruncatedError) as error:
            yield Skip(artifact.path, f"the end was not read: {error}")
    in_samples = _MONITOR.search(artifact.path) is not None
    if in_samples:
        columns = {f"Train/Samples/{name}": rows for name, rows in columns.items()}
    for block in samples(_tables(columns), artifact.path):
        yield replace(block, axis="samples") if in_samples else block
    if skipped:
        yield Skip(artifact.path, f"{len(skipped):,} lines do not fit the header, the first of them line {skipped[0]}")


def _read(file: File, line_bytes: int, columns: Columns, skipped: list[int]) -> None:
    header: list[str] = []
    for record, line in numbered_lines(file, line_bytes):
        cells = _cells(line.decode("utf-8", "replace"))
        if not header or (any(name in cells for name in {*_STEP, "epoch"}) and number(cells[0].encode()) is None):
            header = cells[:MAX_COLUMNS]
        elif len(cells) != len(header):
            skipped.append(record)
        else:
            _take(header, cells, record, columns)


def _cells(line: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line]), [])]
    except csv.Error:
        return []


def _take(header: Sequence[str], cells: Sequence[str], record: int, columns: Columns) -> None:
    row = dict(zip(header, cells, strict=True))
    step = next((value for name in _STEP if (value := _number(row.get(name, ""))) is not None), None)
    epoch, wall_time = _number(row.get("epoch", "")), _time(row)
    if step is None and epoch is None:
        return
    known = int(step) if step is not None and step >= 0 and step < 2**62 and step == step // 1 else UNKNOWN_STEP
    for name, text in row.items():
        value = None if name in _PLACES or not name else _number(text)
        if value is not None:
            columns.setdefault(name, []).append((record, known, value, np.nan if epoch is None else epoch, wall_time))


def _number(text: str) -> float | None:
    return number(text.encode("utf-8", "replace")) if text else None


def _time(row: dict[str, str]) -> float:
    for name in ("wall_time", "timestamp", "time"):
        text = row.get(name, "")
        if re.match(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d", text):
            return float(clock_times([text.encode()])[0])
        value = _number(text)
        if value is not None and value > 1e9:
            return value
    return float("nan")


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
        )
