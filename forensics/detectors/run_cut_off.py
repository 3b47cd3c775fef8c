"""A log that breaks off: nothing tells how the process ended, and its last words are no good ones."""

from collections.abc import Iterator

from forensics.model import Finding, Run
from forensics.plugin import detector

QUOTED_CHARACTERS = 200


@detector("run-cut-off", any_of=("event error-line",))
def run_cut_off(run: Run) -> Iterator[Finding]:
    """Find logs whose last words are an error or the end of something, in words that no signature knows.

    Source: the level that glog, `logging` and C programs write in front of a line, or a sentence that says of a
    process, or of what it runs on, that it came to an end (`forensics.readers._events.last_words`).
    Minimum: one line behind the last metrics.
    Silenced by: three lines with metrics behind it, an end that is known, a second try that the log announces.
    Known false alarms: an error that the run had done with, as its last output before a quiet end.
    """
    ending = run.ending
    if ending is None or ending.symptom != "run-cut-off" or ending.source is None:
        return
    yield Finding(
        symptom="run-cut-off",
        severity="warning",
        statement=f"the log ends in an error, \u201c{ending.quoted[:QUOTED_CHARACTERS]}\u201d; {ending.statement}",
        source=ending.source,
        step=ending.step,
        step_range=(None, ending.step),
        axis=run.timeline.axis,
    )
