"""Where it broke: the onset, what surrounds it, and what was lost after it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from forensics.model import Finding, Floats, Integers, Report, Series
from forensics.names import GRAD_NORM, LOSS

PLOTTED = (LOSS, GRAD_NORM)
BEFORE, AFTER = 60, 60
"""Entries shown before and after the onset in small plots: enough to see the level that was left."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A piece of one metric: `steps` int64 and `values` float64 of shape (n,), NaN and infinities kept."""

    name: str
    steps: Integers
    values: Floats


def leading(report: Report) -> Finding | None:
    """Return the finding that the headline speaks of: the gravest one with a known step."""
    grave = [f for f in report.findings if f.severity != "notice" and onset_step(f) is not None]
    return grave[0] if grave else None


def onset_step(finding: Finding) -> int | None:
    """Return the first step at which the symptom surely holds."""
    return finding.onset


def curves(report: Report, before: int = BEFORE, after: int = AFTER) -> Iterator[Curve]:
    """Yield loss and gradient norm around the onset; the whole run when nothing broke."""
    finding = leading(report)
    step = None if finding is None else onset_step(finding)
    for name in PLOTTED:
        series = report.run.timeline.get(name)
        if series is not None and len(series) > 1:
            yield window(series, step, before, after)


def window(series: Series, step: int | None, before: int, after: int) -> Curve:
    """Return `before` entries before the onset and `after` from it on; evenly thinned when there is no onset."""
    count = len(series)
    if step is None:
        keep = np.unique(np.linspace(0, count - 1, min(count, before + after)).astype(np.int64))
        return Curve(series.name, series.steps[keep], series.values[keep])
    middle = int(np.searchsorted(series.steps, step))
    first, last = max(0, middle - before), min(count, middle + after)
    return Curve(series.name, series.steps[first:last], series.values[first:last])


def lost(report: Report) -> str:
    """Return how many steps, and how much time, went by after the onset; empty when nothing did."""
    cost = report.cost
    if cost is None:
        return ""
    time = f", {duration(cost.seconds)}" if cost.seconds is not None and cost.seconds >= 1 else ""
    return f"{cost.steps:,} of {cost.total:,} steps were run from there on ({cost.steps / cost.total:.0%}{time})"


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


def coincidences(report: Report) -> tuple[str, ...]:
    """Return what else happened at the onset: a save, an evaluation, an epoch, a resume, the peak of the rate."""
    return tuple(coincidence.statement for coincidence in report.coincidences)
