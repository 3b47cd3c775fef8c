"""Layers against checkpoints, one character a cell: where the weights went bad, and how far it spread."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from forensics.model import Checkpoint
from forensics.report._safe import clean
from forensics.weights.groups import Groups, by_layer, grouped

CELLS = {
    "X": "every element NaN or Inf",
    "x": "some NaN or Inf",
    "0": "all zero",
    "=": "unchanged since the one before",
    ".": "nothing of these",
    "?": "not examined",
}
"""Worst first; the blank of a layer that a checkpoint does not hold needs no word."""
NAME_WIDTH = 50
ROWS = 60


def heat_map(checkpoints: Sequence[Checkpoint]) -> Iterator[str]:
    """Yield the lines of the map with its legend; nothing when no checkpoint was looked into.

    Layers that follow each other and look alike share a row, so that a model of a hundred layers fits a screen.
    """
    columns = [_cells(checkpoint) for checkpoint in checkpoints]
    names = list(dict.fromkeys(name for column in columns for name in column))
    rows = [(name, "".join(column.get(name, " ") for column in columns)) for name in names]
    if not rows:
        return
    folded = [
        (_title(names), cells)
        for cells, run in groupby(rows, key=lambda row: row[1])
        for names in _families(name for name, _ in run)
    ]
    widest = max(len(title) for title, _ in folded)
    yield "layers by checkpoint"
    yield from (f"  column {i + 1}: {clean(checkpoint.path)}" for i, checkpoint in enumerate(checkpoints))
    yield from (f"  {title:{widest}}  {cells}" for title, cells in folded[:ROWS])
    if len(folded) > ROWS:
        yield f"  ({len(folded) - ROWS:,} more rows)"
    seen = {cell for _, cells in folded for cell in cells}
    yield "  " + ", ".join(f"{cell} {meaning}" for cell, meaning in CELLS.items() if cell in seen)


def _cells(checkpoint: Checkpoint) -> dict[str, str]:
    """Return the character of each layer, in the order of the file."""
    if checkpoint.table is None:
        return {}
    groups = grouped(checkpoint.table, by_layer(checkpoint.table))
    return dict(zip(groups.names, _marks(groups).tolist(), strict=True))


def _marks(groups: Groups) -> NDArray[np.str_]:
    bad, any_element = groups.nan + groups.infinite, groups.elements > 0
    choices = {
        "X": any_element & (bad == groups.elements),
        "x": bad > 0,
        "0": any_element & (groups.zero == groups.elements),
        "=": (groups.compared > 0) & (groups.same == groups.elements),
        "?": groups.unexamined == groups.tensors,
    }
    return np.select(list(choices.values()), list(choices), ".")


def _families(names: Iterator[str]) -> Iterator[list[str]]:
    """Cut a run of names where the part before the number of the layer changes."""
    for _, family in groupby(names, key=lambda name: name.rstrip("0123456789")):
        yield list(family)


def _title(names: Sequence[str]) -> str:
    first = clean(names[0], NAME_WIDTH)
    if len(names) == 1:
        return first
    last = names[-1]
    return f"{first} to {clean(last[len(last.rstrip('0123456789')) :], NAME_WIDTH)}"
