"""Observations: how several become one, and how one becomes a piece of evidence with points for or against."""

from collections.abc import Iterator

from forensics.model import Evidence, Seen

__all__ = [
    "Seen",
    "every",
    "fails",
    "first",
    "held",
    "holds",
    "opposite",
    "some",
    "unless",
    "weigh",
    "weigh_no",
    "weigh_yes",
]


def weigh(seen: Seen | None, yes: int, no: int = 0, because: str = "", *, measured: str = "") -> Iterator[Evidence]:
    """Yield the observation as evidence: `yes` points where it holds, `no` points where it does not.

    `because` is appended and says why it counts; `measured` cites what allows less than -2. Nothing is yielded for
    what was not recorded or has no points.
    """
    if seen is None:
        return
    points = min(yes, seen.most) if seen.holds else no
    if points:
        said = f"{seen.statement}; {because}" if because else seen.statement
        yield Evidence(points, said, seen.source, seen.key, measured)


def weigh_yes(seen: Seen | None, points: int, because: str = "", *, measured: str = "") -> Iterator[Evidence]:
    """Yield the observation only where it holds, with the reason that belongs to that case."""
    if seen is not None and seen.holds:
        yield from weigh(seen, points, because=because, measured=measured)


def weigh_no(seen: Seen | None, points: int, because: str = "", *, measured: str = "") -> Iterator[Evidence]:
    """Yield the observation only where it does not hold, with the reason that belongs to that case."""
    if seen is not None and not seen.holds:
        yield from weigh(seen, 0, points, because, measured=measured)


def holds(seen: Seen | None) -> bool:
    return seen is not None and seen.holds


def fails(seen: Seen | None) -> bool:
    return seen is not None and not seen.holds


def first(*seen: Seen | None) -> Seen | None:
    """Return the first observation that the run recorded."""
    return next((one for one in seen if one is not None), None)


def some(*seen: Seen | None) -> Seen | None:
    """Tell whether one of them holds; false only where all of them are known not to."""
    held = next((one for one in seen if holds(one)), None)
    return held or (None if None in seen else first(*seen))


def held(seen: Seen | None) -> Seen | None:
    """Return the observation where it holds: that it fails proves nothing."""
    return seen if holds(seen) else None


def every(*seen: Seen | None) -> Seen | None:
    """Tell whether all of them hold; true only where all of them are known to."""
    failed = next((one for one in seen if fails(one)), None)
    return failed or (None if None in seen else first(*seen))


def unless(seen: Seen | None, *contradictions: Seen | None) -> Seen | None:
    """Return the observation, or that it fails where one of the contradictions holds.

    A contradiction that was not recorded leaves the observation as it is.
    """
    found = next((one for one in contradictions if one is not None and one.holds), None)
    return seen if found is None else Seen(False, found.statement, found.source, found.key)


def opposite(seen: Seen | None) -> Seen | None:
    """Return an observation for which what it states counts the other way."""
    return None if seen is None else Seen(not seen.holds, seen.statement, seen.source, seen.key)
