"""The numbers behind the pictures of the HTML report, small enough for one page."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from forensics.diagnosis import judgement
from forensics.model import NOUNS, Checkpoint, Integers, Report, Run, Series, TensorTable
from forensics.model.order import distinct
from forensics.names import EVAL_LOSS, GRAD_NORM, LEARNING_RATE, LOSS, LOSS_SCALE
from forensics.report._onset import onset_on
from forensics.report._safe import clean
from forensics.report.tensors import relative_change, worst_first

Json: TypeAlias = dict[str, Any]
FIRST = (LOSS, GRAD_NORM, LEARNING_RATE, LOSS_SCALE, EVAL_LOSS)
MOST_PLOTS = 16
MOST_POINTS = 100_000
"""Points of all plots together: about 1.6 MB of text."""
MOST_MARKS = 2_000
MOST_CELLS = 200_000
MOST_TENSORS = 5_000
MEASURES = ("bad", "zero", "same", "max_abs", "l2", "change")


def data(report: Report) -> Json:
    """Return everything that the page draws: curves, marks and the tensor table."""
    axis = report.run.timeline.axis
    return {"axis": axis, "plots": plots(report.run), "marks": marks(report), "tensors": tensors(report.run)}


def plots(run: Run) -> list[Json]:
    """Return one entry a metric: steps, values (null where not finite) and the steps of the nonfinite ones.

    A metric with a single entry is a result, not a curve, unless it is one of the first five.
    """
    known = run.timeline.series
    names = [n for n in FIRST if n in known]
    names += [n for n in sorted(known) if n not in FIRST and n != "epoch"]
    chosen = [known[n] for n in names if len(known[n]) > (n not in FIRST)][:MOST_PLOTS]
    share = max(1_000, MOST_POINTS // max(1, len(chosen)))
    return [_plot(series, share) for series in chosen]


def _plot(series: Series, most: int) -> Json:
    keep = thinned(series.values, most)
    values = series.values[keep]
    finite = np.isfinite(values)
    bad = series.steps[~np.isfinite(series.values)]
    return {
        "name": clean(series.name, 120),
        "axis": series.axis,
        "noun": NOUNS[series.axis][0],
        "nouns": NOUNS[series.axis][1],
        "steps": series.steps[keep].tolist(),
        "values": [_short(v) if ok else None for v, ok in zip(values.tolist(), finite.tolist(), strict=True)],
        "nonfinite": bad[distinct(np.linspace(0, len(bad) - 1, min(len(bad), MOST_MARKS)).astype(int))].tolist(),
        "nonfinite_count": len(bad),
        "count": len(series),
    }


def thinned(values: NDArray[np.float64], most: int) -> Integers:
    """Return at most `most` indices that keep the look: of each stretch the lowest, the highest, one nonfinite.

    With evenly wide stretches and both extremes kept, the drawn line covers the same pixels as all points do.
    """
    count = len(values)
    if count <= most:
        return np.arange(count)
    edges = np.linspace(0, count, max(1, most // 3) + 1).astype(np.int64)
    finite = np.isfinite(values)
    kept = [np.array([0, count - 1]), _first_of_each(~finite, edges)]
    for extreme, other in ((np.minimum, np.inf), (np.maximum, -np.inf)):
        shown = np.where(finite, values, other)
        reached = np.repeat(extreme.reduceat(shown, edges[:-1]), np.diff(edges))
        kept.append(_first_of_each(finite & (shown == reached), edges))
    return distinct(np.concatenate(kept))


def _first_of_each(flags: NDArray[np.bool_], edges: Integers) -> Integers:
    """Return the first index that is set in each stretch between two edges, of those that have one."""
    at = np.flatnonzero(flags)
    stretch = np.searchsorted(edges, at, side="right")
    first: Integers = at[np.append(True, stretch[1:] != stretch[:-1])[: len(at)]]
    return first


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def marks(report: Report) -> Json:
    """Return what is drawn over the curves on the run's axis: the onset bracket, checkpoints, restarts, events."""
    finding = judgement.onset(report)
    run = report.run
    onset = onset_on(run.timeline.axis, finding)
    stepped = run.timeline.axis == "step"
    return {
        "onset": None if finding is None or onset is None else [finding.earliest, onset],
        "checkpoints": [
            {"step": c.step, "status": c.status, "name": clean(c.path, 120)}
            for c in run.checkpoints
            if c.step is not None and stepped
        ][:MOST_MARKS],
        "restarts": [s.first for s in run.timeline.segments[1:]][:MOST_MARKS],
        "events": list(_events(run)) if stepped else [],
    }


def _events(run: Run) -> Iterator[Json]:
    for events in run.timeline.events:
        steps = distinct(events.steps[events.steps >= 0])[:200].tolist()
        if steps and events.kind not in {"checkpoint-saved", "evaluated"}:
            yield {"kind": events.kind, "steps": steps}


def tensors(run: Run) -> Json | None:
    """Return the tensor table: rows by name, a column a checkpoint, several measures a cell; the worst rows first.

    `None` when nothing was scanned. What does not fit is left out from the end and counted.
    """
    scanned = [c for c in run.checkpoints if c.table is not None]
    if not scanned:
        return None
    rows, total = _row_names(scanned)
    columns = _columns(run, scanned, total)
    shown = next(c.table.names.shown for c in scanned if c.table is not None)
    rows = rows[: max(1, MOST_CELLS // (len(columns) * len(MEASURES)))]
    index = {name: i for i, name in enumerate(rows)}
    return {
        "names": [clean(shown(name), 200) + ("" if role == "weight" else f" ({role})") for name, role in rows],
        "total": total,
        "measures": MEASURES,
        "checkpoints": [
            {"name": clean(c.path, 120), "step": c.step, "status": c.status, "cells": _cells(c, index)} for c in columns
        ],
        "columns_total": len(scanned),
    }


def _row_names(scanned: Sequence[Checkpoint]) -> tuple[list[tuple[str, str]], int]:
    """Return (name as it is, role) of as many tensors as are shown, and how many there are.

    Those come first that are worst in the latest checkpoint.
    """
    tables = [c.table for c in reversed(scanned) if c.table is not None]
    order: dict[tuple[str, str], None] = {}
    for table in tables:
        for i in worst_first(table).tolist():
            if len(order) == MOST_TENSORS:
                break
            order.setdefault((table.names.texts[i], table.roles[i]))
    if len(tables) == 1:
        return list(order), len(tables[0])
    return list(order), len({key for table in tables for key in zip(table.names.texts, table.roles, strict=True)})


def _columns(run: Run, scanned: Sequence[Checkpoint], rows: int) -> list[Checkpoint]:
    """Return the checkpoints that fit, those around the change from good to bad first, in step order."""
    most = max(2, MOST_CELLS // (max(1, min(rows, MOST_TENSORS)) * len(MEASURES)))
    wanted = [c for c in (run.last_good_checkpoint, run.first_bad_checkpoint) if c is not None and c.table is not None]
    for c in reversed(scanned):
        if len(wanted) >= most:
            break
        if not any(c is known for known in wanted):
            wanted.append(c)
    return [c for c in scanned if any(c is known for known in wanted)]


def _cells(checkpoint: Checkpoint, index: dict[tuple[str, str], int]) -> dict[str, list[float | None]]:
    """Return a list a measure, one value a row, null where the checkpoint lacks the tensor or it says nothing."""
    table = checkpoint.table
    assert table is not None
    values = _measures(table)
    cells: dict[str, list[float | None]] = {name: [None] * len(index) for name in MEASURES}
    for i, key in enumerate(zip(table.names.texts, table.roles, strict=True)):
        row = index.get(key)
        if row is not None:
            for name in MEASURES:
                value = float(values[name][i])
                cells[name][row] = _four(value) if math.isfinite(value) else None
    return cells


def _four(value: float) -> float:
    short = float(f"{value:.4g}")
    return int(short) if short.is_integer() and abs(short) < 1e6 else short


def _measures(table: TensorTable) -> dict[str, NDArray[np.float64]]:
    elements = np.maximum(table.elements, 1)
    return {
        "bad": (table.nan + table.infinite).over(elements),
        "zero": table.zero.over(elements),
        "same": table.same.over(elements),
        "max_abs": table.max_abs.astype(np.float64),
        "l2": table.l2.astype(np.float64),
        "change": np.asarray(relative_change(table), dtype=np.float64),
    }
