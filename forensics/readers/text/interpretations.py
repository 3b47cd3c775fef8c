"""What lines mean beyond their words, told from the numbers of all lines of a shape."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from forensics.deferred.patterns import expression
from forensics.model import Floats
from forensics.readers.text.lexicon import COUNTERS, TRAINING, Role
from forensics.readers.text.names import Field
from forensics.readers.text.tables import Entries

_ITERATION = b"elapsed time per iteration"
_ENGINE = expression(rb"step=\x00, skipped=\x00")
SEVERAL = 3
MOST_SCORE = 100.0
"""A share in percent; what is larger is no accuracy."""
YEARS = (1900, 2100)


def interpreted(table: Entries) -> Entries:
    """Return what lines mean beyond their words.

    DeepSpeed prints a line of step 0 when its engine is made. Megatron-LM prints `lm loss` only when it is finite in
    at least one iteration of the interval (`training_log`): a line with a gradient norm alone has a loss of NaN.
    """
    shape = table.shape
    if _ENGINE.search(shape.key):
        step = next(index for index, field in enumerate(shape.fields) if field.role is Role.STEP)
        return table.take(table.numbers[:, step] != 0)
    if _ITERATION in shape.key and shape.has(Role.NORM) and not shape.has(Role.LOSS):
        missing = np.full((len(table), 1), np.nan)
        lost = replace(shape, fields=(*shape.fields, Field("lm loss", Role.LOSS, -1)))
        numbers, totals = (np.concatenate([columns, missing], axis=1) for columns in (table.numbers, table.totals))
        return replace(table, shape=lost, numbers=numbers, totals=totals)
    if shape.has(Role.BEHIND, Role.PART):
        return replace(table, shape=replace(shape, fields=tuple(_told_apart(table))))
    return table


def _told_apart(table: Entries) -> Iterator[Field]:
    """Yield the fields of a shape, those that only their numbers tell as what they are.

    `Train loss 100 2.5` holds a step and a loss where the first number counts; `train 2.3 val 2.4` are losses where
    training falls, scores where it rises, and sizes of data where all of them are whole.
    """
    fields = table.shape.fields
    parts = [index for index, field in enumerate(fields) if field.role is Role.PART]
    trained = any(TRAINING.fullmatch(fields[index].name) and falls(table.numbers[:, index]) for index in parts)
    sizes = bool((table.numbers[:, parts] == np.floor(table.numbers[:, parts])).all())
    counted = [
        index
        for index, field in enumerate(fields)
        if field.role is Role.BEHIND and _counts(table.numbers[:, index - 1]) and not table.shape.has(*COUNTERS)
    ]
    for index, field in enumerate(fields):
        if index + 1 in counted:
            yield replace(field, name="step", role=Role.STEP)
        elif index in counted:
            yield replace(field, name=fields[index - 1].name, role=Role.LOSS)
        elif field.role is Role.BEHIND or (index in parts and sizes):
            yield replace(field, role=Role.NOTHING)
        elif index in parts:
            name, role = (f"{field.name} loss", Role.LOSS) if trained else (field.name, Role.KNOWN)
            yield replace(field, name=name, role=role)
        else:
            yield field


def falls(values: Floats) -> bool:
    """Tell whether numbers of training are those of a loss: they fall, are not finite, or too large for a share."""
    third = max(len(values) // 3, 1)
    return not bool(np.mean(values[-third:]) >= np.mean(values[:third])) or bool(np.max(values) > MOST_SCORE)


def _counts(values: Floats) -> bool:
    """Tell whether numbers count, and are no years."""
    rises = len(values) >= SEVERAL and bool((values == np.floor(values)).all() and (np.diff(values) > 0).all())
    return rises and not bool(YEARS[0] <= values[0] and values[-1] <= YEARS[1] and (np.diff(values) == 1).all())
