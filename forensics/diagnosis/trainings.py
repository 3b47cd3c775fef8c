"""Of several trainings in one log each is judged by itself, and the report is that of the worst."""

from collections.abc import Sequence
from dataclasses import replace

from forensics.diagnosis.brevity import brief, stopped
from forensics.diagnosis.headline import MOST
from forensics.model import Report, Run, RunVerdict, Source, Training

GRAVEST: tuple[RunVerdict, ...] = ("broken", "suspicious")


def worst_of(reports: Sequence[Report]) -> Report:
    """Return the report of the worst training, the first of equals, with what became of each.

    Where none shows a fault it is the last one that shows a course. More than half of them must: one training of two
    entries beside five that learn leaves nothing open.
    """
    number = _worst(reports)
    report = reports[number]
    told = f"Training {number + 1} of {len(reports)}: {report.headline}"
    return replace(
        report,
        headline=told if len(told) <= MOST else stopped(brief(told, MOST - 1)),
        training=number + 1,
        trainings=tuple(Training(i, r.verdict, r.headline, _begins(r.run)) for i, r in enumerate(reports, 1)),
    )


def _worst(reports: Sequence[Report]) -> int:
    for verdict in GRAVEST:
        for number, report in enumerate(reports):
            if report.verdict == verdict:
                return number
    fine = [number for number, report in enumerate(reports) if report.verdict == "healthy"]
    left = [number for number, report in enumerate(reports) if report.verdict != "healthy"]
    return fine[-1] if len(fine) > len(left) else left[-1]


def _begins(run: Run) -> Source | None:
    """Return where the first entry of a training stands."""
    first = [series.source_at(0) for series in run.timeline.series.values() if len(series)]
    return min(first, key=lambda source: source.record, default=None)
