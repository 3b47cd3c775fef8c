"""Metrics over steps, as a table, CSV or JSON lines of the merged series."""

import csv
import io
import json
from collections.abc import Sequence

import numpy as np
from tabulate import tabulate

from forensics.errors import UsageError
from forensics.model import Run, Series
from forensics.report._safe import cell, clean
from forensics.report.json import number

MAXIMUM_COLUMNS = 8


def render(run: Run, metrics: Sequence[str], form: str) -> str:
    """Return the merged series; raises `UsageError` for a metric that the run does not have."""
    unknown = [name for name in metrics if name not in run.timeline]
    if unknown:
        known = ", ".join(sorted(run.timeline.series)) or "none at all"
        raise UsageError(f"the run has no metric {unknown[0]!r}; it has {known}")
    chosen = [run.timeline[name] for name in (metrics or sorted(run.timeline.series))]
    return {"table": _table, "csv": _csv, "json": _json}[form](chosen)


def _table(chosen: Sequence[Series]) -> str:
    shown = chosen[:MAXIMUM_COLUMNS]
    steps = np.unique(np.concatenate([s.steps for s in shown])) if shown else np.array([], dtype=np.int64)
    rows = [[int(step), *(_cell(s.value_at(int(step))) for s in shown)] for step in steps]
    text = tabulate(rows, headers=["step", *(clean(s.name) for s in shown)], disable_numparse=True)
    more = f"\n({len(chosen) - len(shown)} more metrics; choose with --metric)" if len(chosen) > len(shown) else ""
    return f"{text}{more}\n"


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _csv(chosen: Sequence[Series]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["step", "metric", "value", "wall_time", "source"])
    for s in chosen:
        for i in range(len(s)):
            wall = float(s.wall_times[i])
            source = cell(str(s.source_at(i)))
            writer.writerow(
                [
                    int(s.steps[i]),
                    cell(s.name),
                    repr(float(s.values[i])),
                    "" if wall != wall else wall,  # noqa: PLR0124  (NaN)
                    source,
                ]
            )
    return out.getvalue()


def _json(chosen: Sequence[Series]) -> str:
    out = {clean(s.name): {"steps": s.steps.tolist(), "values": [number(v) for v in s.values.tolist()]} for s in chosen}
    return json.dumps(out, allow_nan=False) + "\n"
