"""The attempts of a run and how each ended."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from forensics.analysis.endings.freshness import written_ago
from forensics.analysis.endings.groups import Group, groups_of, root_of, unknown
from forensics.analysis.endings.hangs import hang_told, stands_still
from forensics.deferred.records import dataclass
from forensics.model import Attempt, Ending, EndingKind, Timeline
from forensics.model.statistics import median
from forensics.names import LOSS, Kind
from forensics.signatures import Role

CUT_OFF = "run-cut-off"


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a run came of what was planned, in steps or epochs; None where one of the two is not on file."""

    last: int | None
    planned: int | None
    unit: str
    gap: int = 1
    """How far entries are apart: what is nearer to the end than that would not have been logged."""

    @property
    def whole(self) -> bool:
        return self.last is not None and self.planned is not None and self.last >= self.planned

    @property
    def short(self) -> bool:
        return self.last is not None and self.planned is not None and self.last + self.gap <= self.planned


def attempts_of(
    timeline: Timeline, planned: int | None = None, planned_epochs: int | None = None, now: float | None = None
) -> tuple[Attempt, ...]:
    """Return every attempt, the last one last; launches that failed before their first step are attempts too.

    The planned epochs tell how far a run came where its log counts no steps. `now` (seconds since the epoch) tells a
    run that is still being written; without it none is.
    """
    groups = groups_of(timeline)
    spans: list[tuple[int | None, int | None]] = [(s.first, s.last) for s in timeline.segments]
    found: list[Attempt] = []
    for group in groups:
        if group.fate != "final" and _ended_a_launch(group):
            last = unknown(group.step)
            first = next((f for f, _ in spans if f is not None and last is not None and f <= last), None)
            found.append(Attempt(first if last is not None else None, last, ending_of([group])))
    final = [group for group in groups if group.fate == "final"]
    first, last = spans[-1] if spans else (None, None)
    if planned is None and planned_epochs is not None:
        extent = Extent(_last_epoch(timeline), planned_epochs, "epoch")
    else:
        extent = Extent(last, planned, "step", _gap(timeline))
    ending = ending_of(final) if _decisive(final) else _without_death(timeline, last, extent, final)
    ago = (
        None if now is None or ending.kind not in {"unknown", "cut-off"} or ending.name else written_ago(timeline, now)
    )
    if ago is not None:
        ending = replace(ending, kind="running", statement=f"an entry was written {_told(ago)} ago: it may still go on")
    for begin, end in spans[:-1]:
        if not any(
            attempt.last is not None and begin is not None and end is not None and begin <= attempt.last <= end
            for attempt in found
        ):
            found.append(Attempt(begin, end, Ending("unknown", "a later attempt goes on from here")))
    found.sort(key=lambda attempt: (attempt.last is not None, attempt.last or 0))
    return (*found, Attempt(first, last, ending)) if final or spans or found else ()


def _ended_a_launch(group: Group) -> bool:
    """Tell whether what was survived ended a process, so that what follows was a new launch."""
    root = group.root
    return bool(root.ending) and root.role <= Role.ABORT and not root.caught and not root.outside


def _decisive(groups: Sequence[Group]) -> bool:
    return any(death.ending for group in groups for death in group.deaths if death.role != Role.SIGN)


def ending_of(groups: Sequence[Group]) -> Ending:
    """Return the ending that groups of deaths of one attempt tell together, whatever texts they stand in."""
    deaths = [death for group in groups for death in group.deaths if death.ending and death.role != Role.SIGN]
    root = root_of(deaths)
    group = next(group for group in groups if root in group.deaths)
    steps = [step for each in groups if (step := each.step) >= 0]
    after = all(each.after_finish for each in groups if any(death.ending for death in each.deaths))
    return Ending(
        kind=root.ending,  # type: ignore[arg-type]  # signatures name kinds of endings only, which a test checks
        statement=root.told,
        source=root.source,
        name=root.name,
        symptom=root.symptom,
        step=max(steps, default=None) if group.step < 0 else group.step,
        after_finish=after,
        quoted=root.text,
    )


def _told(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def _gap(timeline: Timeline) -> int:
    """Return how many steps the entries of the loss are usually apart."""
    loss = timeline.get(LOSS)
    return int(median(np.diff(loss.steps))) if loss is not None and loss.axis == "step" and len(loss) > 1 else 1


def _last_epoch(timeline: Timeline) -> int | None:
    """Return the last epoch that was logged, one that was begun counted as well."""
    if timeline.axis == "epoch":
        return timeline.last
    told = [b.epochs[np.isfinite(b.epochs)] for b in timeline.samples if b.epochs is not None]
    return max((int(epochs[-1]) for epochs in told if len(epochs)), default=None)


def _finished(timeline: Timeline, last: int | None, extent: Extent) -> Ending | None:
    """Return the ending of a run that came to its own end, None where nothing says so."""
    finished = [events for events in timeline.events_of(Kind.TRAINING_FINISHED) if len(events)]
    if finished:
        events = finished[-1]
        return Ending("finished", "training came to its own end", events.source_at(len(events) - 1), step=last)
    if extent.whole:
        return Ending("finished", f"all {extent.planned:,} planned {extent.unit}s were logged", step=last)
    codes = [events for events in timeline.events_of(Kind.SIGNAL) if len(events) and float(events.values[-1]) == 0]
    if codes:
        source = codes[-1].source_at(len(codes[-1]) - 1)
        return Ending("finished", "the process ended with exit code 0", source, step=last)
    return None


def _without_death(timeline: Timeline, last: int | None, extent: Extent, final: Sequence[Group]) -> Ending:
    finished = _finished(timeline, last, extent)
    if finished is not None:
        return finished
    if stands_still(timeline):
        return Ending("hung", f"the run stood still: {hang_told(timeline)}", symptom="run-hung", step=last)
    words = next((death for group in final for death in group.deaths if death.symptom == CUT_OFF), None)
    logged = any(block.place.startswith("line") for block in timeline.samples)
    short = logged and extent.short
    where = f"the log ends at {extent.unit} {extent.last:,} of {extent.planned:,} planned" if short else ""
    if words is not None:
        said = f"{where or 'the log ends'} with words of an error, and nothing tells how the process ended"
        kind: EndingKind = "cut-off" if short else "unknown"
        return Ending(kind, said, words.source, words.name, words.symptom, step=last, quoted=words.text)
    if short:
        return Ending("cut-off", f"{where}, and nothing tells how it ended", step=last)
    return Ending("unknown", "no sign of how it ended is on file", step=last)
