"""One window through the tables of words: `signs` (warnings, milestones) and `forensics.signatures` (deaths).

A phrase is found first (`phrases`), then its line is looked at: an expression must confirm it, and a death must stand
where a process says it of itself (`leads`), not in a sample, a prompt or a sentence.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.patterns import expression
from forensics.formats.text import Window, fragment_end, fragment_start, strip_prefixes
from forensics.formats.text.places import alike
from forensics.model import UNKNOWN_STEP, Integers
from forensics.names import Kind
from forensics.readers._events import codes, complaints, signs
from forensics.readers._events.last_words import WARNED, exception_alone, last_statements, rewrapped, tail_of
from forensics.readers._events.leads import FRAMING, ONE_DIGIT, leads, quotes, signed
from forensics.readers._events.noted import NOWHERE, Noted
from forensics.readers._events.phrases import Positions, searchable
from forensics.readers._events.rows import ALONE, NO_RANK, EventRows
from forensics.readers._events.stacks import OF_A_DEATH, stacks
from forensics.readers._events.standstill import standstill
from forensics.readers._events.tracebacks import BEGIN, STOPPED_BY_SIGNAL, Trace, line_above, traceback_at
from forensics.signatures import SIGNATURES, Signature, Words, of_last_words

REPORT_BYTES = 1 << 16
MANY = 64
"""Places of one phrase from which on the ends of all lines of a window are sought at once."""
CONTEXT_BYTES = 48
_ENDED = expression(rb"[\r\n]")
_DIGIT, _REPEATED = expression(rb"\d"), expression(rb"\{\d{0,5},?\d{0,5}\}")
"""An expression that names digits must see those of the line; how often something may come are none."""
CODE = "code"
LOCAL_RANK = expression(rb"\blocal_rank: (\d{1,6})\b")
"""How torch elastic names the process whose exit code it tells, on the same line or in the summary on the one above."""
ABOVE_BYTES = 200
STACK_BYTES = 1 << 16
FATAL_BYTES = 4000
DUMPED = expression(
    rb"(?:\[(?:default|rank)\d{1,6}\]: ?)?"
    rb"(?:Python v\d{1,3}\.\d{1,3}\.\d{1,3}[\w+.-]{0,40} \(|Timeout \(\d{1,6}:\d\d:\d\d"
    rb"|Current thread 0x[0-9a-f]{1,16} |Thread 1 \(Thread 0x[0-9a-f]{1,16} \(LWP \d{1,10}\))"
)
NCCL_WARNING = "nccl-warning"
FATAL_LINE, ERROR_LINE, STANDSTILL = "fatal-line", "error-line", "standstill"
KILLED = expression(rb"(?:^|[\s:])[Kk]illed(?:: 9)?(?= *$| {2,}\S| +\S*(?:python|torchrun|srun|bash|\.sh)\b)")
WARNING_OF_PYTHON = expression(rb"\.py:\d{1,7}: [A-Z]\w{0,40}Warning: .{0,300}:\s*$")
"""How CPython (`warnings.formatwarning`) begins a warning of several lines that announces what it quotes."""
RECORD = expression(rb"\"(?:msg|message|log|event|line)\" ?: ?\"[^\"]{0,400}\Z")
"""In front of what a program says where its logger writes JSON."""
_BAR = expression(rb"^.*(?:it/s|s/it)[^\]]{0,200}\]")


def _by_anchor() -> dict[bytes, tuple[object, ...]]:
    found: dict[bytes, list[object]] = {}
    for sign in signs.SIGNS:
        found.setdefault(sign.anchor, []).append(sign)
    for signature in SIGNATURES:
        for words in signature.words:
            found.setdefault(words.anchor.encode(), []).append((signature, words))
    for phrase in codes.ANCHORS:
        found.setdefault(phrase.encode(), []).append(CODE)
    found.setdefault(b"Killed", []).append(Kind.KILLED)
    found.setdefault(b"killed ", []).append(Kind.KILLED)
    found.setdefault(BEGIN, []).append(Kind.TRACEBACK)
    for level in (*complaints.LEVELS, complaints.KEYS):
        found.setdefault(level, []).append(Kind.COMPLAINT)
    for word in complaints.UNEXPECTED:
        found.setdefault(word, [])
    for anchor in (b"Python v", b"Timeout (", b"Current thread 0x", b"Thread 1 (Thread 0x"):
        found.setdefault(anchor, []).append(Kind.STACK)
    return {anchor: tuple(meanings) for anchor, meanings in found.items()}


MEANINGS = _by_anchor()
ANCHORS = tuple(anchor for anchor in MEANINGS if searchable(anchor))
"""Phrases that are sought everywhere; the others are too common and are sought at the end of a text only."""
RARE = tuple(anchor for anchor in MEANINGS if not searchable(anchor))


def scan_window(window: Window, positions: Positions) -> Iterator[EventRows]:
    """Yield the events of a window, one table for each kind, at most one event of a kind for each line."""
    unexpected = [positions[word] for word in complaints.UNEXPECTED if word in positions]
    noted = Noted(
        window, unexpected=window.fragments(np.sort(np.concatenate(unexpected)))[0] if unexpected else NOWHERE
    )
    _tracebacks(noted, positions[BEGIN].tolist() if BEGIN in positions else ())
    for anchor, meanings in MEANINGS.items():
        if meanings and anchor != BEGIN and anchor in positions:
            _phrase(noted, meanings, positions[anchor])
    _end_of_text(noted)
    heading = complaints.title(noted.window.data) if noted.window.offset == 0 and noted.window.begin == 0 else None
    if heading is not None:
        noted.note(Kind.COMPLAINT, 0, heading)
    yield from noted.tables()


def may_tell(phrase: bytes, line: bytes) -> bool:
    """Tell whether a phrase may stand for an event in a line, or in one of the same outline."""
    outline = line.translate(ONE_DIGIT)
    return phrase in complaints.UNEXPECTED or any(
        complaints.complains(line) if meaning == Kind.COMPLAINT else _may_be(meaning, outline)
        for meaning in MEANINGS[phrase]
    )


def of_lines(text: bytes, first_line: int = 1) -> list[EventRows]:
    """Return the events of a text by itself (a cell, a message, an excerpt); lines are counted from `first_line`."""
    from forensics.readers._events.phrases import find_phrases, prepare

    window = Window(text, 0, len(text), 0, first_line)
    return list(scan_window(window, find_phrases(window, _prepared(prepare))))


@cache
def _prepared(prepare):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    return prepare(ANCHORS)


def _tracebacks(noted: Noted, positions: Iterable[int]) -> None:
    ended = -1
    for position in positions:
        trace = traceback_at(noted.window, position)
        if trace.quoted:
            noted.quoted.append((position, trace.ended))
            continue
        if position >= ended:
            _one_traceback(noted, position, trace)


def _one_traceback(noted: Noted, position: int, trace: Trace) -> None:
    told = STOPPED_BY_SIGNAL.match(trace.text)
    if told:
        noted.note(Kind.SIGNAL, position, trace.text, -float(told[1]))
    elif not trace.launcher:
        noted.note(Kind.TRACEBACK, position, trace.text, 0.0 if trace.caught else np.nan)
        if not trace.caught:
            _in_general(noted, position, trace.text, wrapped=trace.wrapped)


def _in_general(noted: Noted, position: int, text: bytes, *, wrapped: bool = False) -> None:
    """Note under its own kind what an exception says in words that no phrase of the table finds where they stand."""
    signature = of_last_words(text.decode("utf-8", "replace"))
    if signature is not None and (wrapped or not _stands(signature, text)):
        noted.note(signature.name, position, text)


def _phrase(noted: Noted, meanings: tuple[object, ...], positions: Integers) -> None:
    data = noted.window.data
    ended = -1
    judged: dict[bytes, tuple[object, ...]] | None = {} if len(positions) >= MANY else None
    for position, start, end in _fragments(noted, meanings, positions):
        if position < ended:
            continue
        ended = end
        line = data[start:ended]
        may_be = meanings
        if judged is not None:
            outline = line.translate(ONE_DIGIT)
            if outline not in judged:
                judged[outline] = tuple(meaning for meaning in meanings if _may_be(meaning, outline))
            may_be = judged[outline]
        for meaning in may_be:
            _meaning(noted, meaning, position, start, line)


def _fragments(noted: Noted, meanings: tuple[object, ...], places: Integers) -> Iterable[tuple[int, int, int]]:
    """Return each place with where its fragment begins and ends; where there are many, without what nobody says."""
    window = noted.window
    if len(places) < MANY:
        return (
            (
                position,
                fragment_start(window.data, position, window.floor(position)),
                fragment_end(window.data, position, window.reach(position)),
            )
            for position in places.tolist()
        )
    starts, ends = window.fragments(places)
    if meanings == (Kind.COMPLAINT,):
        kept = complaints.may_complain(window.data, places, starts, noted.unexpected)
        places, starts, ends = places[kept], starts[kept], ends[kept]
    elif all(isinstance(meaning, signs.Sign) and meaning.unless is not None for meaning in meanings):
        kept = _not_denied(window.data, places, meanings)
        places, starts, ends = places[kept], starts[kept], ends[kept]
    return zip(places.tolist(), starts.tolist(), ends.tolist(), strict=True)


def _not_denied(data: bytes, places: Integers, meanings: tuple[object, ...]) -> NDArray[np.bool_]:
    """Tell which places may not be what their signs are not: what goes on alike is looked at once."""
    like = alike(data, places, CONTEXT_BYTES)
    kept = np.ones(len(places), dtype=np.bool_)
    for first in np.flatnonzero(like == np.arange(len(places))).tolist():
        behind = _ENDED.split(data[places[first] : places[first] + CONTEXT_BYTES], maxsplit=1)
        found = [each.unless.match(behind[0]) for each in meanings if isinstance(each, signs.Sign) and each.unless]
        # One more byte may be looked at by an expression than it takes.
        kept[first] = not all(each and (len(behind) > 1 or each.end() < len(behind[0])) for each in found)
    return kept[like]


def _meaning(noted: Noted, meaning: object, position: int, start: int, line: bytes) -> None:
    if isinstance(meaning, signs.Sign):
        if meaning.unless is None or meaning.unless.match(line, position - start) is None:
            _sign(noted, meaning, position, position - start, line)
    elif meaning == CODE:
        _code(noted, start, line)
    elif meaning == Kind.KILLED:
        killed = KILLED.search(line)
        before = line[: killed.start()] if killed else b""
        if killed and (leads(before) or signed(before, noted.window.data, start)):
            noted.note(Kind.KILLED, start + killed.start(), killed[0].strip())
    elif meaning == Kind.COMPLAINT:
        if complaints.complains(line):
            noted.note(Kind.COMPLAINT, start, _clean(line))
    elif meaning == Kind.STACK:
        _stack(noted, start, line)
    elif isinstance(meaning, tuple):
        _death(noted, meaning[0], meaning[1], position - start, start, line)


def _sign(noted: Noted, sign: signs.Sign, position: int, at: int, line: bytes) -> None:
    confirmed = sign.confirm.search(line) if sign.confirm else None
    if sign.confirm is not None and confirmed is None:
        return
    before = line[: min(confirmed.start(), at) if confirmed else at]
    if quotes(before) and RECORD.search(before) is None:
        return
    if sign.anchor == b"LOAD REPORT":
        window = noted.window
        stop = min(window.reach(position), position + REPORT_BYTES)
        following = window.data.find(sign.anchor, position + 1, stop)
        table = window.data[position : stop if following < 0 else following]
        for word, kind in signs.REPORTED.items():
            count = len(re.findall(rb"\| *" + word + rb" *\|", table.partition(b"\n\n")[0]))
            if count:
                noted.note(kind, position, _clean(line), float(count))
        return
    value, step = sign.read(confirmed) if sign.read and confirmed else (np.nan, UNKNOWN_STEP)
    noted.note(sign.kind, position, _clean(line), value, step, lead=line[:at])


def _may_be(meaning: object, outline: bytes) -> bool:
    """Tell whether a line that is this one but for its digits may be of a meaning: many lines have one outline."""
    confirm = None
    if isinstance(meaning, signs.Sign):
        confirm = meaning.confirm
    elif isinstance(meaning, tuple) and meaning[1].confirm:
        confirm = _expression(meaning[1].confirm)
    if confirm is None:
        return True
    return _DIGIT.search(_REPEATED.sub(b"", confirm.pattern)) is not None or confirm.search(outline) is not None


def _code(noted: Noted, start: int, line: bytes) -> None:
    told = codes.code_in(line)
    if told is None:
        return
    code, first, end = told
    key = line[first - 1 : first] == b'"' and line[first:end].rpartition(b'"')[1] != b""
    if quotes(line[: first - key]):
        return
    above = noted.window.data[max(noted.window.floor(start), start - ABOVE_BYTES) : start].rpartition(b"\n")[0]
    named = LOCAL_RANK.search(line) or LOCAL_RANK.search(above.rpartition(b"\n")[2])
    rank = int(named[1]) if named else NO_RANK
    noted.note(Kind.SIGNAL, start + first, line[first:end].strip(), float(code), rank=rank)


def _stack(noted: Noted, start: int, line: bytes) -> None:
    """Note where a process stood of which a dump was written into the log; one of a process that died is none."""
    data, floor = noted.window.data, noted.window.floor(start)
    above = fragment_start(data, max(start - 1, floor), floor)
    before = data[max(floor, start - FATAL_BYTES) : start]
    if DUMPED.match(line) is None or any(words in before for words in OF_A_DEATH):
        return
    begin = above if line.startswith(b"Python v") else start
    text = data[begin : min(noted.window.reach(start), begin + STACK_BYTES)].decode("utf-8", "replace")
    found = next(stacks(text.splitlines()), None)
    if found is not None:
        noted.note(Kind.STACK, start, found.told.encode(), rank=found.rank)


@cache
def _expression(pattern: str) -> re.Pattern[bytes]:
    return re.compile(pattern.encode())


def _death(  # noqa: PLR0913, PLR0917  (the parts of one occurrence)
    noted: Noted, signature: Signature, words: Words, at: int, start: int, line: bytes
) -> None:
    if _says(signature, words, line, at, (noted.window.data, start)) and (
        words.anywhere or not _of_a_warning(noted.window, start)
    ):
        noted.note(signature.name, start + at, _clean(line))


def _of_a_warning(window: Window, start: int) -> bool:
    """Tell whether the line above is a warning of Python, whose message goes on here."""
    return WARNING_OF_PYTHON.search(line_above(window, start)) is not None


def _stands(signature: Signature, line: bytes) -> bool:
    """Tell whether a line is of this kind, whichever of its phrases says so."""
    places = ((words, line.find(words.anchor.encode())) for words in signature.words)
    return any(at >= 0 and _says(signature, words, line, at) for words, at in places)


def _says(signature: Signature, words: Words, line: bytes, at: int, within: tuple[bytes, int] = (b"", 0)) -> bool:
    """Tell whether a line in which a phrase stands at `at` says so of its own process.

    `within` is the text that holds the line, and where it begins there.
    """
    first = at
    if words.confirm:
        confirmed = _expression(words.confirm).search(line)
        if confirmed is None:
            return False
        first = min(confirmed.start(), at)
    if signature.unless and _expression(signature.unless).search(line):
        return False
    if not words.anywhere and WARNED.search(line, 0, first):
        return False
    before = line[:first]
    return not quotes(before) if words.anywhere else leads(before) or signed(before, *within)


def _clean(line: bytes) -> bytes:
    """Return a line as it is quoted: without prefixes, bars and the framing bytes of a tracker's binary log."""
    return line[_cleaned(line.translate(ONE_DIGIT))]


@lru_cache(maxsize=1 << 12)
def _cleaned(line: bytes) -> slice:
    """Return which part of a line is quoted, whatever its digits are: lines come again."""
    bar = _BAR.match(line)
    text = strip_prefixes(line[bar.end() :] if bar else line)
    first = len(line) - len(text.lstrip())
    parts = FRAMING.split(text.strip())
    best = max(range(len(parts)), key=lambda index: len(parts[index]))
    first += sum(len(part) + 1 for part in parts[:best])
    return slice(first, first + len(parts[best]))


def _end_of_text(noted: Noted) -> None:
    found = tail_of(noted.window)
    if found is None:
        return
    data, (first, end) = noted.window.data, found
    for anchor in RARE:
        at = data.find(anchor, first, end)
        places = []
        while at >= 0:
            places.append(at)
            at = data.find(anchor, at + 1, end)
        if places:
            _phrase(noted, MEANINGS[anchor], np.array(places, dtype=np.int64))
    for position, text, wrapped in exception_alone(noted.window):
        # What a signature knows has been told by the line itself, with a more exact name.
        start = fragment_start(data, position, first)
        line = data[start : fragment_end(data, position, end)]
        if not any(signature.ending and _stands(signature, line) for signature in SIGNATURES):
            noted.note(Kind.TRACEBACK, position, text, ALONE)
            _in_general(noted, position, text, wrapped=wrapped)
    for start, line in rewrapped(noted.window):
        for signature in SIGNATURES:
            if signature.name not in noted.columns and _stands(signature, line):
                noted.note(signature.name, start, _clean(line))
    _errors(noted)
    _standstill(noted)


def _standstill(noted: Noted) -> None:
    """Note that the text ends in lines that only wait, where none of them says by itself that a rank stood still."""
    stood = standstill(noted.window)
    if stood is not None and not any(kind in noted.columns for kind in ("watchdog-hang", Kind.NCCL_TIMEOUT)):
        noted.note(STANDSTILL, *stood)


def _errors(noted: Noted) -> None:
    """Note what the last lines say of an end: in their own words, in general terms, or merely that it came."""
    coded = {*noted.lines(Kind.SIGNAL), *noted.lines(Kind.KILLED)}
    # A complaint says that something is wrong, not that it was the end.
    told = {start for kind in noted.columns if kind != Kind.COMPLAINT for start in noted.lines(kind)} - coded
    warned = {*noted.lines(NCCL_WARNING)}
    lines, after_metrics = last_statements(noted.window)
    for start, line, fatal in lines:
        signature = None if start in told else of_last_words(line.decode("utf-8", "replace"))
        if signature is not None:
            noted.note(signature.name, start, _clean(line))
        elif after_metrics and (start not in told | coded or start in warned):
            noted.note(FATAL_LINE if fatal else ERROR_LINE, start, _clean(line))
