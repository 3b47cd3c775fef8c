"""How a process ended: one ending for each attempt of a run."""

from typing import Literal, TypeAlias

from forensics.deferred.records import dataclass
from forensics.model.facts import Source

EndingKind: TypeAlias = Literal[
    "finished",
    "stopped-by-user",
    "crashed",
    "killed",
    "preempted",
    "evicted",
    "node-lost",
    "time-limit",
    "hung",
    "cut-off",
    "running",
    "unknown",
]


@dataclass(frozen=True, slots=True)
class Ending:
    """How one attempt ended, who says so and where.

    `name` is the kind of the event that tells most of the root (a signature of `forensics.signatures`), "" where
    there is none; `symptom` the name under which it is found. `step` is the last step that was logged before.
    `after_finish` tells that training had come to its own end before. `quoted` is the line itself.
    """

    kind: EndingKind
    statement: str
    source: Source | None = None
    name: str = ""
    symptom: str = ""
    step: int | None = None
    after_finish: bool = False
    quoted: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One launch: the first and last step it logged (None where it logged none), and how it ended."""

    first: int | None
    last: int | None
    ending: Ending
