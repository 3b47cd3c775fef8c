"""A curve drawn with characters: a few rows, NaN marked below, the onset as a vertical line.

Written by hand because it must be exact to the column, show gaps, and have an ASCII twin; plotext 5 draws none
of the three, and its version 6 has another interface.
"""

from collections.abc import Sequence

import numpy as np

from forensics.deferred.records import dataclass
from forensics.model import NOUNS, Floats
from forensics.report._onset import Curve

ROWS = 6
LABEL = 11
LOG_RATIO = 100.0
"""Positive values that span more than this are drawn on a logarithmic axis."""


@dataclass(frozen=True, slots=True)
class Ink:
    """The characters of a plot."""

    point: str
    onset: str
    nonfinite: str
    side: str
    tick: str
    corner: str
    floor: str


UNICODE = Ink("●", "┊", "\u00d7", "│", "┤", "└", "─")
ASCII = Ink("o", ":", "x", "|", "+", "+", "-")


def plot(curve: Curve, onset: int | None, width: int, *, ink: Ink = UNICODE, height: int = ROWS) -> list[str]:
    """Return the lines of a plot no wider than `width`: title, `height` rows, axis, the row of NaN, step numbers."""
    columns = width - LABEL - 2
    first, last = int(curve.steps[0]), int(curve.steps[-1])
    places = _places(curve, first, last, columns)
    finite = np.isfinite(curve.values)
    grid = [[" "] * columns for _ in range(height)]
    line = None if onset is None or not first <= onset <= last else _place(onset, first, last, columns)
    if line is not None:
        for row in grid:
            row[line] = ink.onset
    scale, title = _scale(curve.values[finite]), curve.name
    if finite.any():
        heights = _heights(curve.values[finite], scale, height)
        for x, y in zip(places[finite], heights, strict=True):
            grid[height - 1 - int(y)][int(x)] = ink.point
        title += f", {float(curve.values[finite].min()):.4g} to {float(curve.values[finite].max()):.4g}"
        title += " (logarithmic)" if scale.logarithmic else ""
    lines = [title, *_rows(grid, scale, ink)]
    lines.append(f"{'':>{LABEL}} {ink.corner}{ink.floor * columns}")
    lines += _marks(places[~finite], columns, ink)
    return [text.rstrip() for text in [*lines, _steps(curve, onset, line, columns)]]


@dataclass(frozen=True, slots=True)
class Scale:
    """The values at the lowest and the highest row."""

    low: float
    high: float
    logarithmic: bool


def _scale(values: Floats) -> Scale:
    if not len(values):
        return Scale(0.0, 0.0, logarithmic=False)
    low, high = float(values.min()), float(values.max())
    return Scale(low, high, logarithmic=low > 0 and high / low > LOG_RATIO)


def _heights(values: Floats, scale: Scale, height: int) -> Floats:
    """Return the row of each value, counted from below."""
    low, high, shown = scale.low, scale.high, values
    if scale.logarithmic:
        low, high, shown = np.log10(low), np.log10(high), np.log10(values)
    # Halves keep the span of two values near the largest double finite.
    span = high / 2 - low / 2
    share = (shown / 2 - low / 2) / span if span > 0 else np.full(len(values), 0.5)
    return np.clip(np.rint(share * (height - 1)), 0, height - 1)


def _rows(grid: Sequence[Sequence[str]], scale: Scale, ink: Ink) -> list[str]:
    last = len(grid) - 1
    labels = {0: scale.high, last: scale.low} if scale.high > scale.low else {len(grid) // 2: scale.low}
    rows = []
    for number, row in enumerate(grid):
        label = f"{labels[number]:.4g}" if number in labels else ""
        side = ink.tick if label else ink.side
        rows.append(f"{label:>{LABEL}} {side}{''.join(row)}")
    return rows


def _marks(places: Floats, columns: int, ink: Ink) -> list[str]:
    if not len(places):
        return []
    row = [" "] * columns
    for x in places:
        row[int(x)] = ink.nonfinite
    return [f"{'NaN, Inf':>{LABEL}}  {''.join(row)}"]


def _steps(curve: Curve, onset: int | None, line: int | None, columns: int) -> str:
    """Return the row of step numbers; the onset's own number wins its place."""
    first, last, noun = int(curve.steps[0]), int(curve.steps[-1]), NOUNS[curve.axis][0]
    row = [" "] * columns
    _write(row, 0, str(first))
    _write(row, columns - len(str(last)), str(last))
    if line is not None and onset is not None:
        text = f"^ {noun} {onset}" if line + len(f"^ {noun} {onset}") <= columns else f"{noun} {onset} ^"
        start = line if text.startswith("^") else max(0, line - len(text) + 1)
        for x in range(max(0, start - 1), min(columns, start + len(text) + 1)):
            row[x] = " "
        _blank_cut_numbers(row, first, last, columns)
        _write(row, start, text)
    return f"{noun:>{LABEL}}  {''.join(row)}"


def _blank_cut_numbers(row: list[str], first: int, last: int, columns: int) -> None:
    """Take a number away of which only a part is left: half a step number is a wrong one."""
    for start, text in ((0, str(first)), (columns - len(str(last)), str(last))):
        if "".join(row[start : start + len(text)]) != text:
            row[start : start + len(text)] = " " * len(text)


def _write(row: list[str], start: int, text: str) -> None:
    row[start : start + len(text)] = list(text)


def _places(curve: Curve, first: int, last: int, columns: int) -> Floats:
    share = (curve.steps - first) / max(1, last - first)
    return np.rint(share * (columns - 1)).astype(np.float64)


def _place(step: int, first: int, last: int, columns: int) -> int:
    return round((step - first) / max(1, last - first) * (columns - 1))
