"""What one signature is."""

import re
from enum import IntEnum

from forensics.deferred.records import dataclass


class Role(IntEnum):
    """How near a line stands to the root of a death; of several lines the lowest role tells most."""

    ROOT = 0
    """What it died of: an exception, memory that ran out, a native signal, the scheduler's word."""
    KILL = 1
    """Ended from outside by a signal that says nothing of who sent it."""
    WAIT = 2
    """A rank that waited in vain, or whose connection broke: an echo wherever another rank tells of a root."""
    ABORT = 3
    """The process ended itself; what made it do so stands elsewhere."""
    OUTCOME = 4
    """A launcher tells that a process failed, or tears the others down."""
    SIGN = 5
    """A warning: it says something of the cause only where the process died."""


@dataclass(frozen=True, slots=True)
class Words:
    """A phrase that is searched, and the expression that must then be found in the line.

    `anchor` is plain text. `confirm` is searched in the line; without it the anchor itself counts. What stands before
    the match must be what launchers and loggers write (see `forensics.readers._deaths.leads`) unless `anywhere`.
    """

    anchor: str
    confirm: str = ""
    anywhere: bool = False


def Record(anchor: str, confirm: str = "") -> Words:  # noqa: N802  (reads as a kind of `Words`)
    """Return words of a kernel, scheduler or cluster manager: they may stand anywhere in the line that it wrote."""
    return Words(anchor, confirm, anywhere=True)


@dataclass(frozen=True, slots=True)
class Signature:
    """One kind of death or warning.

    `ending` is a kind of ending (`forensics.model.EndingKind`), "" where the line alone ends nothing. `told` is what
    is said of it, after "at step N". `unless` is an expression that takes a line out again.
    """

    name: str
    symptom: str
    ending: str
    role: Role
    told: str
    words: tuple[Words, ...]
    unless: str = ""

    def matches(self, text: str) -> bool:
        """Tell whether a text (the last line of a traceback, a message of a witness) is of this kind."""
        return not self.excludes(text) and any(
            w.anchor in text and (not w.confirm or re.search(w.confirm, text)) for w in self.words
        )

    def excludes(self, text: str) -> bool:
        """Tell whether a text holds what takes it out again."""
        return bool(self.unless) and re.search(self.unless, text) is not None
