"""Metrics as a table of comma-separated values, whoever exported it."""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from forensics.deferred.patterns import expression
from forensics.errors import ChangedError, TruncatedError
from forensics.formats.text import numbered_lines
from forensics.model import Artifact, Fact, Skip
from forensics.names import EVALUATION, is_loss, snake_case
from forensics.plugin import reader
from forensics.readers._columns import MAX_NAMES, Columns, with_total
from forensics.readers._csv_rows import FEW, MANY, Header, number_of, take, take_all
from forensics.readers._json_entries import NAME_KEYS
from forensics.readers.text.evidence import COMPARES, of_a_training
from forensics.readers.text.interpretations import falls
from forensics.readers.text.lexicon import TRAINING, Role, role_of, step_named
from forensics.readers.text.rows import samples
from forensics.storage.file import File

_STEPS = (
    "step",
    "global_step",
    "iteration",
    "iter",
    "steps",
    "current_steps",
    "train/global_step",
    "trainer/global_step",
    "_step",
    "training_iteration",  # Ray `progress.csv`
)
_TIMES = ("wall_time", "wall time", "timestamp", "_timestamp", "time", "date")
_PLACES = frozenset({*_STEPS, *_TIMES, "epoch", "_runtime", "relative time (process)", "relative time (wall)"})
_ROUNDS = frozenset({"round", "server_round", "episode"})
"""What numbers entries and is no step: rounds of federated learning, episodes."""
_FIRST = ("0", "1")
_PLACES |= {"", "unnamed: 0", "index", *_ROUNDS}  # the first three number rows, as pandas does
# DeepSpeed's csv_monitor: `Train_Samples_train_loss.csv`, header `step,train_loss`, its step counts samples.
_MONITOR = expression(r"(?:^|/)Train_Samples_[^/]*\.csv$")
_OF_A_RUN = expression(r"^(?P<run>.{1,200}?) - (?P<name>[^\s].*?)(?P<bound>__(?:MIN|MAX))?$")
_TAG = expression(r"(?:^|/)(?:run-[^/]*?-tag-)?(?P<tag>[^/]+?)\.csv$")

_NAME = expression(r"(?:[^\W\d]|[#%])[^=;{}\"'?!]{0,200}|\d{0,6}|\S{1,40} - [^{}]{1,200}")
"""What a column may be called: no line of source code."""
_CALLED = expression(r"(?i)(?:log|progress|history|loss|metrics?|train(?:ing)?)s?[^/a-z]*\.[ct]sv$")
_NAMELESS = frozenset({"metrics", "metric", "value", "values", "data", "export", "chart", "scalars"})


def looks_like_table(head: bytes) -> bool:
    """Tell whether the first line is a header with a step or epoch, and other columns, or the second goes with it."""
    lines = head.decode("utf-8", "replace").lstrip("\ufeff").splitlines()
    delimiter = _delimiter(lines[0]) if lines else ""
    if not delimiter:
        return False
    names = _cells(lines[0], delimiter)
    if _counts(names):
        return True
    row = _cells(lines[1], delimiter) if len(lines) > 1 else []
    if _counts_batches(names):
        return len(row) == len(names) and row[0] in _FIRST
    return _is_header(names) and len(row) == len(names) and all(number_of(cell, delimiter) is not None for cell in row)


@reader("metrics-csv", match=(r"\.[ct]sv$",), sniff=looks_like_table, tested="lightning 2.6.6")
def metrics_csv(artifact: Artifact) -> Iterator[Fact]:
    """CSV with a step and numbers; without a step, losses alone, or a measure of training and one of evaluation.

    Cells are parted by commas, semicolons (then numbers have decimal commas) or tabs. A first column without a name
    is pandas' number of the row.

    Lightning `metrics.csv` (empty cells, training and validation on rows of their own), Keras' CSVLogger, DeepSpeed's
    csv monitor (header repeated at every start, steps in samples), Ray's `progress.csv`, what W&B, TensorBoard and
    Neptune export of a chart, and any table of the kind.
    """
    columns = Columns()
    skipped: list[int] = []
    others: list[str] = []
    with File(artifact.location) as file:
        try:
            _read(file, artifact, columns, skipped, others)
        except (ChangedError, TruncatedError) as error:
            yield Skip(artifact.path, f"the end was not read: {error}")
    _name_parts(columns)
    in_samples = _MONITOR.search(artifact.path) is not None
    if in_samples:
        columns.series = {f"Train/Samples/{name}": numbers for name, numbers in columns.series.items()}
    for block in samples(of_a_training(with_total(columns.tables())), artifact.path):
        yield replace(block, axis="samples") if in_samples else block
    if others:
        yield Skip(artifact.path, f"holds several runs; only the first was read, not {', '.join(others[:3])}")
    if skipped:
        yield Skip(artifact.path, f"{len(skipped):,} lines do not fit the header, the first of them line {skipped[0]}")


def _read(file: File, artifact: Artifact, columns: Columns, skipped: list[int], others: list[str]) -> None:
    header: Header | None = None
    delimiter = ""
    for lines in _together(numbered_lines(file, artifact.limits.text_line_bytes)):
        if (
            header is not None
            and (columns.series or not header.batches)
            and take_all(header, lines, columns, _is_header)
        ):
            continue
        for record, line in lines:
            text = line.decode("utf-8", "replace").lstrip("\ufeff")
            delimiter = delimiter or _delimiter(text)
            cells = _cells(text, delimiter or ",")
            if not any(cells):
                continue
            if header is None or (number_of(cells[0], delimiter) is None and _is_header(cells)):
                header = _header(cells[:MAX_NAMES], artifact.path, others, delimiter)
            elif len(cells) != len(header.metrics):
                skipped.append(record)
            elif header.batches and not columns.series and cells[0] not in _FIRST:
                return
            else:
                take(header, cells, record, columns)


def _together(lines: Iterator[tuple[int, bytes]]) -> Iterator[list[tuple[int, bytes]]]:
    """Yield lines by many, the first few by few; what was read before a file ended is not lost."""
    together: list[tuple[int, bytes]] = []
    many = FEW
    try:
        for line in lines:
            together.append(line)
            if len(together) == many:
                yield together
                together, many = [], MANY
    except (ChangedError, TruncatedError):
        yield together
        raise
    yield together


def _name_parts(columns: Columns) -> None:
    """Call columns that are named by the part of the run alone, `Epoch,Train,Val`, losses where training falls."""
    parts = [name for name in columns.series if TRAINING.fullmatch(name) or EVALUATION.fullmatch(name)]
    training = next((name for name in parts if TRAINING.fullmatch(name)), None)
    if training is None or len(parts) == 1 or any(is_loss(name) for name in columns.series):
        return
    if falls(columns.series[training].of()):
        for name in parts:
            columns.series[f"{name} loss"] = columns.series.pop(name)


def _delimiter(line: str) -> str:
    """Return what parts the cells of a line, nothing where it has one cell."""
    return max((sign for sign in ",;\t" if sign in line), key=line.count, default="")


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error:
        return []


def _is_header(cells: Sequence[str]) -> bool:
    if not all(map(_NAME.fullmatch, cells)):  # asked first: of most rows the first cell tells it
        return False
    return (
        _counts(cells) or _counts_batches(cells) or _numbers_entries(cells) or _evaluates(cells) or _is_of_losses(cells)
    )


def _counts_batches(cells: Sequence[str]) -> bool:
    """Tell whether the first column is a batch, no other counts, and a loss is among the rest: a stream of data."""
    first = role_of(cells[0]) is Role.BATCH and not _counts(cells)
    return first and any(is_loss(cell) for cell in cells[1:])


def _counts(cells: Sequence[str]) -> bool:
    """Tell whether a column counts steps or epochs."""
    lowered = {cell.lower() for cell in cells}
    named = not lowered.isdisjoint({*_STEPS, "epoch"} - ({"steps"} if lowered & _ROUNDS else set()))
    return len(set(cells)) > 1 and (named or step_named(cells) is not None)


def _numbers_entries(cells: Sequence[str]) -> bool:
    """Tell whether a column numbers rounds or episodes beside a loss, or beside the reward of an episode."""
    known = any(is_loss(cell) or re.search("(?i)reward|return", cell) for cell in cells)
    return known and not _ROUNDS.isdisjoint(cell.lower() for cell in cells)


def _is_of_losses(cells: Sequence[str]) -> bool:
    """Tell whether a table has several losses and no column that is no metric of training."""
    losses = [cell for cell in cells if is_loss(cell)]
    return len(losses) > 1 and all(is_loss(cell) or role_of(cell) is Role.KNOWN for cell in cells)


def _is_called_history(cells: Sequence[str], path: str) -> bool:
    """Tell whether a file that is called a log has a loss, another metric, and no column of what was trained."""
    roles = [role_of(cell) for cell in cells]
    told = Role.LOSS in roles and sum(role in {Role.LOSS, Role.KNOWN} for role in roles) > 1
    return told and _CALLED.search(path) is not None and not any(map(COMPARES.search, cells))


def _evaluates(cells: Sequence[str]) -> bool:
    """Tell whether a measure has a column for training and one for evaluation, as in `loss,val_loss`."""
    names = {snake_case(cell) for cell in cells}
    bare = {re.sub("^train(?:ing)?_", "", name) for name in names if not EVALUATION.search(name)}
    return any(f"{kind}_{name}" in names for name in bare for kind in ("val", "valid", "validation", "eval", "test"))


def _header(cells: Sequence[str], path: str, others: list[str], delimiter: str) -> Header:
    lowered = [cell.lower() for cell in cells]
    own = cells[0] if _counts_batches(cells) else step_named(cells)
    counted = [*_STEPS, *([own.lower()] if own else [])]
    if not _ROUNDS.isdisjoint(lowered):
        counted = [name for name in counted if name != "steps" or own == name]  # how long an episode is
    places = [cell.lower() in _PLACES or cell == own for cell in cells]
    runs = [match["run"] for cell in cells if (match := _OF_A_RUN.match(cell))]
    others.extend(run for run in dict.fromkeys(runs) if run != runs[0] and run not in others)
    return Header(
        steps=tuple(lowered.index(name) for name in counted if name in lowered),
        epoch=lowered.index("epoch") if "epoch" in lowered else None,
        times=tuple(lowered.index(name) for name in _TIMES if name in lowered),
        metrics=tuple(
            "" if place else _metric(cell, path, runs, alone=places.count(False) == 1)
            for cell, place in zip(cells, places, strict=True)
        ),
        counted=_counts(cells) or not (_is_header(cells) or _is_called_history(cells, path)),
        delimiter=delimiter,
        batches=_counts_batches(cells),
        named=next((lowered.index(key) for key in NAME_KEYS if key in lowered and "value" in lowered), None),
    )


def _metric(cell: str, path: str, runs: Sequence[str], *, alone: bool) -> str:
    """Return the name of a column's metric; `alone` if the others tell places.

    W&B's export of a chart heads a column "run - train/loss" and adds the least and greatest of each bin; that of
    TensorBoard says "Value", and the metric is in the name of the file: `run-.-tag-train_loss.csv`.
    """
    match = _OF_A_RUN.match(cell)
    if match is not None:
        return match["name"] if match["run"] == runs[0] and not match["bound"] else ""
    tag = _TAG.search(path) if alone and cell.lower() == "value" else None
    if tag is None or tag["tag"].lower() in _NAMELESS:
        return cell
    return re.sub(r"^(train|eval|val|test)_", r"\1/", tag["tag"])
