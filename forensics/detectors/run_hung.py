"""Ranks stood still in a collective or elsewhere, and nothing else ended the run."""

from collections.abc import Iterator

from forensics.analysis.endings.hangs import hang_told, stands_still, stood_in, waiting_in
from forensics.detectors.crash import findings_of
from forensics.model import Finding, Run
from forensics.plugin import detector

UNDECIDED = frozenset({"unknown", "cut-off", "running"})


@detector("run-hung", any_of=("event collective-pending", "event stack", "event watchdog-hang", "event standstill"))
def run_hung(run: Run) -> Iterator[Finding]:
    """Find ranks that stood still: collectives that were never completed, stacks of two ranks and more.

    Source: torch's flight recorder (`FlightRecorder.hpp`: the state of an entry), py-spy, faulthandler, and the
    word of a watchdog (nvidia-resiliency-ext `rank_monitor_server.py`, "Did not get subsequent heartbeat"), or the end
    of a log whose lines only wait (`readers/_events/standstill.py`).
    Minimum: two ranks that wait in a collective, or stacks of two processes of which one stands in a collective; less
    is a notice. Of a watchdog one line; lines that wait must span ten minutes, or be thirty where they tell no
    time.
    Silenced by: another ending on file, which is told under its own symptom with the ranks that waited.
    Known false alarms: a dump that was taken on demand while a slow step ran; the last lines of the log tell.
    """
    ending = run.ending
    told = [*findings_of(run, "run-hung")]
    yield from told
    decided = ending is not None and ending.kind not in UNDECIDED and ending.symptom != "run-hung"
    if told or decided:
        return
    waiting = waiting_in(run.timeline)
    stood = stood_in(run.timeline)
    if not waiting and not stood:
        return
    source = waiting[0].source if waiting else stood[0].source
    last = run.timeline.last_step
    yield Finding(
        symptom="run-hung",
        severity="error" if stands_still(run.timeline) else "notice",
        statement=f"the run stood still: {hang_told(run.timeline)}",
        source=source,
        step=last,
        step_range=(None, last),
    )
