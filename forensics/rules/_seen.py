"""An observation, and how it becomes a piece of evidence with points for or against."""

from collections.abc import Iterator
from dataclasses import dataclass

from forensics.model import Evidence, Source


@dataclass(frozen=True, slots=True)
class Seen:
    """Something that the run recorded: whether it holds, said as a sentence with the value observed.

    Functions that observe return None when the run does not tell. `key` names the observation, so that it counts
    once however many branches of a rule look at it.
    """

    holds: bool
    statement: str
    source: Source | None = None
    key: str = ""


def weigh(seen: Seen | None, yes: int, no: int = 0, because: str = "") -> Iterator[Evidence]:
    """Yield the observation as evidence: `yes` points where it holds, `no` points where it does not.

    `because` is appended and says why it counts. Nothing is yielded for what was not recorded or has no points.
    """
    if seen is None:
        return
    points = yes if seen.holds else no
    if points:
        said = f"{seen.statement}; {because}" if because else seen.statement
        yield Evidence(points, said, seen.source, seen.key)


def weigh_yes(seen: Seen | None, points: int, because: str = "") -> Iterator[Evidence]:
    """Yield the observation only where it holds, with the reason that belongs to that case."""
    if seen is not None and seen.holds:
        yield from weigh(seen, points, because=because)


def weigh_no(seen: Seen | None, points: int, because: str = "") -> Iterator[Evidence]:
    """Yield the observation only where it does not hold, with the reason that belongs to that case."""
    if seen is not None and not seen.holds:
        yield from weigh(seen, 0, points, because)


def holds(seen: Seen | None) -> bool:
    return seen is not None and seen.holds


def fails(seen: Seen | None) -> bool:
    return seen is not None and not seen.holds
