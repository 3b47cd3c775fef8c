"""Bare columns of numbers, named by their file or by one line above them."""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

import numpy as np

from forensics.deferred.patterns import expression
from forensics.errors import ChangedError, TruncatedError
from forensics.formats.text import number, numbered_lines
from forensics.model import UNKNOWN_STEP, Artifact, Fact, Floats, Integers, Skip
from forensics.model.statistics import median
from forensics.names import canonical, is_loss
from forensics.plugin import reader
from forensics.readers.text.lexicon import Role, role_of
from forensics.readers.text.rows import plain_rows, samples
from forensics.storage.file import File

SEVERAL = 3
MOSTLY = 0.9
"""Share of the lines at which a counter rises: the run may have been started again."""
MOST_CELLS = 8
_NAME = r"(?i)(?:^|/)(?=[^/]*(?:loss|cost|perplexity|ppl|accuracy|reward|损失))[^/]*\.(?:txt|log|dat|csv|tsv|out)$"
_HEADER = expression(r"[A-Za-z][\w /().%-]{0,60}")
_PARTED = expression(r"[,;\s]+")
_NUMBERING = expression(r"[_ .-]{0,4}(?:\d{1,12}|\(\d{1,12}\))$")


def looks_like_column(head: bytes) -> bool:
    """Tell whether one line names a metric of training and several lines of a number each stand below it."""
    lines = [line for line in head.decode("utf-8", "replace").splitlines()[: SEVERAL + 1] if line.strip()]
    if len(lines) <= SEVERAL or not _name_of(lines[0]):
        return False
    return all(len(row) == 1 for row in map(_row, lines[1:]))


@reader("number-columns", match=(_NAME,), sniff=looks_like_column, tested="nine public files of six repositories")
def number_columns(artifact: Artifact) -> Iterator[Fact]:
    """Bare numbers, one entry a line: `loss.txt` of `numpy.savetxt` or of `print(loss.item(), file=f)`.

    The file, or a first line that is a name, says what they are. Of two numbers a line the one that counts is the step,
    unless it only numbers the lines.
    """
    name = _NUMBERING.sub("", PurePosixPath(artifact.path).stem)
    records: list[int] = []
    rows: list[Sequence[float]] = []
    with File(artifact.location) as file:
        try:
            for record, line in numbered_lines(file, artifact.limits.text_line_bytes):
                text = line.decode("utf-8", "replace")
                row = _row(text)
                if not row and not rows:
                    name = _name_of(text)
                elif not row or len(row) != len(rows[0] if rows else row):
                    return  # this is something else
                else:
                    records.append(record)
                    rows.append(row)
                if not name:
                    return
        except (ChangedError, TruncatedError) as error:
            yield Skip(artifact.path, f"the end was not read: {error}")
    if len(rows) < SEVERAL or not _is_metric(name):
        return
    values, steps = _of(np.array(rows, dtype=np.float64))
    if not len(values) or (np.nan_to_num(values) == np.floor(np.nan_to_num(values))).all():
        return  # they count something
    at = np.array(records, dtype=np.int64)
    yield from samples([plain_rows((canonical(name),), values[:, None], at, at, steps)], artifact.path)


def _row(line: str) -> list[float]:
    """Return the numbers that a line consists of, none where it holds anything else."""
    cells = [cell for cell in _PARTED.split(line.strip().strip("[]")) if cell]
    found = [number(cell.encode("utf-8", "replace")) for cell in cells[:MOST_CELLS]]
    return [value for value in found if value is not None] if None not in found and len(cells) <= MOST_CELLS else []


def _name_of(line: str) -> str:
    name = line.strip().removeprefix("%").removeprefix("#").strip()
    return name if _HEADER.fullmatch(name) and _is_metric(name) else ""


def _is_metric(name: str) -> bool:
    return is_loss(name) or role_of(name) is Role.KNOWN


def _of(table: Floats) -> tuple[Floats, Integers]:
    """Return the metric and the step of each row: one of several columns must count, by rising whole numbers."""
    unknown = np.full(len(table), UNKNOWN_STEP, dtype=np.int64)
    for index in range(table.shape[1] if table.shape[1] > 1 else 0):
        column = table[:, index]
        whole = np.isfinite(column).all() and (column == np.floor(column)).all()
        if whole and (np.diff(column) > 0).mean() > MOSTLY:
            value = table[:, 1 if index == 0 else 0]
            return value, unknown if median(np.diff(column)) == 1 else column.astype(np.int64)
    return (table[:, 0], unknown) if table.shape[1] == 1 else (table[:0, 0], unknown)
