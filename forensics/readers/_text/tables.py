"""Tables of metrics as notebooks show them and people paste them: a header with `Step` or `Epoch` and a loss.

    Step  Training Loss  Validation Loss        transformers `utils/notebook.py:NotebookProgressCallback`, with tabs,
    500   1.234500       1.300000               blanks, or bars and a ruled line below the header as in Markdown

A cell without a number (`No log`) leaves its metric out of that row. Without a `Step` column the epochs count.
"""

import re
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from forensics.formats.text import Window, fragment_end, fragment_start, number
from forensics.model import UNKNOWN_STEP, Precision
from forensics.readers._text.collected import Rows, plain_rows
from forensics.readers._text.phrases import Positions

MAX_COLUMNS = 64
ANCHORS = tuple(
    b"%s %s" % (kind, loss) for kind in (b"Training", b"Validation", b"Train", b"Eval") for loss in (b"Loss", b"loss")
)
"""What a header holds, and `phrases` looks for."""
_CELLS = re.compile(rb" *(?:\||\t) *|  +")
_CHANGED = re.compile(rb"Training Loss|Validation Loss|No [Ll]og|[^\s|]+")
_RULE = re.compile(rb"[\s|:+-]+")
_COUNTERS = {"step": "step", "steps": "step", "epoch": "epoch", "epochs": "epoch"}

Row = tuple[int, float, int, dict[str, float]]


def scan_window(window: Window, positions: Positions) -> Iterator[Rows]:
    """Yield the rows of every table whose header lies in the window, a block for each set of metrics."""
    grouped: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    ended = -1
    for position in sorted(place for anchor in ANCHORS for place in positions.get(anchor, ())):
        if position < ended:
            continue
        start = fragment_start(window.data, position, window.floor(position))
        ended = fragment_end(window.data, position, window.reach(position))
        names = _names(window.data[start:ended])
        if names is None or start < window.begin:
            continue
        for row in _rows(window, ended, names):
            grouped[tuple(row[3])].append(row)
    for metrics, rows in grouped.items():
        if metrics:
            yield _block(window, metrics, rows)


def _cells(line: bytes) -> list[bytes]:
    text = line.strip().removeprefix(b"|").removesuffix(b"|").strip()
    cells = _CELLS.split(text)
    return cells if len(cells) > 1 else _CHANGED.findall(text)


def _names(line: bytes) -> list[str] | None:
    """Return the names of the columns, None when the line is no header of such a table."""
    names = [cell.decode("utf-8", "replace").strip() for cell in _cells(line)]
    counted = any(name.lower() in _COUNTERS for name in names)
    return names if counted and 2 <= len(names) <= MAX_COLUMNS and len(set(names)) == len(names) else None


def _rows(window: Window, position: int, names: list[str]) -> Iterator[Row]:
    """Yield place, epoch, step and metrics of the rows below a header, up to the first line that is no row."""
    counters = {_COUNTERS.get(name.lower(), ""): index for index, name in enumerate(names)}
    stop = window.reach(position)
    while position < stop:
        start = position + 1
        position = fragment_end(window.data, start, stop)
        line = window.data[start:position]
        if not line.strip() or _RULE.fullmatch(line):
            continue
        cells = _cells(line)
        if len(cells) != len(names):
            return
        values = [number(cell) for cell in cells]
        epoch, step = (values[counters[key]] if key in counters else None for key in ("epoch", "step"))
        count = step if "step" in counters else epoch
        if count is None or not 0 <= count < 1 << 53:
            return
        metrics = {
            name: value
            for name, value in zip(names, values, strict=True)
            if value is not None and name.lower() not in _COUNTERS
        }
        yield start, np.nan if epoch is None else epoch, UNKNOWN_STEP if step is None else int(step), metrics


def _block(window: Window, metrics: tuple[str, ...], rows: list[Row]) -> Rows:
    starts = [start for start, _, _, _ in rows]
    begin = min(window.begin, len(window.data))
    # A table may end behind its window, where line numbers are not at hand.
    lines = np.array([window.line + window.data.count(b"\n", begin, start) for start in starts], dtype=np.int64)
    return plain_rows(
        metrics,
        np.array([list(values.values()) for _, _, _, values in rows], dtype=np.float64).reshape(len(rows), -1),
        [window.offset + start for start in starts],
        lines,
        [step for _, _, step, _ in rows],
        epochs=np.array([epoch for _, epoch, _, _ in rows], dtype=np.float64),
        precision=Precision.FOUR_DECIMALS,
    )
