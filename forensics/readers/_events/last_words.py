"""The end of a text: deaths in words that are too common to be sought everywhere, an exception alone, lines of errors.

Launchers and job systems keep the last lines of what a process wrote to its standard error, and a `tail` or a filter
loses the lines that begin with `Traceback`.
"""

import re
from collections.abc import Iterator

from forensics.deferred.patterns import expression
from forensics.formats.text import Window, fragment_start
from forensics.readers._events.leads import leads, quotes, signed
from forensics.readers._events.tracebacks import (
    BEGIN,
    LIBRARY,
    MAX_LINES,
    MESSAGE_BYTES,
    OF_A_LAUNCHER,
    STOPPED_BY_SIGNAL,
    further_on,
    is_ignored,
)

TAIL_BYTES = 8 << 10
"""How much of the end is read so; no more than any window sees behind itself, so that cuts change nothing."""
MAX_AFTER = 60
"""Lines that may follow an exception which stands alone: hints, the report of a launcher, the good-bye of a tracker."""

_CLASS = rb"(?:Error|Exception|Interrupt|Failure|Fault|Overflow|Exit)"
_DOTTED = (
    rb"(?:Timeout|Unavailable|BrokenProcessPool|Exceeded|Refused|Requests|Bad\w{2,12}File|Error|Empty|Full|Disconnected"
    rb"|Aborted|Cancell?ed|Exhausted|Denied|NotFound"
    rb"|Panic\w{0,20}|Died|Killed|Unknown)"
)
"""How exceptions end that are not called errors (httpx, google-api-core, grpc, queue); behind a module's name only."""
_MEASURED = rb"[-+]?\d{1,20}\.\d{1,20}(?:[eE][-+]?\d{1,4})?\s?%?\s{0,4}$"
"""A number with a point is what a metric says (`L2_Error: 0.2`); the number of a KeyError has none."""
EXCEPTION = expression(
    rb"((?:[a-zA-Z_]\w{0,60}\.){0,6}_?[A-Z]\w{0,80}" + _CLASS + rb"|[A-Z]\w{0,60}Error|Exception(?=: )"
    rb"|(?:[a-z_]\w{0,60}\.){1,6}(?:[A-Z]\w{0,80})?" + _DOTTED + rb""
    rb"|(?:[a-z_]\w{0,60}\.){1,5}(?:exceptions?|errors?|exc)\.[A-Z]\w{0,80})"
    rb"(?:: (?!" + _MEASURED + rb")\S.*|:?\s*)$"
)
_FOREIGN = expression(
    rb"(?:Exception in thread \"main\" |panic: )(\S.{0,400})"
    rb"|(Error using \S{1,200} \(line \d{1,9}\).{0,200}|Execution halted$)"
)
"""How the JVM, Go, MATLAB and R say that a program ended in an exception."""
_FRAME = expression(rb'\sFile "([^"]{1,400})", line (\d{1,9})(?:, in (\S{1,200}))?')
_WENT_ON = expression(
    rb"\b(?:retry(?:ing)?(?! (?:count|failed))|trying again|continu(?:e|ing)|skipp(?:ed|ing)|fall(?:ing)? back"
    rb"|ignor(?:ed|ing)|resum(?:ed|ing))\b",
    re.IGNORECASE,
)
_FATAL = expression(
    rb"(?:^|[\[\s|])(?:F\d{3,8} (?:\d\d:){2}\d\d|(?<=\d )[CF](?= \d{1,9} \d{1,9}\])|(?<=:\d\d\d {2})Fatal(?=: )"
    rb"|(?<=\d: )F(?= \S{1,200}:\d+\])"
    rb"|(?:FATAL|CRITICAL|Fatal(?=\]))(?=[\s:\]|]|$)"
    rb"|[Ff]atal error(?=[\s:])|what\(\):  |libc\+\+abi: terminating|failed assertion `|called `Result::unwrap\(\)`)"
)
"""How glog, TensorFlow (tsl/platform/logging), `logging`, C++ runtimes, Metal and Rust mark their last line."""
_ERROR = expression(
    rb"(?:^|[\[\s|])(?:E\d{3,8} (?:\d\d:){2}\d\d|(?<=\d )E(?= \d{1,9} \d{1,9}\])"
    rb"|E(?=\] \d{1,4}: )|(?:ERROR|EXCEPTION)(?=\s*[:\]"
    rb"|,\[(-])|(?<=[\d\]|] )ERROR(?=\s)"
    rb"|Error: (?=\S)|(?<=: )error: {1,4}(?=\S)|UCX {1,4}ERROR(?=\s)|E[A-Z\d]\d{4}: )"
    rb"|^ {0,8}Warning {2,}(?=[A-Z]\w{3,40} {2,})"
)
"""How glog, `logging`, loguru, UCX and C programs mark a line; absl and glog put the level before the date, CANN a
code."""
_NCCL_FAILED = expression(
    rb"NCCL WARN (?!.{0,80}(?:Service thread|shutting down|[Cc]onnection closed by))"
    rb".{0,400}\b(?:fail\w{0,4}|errors?|abort\w{0,3}|time[sd]? ?out|unhandled)\b"
)
"""NCCL warns of what failed, and of connections that close when all is over (`proxy.cc`, "[Service thread] ...")."""
WARNED = expression(rb"(?:^|[\[\s])W\d{3,8} (?:\d\d:){2}\d\d|\d: W (?=\S{1,200}:\d+\])")
"""How glog and TensorFlow mark what they go on after."""
_ENDED = expression(
    rb"(?i)(?<![\w./-])(?:job|run|task|pod|container|session|notebook|kernel|instance|vm|machine|node|host|system"
    rb"|cluster|replica|worker|daemon"
    rb"|workload|process|rank|training|trainer|program|allocation|unit|actor|process ?group|communicator"
    rb"|collective)s?\b[^!?]{0,100}?"
    rb"\b(?:killed|terminated|stopped|cancell?ed|evicted|pre-?empted|reclaimed|interrupted|interruption(?! rate)"
    rb"|aborting|aborted|cancell?ing|terminating"
    rb"|outbid|crashed|died|lost|exited|failed|expired|going down|shut ?down|disconnected|exceed(?:s|ed)|timed out|hung"
    rb"|stuck|stalled|not responding|no progress)\b"
    rb"|\bloss\b[^!?]{0,40}\b(?:nans?|inf|infinite|non-?finite)\b[^!?]{0,60}?\b(?:exit|stop|abort|terminat|quit"
    rb"|kill)\w{0,5}\b"
    rb"|\boom[-_ ]?kill(?:ed|er)?\b|\bout[- ]of[- ](?:\w{1,12} )?memory\b|OutOf(?:Device)?Memory\b|\bMemoryError\b"
    rb"|\ballocation fail(?:ed|ure)\b|\baccess violation\b"
    rb"|\b(?:due to|because of) (?:\w{1,12} )?pre-?empt\w{2,5}\b"
    rb"|\bstill waiting for (?:the )?(?:other )?(?:ranks?|peers?|remote|response from)\b"
    rb"|\bkilling (?:the )?(?:worker|process|task|job|run)\b"
    rb"|\b(?:watchdog|heartbeat)\b[^!?]{0,60}\b(?:no progress|stuck|hung|timed out|aborting|expired|lost)\b"
)
"""A sentence that says of a process, or of what it runs on, that it came to an end; or words of memory that tell so."""
_NOT_SAID = expression(
    rb"(?i)\b(?:if|when|whenever|once|unless|until|in case|never|not yet"
    rb"|(?<![=.:\d])0 [a-z]+|no(?! progress)|example|e\.g|successful\w*|completed|normal(?:ly)?"
    rb"|recover(?:ed|s)|restart(?:s|ed|ing)|previous\w*|earlier|stale|enabled|handler)\b"
    rb"|\?\s*$|^\s*[#>*=-]|(?-i:^(?:[A-Z][a-z']{0,30}|[A-Z]{2,30}(?: [A-Z]{1,30}){0,3}): )|\bloss[\"']? ?[:=]? ?-?\d"
)
"""Conditions, denials and good news say of no end that it came; what somebody says in a dialogue is no log."""
_TO_COME = expression(rb"(?i)\b(?:would|will|can|may|could|might|should)\b")
"""In front of an end: one that is only planned or possible."""
_ECHOED = expression(rb"(?<![.'\"/\\\[(])\^(?:C(?=\s*$|\^C|[A-Z][a-z]{2}|\w{3,12}: )|\\(?=Quit))")
"""What a terminal shows of the keys that interrupt (termios ECHOCTL)."""
_BY_HAND = expression(
    rb"(?i)\bkeyboard[ -]?interrupt|\binterrupt (?:signal|received)\b|\breceived (?:an )?interrupt\b|^interrupted[.!]"
    rb"|\b(?:interrupted|stopped|aborted|cancell?ed|terminated) manually\b"
    rb"|\bmanually (?:interrupted|stopped|aborted|cancell?ed)\b"
    rb"|\b(?:user|operator|owner)(?:'s)? request\b"
    rb"|\b(?:ctrl|control)(?: ?[-+] ?|[ _])c\b|\bsigint\b|\bstop signal received\b"
    rb"|\b(?:interrupt(?:ed)?|stop(?:ped)?|cancell?ed|killed|terminated|aborted|deleted) by (?:the |its )?"
    rb"(?:user|owner|operator)\b|\buser[- ](?:interrupt|abort|cancel|stop)\w{0,8}\b"
    rb"|\bexiting from training early\b|\bexecution interrupted\b|\bintentionally stopped\b"
)
"""What is said of a run that its user ended; "exiting from training early" is of the language model of
pytorch/examples and its many children."""
_HOW_TO = expression(rb"(?i)\b(?:press|hit|use|type|send|on|regist\w{1,6}|install\w{0,3}|trap\w{0,4})\b[^.!]{0,80}$")
"""In front of a key or a signal: what it would do."""
_ASIDE = expression(rb"\([^()]{0,200}\)")
_MARK = expression(rb"[\d:()\"]|\bYour\b|(?i:\bnan\b)|^\s*(?:Pod|Job|Workload|Container|Task|Instance|Session|Node)\b")
"""What programs write into such sentences and tales do not: numbers, colons, brackets, the name of a thing in front."""
OPENING_WORDS = 4
_JSON_ERROR = expression(
    rb"[{ ,]\"(?:level|severity|levelname|lvl)\" ?: ?\"(?i:error|fatal|critical|alert|emergency)\""
)
_JSON_MESSAGE = expression(rb"\"(?:msg|message|textPayload|event|error)\" ?: ?\"([^\"\\]{4,400})")
_JSON_RAISED = expression(
    rb"\"(?:exc_info|exc_text|exception|traceback|stack_?trace|stacktrace)\" ?: ?\"((?:[^\"\\]|\\.){8,20000})\""
)
"""Fields in which structlog, python-json-logger, loguru and zap keep a traceback."""
NARROWEST = 40
"""Columns of the narrowest terminal whose lines are put together again."""
MOST_WRAPPED = 2000
LAST_LINES = 6
"""How many of the last lines such sentences are believed in without the word ERROR."""
_HEADER = 120
"""Bytes of a line in which its level stands."""
_OTHERS = expression(
    rb"\bwandb: |\bmlflow\b|\bcomet|\bneptune|\b(?:0|no) (?:errors?|fail)|\b(?:rows?|samples?|examples?|prompts?) #?\d",
    re.IGNORECASE,
)
"""Errors of trackers and of single samples end no run."""
_LIFE = expression(
    rb"\bloss\b[\"']?\s{0,20}[:=]\s{0,8}[\"'(]?(?:[-+]?[\d.]|(?i:nan|inf)\b)|it/s\]|s/it\]|\bstep\s{0,8}[:=]?\s{0,8}\d",
    re.IGNORECASE,
)


def tail_of(window: Window) -> tuple[int, int] | None:
    """Return where the last bytes of the text begin and end, None when this window does not end it."""
    data = window.data
    if window.end != len(data):
        return None
    end = len(data.rstrip())
    first = max(0, end - TAIL_BYTES)
    # A line that is cut in two by the limit counts from its next line on.
    return (data.find(b"\n", first) + 1 if first else 0, end) if end else None


def exception_alone(window: Window) -> Iterator[tuple[int, bytes, bool]]:
    """Yield where an exception without its header stands, its text, and whether its reason stands below it.

    The last one of the text that is no launcher's; nothing that shows life or a second try may follow it.
    """
    found = tail_of(window)
    if found is None:
        return
    data, (first, end) = window.data, found
    at = end
    below = b""
    for _ in range(MAX_AFTER):
        start = fragment_start(data, max(at - 1, first), first)
        line = data[start:at].rstrip()
        kept = _raised_in_json(line)
        line = kept or line
        told = None if BEGIN in line or _WENT_ON.search(line) else _exception_in(line, data, start)
        if told is not None:
            text, lead = told
            frame = (
                None
                if is_ignored(window, start) or STOPPED_BY_SIGNAL.match(text)
                else _frame_before(data, start, first)
            )
            if frame is not None:
                more = further_on(text, data[at + 1 : end].split(b"\n"))
                said = text[:MESSAGE_BYTES] + more if more else text + b" " + below if text.endswith(b":") else text
                yield start + len(lead), said + frame, bool(more or kept)
            return
        if BEGIN in line or _LIFE.search(line) or _WENT_ON.search(line):
            return
        if start <= first:
            return
        at, below = start - 1, line.strip() or below


def last_statements(window: Window) -> tuple[list[tuple[int, bytes, bool]], bool]:
    """Return the lines behind the last metrics that tell of an error or an end: where, what, and whether it is fatal.

    A line counts whose writer calls it an error, and one of the last few that says that something came to an end. Where
    the last MAX_AFTER lines are mostly errors, the metrics may stand further up: a run that only fails any more.

    The second value tells whether metrics stand before them. A long text without any may be that of another program:
    nothing is returned then.
    """
    found = tail_of(window)
    if found is None:
        return [], False
    data, (first, end) = window.data, found
    lines: list[tuple[int, bytes, bool]] = []
    at = end
    for number in range(MAX_AFTER):
        start = fragment_start(data, max(at - 1, first), first)
        line = data[start:at].rstrip()
        fatal = _FATAL.search(line, 0, _HEADER)
        level = fatal or _ERROR.search(line, 0, _HEADER) or _NCCL_FAILED.search(line)
        said = (level and leads(line[: level.start()])) or (number < LAST_LINES and _ended(line))
        structured = _structured(line)
        if structured is not None:
            said, line = True, structured
        by_hand = number < LAST_LINES and _by_hand(line)
        if by_hand and not _WENT_ON.search(line):
            lines.append((start, line, False))
        elif not said and _LIFE.search(line):
            return lines, True
        elif _WENT_ON.search(line):
            lines.clear()
        elif said and not _OTHERS.search(line):
            lines.append((start, line, fatal is not None))
        if start <= first:
            return (lines, False) if first == 0 else ([], False)
        at = start - 1
    flood = len(lines) >= MAX_AFTER // 2 and _LIFE.search(data, 0, at) is not None
    return (lines[:1], True) if flood else ([], False)


def rewrapped(window: Window) -> Iterator[tuple[int, bytes]]:
    """Yield lines that a terminal broke at its width, put together again, and where each begins.

    A terminal breaks in the middle of words, so all lines but the last of such a paragraph are as long as the longest.
    """
    found = tail_of(window)
    if found is None:
        return
    data, (first, end) = window.data, found
    lines = data[first:end].split(b"\n")
    width = max(map(len, lines))
    at, start, joined = first, first, b""
    for line in lines:
        joined, start = (joined + line, start) if joined else (line, at)
        at += len(line) + 1
        if len(line) == width >= NARROWEST and len(joined) < MOST_WRAPPED and not _LIFE.search(line):
            continue
        if len(joined) > len(line):
            yield start, joined
        joined = b""
    if len(joined) > width:
        yield start, joined


def _raised_in_json(line: bytes) -> bytes | None:
    """Return the last line of the traceback that a JSON line holds in a field of its own, else None."""
    found = _JSON_RAISED.search(line) if line.startswith(b"{") else None
    if found is None:
        return None
    lines = [part.strip() for part in found[1].replace(b"\\n", b"\n").splitlines() if part.strip()]
    return lines[-1].replace(b'\\"', b'"') if lines else None


def _structured(line: bytes) -> bytes | None:
    """Return the message of a JSON line whose writer calls it an error (structlog, zap, Cloud Logging), else None."""
    if not line.startswith(b"{") or b'"loss' in line or _JSON_ERROR.search(line) is None:
        return None
    message = _JSON_MESSAGE.search(line)
    return None if message is None else message[1]


def _by_hand(line: bytes) -> bool:
    """Tell whether a line says that its user ended the run, or is what the terminal echoed of it."""
    if _ECHOED.search(line):
        return not quotes(line)
    said = _BY_HAND.search(line)
    if said is None or _NOT_SAID.search(_ASIDE.sub(b"", line)):
        return False
    before = line[: said.start()]
    return _HOW_TO.search(before) is None and _opens(before)


def _ended(line: bytes) -> bool:
    """Tell whether a line says, as its own and without conditions, that something came to an end."""
    said = _ENDED.search(line)
    if said is None or _NOT_SAID.search(line) or not _MARK.search(line) or WARNED.search(line, 0, _HEADER):
        return False
    if _TO_COME.search(line, 0, said.end()):
        return False
    return _opens(line[: said.start()])


def _opens(before: bytes) -> bool:
    """Tell whether a line may begin with this before it speaks of its own program: a few words of a sentence."""
    if quotes(before):
        return False
    for _ in range(OPENING_WORDS + 1):
        if leads(before):
            return True
        rest, _, word = before.rstrip(b" \t(").rpartition(b" ")
        if not (word[:1].isalpha() or word == b"-") or word.endswith(b"."):
            return False
        before = rest
    return False


def _exception_in(line: bytes, data: bytes, start: int) -> tuple[bytes, bytes] | None:
    foreign = _FOREIGN.match(line)
    if foreign is not None:
        return (foreign[1] or foreign[2]).strip(), b""
    for match in re.finditer(
        rb"(?<![\w.])(?=Exception: |[A-Za-z_][\w.]{0,200}(?:" + _CLASS + rb"|\w\." + rb"[A-Z]\w{0,80})\b)", line
    ):
        found = EXCEPTION.match(line, match.start())
        before = line[: match.start()]
        if found and not OF_A_LAUNCHER.match(found[0]) and (leads(before) or signed(before, data, start)):
            logged = re.search(rb"\bWARN(?:ING)?\b", before)
            return None if logged or b"java." in found[1] else (found[0].strip(), before)
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
