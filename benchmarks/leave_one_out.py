"""The bound of a word, fitted without one source at a time, and what it says of the claims of that source.

A bound that was chosen with a run in view is right about that run for no reason. Here the bound is chosen from the
claims of first contact alone, as no bar is read on runs that rules were written with; each source of them (repository
and cause) is left out of one fit, and only then its claims are judged. What is fitted is the lowest score from which
claims are right as often as the word asks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tabulate import tabulate

from calibration import shown

BARS = {"established": 0.95, "likely": 0.85}
"""What each word promises (docs/design/0004-evidence.md)."""
UNSEEN = "first contact"
LEAST = 5
"""Claims from which a bound may be taken at all."""


@dataclass(frozen=True, slots=True)
class Scored:
    """The first claim of one report: where it comes from, its points, and whether it is right."""

    group: str
    source: str
    score: int
    right: bool


def bound(scored: Sequence[Scored], bar: float) -> int | None:
    """Return the lowest score from which claims are right at least `bar` of the time, and from each higher score too.

    >>> rows = [Scored("", "a", s, s > 6) for s in (4, 5, 6, 7, 8, 9, 10, 11)]
    >>> bound(rows, 0.85), bound(rows, 0.6), bound(rows[:4], 0.5)
    (7, 4, None)
    """
    found = None
    for least in sorted({s.score for s in scored}, reverse=True):
        above = [s.right for s in scored if s.score >= least]
        if len(above) < LEAST:
            continue
        if sum(above) < bar * len(above):
            break
        found = least
    return found


def left_out(scored: Sequence[Scored], bar: float) -> tuple[list[int], dict[str, list[bool]]]:
    """Return the bound of each fit, and by group the claims that reach the bound fitted without their own source."""
    bounds: list[int] = []
    kept: dict[str, list[bool]] = {}
    unseen = [s for s in scored if s.group.startswith(UNSEEN)]
    for source in dict.fromkeys(s.source for s in scored):
        fitted = bound([s for s in unseen if s.source != source], bar)
        if fitted is None:
            continue
        bounds.append(fitted)
        for s in scored:
            if s.source == source and s.score >= fitted:
                kept.setdefault(s.group, []).append(s.right)
    return bounds, kept


def table(scored: Sequence[Scored]) -> str:
    """Return a row a word: the bounds that were fitted, and how often it is right of sources that were left out."""
    groups = list(dict.fromkeys(s.group for s in scored))
    rows = []
    for word, bar in BARS.items():
        bounds, kept = left_out(scored, bar)
        span = f"{min(bounds)} to {max(bounds)}" if bounds else "none"
        rows.append([word, f"{bar:.2f}", span, *(shown(kept.get(group, [])) for group in groups)])
    return tabulate(rows, headers=["left out", "asked", "from points", *groups], disable_numparse=True)
