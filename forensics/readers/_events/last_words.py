"""The end of a text: deaths in words that are too common to be sought everywhere, and an exception alone.

Launchers and job systems keep the last lines of what a process wrote to its standard error, and a `tail` or a filter
loses the lines that begin with `Traceback`.
"""

import re
from collections.abc import Iterator

from forensics.formats.text import Window, fragment_start
from forensics.readers._events.leads import leads
from forensics.readers._events.tracebacks import BEGIN, LIBRARY, MAX_LINES, OF_A_LAUNCHER

TAIL_BYTES = 8 << 10
"""How much of the end is read so; no more than any window sees behind itself, so that cuts change nothing."""
MAX_AFTER = 60
"""Lines that may follow an exception which stands alone: hints, the report of a launcher, the good-bye of a tracker."""

EXCEPTION = re.compile(
    rb"((?:[a-zA-Z_]\w{0,60}\.){0,6}[A-Z]\w{0,80}(?:Error|Exception|Interrupt|Failure|Fault|Overflow|Exit)"
    rb"|[A-Z]\w{0,60}Error)"
    rb"(?:: \S.*|:?\s*)$"
)
_FRAME = re.compile(rb'\sFile "([^"]{1,400})", line (\d{1,9})(?:, in (\S{1,200}))?')
_WENT_ON = re.compile(
    rb"\b(?:retry(?:ing)?|trying again|continu(?:e|ing)|skipp(?:ed|ing)|fall(?:ing)? back|ignor(?:ed|ing)"
    rb"|resum(?:ed|ing))\b",
    re.IGNORECASE,
)
_LIFE = re.compile(rb"\bloss\b[\"']?\s{0,20}[:=]|it/s\]|s/it\]|\bstep\s{0,8}[:=]?\s{0,8}\d", re.IGNORECASE)


def tail_of(window: Window) -> tuple[int, int] | None:
    """Return where the last bytes of the text begin and end, None when this window does not end it."""
    data = window.data
    if window.end != len(data):
        return None
    end = len(data.rstrip())
    first = max(0, end - TAIL_BYTES)
    # A line that is cut in two by the limit counts from its next line on.
    return (data.find(b"\n", first) + 1 if first else 0, end) if end else None


def exception_alone(window: Window) -> Iterator[tuple[int, bytes]]:
    """Yield where an exception without its header stands, and its text.

    The last one of the text that is no launcher's; nothing that shows life or a second try may follow it.
    """
    found = tail_of(window)
    if found is None:
        return
    data, (first, end) = window.data, found
    at = end
    for _ in range(MAX_AFTER):
        start = fragment_start(data, max(at - 1, first), first)
        line = data[start:at].rstrip()
        if BEGIN in line or _LIFE.search(line) or _WENT_ON.search(line):
            return
        told = _exception_in(line)
        if told is not None:
            text, lead = told
            frame = _frame_before(data, start, first)
            if frame is not None:
                yield start + len(lead), text + frame
            return
        if start <= first:
            return
        at = start - 1


def _exception_in(line: bytes) -> tuple[bytes, bytes] | None:
    for match in re.finditer(
        rb"(?<![\w.])(?=[A-Za-z_][\w.]{0,200}(?:Error|Exception|Interrupt|Failure|Fault|Overflow|Exit)\b)", line
    ):
        found = EXCEPTION.match(line, match.start())
        if found and not OF_A_LAUNCHER.match(found[1]) and leads(line[: match.start()]):
            logged = re.search(rb"\bWARN(?:ING)?\b", line[: match.start()])
            return None if logged or b"java." in found[1] else (found[0].strip(), line[: match.start()])
    return None


def _frame_before(data: bytes, start: int, first: int) -> bytes | None:
    """Return the innermost frame that stands directly above, in brackets; None when the header stands there too."""
    at = start - 1
    innermost = own = None
    for _ in range(MAX_LINES):
        if at <= first:
            break
        begin = fragment_start(data, at - 1, first) if at - 1 >= first else first
        line = data[begin:at]
        if BEGIN in line:
            return None
        if line[:1].strip() and not _FRAME.search(line):
            break
        found = _FRAME.search(line)
        if found:
            innermost = innermost or found
            own = own or (None if LIBRARY.search(found[1]) else found)
        at = begin - 1
    if innermost is None:
        return b""
    said = innermost[1] + b":" + innermost[2] + (b" in " + innermost[3] if innermost[3] else b"")
    if own is not None and own is not innermost:
        said += b", called from " + own[1] + b":" + own[2] + (b" in " + own[3] if own[3] else b"")
    return b" (" + said + b")"
