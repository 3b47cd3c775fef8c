"""What a table of lines printed: the names of its metrics, how exactly, and which lines of a bar tell anything new."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.patterns import expression
from forensics.model import Floats, Integers, Precision
from forensics.model.order import distinct, varied
from forensics.names import loss_rank
from forensics.readers.text.axes import Axis
from forensics.readers.text.lexicon import METRICS, metric_name
from forensics.readers.text.names import Shape
from forensics.readers.text.tables import Entries

QUOTED_VALUE = expression(rb": ?['\"]\x00['\"]")
ROUNDED = 4
"""Decimals from which on numbers count as rounded by the printer, when several are."""
SEVERAL = 3


def metric_names(table: Entries) -> list[tuple[int, str]]:
    """Return the metrics of a table of lines: index of the field and canonical name.

    Of several that mean the same the one with that very name keeps it, else that with more distinct values; the
    others keep their own.
    """
    found: dict[str, list[int]] = defaultdict(list)
    fields = table.shape.fields
    for index, field in enumerate(fields):
        if field.role in METRICS:
            found[metric_name(field.name, field.evaluation)].append(index)
    names: list[tuple[int, str]] = []
    for name, indices in found.items():
        best = indices[0]
        if len(indices) > 1:
            own = {index: (fields[index].name != name, -len(distinct(table.numbers[:, index]))) for index in indices}
            best = min(indices, key=lambda index: (*own[index], loss_rank(fields[index].name)))
        names.extend((index, name if index == best else fields[index].name) for index in indices)
    return sorted(names)


def precision_of(table: Entries, index: int, *, bar: bool) -> Precision:
    field, values = table.shape.fields[index], table.numbers[:, index]
    if bar or field.factor != 1 or QUOTED_VALUE.search(table.shape.key) or _is_lossy(table.shape):
        return Precision.FOUR_DIGITS
    if table.shape.table:
        return Precision.FOUR_DECIMALS
    finite = values[np.isfinite(values)]
    rounded = bool((finite == np.round(finite, ROUNDED)).all()) and varied(finite, SEVERAL)
    return Precision.FOUR_DECIMALS if rounded else Precision.DOUBLE


def _is_lossy(shape: Shape) -> bool:
    """NeMo prints four digits of its loss."""
    return b"reduced_train_loss: \x00" in shape.key


def told_anew(tables: Sequence[Entries], back: Integers, axis: Axis) -> dict[str, NDArray[np.bool_]]:
    """Return, of metrics that a bar repeats, the lines that tell them anew: evaluations, and means over an epoch.

    A mean over an epoch changes no more often than the epoch, and is drawn at least `SEVERAL` times as often.
    """
    told: dict[str, tuple[Floats, NDArray[np.bool_]]] = {}
    first = 0
    for table in tables:
        place = back[first : first + len(table)]
        first += len(table)
        for index, name in metric_names(table):
            values, has = told.setdefault(name, (np.full(len(back), np.nan), np.zeros(len(back), dtype=np.bool_)))
            values[place], has[place] = table.numbers[:, index], True
    epochs = len(distinct(axis.epochs[np.isfinite(axis.epochs)]))
    new = {}
    for name, (values, has) in told.items():
        kept = has & axis.kept
        changed = kept.copy()
        changed[kept] = _changed(values[kept]) if kept.any() else kept[kept]
        mean = epochs >= SEVERAL and changed.sum() <= epochs and kept.sum() >= SEVERAL * changed.sum()
        if name.startswith("eval") or mean:
            new[name] = changed
    return new


def _changed(values: Floats) -> NDArray[np.bool_]:
    """Tell which values differ from the one before: a bar repeats its last evaluation."""
    same = (values[1:] == values[:-1]) | (np.isnan(values[1:]) & np.isnan(values[:-1]))
    return np.append(True, ~same)
