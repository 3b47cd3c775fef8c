"""Python tracebacks: the exception that ended them, the innermost frame and the innermost frame of the run's own code.

Several ranks may write at once. Where they sign their lines (`[rank1]:`), the lines of one rank are read; where they
do not, two headers in a row tell that what follows is a mixture, of which the exceptions are still whole often enough.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.formats.text import Window, fragment_end, fragment_start, strip_prefixes
from forensics.names import CUT_TRACEBACK
from forensics.readers._events.leads import alike, leads, quotes
from forensics.signatures import of_last_words

MAX_LINES = 400
MOST_WRITERS = 24
"""Headers of other writers that may stand between a header and its first frame."""
MAX_FOREIGN = 30
"""Lines of other writers that may stand between the frames and the exception."""

BEGIN = b"Traceback (most recent call last)"
_CUT = CUT_TRACEBACK.encode()
_FRAME = expression(rb'\s+File "([^"]{1,400})", line (\d{1,9})(?:, in (\S{1,200}))?')
_CELL = expression(rb"(?:File |Input In |Cell In)? ?([^ :]{1,400}|\[\d+\]):(\d{1,9}), in (\S{1,200})")
"""IPython >= 8 writes `File ~/x.py:12, in f(a)`."""
_NOTEBOOK = expression(rb"(?:[A-Za-z_]\w*\.)*[A-Z]\w*")
"""IPython puts the name of the exception in front of the header."""
_OF_A_WORKER = b"Original "
"""What torch puts there where it passes on what a worker raised (`torch/_utils.py`, `ExceptionWrapper.reraise`)."""
_CAUGHT = expression(rb"[\w.]{1,100}: Caught \w{1,80} in ")
"""How it begins what it raises itself, above that header."""
_BROKEN_FRAME = expression(rb'\s+File "[^"]{1,400}')
"""A frame whose line was broken at the width of a terminal."""
_MARKDOWN = frozenset({b"`", b"``", b"```"})
"""What a post may put before what it pastes, on the line itself."""
_RANK = expression(rb"\[(?:default|rank)\d{1,6}\]:")
_ENDED = expression(rb"(?:[A-Za-z_]\w{0,60}\.){0,12}[A-Z]\w{0,80}(?::|\s*$)")
_NAMED = expression(
    rb"((?:[a-z_]\w{0,60}\.){0,6}[A-Z]\w{0,60}?(?:Error|Exception|Interrupt|Exit|Failure|Fault))\1{0,32}(?=:|\s*$)"
)
"""An exception's name; ranks that write at once may repeat it on one line."""
_PASSED_ON = expression(rb"(?:[a-z_]\w{0,60}\.){0,6}[A-Z]\w{0,60}(?:Error|Exception)\([A-Z]\w{0,80}\): ")
"""What Ray puts between the caller's frames and those of the task (`RayTaskError.make_dual_exception_type`)."""
_NEAR = 200
_SILENT = expression(
    rb"[\w.]{1,300}(?:Error|Exception|Failure):(?: ?|[^\n]{1,300}:| Exception encountered when calling [^\n]{1,200}"
    rb"| \d{1,4} validation errors? for \w{1,200})"
)
"""An exception whose first line only announces what it says: a name alone, a line that ends in a colon, a layer, the
count of pydantic's."""
MESSAGE_LINES = 16
"""Lines of a message that are looked at where its first one tells nothing known."""
MESSAGE_BYTES = 200
MOST_EMPTY = 3
"""Lines that may stand empty between the name of an exception and its message."""
_FOREIGN = expression(
    rb"\[(?!/)|[EWIF]\d{4} |\d{4}-\d\d-\d\d|(?:INFO|WARNING|ERROR|DEBUG)\b|\s*\d{1,3}%\||wandb: |srun: "
)
_PROGRAM = expression(
    rb"[\w./-]{1,80}(?:\[\d{1,9}\])?: |terminate called|Fatal Python error|[A-Z]\w{0,20} ?(?:\(core dumped\))?$"
)
"""How the lines of another writer begin: a shell, a launcher, the C++ runtime."""
LIBRARY = expression(
    rb"(?:site|dist)-packages/|/lib(?:64)?/python\d|<frozen |<__array_function__|/lib/(?:torch|transformers)/"
)
_LAUNCHER = expression(
    rb"/bin/(?:torchrun|accelerate|deepspeed|ray|composer|axolotl)$|torch/distributed/(?:run|launch|launcher|elastic)"
    rb"|accelerate/commands/|deepspeed/launcher/|/runpy\.py$|<frozen runpy>|torchrun$"
)
OF_A_LAUNCHER = expression(
    rb"(?:[\w.]+\.)?(?:ChildFailedError|CalledProcessError|ProcessExitedException|ProcessRaisedException"
    rb"|UnexpectedStatusException|ExecuteUserScriptError|AlgorithmError)\b"
    rb"|FatalError: `[A-Z][\w ]{3,60}` is detected by"
)
"""Last lines of tracebacks in which a launcher (torch elastic, accelerate, deepspeed, SageMaker) reports that a process
of its own failed; what that died of stands before it. Paddle (`platform/init.cc`)
writes a signal so, and its number below."""
STOPPED_BY_SIGNAL = expression(rb"(?:[\w.]+\.)?SignalException: Process \d+ got signal: (\d{1,3})")
"""torch elastic, `multiprocessing/api.py`, when the launcher itself is told to end."""
_IGNORED = expression(
    rb"^\s*(?:Exception ignored (?:in|on|while)|--- Logging error ---|Error in atexit\._run_exitfuncs"
    rb"|Error in sys\.excepthook|Exception in thread |Task exception was never retrieved|Exception in callback )"
)
"""What CPython prints above an exception that ends nothing (`sys.unraisablehook`, `logging`, `atexit`, `threading`)."""
_BOX = expression("[╭┌] ?[─ ]*$".encode())
_BOX_END = expression("[╰└]─".encode())
_BOXED_FRAME = expression("(?:│|^) ?(/?[^ :│]{1,300}):(\\d{1,9}) in (\\S{1,200})".encode())
_OUTERMOST = expression(rb"<module>|_bootstrap(?:_inner)?|_run_code|run_target|_worker_loop|_wrap|main|<cell line")
"""Functions in which the traceback of an exception begins that nobody caught."""


@dataclass(frozen=True, slots=True)
class Trace:
    """One traceback: `text` is its last line with the innermost frame.

    `ended` is where it ends in the window. `launcher` tells that no rank wrote it or that it passes on the one below
    it, `caught` that it begins inside a function, as one does that a handler printed; `quoted` that it is text the run
    talks of; `wrapped` that the reason stands below the line that names the exception.
    """

    text: bytes
    ended: int
    launcher: bool = False
    caught: bool = False
    quoted: bool = False
    wrapped: bool = False


def traceback_at(window: Window, position: int) -> Trace:
    """Read the traceback whose header stands at `position`; one that breaks off gives its frame only."""
    start = fragment_start(window.data, position, window.floor(position))
    lead = window.data[start:position].removesuffix(_OF_A_WORKER)
    return _boxed(window, position) if _BOX.search(lead) else _plain(window, position, start, lead)


def _plain(window: Window, position: int, start: int, lead: bytes) -> Trace:
    frames: list[re.Match[bytes]] = []
    last = b""
    notebook = _NOTEBOOK.fullmatch(lead.strip())
    headers = foreign = 0
    ended = position
    for line, end in _unbroken(_own_lines(window, position, lead)):
        found = _FRAME.match(line) or (_CELL.match(line) if notebook else None)
        if notebook and line.startswith(notebook[0]):
            last, ended = line.strip(), end
            break
        if BEGIN in line:
            if frames and not headers and _ENDED.match(line):
                return Trace(b"", ended, launcher=True)
            if (frames and not headers) or headers == MOST_WRITERS:
                break
            headers += 1
        elif found:
            frames.append(found)
        elif line[:1].strip() and not notebook:
            named = _exception_of(line, mixed=headers > 0)
            last, foreign = named or last, foreign + 1
            strange = bool(frames) and not headers and not _FOREIGN.match(line)
            if (named or strange or foreign > MAX_FOREIGN) and not _PASSED_ON.match(line):
                ended = end if named else ended
                break
        ended = end
    last += _below(window, last, ended)
    if lead.startswith(b"`"):
        last = last.rstrip(b"`")
    more = further_on(last, (line for line, _ in _own_lines(window, position, lead, ended)))
    return Trace(
        text=_text((last[:MESSAGE_BYTES] if more else last) + more or _CUT, frames),
        ended=ended,
        launcher=bool(OF_A_LAUNCHER.match(last)) or _by_launcher(frames, last) or _caught(window, last, ended),
        caught=bool(frames) and frames[0][3] is not None and not _OUTERMOST.match(frames[0][3]),
        quoted=(
            notebook is None
            and lead.strip() not in _MARKDOWN
            and not leads(lead)
            and not _of_all_lines(window, position, lead)
        )
        or is_ignored(window, start),
        wrapped=bool(more),
    )


def _boxed(window: Window, position: int) -> Trace:
    """Read the traceback that rich draws in a box (`rich.traceback`): places inside, the exception below."""
    frames: list[re.Match[bytes]] = []
    closed = False
    ended = position
    for line, end in _own_lines(window, position, b""):
        ended = end
        found = _BOXED_FRAME.search(line)
        if found:
            frames.append(found)
        elif closed and line.strip():
            named = _ENDED.match(line.strip())
            return Trace(_text(line.strip() if named else _CUT, frames), ended)
        closed = closed or _BOX_END.search(line) is not None
    return Trace(_text(_CUT, frames), ended)


def _exception_of(line: bytes, *, mixed: bool) -> bytes:
    """Return the exception that a line names, empty where it names none; ranks that are `mixed` may repeat the name."""
    named = (_NAMED if mixed else _ENDED).match(line)
    if _PASSED_ON.match(line) or (named and not mixed):
        return line.strip()
    return named[1] + line[named.end() :].strip() if named else b""


def _below(window: Window, last: bytes, ended: int) -> bytes:
    """Return what an exception says that begins its message on another line (paddle, torch)."""
    if not _SILENT.fullmatch(last):
        return b""
    following, reach = ended + 1, window.reach(ended)
    for _ in range(MOST_EMPTY):
        if following >= reach:
            return b""
        end = fragment_end(window.data, following, reach)
        line = strip_prefixes(window.data[following:end]).strip()
        if line and not line.strip(b"=-#*~"):
            return b""
        if line:
            return b"" if BEGIN in line or _FOREIGN.match(line) else b" " + line
        following = end + 1
    return b""


def further_on(last: bytes, below: Iterable[bytes]) -> bytes:
    """Return the line of a message that says what its first line does not: wrappers put the reason below."""
    silent = _SILENT.fullmatch(last) is not None
    begin = "" if silent else last[:MESSAGE_BYTES].decode("utf-8", "replace")
    if not last or of_last_words(begin) is not None:
        return b""
    for line in islice(below, MESSAGE_LINES):
        if BEGIN in line or _FOREIGN.match(line) or (_PROGRAM.match(line) and not _SILENT.fullmatch(line)):
            break
        if of_last_words(f"{begin} {line[:MESSAGE_BYTES].decode('utf-8', 'replace')}".strip()) is not None:
            return b" " + line.strip()
    return b""


def is_ignored(window: Window, start: int) -> bool:
    """Tell whether the line above says that Python went on after this exception."""
    return _IGNORED.search(line_above(window, start)) is not None


def line_above(window: Window, start: int) -> bytes:
    """Return the line above the one that begins at `start`, nothing where the window does not show it."""
    floor = window.floor(start)
    return window.data[fragment_start(window.data, start - 1, floor) : start - 1] if start > floor else b""


def _by_launcher(frames: list[re.Match[bytes]], last: bytes) -> bool:
    return bool(frames) and not last and all(_LAUNCHER.search(frame[1]) for frame in frames)


def _caught(window: Window, last: bytes, ended: int) -> bool:
    """Tell whether torch passes on here what a worker raised, whose own traceback stands below."""
    near = window.data[ended : min(ended + _NEAR, window.reach(ended))]
    return _CAUGHT.match(last) is not None and _OF_A_WORKER + BEGIN in near


def _text(last: bytes, frames: list[re.Match[bytes]]) -> bytes:
    if not frames:
        return last
    innermost = frames[-1]
    own = next((frame for frame in reversed(frames) if not LIBRARY.search(frame[1])), None)
    said = _place(innermost)
    if own is not None and own is not innermost:
        said += b", called from " + _place(own)
    return last + b" (" + said + b")"


def _place(frame: re.Match[bytes]) -> bytes:
    return frame[1] + b":" + frame[2] + (b" in " + frame[3] if frame[3] else b"")


def _own_lines(window: Window, position: int, lead: bytes, since: int = 0) -> Iterator[tuple[bytes, int]]:
    """Yield the lines of one writer below a header, without what stands before them, and where each ends.

    Only those behind the line that holds `since`.
    """
    data = window.data
    marks = _RANK.findall(lead)
    mark = marks[-1] if marks else b""
    signed = alike(lead) if lead.strip() and not mark else None
    reach = window.reach(position)
    following = fragment_end(data, max(position, since), reach) + 1
    for _ in range(MAX_LINES):
        if following >= reach:
            return
        end = fragment_end(data, following, reach)
        line = data[following:end]
        following = end + 1
        if mark:
            if mark not in line:
                continue
            yield line[line.rfind(mark) + len(mark) :].removeprefix(b" "), end
        elif line and not _RANK.match(line):
            same = signed.match(line) if signed is not None else None
            if same is not None:
                yield line[same.end() :], end
            else:
                yield strip_prefixes(line) if not line[:1].isspace() else line, end


def _unbroken(lines: Iterable[tuple[bytes, int]]) -> Iterator[tuple[bytes, int]]:
    """Yield lines as they were before something broke them at its width, as PowerShell does where it redirects.

    A place that a frame does not close tells the width; each line of that length goes on in the next.
    """
    width, joined = 0, b""
    for line, end in lines:
        joined += line
        if not width and _BROKEN_FRAME.fullmatch(line):
            width = len(line)
        if not width or len(line) != width:
            yield joined, end
            joined = b""
    if joined:
        yield joined, end


def _of_all_lines(window: Window, position: int, lead: bytes) -> bool:
    """Tell whether what stands before a header stands before its first frame too: a collector signs every line so."""
    signed = None if quotes(lead) else alike(lead)
    reach = window.reach(position)
    begin = fragment_end(window.data, position, reach) + 1
    line = window.data[begin : fragment_end(window.data, begin, reach)] if begin < reach else b""
    same = signed.match(line) if signed is not None else None
    return same is not None and _FRAME.match(line, same.end()) is not None
