"""What the last line of a traceback says of the crash."""

import re

from forensics.model import Events, Run
from forensics.names import Kind

TOLD_OTHERWISE = re.compile(
    r"OutOfMemoryError|(CUDA|HIP) out of memory|No space left on device|NCCL error"
    r"|Timed out waiting \d+ms for \w+ operation"
)
"""Last lines of tracebacks that are a symptom of their own, with a more exact name."""


def own_exceptions(run: Run) -> tuple[Events, ...]:
    """Return the tracebacks that tell of a failure of the script itself, one `Events` a log."""
    found = run.timeline.events_of(Kind.TRACEBACK)
    return tuple(events for events in found if len(events) and not TOLD_OTHERWISE.search(events.text))
