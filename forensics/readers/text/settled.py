"""From what all windows told to facts: steps settled, ranks folded, settings in order."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from forensics.formats.text import redact
from forensics.model import UNKNOWN_STEP, Events, Fact, Skip, Standing
from forensics.names import GRAD_NORM, LEARNING_RATE, LOSS_SCALE, Kind, canonical
from forensics.readers._events.rows import EventRows, events
from forensics.readers.text.evidence import of_a_training
from forensics.readers.text.found import Found, SettingRow, settings
from forensics.readers.text.planned import planned
from forensics.readers.text.rows import Rows, fold_rows, plain_rows, samples
from forensics.readers.text.series import series_of
from forensics.readers.text.shapes import shown_shape
from forensics.readers.text.trainer_steps import DictRows, resolve, schedule_of

SHOWN_BYTES = 160
MAX_NAMES = 2000
"""Names of metrics that a log may have; real ones have a few dozen."""


def facts(found: Found, path: str) -> Iterator[Fact]:
    """Turn what all windows told into facts: steps settled, ranks folded, settings in order."""
    dicts, rows = series_of(found.lines, found.beside)
    schedule = schedule_of(found.settings)
    inferred = [*_inferred(dicts), *planned(found.lines, dicts, schedule)]
    # A long log is large: what has been settled is not kept twice.
    found.lines.clear()
    tables = of_a_training([*resolve(dicts, schedule), *rows])
    dicts.clear()
    rows = list(fold_rows(tables))
    tables.clear()
    told = _with_milestones(found.events, rows)
    scales = [_loss_scales(table) for table in told if table.kind == Kind.OVERFLOW]
    kept, left_out = _named([*rows, *scales])
    yield from samples(kept, path)
    if left_out:
        yield Skip(path, f"{left_out:,} metrics beyond the first {MAX_NAMES:,} names were left out")
    if found.beside:
        yield Skip(path, _unread(found.beside))
    for each in events(told, path):
        yield _once_a_step(each) if each.kind == Kind.CHECKPOINT_SAVED else each
    yield from settings([*found.settings, *inferred], path)


def _unread(lines: Counter[bytes]) -> str:
    """Tell of lines with a number beside the name of a loss or norm that nothing took, and show the commonest."""
    shape = min(lines, key=lambda each: (-lines[each], each))
    count = sum(lines.values())
    shown = redact(shown_shape(shape))[:SHOWN_BYTES]
    lead = (
        f"{count:,} lines with a loss or norm beside a number were"
        if count > 1
        else "a line with a loss or norm beside a number was"
    )
    return f"{lead} not taken for metrics, most of them like: {shown}"


def _named(rows: list[Rows]) -> tuple[list[Rows], int]:
    """Keep the tables of the first `MAX_NAMES` metrics in the order of the text; count the names of the others."""
    names: set[str] = set()
    kept = []
    for table in sorted(rows, key=lambda table: int(table.at[0]) if len(table) else 0):
        if len(names) + sum(name not in names for name in table.names) <= MAX_NAMES:
            names.update(table.names)
            kept.append(table)
    others = {name for table in rows for name in table.names} - names
    return kept, len(others)


def _loss_scales(table: EventRows) -> Rows:
    """Return the loss scale in force at each overflow; the log does not name the step."""
    return plain_rows(
        (LOSS_SCALE,),
        table.values[:, None],
        table.at.tolist(),
        table.records,
        table.steps.tolist(),
        ranks=table.ranks.tolist(),
    )


def _with_milestones(told: list[EventRows], rows: list[Rows]) -> list[EventRows]:
    """Prefer the Trainer's metrics, which have steps, as signs of an evaluation and of the end of training."""
    made = [
        _milestone(kind, metric, table)
        for kind, metric in ((Kind.EVALUATED, "eval_runtime"), (Kind.TRAINING_FINISHED, "train_runtime"))
        for table in rows
        if metric in table.names and (kind == Kind.EVALUATED or "train_loss" in table.names)
    ]
    replaced = {table.kind for table in made}
    return [table for table in told if table.kind not in replaced] + made


def _milestone(kind: str, metric: str, table: Rows) -> EventRows:
    return EventRows(
        kind=kind,
        at=table.at,
        records=table.records,
        steps=table.steps,
        values=np.full(len(table), np.nan),
        ranks=table.ranks,
        signatures=table.steps,
        text=metric,
    )


def _once_a_step(saved: Events) -> Events:
    """Count a checkpoint once that the Trainer and the engine below it both announce."""
    repeated = np.zeros(len(saved), dtype=np.bool_)
    repeated[1:] = (saved.steps[1:] == saved.steps[:-1]) & (saved.steps[1:] != UNKNOWN_STEP)
    return replace(
        saved, steps=saved.steps[~repeated], values=saved.values[~repeated], records=saved.records[~repeated]
    )


def _inferred(dicts: Sequence[DictRows]) -> Iterator[SettingRow]:
    """Date transformers by its dictionaries: values quoted since 5.0.0, a gradient norm since 4.38.0."""
    for table in dicts:
        names = {canonical(name) for name in table.rows.names}
        if not len(table.rows) or np.isnan(table.rows.epochs).all() or LEARNING_RATE not in names:
            continue
        if table.quoted:
            value = ">=5"
        elif GRAD_NORM in names:
            value = ">=4.38,<5"
        else:
            value = "<5"
        yield SettingRow(
            int(table.rows.at[0]),
            int(table.rows.records[0]),
            "setting",
            "inferred.transformers",
            value,
            Standing.INFERRED,
        )
