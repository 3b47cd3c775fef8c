"""Logs side by side that are several runs, not attempts of one: told apart by what they hold, not by their names.

An attempt that died is followed by one that trains the same steps again, with other values: that is one run. A log that
came to its end is no attempt of another that trains its steps anew, and neither are logs with different plans, nor
two of one kind (`lr_1e-3.csv`, `lr_1e-4.csv`) that both reach the same step and tell of no death.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

import numpy as np

from forensics.assemble.environment import natural
from forensics.assemble.joins import rounding
from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.model import UNKNOWN_STEP, Events, Fact, Floats, Integers, Samples, Setting
from forensics.model.statistics import median
from forensics.names import LOSS, OF_TRAINING, Kind, loss_rank
from forensics.signatures import BY_NAME

LEAST = 3
"""Common steps below which nothing is said."""
MANY = 10
"""Entries from which on two logs that end at the same step did not do so by chance."""
UNLIKE = 0.8
"""Share of the common steps at which two runs differ; the losses of a resumed run begin equal."""
NEAR_THE_START = 3
"""Entries from 0 within which a log begins with the run."""
_SAVED = expression(r"(^|/)(checkpoint[-_]|global_step|iter_|step[-_])\d")
_NUMBERS = expression(r"\d+")
_OF_PROCESSES = expression(
    r"(?:rank|worker|node|proc|process|gpu|host|task|local|pod|replica|device|attempt|part|shard|std(?:out|err))[-_./]?\d"
    r"|(?:^|/)\d{1,4}[-_./]|[-_.]r?\d{1,4}\.(?:log|out|err|txt)$",
    re.IGNORECASE,
)
"""Files that processes of one run write, or its attempts."""
_DEATHS = frozenset({Kind.TRACEBACK, Kind.SIGNAL, Kind.KILLED, *BY_NAME})


@dataclass(frozen=True, slots=True)
class _Log:
    """One file that holds losses over steps from the start of a run: its end, its plan, and whether it got there."""

    path: str
    steps: Integers
    values: Floats
    planned: int | None
    finished: bool
    died: bool = False

    @property
    def last(self) -> int:
        return int(self.steps[-1])


def several_runs(facts: Iterable[Fact]) -> tuple[str, ...]:
    """Return the files that are runs of their own, in natural order; empty when they are one run."""
    found = list(facts)
    logs = list(_logs(found).values())
    apart: set[str] = set()
    for number, log in enumerate(logs):
        for other in logs[:number]:
            if _differ(log, other) and _not_attempts(log, other):
                apart |= {log.path, other.path}
    return tuple(sorted(apart, key=natural))


def _logs(facts: Sequence[Fact]) -> Mapping[str, _Log]:
    finished = {fact.path for fact in facts if isinstance(fact, Events) and fact.kind == Kind.TRAINING_FINISHED}
    planned = {
        fact.source.path: fact.value
        for fact in facts
        if isinstance(fact, Setting) and fact.name == "max_steps" and isinstance(fact.value, int) and fact.value > 0
    }
    died = {fact.path for fact in facts if isinstance(fact, Events) and fact.kind in _DEATHS}
    blocks: dict[str, list[Samples]] = defaultdict(list)
    for fact in facts:
        if isinstance(fact, Samples) and _is_loss(fact) and not _SAVED.search(fact.path):
            blocks[fact.path].append(fact)
    found: dict[str, _Log] = {}
    for path, held in blocks.items():
        block = max(held, key=lambda each: (len(each.steps), each.name == LOSS))
        known = block.steps != UNKNOWN_STEP
        steps, values = block.steps[known], block.values[known]
        if len(steps) >= LEAST and bool(np.all(np.diff(steps) >= 0)) and _begins_anew(steps):
            last = np.append(np.diff(steps) > 0, True)
            found[path] = _Log(path, steps[last], values[last], planned.get(path), path in finished, path in died)
    return found


def _is_loss(block: Samples) -> bool:
    return block.axis == "step" and (block.name == LOSS or loss_rank(block.name) < OF_TRAINING)


def _begins_anew(steps: Integers) -> bool:
    return bool(steps[0] <= NEAR_THE_START * max(1.0, median(np.diff(steps))))


def _differ(one: _Log, other: _Log) -> bool:
    """Tell whether two logs give other values for the same steps, from the first on."""
    common, mine, theirs = np.intersect1d(one.steps, other.steps, assume_unique=True, return_indices=True)
    if len(common) < LEAST:
        return False
    values, others = one.values[mine], other.values[theirs]
    reach = 1.02 * max(rounding(values), rounding(others))
    with np.errstate(invalid="ignore"):
        same = (np.abs(values - others) <= reach) | (values == others) | (np.isnan(values) & np.isnan(others))
    return float(np.mean(~same)) >= UNLIKE and not bool(same[0])


def _not_attempts(one: _Log, other: _Log) -> bool:
    if one.planned is not None and other.planned is not None and one.planned != other.planned:
        return True
    if one.finished and other.finished:
        # Processes of one run end at the same step, and their files differ by a number.
        return one.last != other.last or _NUMBERS.sub("", one.path) != _NUMBERS.sub("", other.path)
    if not (one.finished or other.finished or one.died or other.died):
        return one.last == other.last and len(one.steps) >= MANY and _alike(one.path, other.path)
    done, broken = (one, other) if one.finished else (other, one)
    return done.finished and broken.last > done.last


def _alike(one: str, other: str) -> bool:
    """Tell whether two paths name files of one kind, and not processes or attempts of one run."""
    if _OF_PROCESSES.search(one) or _OF_PROCESSES.search(other):
        return False
    return _NUMBERS.sub("", one) == _NUMBERS.sub("", other) or PurePosixPath(one).name == PurePosixPath(other).name
