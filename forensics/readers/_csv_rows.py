"""Rows of a table of comma-separated values to columns, by what its header says of each cell."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.formats.text import clock_times, number, numbers
from forensics.model import UNKNOWN_STEP, Floats, Integers
from forensics.readers._columns import Columns
from forensics.readers._json_entries import LONGEST_TEXT

FEW, MANY = 64, 8192
"""Lines of the beginning of a table that are read together, and those behind them."""
_PLAIN = expression(rb"[\t\n !#-~]*")
"""Lines without quotes, control characters and other alphabets: their cells are what stands between delimiters."""
_DATED = expression(rb"\d{4}-\d\d-\d\d[ T]\d\d:\d\d")
_LATE = 1e9
"""A number from which on seconds are those since 1970 and no duration."""
_LARGE = 2.0**62


@dataclass(frozen=True, slots=True)
class Header:
    """The columns of a table: which tell the place of a row, and under which name each metric is kept ("" for none).

    Rows of a table that is `counted` have a step or an epoch.
    """

    steps: tuple[int, ...]
    epoch: int | None
    times: tuple[int, ...]
    metrics: tuple[str, ...]
    counted: bool
    delimiter: str
    named: int | None = None
    """The column that names the metric of a row, whose number is in a column `value`: a table in long form."""
    batches: bool = False
    """Whether the first column is a batch, by its name alone: it counts from 0 or 1, a size of batches does not."""


def take(header: Header, cells: Sequence[str], record: int, columns: Columns) -> None:
    if any(len(cell) > LONGEST_TEXT for cell in cells):
        return  # an example and no entry
    numbers = [number_of(cell, header.delimiter) for cell in cells]
    step = next((value for index in header.steps if (value := numbers[index]) is not None), None)
    epoch = None if header.epoch is None else numbers[header.epoch]
    if header.counted and step is None and epoch is None:
        return
    whole = int(step) if step is not None and 0 <= step < 2**62 and step == step // 1 else None
    time = next((value for index in header.times if (value := _time(cells[index])) is not None), float("nan"))
    columns.place(record, whole, epoch, time)
    for name, value in zip(header.metrics, numbers, strict=True):
        own = cells[header.named] if header.named is not None and name.lower() == "value" else name
        if own and value is not None:
            columns.add(own, value)


def take_all(
    header: Header,
    lines: Sequence[tuple[int, bytes]],
    columns: Columns,
    is_header: Callable[[Sequence[str]], bool],
) -> bool:
    """Keep what `take` keeps of many lines, each with its record, at once; False where one must be read by itself.

    That is a line with quotes or with more or fewer cells than the header, and a header that comes again.
    """
    cells = _cells_of(header, [line for _, line in lines])
    if cells is None:
        return False
    told: dict[int, tuple[Floats, NDArray[np.bool_]]] = {}

    def read(index: int) -> tuple[Floats, NDArray[np.bool_]]:
        if index not in told:
            told[index] = _numbers(cells[index])
        return told[index]

    nameless = np.flatnonzero(~read(0)[1]).tolist()
    if any(is_header([column[row].decode() for column in cells]) for row in nameless):
        return False
    steps, counted = _first_of(map(read, header.steps), len(lines))
    epochs, dated = read(header.epoch) if header.epoch is not None else _first_of((), len(lines))
    kept = counted | dated if header.counted else np.ones(len(lines), dtype=np.bool_)
    with np.errstate(invalid="ignore"):
        whole = counted & (steps >= 0) & (steps < _LARGE) & (steps == np.floor(steps))
    placed = np.full(len(lines), UNKNOWN_STEP, dtype=np.int64)
    placed[whole] = steps[whole].astype(np.int64)
    times = _first_of((_times(cells[index], *read(index)) for index in header.times), len(lines))[0]
    records = np.array([record for record, _ in lines], dtype=np.int64)
    first = columns.extend(records[kept], placed[kept], epochs[kept], times[kept])
    row_of = first + np.cumsum(kept) - 1
    for name, rows, values in sorted(_series(header, cells, read, kept), key=lambda series: int(series[1][0])):
        columns.add_all(name, row_of[rows], values)
    return True


def _cells_of(header: Header, lines: Sequence[bytes]) -> list[list[bytes]] | None:
    """Return the cells of lines by column, None where they are not simply what stands between delimiters."""
    text, sign, width = b"\n".join(lines), (header.delimiter or ",").encode(), len(header.metrics)
    if not _PLAIN.fullmatch(text) or (sign != b"," and b"," in text) or not lines:
        return None
    if any(line.count(sign) != width - 1 for line in lines):
        return None
    cells = [cell.strip() for cell in text.replace(b"\n", sign).split(sign)]
    return None if max(map(len, cells)) > LONGEST_TEXT else [cells[index::width] for index in range(width)]


def _numbers(cells: Sequence[bytes]) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the numbers of cells, NaN where there is none, and where there is one."""
    filled = np.array([bool(cell) for cell in cells])
    values, known = np.full(len(cells), np.nan), filled.copy()
    values[filled], known[filled] = numbers([cell for cell in cells if cell])
    return values, known


def _times(cells: Sequence[bytes], values: Floats, known: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.bool_]]:
    """Return what `_time` says of each cell, whose numbers are `values` where they are `known`."""
    dated = [row for row in np.flatnonzero(~known).tolist() if _DATED.match(cells[row])]
    with np.errstate(invalid="ignore"):
        known = known & (values > _LATE)
    values = values.copy()
    values[dated], known[dated] = clock_times([cells[row] for row in dated]) if dated else np.nan, True
    return values, known


def _first_of(told: Iterable[tuple[Floats, NDArray[np.bool_]]], count: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Return of several columns the first number of each row, NaN where none has one, and where one has."""
    values, known = np.full(count, np.nan), np.zeros(count, dtype=np.bool_)
    for each, there in told:
        values = np.where(there & ~known, each, values)
        known |= there
    return values, known


def _series(
    header: Header,
    cells: Sequence[Sequence[bytes]],
    read: Callable[[int], tuple[Floats, NDArray[np.bool_]]],
    kept: NDArray[np.bool_],
) -> Iterator[tuple[str, Integers, Floats]]:
    """Yield each metric of the rows that are kept: its name, the rows that have a number of it, and the numbers."""
    for index, name in enumerate(header.metrics):
        if not name:
            continue
        values, known = read(index)
        rows = np.flatnonzero(known & kept)
        if header.named is not None and name.lower() == "value":
            rows_of: dict[bytes, list[int]] = defaultdict(list)
            for row in rows.tolist():
                rows_of[cells[header.named][row]].append(row)
            yield from ((own.decode(), np.array(its), values[its]) for own, its in rows_of.items() if own)
        elif len(rows):
            yield name, rows, values[rows]


def number_of(text: str, delimiter: str = ",") -> float | None:
    """Return the number that a cell holds; a comma in it is a decimal one where cells are parted by something else."""
    if delimiter != "," and text.count(",") == 1:
        text = text.replace(".", "").replace(",", ".")
    return number(text.encode("utf-8", "replace")) if text else None


def _time(text: str) -> float | None:
    """Return seconds since the epoch: of a date, or of a number that is too large to be a duration."""
    encoded = text.encode("utf-8", "replace")
    if _DATED.match(encoded):
        return float(clock_times([encoded])[0])
    value = number_of(text)
    return value if value is not None and value > _LATE else None
