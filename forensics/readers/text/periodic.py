"""Lines that count and tell numbers whose names the lexicon does not know.

Epoch 12: chamfer 0.0213 coverage 0.81
Generation 40 | best fitness: 12.75

They come again and again in one shape, their counter rises, and a number in them has fractions and varies. Such numbers
are series under their own names. What a program needs of a machine (time, memory, requests) is none.
"""

from dataclasses import replace

import numpy as np

from forensics.deferred.patterns import expression
from forensics.model import Floats
from forensics.model.order import varied
from forensics.readers.text.lexicon import Role
from forensics.readers.text.tables import Entries

FEWEST = 5
"""Lines from which on a shape is periodic."""
MOSTLY = 0.8
"""Share of the lines at which their counter rises: a run may begin anew."""
_COUNTS = (Role.GLOBAL, Role.STEP, Role.EPOCH, Role.EPISODE)
_OF_A_MACHINE = expression(
    r"(?i)time|(?<![a-z])(?:m|u|n)?s(?:ec(?:ond)?s?)?(?![a-z])|eta(?![a-z])|elapsed|duration|speed|latenc|throughput"
    r"|/s(?:ec)?(?![a-z])|(?<![a-z])(?:per|p\d\d|fps|qps|rps|mem|vram|ram|temp|id|port|pid|rank|worker|version|max|min"
    r"|best|left|took|cost|eps|epsilon)(?![a-z])|memory|gpu|cpu|(?<![a-z])[kmgt]i?b(?![a-z])|byte|size|count|total"
    r"|number|num(?![a-z])|retr|attempt|timeout|limit|batch|sample|token|request|connection|thread|patience"
)
"""What is no measure of a model by its name."""


def periodic(table: Entries) -> Entries | None:
    """Return lines with those numbers alone that are series under their own names, None where they are none."""
    shape = table.shape
    if len(table) < FEWEST or shape.sentence or shape.table or shape.block:
        return None
    counters = [index for index, field in enumerate(shape.fields) if field.role in _COUNTS]
    if not counters or not _counts(table.numbers[:, counters[0]]):
        return None
    told = [
        index
        for index, field in enumerate(shape.fields)
        if field.role is Role.OTHER and not _OF_A_MACHINE.search(field.name)
    ]
    if not any(_measures(table.numbers[:, index]) for index in told):
        return None
    roles = dict.fromkeys(told, Role.KNOWN) | {index: shape.fields[index].role for index in counters}
    fields = [replace(field, role=roles.get(index, Role.NOTHING)) for index, field in enumerate(shape.fields)]
    return replace(table, shape=replace(shape, fields=tuple(fields)))


def _counts(values: Floats) -> bool:
    whole = bool((values == np.floor(values)).all())
    return whole and bool((np.diff(values) > 0).mean() >= MOSTLY)


def _measures(values: Floats) -> bool:
    finite = values[np.isfinite(values)]
    return varied(finite, FEWEST) and bool((finite != np.floor(finite)).any())
