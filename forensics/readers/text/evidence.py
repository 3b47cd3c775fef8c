"""Whether numbers that were found tell of a training at all: one question for every text, line format or table.

Programs without number count and measure: load tests, data bases, evaluations of many models, indices of files. What
they print has the form of a log, so its form cannot tell it from one. What a text holds as a whole can: a loss or the
norm of a gradient, a learning rate, what a policy earned, a score that goes with a counter, or a score that learns.
Where nothing does, nothing in the text is a metric.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from forensics.deferred.patterns import expression
from forensics.model import UNKNOWN_STEP, Floats, Integers
from forensics.model.order import varied
from forensics.names import LEARNING_RATE, NO_LOSS, OF_ERRORS, loss_rank
from forensics.readers.text.lexicon import COUNTERS, SUBJECTS, Role, earns, role_of
from forensics.readers.text.rows import Rows

FEWEST = 5
"""Scores from which on they may be a curve although nothing counts them."""
DEVIATIONS = 2.0
"""How far below its mean the ratio of von Neumann must lie for a curve: one order in fifty comes as far by chance."""
_OF_A_MACHINE = expression(
    r"(?i)time|(?<![a-z])(?:m|u|n)?s(?:ec(?:ond)?s?)?(?![a-z])|eta(?![a-z])|elapsed|duration|speed|latenc|throughput"
    r"|/s(?:ec)?(?![a-z])|(?<![a-z])(?:per|p\d\d|fps|qps|rps|tps|tgs|mem|vram|ram|temp|id|[pt]id|ts|port|rank|worker"
    r"|version|max|min|best|left|took|cost|eps|epsilon|mfu|t?flops)(?![a-z])|memory|gpu|cpu|(?<![a-z])[kmgt]i?b(?![a-z])"
    r"|byte|size|count|(?<=.)total|total(?=.)|number|num(?![a-z])|retr|fetch|download|transfer|attempt|timeout|limit|batch|sample|token|request"
    r"|connection|thread|patience|skipped|loss[ _-]?scale|temperature"
    r"|(?<![a-z])(?:util\w{0,8}|power|watts?|rows?|files?|status|vus"
    r"|shards?|progress|percent\w{0,3}|completed|remaining|seed)(?![a-z])"
)
"""What is no measure of a model by its name: what a program needs of a machine, how much of something there is."""

_OF_A_RATE = expression(
    r"(?i)throughput|(?<![a-z])(?:tps|tgs|mfu|t?flops|runtime|skipped)(?![a-z])|/s(?:ec)?|per_?sec|loss[ _-]?scale"
)
"""Metrics that the lexicon knows and that a program without a model has as well."""

COMPARES = expression(
    r"(?i)(?<![a-z])(?:id|i?dx|index|models?|name|method|dataset|data|fold|trial|seed|config\w*|lr|alpha|beta|lambda|gamma"
    r"|dropout|depth|width|layers?|params?|file|label|class|user|run|batch[_ ]?size|epochs)(?![a-z])"
)
"""Columns of tables that compare trainings or examples."""


def of_a_machine(name: str) -> bool:
    """Tell whether a number is no measure of a model by its name.

    >>> of_a_machine("request time (ms)"), of_a_machine("generation throughput"), of_a_machine("coverage")
    (True, True, False)
    """
    return _OF_A_MACHINE.search(name) is not None


def of_a_training(tables: Iterable[Rows]) -> list[Rows]:
    """Return tables of one text if anything in them tells of a training, else none.

    Names are compared as a whole: parts of one metric, from lines of several shapes, are one curve.
    """
    found = list(tables)
    if any(_is_subject(name) for table in found for name in table.names if len(table)):
        return found
    return found if any(_tells(name, parts) for name, parts in _by_name(found)) else []


def _is_subject(name: str) -> bool:
    return (role_of(name) in SUBJECTS and not _is_error(name)) or name == LEARNING_RATE or earns([name])


def _is_error(name: str) -> bool:
    """Tell whether a name is that of an error (RMSE, MAPE): estimates and models have them without being trained."""
    return OF_ERRORS <= loss_rank(name) < NO_LOSS


def _by_name(tables: Sequence[Rows]) -> Iterator[tuple[str, list[tuple[Rows, int]]]]:
    parts: dict[str, list[tuple[Rows, int]]] = defaultdict(list)
    for table in tables:
        for index, name in enumerate(table.names if len(table) else ()):
            parts[name].append((table, index))
    yield from parts.items()


def _tells(name: str, parts: Sequence[tuple[Rows, int]]) -> bool:
    """Tell whether a metric without a loss is one of a training: it goes with a counter, or it learns."""
    role = Role.KNOWN if _is_error(name) else role_of(name)
    if role in COUNTERS or role is Role.NOTHING or (of_a_machine(name) and role is not Role.KNOWN):
        return False
    if role is Role.KNOWN and of_a_machine(name) and _OF_A_RATE.search(name):
        return False
    values = np.concatenate([table.values[:, index] for table, index in parts])
    order = np.argsort(np.concatenate([table.at for table, _ in parts]), kind="stable")
    values = values[order]
    steps = np.concatenate([table.steps for table, _ in parts])[order]
    epochs = np.concatenate([table.epochs for table, _ in parts])[order]
    if _is_placed(steps, epochs):
        return role is Role.KNOWN or (varied(values, 2) and not _counts(values))
    return learns(values) and (role is Role.KNOWN or not (values == np.floor(values)).all())


def _is_placed(steps: Integers, epochs: Floats) -> bool:
    """Tell whether entries have places; steps 1, 2, 3 of a few entries are the numbers of a list."""
    known = steps[steps != UNKNOWN_STEP]
    return bool(np.isfinite(epochs).any()) or (len(known) > 0 and not _is_list(known))


def _is_list(steps: Integers) -> bool:
    return len(steps) < FEWEST and steps[0] in {0, 1} and bool((np.diff(steps) == 1).all())


def _counts(values: Floats) -> bool:
    return bool((values == np.floor(values)).all() and (np.diff(values) >= 0).all())


def learns(values: Floats) -> bool:
    """Tell whether numbers are a curve: each resembles the one before it more than chance would have it.

    The ratio of the mean squared difference of neighbours to the variance is 2 for numbers in any order, with a
    deviation of 2 * sqrt((n - 2) / (n**2 - 1)) (von Neumann, Ann. Math. Statist. 12 (1941) 367). Models of a list,
    folds and points of a grid stand in such an order; the score of a model that learns does not.
    """
    finite = values[np.isfinite(values)]
    size = len(finite)
    if size < FEWEST or not varied(finite, 2):
        return False
    spread = float(np.var(finite, ddof=1))
    ratio = float(np.mean(np.diff(finite) ** 2)) / spread if spread > 0 else 2.0
    return ratio < 2 - DEVIATIONS * 2 * float(np.sqrt((size - 2) / (size**2 - 1)))
