"""Metrics over steps: a table, a plot with characters, CSV, JSON, Parquet, a TensorBoard event file.

`render`, `plotted`, `parquet` and `event_file` take the run as it was read and mask it themselves: a masked run has
no samples any more. Without a redactor that has learnt from the run only secrets are masked.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from tabulate import tabulate

from forensics.errors import UsageError
from forensics.model import NOUNS, Axis, Run, Series, Source
from forensics.model.order import distinct
from forensics.redaction import Redactor
from forensics.redaction.identities import redactor_for
from forensics.report._masking import masked_run
from forensics.report._onset import window
from forensics.report._plot import ASCII, UNICODE, plot
from forensics.report._safe import cell, clean
from forensics.report.json import number

MAXIMUM_COLUMNS = 8
PLACES = ("step", "entry")
"""Columns of whole numbers: each entry has one of the two."""
WHOLE = (*PLACES, "rank", "segment")
"""Columns of whole numbers, of which some rows have none."""
TOGETHER = 4096
"""Rows of a CSV that are made at once."""
PROBE, SHORT = 1_234_567_890_123_456_789, 200
"""A record that no source has, and characters below which nothing is cut off."""
Column: TypeAlias = Sequence[int | None] | Sequence[float] | Sequence[str]
Columns: TypeAlias = Mapping[str, Column]


def render(
    run: Run, metrics: Sequence[str], form: str, *, samples: bool = False, redactor: Redactor | None = None
) -> str:
    """Return a table, CSV or JSON of the merged series, or of every sample.

    Raises `UsageError` for a metric that the run does not have.
    """
    if samples:
        columns = _every_sample(run, metrics, redactor)
        return _csv(columns) if form == "csv" else _json_columns(columns)
    if form == "csv":
        return "".join(pieces(run, metrics, redactor=redactor))
    chosen = _chosen(run, metrics, redactor)
    return _json(chosen) if form == "json" else _table(chosen)


def pieces(run: Run, metrics: Sequence[str], *, redactor: Redactor | None = None) -> Iterator[str]:
    """Yield the CSV of the merged series, many rows at a time; raises `UsageError` like `render`."""
    yield _csv(dict.fromkeys(_merged(()), ()))
    for series in _chosen(run, metrics, redactor):
        before, behind = ("", ",") if series.axis == "step" else (",", "")
        name = _quoted(clean(series.name))
        sources = [_source_of(*place) for place in series.places]
        columns = (series.steps, series.values, series.wall_times, series.origins, series.records)
        for first in range(0, len(series), TOGETHER):
            rows = zip(*(column[first : first + TOGETHER].tolist() for column in columns), strict=True)
            yield "".join(
                f"{before}{step}{behind},{name},{value!r},{'' if time != time else time},{sources[origin](record)}\n"  # noqa: PLR0124  (NaN)
                for step, value, time, origin, record in rows
            )


def plotted(
    run: Run, metrics: Sequence[str], *, width: int = 80, unicode: bool = True, redactor: Redactor | None = None
) -> str:
    """Return one plot a metric, none wider than `width`; a long series is thinned evenly."""
    chosen = [series for series in _chosen(run, metrics, redactor) if len(series) > 1]
    ink = UNICODE if unicode else ASCII
    drawn = [plot(window(s, None, width, width), None, width, ink=ink) for s in chosen[:MAXIMUM_COLUMNS]]
    text = "\n\n".join("\n".join(clean(line) for line in lines) for lines in drawn)
    return f"{text or 'no metric has two entries'}{_more(chosen)}\n"


def parquet(run: Run, metrics: Sequence[str], *, samples: bool = False, redactor: Redactor | None = None) -> bytes:
    """Return a Parquet file of the merged series, or of every sample; raises `UsageError` without pyarrow."""
    import pandas as pd

    columns = _every_sample(run, metrics, redactor) if samples else _merged(_chosen(run, metrics, redactor))
    out = io.BytesIO()
    try:
        pd.DataFrame(columns).astype({name: "Int64" for name in WHOLE if name in columns}).to_parquet(out, index=False)
    except ImportError as error:
        raise UsageError("--format parquet needs pyarrow: pip install pyarrow") from error
    return out.getvalue()


def event_file(run: Run, metrics: Sequence[str], *, redactor: Redactor | None = None) -> tuple[str, bytes]:
    """Return name and bytes of an event file of the merged series, written by TensorBoard's own record writer.

    An event holds one value: its step (int64; its place on another axis where the tag ends in " over entries" or the
    like), its wall time (float64 seconds; 0 where the source has none) and the value as float32, which is what
    TensorBoard draws. Events are in order of steps. The same run gives the same bytes. Raises `UsageError` without
    tensorboard, and where there is no value to write.
    """
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter
    except ImportError as error:
        raise UsageError("--format tensorboard needs tensorboard: pip install 'medforensics[tensorboard]'") from error
    chosen = [series for series in _chosen(run, metrics, redactor) if len(series)]
    if not chosen:
        raise UsageError("the run has no values over steps, so there is nothing to write for TensorBoard")
    names = [_tag(s) for s in chosen for _ in range(len(s))]
    steps = np.concatenate([s.steps for s in chosen])
    walls = np.nan_to_num(np.concatenate([s.wall_times for s in chosen]), nan=0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.concatenate([s.values for s in chosen]).astype(np.float32)
    known = walls[walls > 0]
    begin = float(known.min()) if known.size else 0.0
    out = io.BytesIO()
    writer = RecordWriter(out)
    writer.write(Event(wall_time=begin, file_version="brain.Event:2").SerializeToString())
    for row in np.argsort(steps, kind="stable").tolist():
        summary = Summary(value=[Summary.Value(tag=names[row], simple_value=float(values[row]))])
        event = Event(wall_time=float(walls[row]), step=int(steps[row]), summary=summary)
        writer.write(event.SerializeToString())
    return f"events.out.tfevents.{int(begin):010d}.medforensics", out.getvalue()


def _tag(series: Series) -> str:
    """Return the name, with what is counted where that is no step: TensorBoard calls every place a step."""
    return clean(series.name) if series.axis == "step" else f"{clean(series.name)} over {NOUNS[series.axis][1]}"


def _chosen(run: Run, metrics: Sequence[str], redactor: Redactor | None) -> list[Series]:
    _check(metrics, run)
    series = run.timeline.series
    wanted = {name: series[name] for name in (metrics or sorted(series))}
    part = replace(run, timeline=replace(run.timeline, series=wanted))
    return list(masked_run(part, redactor).timeline.series.values())


def _check(metrics: Sequence[str], run: Run) -> None:
    unknown = [name for name in metrics if name not in run.timeline]
    if unknown:
        known = ", ".join(sorted(run.timeline.series)) or "none at all"
        raise UsageError(f"the run has no metric {unknown[0]!r}; it has {known}")


def _merged(chosen: Sequence[Series]) -> Columns:
    """Return a row for each entry of each series; `entry` is its place where no step is known."""
    return {
        "step": _places(chosen, steps=True),
        "entry": _places(chosen, steps=False),
        "metric": [name for s in chosen for name in [clean(s.name)] * len(s)],
        "value": [value for s in chosen for value in s.values.tolist()],
        "wall_time": [time for s in chosen for time in s.wall_times.tolist()],
        "source": [clean(str(s.source_at(i))) for s in chosen for i in range(len(s))],
    }


def _places(chosen: Sequence[Series], *, steps: bool) -> list[int | None]:
    return [place if (s.axis == "step") is steps else None for s in chosen for place in s.steps.tolist()]


def _every_sample(run: Run, metrics: Sequence[str], redactor: Redactor | None) -> Columns:
    """Return the columns of `Timeline.frame`, texts masked."""
    _check(metrics, run)
    frame = run.frame()
    if metrics:
        frame = frame[frame["metric"].isin(metrics)]
    columns = {str(name): frame[name].tolist() for name in frame.columns}
    for name in WHOLE:
        missing = frame[name].isna()
        columns[name] = [None if no else int(one) for one, no in zip(columns[name], missing, strict=True)]
    mask = redactor or redactor_for(run, identities=False, names={})
    for name in ("metric", "source"):
        texts = {text: clean(mask(text)) for text in set(columns[name])}
        columns[name] = [texts[text] for text in columns[name]]
    return columns


def _table(chosen: Sequence[Series]) -> str:
    """Return a table for each axis that the first metrics are counted on, optimizer steps first."""
    shown = chosen[:MAXIMUM_COLUMNS]
    axes = sorted({s.axis for s in shown}, key=lambda axis: (axis != "step", axis))
    tables = [_axis_table(axis, [s for s in shown if s.axis == axis]) for axis in axes]
    return "\n\n".join(tables or [_axis_table("step", [])]) + f"{_more(chosen)}\n"


def _axis_table(axis: Axis, shown: Sequence[Series]) -> str:
    steps = distinct(np.concatenate([s.steps for s in shown])) if shown else np.array([], dtype=np.int64)
    rows = [[int(step), *(_cell(s.value_at(int(step))) for s in shown)] for step in steps]
    return tabulate(rows, headers=[NOUNS[axis][0], *(clean(s.name) for s in shown)], disable_numparse=True)


def _more(chosen: Sequence[Series]) -> str:
    left = len(chosen) - MAXIMUM_COLUMNS
    return f"\n({left} more metrics; choose with --metric)" if left > 0 else ""


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _csv(columns: Columns) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(_cells(name, column) for name, column in columns.items()), strict=True))
    return out.getvalue()


def _quoted(text: str) -> str:
    """Return a text as it stands between the commas of a CSV."""
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow((0, cell(text)))
    return out.getvalue()[2:]


def _source_of(path: str, place: str) -> Callable[[int], str]:
    """Return what gives the cell of a source by its record; where only the number differs, only that is made."""

    def whole(record: int) -> str:
        return _quoted(clean(str(Source(path, place.format(record), record))))

    shown = whole(PROBE)
    head, number, tail = shown.partition(str(PROBE))
    simple = number and str(PROBE) not in tail and len(shown) < SHORT and whole(0) == f"{head}0{tail}"
    return (lambda record: f"{head}{record}{tail}") if simple else whole


def _cells(name: str, column: Column) -> Sequence[object]:
    if name == "value":
        return [repr(value) for value in column]
    if name == "wall_time":
        return ["" if time != time else time for time in column]  # noqa: PLR0124  (NaN)
    return [cell(text) if isinstance(text, str) else text for text in column]


def _json(chosen: Sequence[Series]) -> str:
    out = {clean(s.name): _series(s) for s in chosen}
    return json.dumps(out, allow_nan=False) + "\n"


def _series(series: Series) -> dict[str, object]:
    values = [number(v) for v in series.values.tolist()]
    if series.axis == "step":
        return {"steps": series.steps.tolist(), "values": values}
    return {"steps": None, "axis": series.axis, "entries": series.steps.tolist(), "values": values}


def _json_columns(columns: Columns) -> str:
    out = {name: [number(v) if isinstance(v, float) else v for v in held] for name, held in columns.items()}
    return json.dumps(out, allow_nan=False) + "\n"
