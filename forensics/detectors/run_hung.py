"""Ranks stood still in a collective or elsewhere, and nothing else ended the run."""

from collections.abc import Iterator

from forensics.analysis.endings.hangs import hang_told, waiting_in
from forensics.detectors.crash import findings_of
from forensics.model import Finding, Run
from forensics.names import Kind
from forensics.plugin import detector

UNDECIDED = frozenset({"unknown", "cut-off", "running"})


@detector("run-hung", any_of=("event collective-pending", "event stack", "event watchdog-hang"))
def run_hung(run: Run) -> Iterator[Finding]:
    """Find ranks that stood still: collectives that were never completed, stacks of two ranks and more.

    Source: torch's flight recorder (`FlightRecorder.hpp`: the state of an entry), py-spy, faulthandler, and the
    word of a watchdog (nvidia-resiliency-ext `rank_monitor_server.py`, "Did not get subsequent heartbeat").
    Minimum: two ranks that wait in a collective, or stacks of two processes; less is a notice. Of a watchdog one line.
    Silenced by: another ending on file, which is told under its own symptom with the ranks that waited.
    Known false alarms: a dump that was taken on demand while a slow step ran; the last lines of the log tell.
    """
    ending = run.ending
    yield from findings_of(run, "run-hung")
    if ending is not None and ending.kind not in UNDECIDED:
        return
    waiting = waiting_in(run.timeline)
    stacks = [events for events in run.timeline.events_of(Kind.STACK) if len(events)]
    if not waiting and not stacks:
        return
    many = len({each.rank for each in waiting}) > 1
    source = waiting[0].source if waiting else stacks[0].source_at(0)
    last = run.timeline.last_step
    yield Finding(
        symptom="run-hung",
        severity="error" if many else "notice",
        statement=f"the run stood still: {hang_told(run.timeline)}",
        source=source,
        step=last,
        step_range=(None, last),
    )
