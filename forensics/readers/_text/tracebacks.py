"""Python tracebacks: the exception that ended them and the innermost frame, one rank at a time."""

import re
from collections.abc import Iterator

from forensics.formats.text import Window, fragment_end, fragment_start, strip_prefixes

MAX_LINES = 400

_BEGIN = b"Traceback (most recent call last)"
_FRAME = re.compile(rb'\s+File "([^"]{1,400})", line (\d{1,9})(?:, in (\S{1,200}))?')
_RANK = re.compile(rb"\[(?:default|rank)\d{1,6}\]:")
_ENDED = re.compile(rb"(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?::|\s*$)")


def exception_text(window: Window, position: int) -> bytes:
    """Return the last line of the traceback that starts at `position`, with its innermost frame.

    `[rank1]:` lines of other ranks between its own are skipped. A traceback that breaks off gives its frame only.
    """
    frame = b""
    last = b"Traceback without an end"
    for line in _own_lines(window, position):
        found = _FRAME.match(line)
        if _BEGIN in line:
            break
        if found:
            frame = found[1] + b":" + found[2] + (b" in " + found[3] if found[3] else b"")
        elif line[:1].strip():
            if ended := _ENDED.match(line):
                last = line.strip()
            if ended or frame:
                break
    return last + b" (" + frame + b")" if frame else last


def _own_lines(window: Window, position: int) -> Iterator[bytes]:
    data = window.data
    start = fragment_start(data, position, window.floor(position))
    marks = _RANK.findall(data[start:position])
    mark = marks[-1] if marks else b""
    reach = window.reach(position)
    following = fragment_end(data, position, reach) + 1
    for _ in range(MAX_LINES):
        if following >= reach:
            return
        end = fragment_end(data, following, reach)
        line = data[following:end]
        following = end + 1
        if mark:
            if mark not in line:
                continue
            yield line[line.rfind(mark) + len(mark) :].removeprefix(b" ")
        elif line and not _RANK.match(line):
            yield strip_prefixes(line) if not line[:1].isspace() else line
