"""Where it broke: the onset, what surrounds it, and what was lost after it."""

from collections.abc import Iterator

import numpy as np

from forensics.deferred.records import dataclass
from forensics.diagnosis.judgement import onset
from forensics.model import NOUNS, Axis, Finding, Floats, Integers, Report, Series
from forensics.model.order import distinct
from forensics.names import GRAD_NORM, LOSS

PLOTTED = (LOSS, GRAD_NORM)
BEFORE, AFTER = 60, 60
"""Entries shown before and after the onset in small plots: enough to see the level that was left."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A piece of one metric: places on `axis` (int64) and values (float64) of shape (n,), NaN and infinities kept."""

    name: str
    steps: Integers
    values: Floats
    axis: Axis = "step"


def curves(report: Report, before: int = BEFORE, after: int = AFTER) -> Iterator[Curve]:
    """Yield loss and gradient norm around the onset; the whole run when nothing broke."""
    finding = onset(report)
    for name in PLOTTED:
        series = report.run.timeline.get(name)
        if series is not None and len(series) > 1:
            yield window(series, onset_on(series.axis, finding), before, after)


def onset_on(axis: Axis, finding: Finding | None) -> int | None:
    """Return the onset if it is a place on this axis."""
    return finding.onset if finding is not None and finding.axis == axis else None


def window(series: Series, step: int | None, before: int, after: int) -> Curve:
    """Return `before` entries before the onset and `after` from it on; evenly thinned when there is no onset."""
    count = len(series)
    if step is None:
        keep = distinct(np.linspace(0, count - 1, min(count, before + after)).astype(np.int64))
        return Curve(series.name, series.steps[keep], series.values[keep], series.axis)
    middle = int(np.searchsorted(series.steps, step))
    first, last = max(0, middle - before), min(count, middle + after)
    return Curve(series.name, series.steps[first:last], series.values[first:last], series.axis)


def aftermath(report: Report) -> Iterator[str]:
    """Yield what was spent after the onset and what else happened at it, one sentence each."""
    cost = report.cost
    if cost is not None:
        time = f", {duration(cost.seconds)}" if cost.seconds is not None and cost.seconds >= 1 else ""
        share = f"{cost.steps / cost.total:.0%}"
        yield f"{cost.steps:,} of {cost.total:,} {NOUNS[cost.axis][1]} were run from there on ({share}{time})."
    yield from coincidences(report)


def coincidences(report: Report) -> Iterator[str]:
    """Yield what else happened at the onset, in one sentence."""
    if report.coincidences:
        yield f"At the same time: {'; '.join(c.statement for c in report.coincidences)}."


def duration(seconds: float) -> str:
    """Return seconds as a person says them.

    >>> duration(42), duration(5400), duration(200000)
    ('42 s', '1 h 30 min', '2 d 7 h')
    """
    whole = round(seconds)
    for size, unit, smaller, name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit} {rest} {name}" if rest else f"{whole // size} {unit}"
    return f"{whole} s"
