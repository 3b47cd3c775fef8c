"""Lines that count and tell numbers whose names the lexicon does not know.

Epoch 12: chamfer 0.0213 coverage 0.81
Generation 40 | best fitness: 12.75
[15/900] xe: 1.4297

They come again and again in one shape, their counter rises, and a number in them has fractions and varies, or is never
finite. Such numbers are series under their own names. What a program needs of a machine (time, memory, requests) is
none.
"""

from dataclasses import replace

import numpy as np

from forensics.deferred.patterns import expression
from forensics.model import Floats
from forensics.model.order import varied
from forensics.readers.text.evidence import learns, of_a_machine
from forensics.readers.text.lexicon import Role
from forensics.readers.text.tables import Entries

FEWEST = 5
"""Lines from which on a shape is periodic."""
MOSTLY = 0.8
"""Share of the lines at which their counter rises: a run may begin anew."""
_COUNTS = (Role.GLOBAL, Role.STEP, Role.EPOCH, Role.EPISODE)
_OF_A_SOLVER = expression(
    r"(?i)(?<![a-z])(?:dt|cfl|courant|residuals?|pressure|press|pot_?eng|kin_?eng|density|velocity"
    r"|[xyz]|f ?\(x\))(?![a-z])"
)
"""What programs count through that solve equations: their lines are those of a training but for these names."""


def periodic(table: Entries) -> Entries | None:
    """Return lines with those numbers alone that are series under their own names, None where they are none."""
    shape = table.shape
    if len(table) < FEWEST or shape.sentence or shape.table or shape.block:
        return None
    if any(_OF_A_SOLVER.search(field.name) for field in shape.fields):
        return None
    counters = [index for index, field in enumerate(shape.fields) if field.role in _COUNTS]
    planned = not counters and bool(shape.fields) and shape.fields[0].role is Role.RATIO
    counters = [0] if planned and _is_planned(table.totals[:, 0]) else counters
    if not counters or not _counts(table.numbers[:, counters[0]]):
        return None
    told = [
        index for index, field in enumerate(shape.fields) if field.role is Role.OTHER and not of_a_machine(field.name)
    ]
    measures = learns if planned else _measures  # examples are worked off by a count of all too
    if not any(measures(table.numbers[:, index]) for index in told):
        return None
    roles = dict.fromkeys(told, Role.KNOWN) | {index: shape.fields[index].role for index in counters}
    fields = [replace(field, role=roles.get(index, Role.NOTHING)) for index, field in enumerate(shape.fields)]
    return replace(table, shape=replace(shape, fields=tuple(fields)))


def _is_planned(totals: Floats) -> bool:
    """Tell whether all counts without a name have one end."""
    return bool((totals == totals[0]).all())


def _counts(values: Floats) -> bool:
    whole = bool((values == np.floor(values)).all())
    return whole and bool((np.diff(values) > 0).mean() >= MOSTLY)


def _measures(values: Floats) -> bool:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return True
    return varied(finite, FEWEST) and bool((finite != np.floor(finite)).any())
