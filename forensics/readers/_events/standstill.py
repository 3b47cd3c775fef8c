"""The end of a log in which nothing goes on any more: lines that only wait, or only say that a process is alive.

    10:41:00 INFO heartbeat: rank 0 alive, step 40        still waiting for rank 5 (1200s)
    10:42:00 INFO heartbeat: rank 0 alive, step 40        still waiting for rank 5 (1230s)

What counts is what does not change: of such lines only clocks, durations, gauges, ranks and their own count may. A line
whose step, batch or file goes on tells of work. Long steps and evaluations are as silent as a hang for a while, so the
lines must span a time, or be many times as many as stood between two entries before.
"""

import re
from collections import defaultdict

from forensics.deferred.patterns import expression
from forensics.formats.text import Window

TAIL_BYTES = 256 << 10
LEAST_LINES = 10
MANY_LINES = 30
"""Lines from which on those that tell no time count."""
LEAST_WAITED, LEAST_ALIVE = 600.0, 1800.0
"""Seconds that lines must span: of such as wait or name a step that stays, and of such as say no more than "alive".

The first is the time-out of a NCCL collective in torch (`default_pg_nccl_timeout`), the second that of any other
(`default_pg_timeout`).
"""
MORE_THAN_BETWEEN = 5
CONTEXT_LINES = 400
AROUND = 24
_WAITS = expression(
    rb"(?i)\bwaiting (?:for|on|in|at)\b(?!.{0,40}\b(?:download|compil|queue|resources|schedul|upload))"
    rb"|\bno progress\b|\bnot (?:yet )?(?:arrived|responded|joined|made progress)\b|\bstalled\b"
)
_ALIVE = expression(rb"(?i)\b(?:heart[-_ ]?beat|keep-?alive|alive|liveness)\b|\bstill (?:running|here)\b")
_BUSY = expression(rb"(?i)\b(?:eval|valid|test|sav|load|download|upload|compil|generat|tokeniz|preprocess|sampl)")
_STEP = expression(
    rb"(?i)(?<![A-Za-z])(?:[a-z]{1,12}_)?(?:step|iter(?:ation)?)s?\"?\s{0,3}[:=#]?\s{0,3}\d{1,12}(?![\d.]{0,12}\s?/)"
)
_LIFE = expression(
    rb"(?i)\bloss\b[\"']?\s{0,20}[:=|]?\s{0,8}[\"'(]?(?:[-+]?[\d.]|nan|inf)|it/s\b|s/it\b|\bppl\b|\baccuracy\b"
)
_TRACKER = expression(rb"(?:wandb|mlflow|comet\w{0,8}|neptune)\b")
_OVER = expression(rb"(?i)\b(?:finish(?:ed|ing)|completed?|done|ended|final|early stopping|exit(?:ing|ed)?)\b")
_RANK = expression(rb"(?i)(?:rank|worker|process|pid|node|host)[^A-Za-z\d]{0,4}(\d{1,10})")
_DATE = expression(rb"\d{4}[-/]\d\d[-/]\d\d[T ]?")
_CLOCK = expression(rb"(?<![\d:])(\d{1,2}):(\d\d):(\d\d)(?:[.,]\d{1,9})?(?![:\d])")
_NUMBER = expression(rb"\d+(?:\.\d+)?")
_UNIT = expression(rb"\s?(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?)\b")
_GAUGE = expression(rb"\s?(?:%|ms\b|[KMGT]i?B\b|W\b|C\b|\xc2\xb0)")
_SECONDS_OF = expression(rb"(?i)(?:elapsed|idle|wait(?:ed|ing)?|since|uptime|age|time)\w{0,10}[\"']?\s?[:=]?\s?\Z")
_VARIES = expression(
    rb"(?i)(?:rank|worker|process|proc|pid|host|node|gpu|device|thread|\bip|beat|ping|attempt|try|retry|retries|tick"
    rb"|count|seq|check|util\w{0,8}|mem\w{0,8}|temp\w{0,8}|power)[\"']?[^A-Za-z\d]{0,4}\Z|[(\[,{]\s?\Z|\A\s{0,4}\Z"
)
_SCALE = {b"s": 1.0, b"m": 60.0, b"h": 3600.0}


def standstill(window: Window) -> tuple[int, bytes] | None:
    """Return where the last line of a text stands that only waits, and what is said of it; None where work went on."""
    data = window.data
    if window.end != len(data):
        return None
    first = max(0, len(data) - TAIL_BYTES)
    lines = [line.strip() for line in data[first:].splitlines()[bool(first) :] if line.strip()]
    waiting: list[bytes] = []
    while lines and _only_waits(lines[-1]):
        waiting.append(lines.pop())
    if len(waiting) < LEAST_LINES or not _followed_work(lines[-CONTEXT_LINES:]):
        return None
    groups: dict[bytes, list[bytes]] = defaultdict(list)
    for line in reversed(waiting):
        groups[_NUMBER.sub(b"0", line)].append(line)
    largest = max(groups.values(), key=len)
    seconds = _span(largest)
    if not all(_stays(group) for group in groups.values()) or not _long_enough(largest, seconds, lines):
        return None
    told = f", {seconds / 60:.0f} minutes" if seconds else ""
    return data.rfind(largest[-1]), largest[-1] + f" ({len(largest)} lines alike at the end{told})".encode()


def _only_waits(line: bytes) -> bool:
    """Tell whether a line holds no metric and waits, says that it is alive, or names a step beside a gauge."""
    if _LIFE.search(line) or _TRACKER.match(line):
        return False
    if _WAITS.search(line) or _ALIVE.search(line):
        return True
    return _STEP.search(line) is not None and any(
        _duration(line, number) is not None or _GAUGE.match(line, number.end()) for number in _NUMBER.finditer(line)
    )


def _followed_work(before: list[bytes]) -> bool:
    """Tell whether metrics stand before, and nothing since then that says that the work was done."""
    for line in reversed(before):
        if _LIFE.search(line):
            return True
        if _OVER.search(line):
            return False
    return False


def _long_enough(lines: list[bytes], seconds: float, before: list[bytes]) -> bool:
    between = run = 0
    for line in before:
        run = run + 1 if _only_waits(line) else 0
        between = max(between, run)
    if len(lines) < max(LEAST_LINES, MORE_THAN_BETWEEN * between):
        return False
    # Each rank says once that it waits, and there may be many of them.
    ranks = {rank for line in lines for rank in _RANK.findall(line)}
    many = not seconds and len(lines) >= MANY_LINES * max(1, len(ranks))
    if all(_WAITS.search(line) for line in lines):
        return many or seconds >= LEAST_WAITED
    above = b"" if _LIFE.search(before[-1]) else before[-1]
    if _BUSY.search(above) or _BUSY.search(lines[0]):
        return False
    alive = _ALIVE.search(lines[0]) is not None
    if _STEP.search(lines[0]):
        return (many and alive) or seconds >= LEAST_WAITED
    return (many and between > 0) or seconds >= LEAST_ALIVE


def _stays(lines: list[bytes]) -> bool:
    """Tell whether of lines alike nothing changes but clocks, durations, gauges, ranks and their own count."""
    columns = zip(*map(_numbers, lines), strict=False)
    return all(len({number for number, _ in column}) == 1 or all(free for _, free in column) for column in columns)


def _numbers(line: bytes) -> list[tuple[bytes, bool]]:
    """Return the numbers of a line without its date and clock, and whether each may change while nothing goes on."""
    line = _CLOCK.sub(b"", _DATE.sub(b"", line))
    return [
        (
            number[0],
            _duration(line, number) is not None
            or _GAUGE.match(line, number.end()) is not None
            or _VARIES.search(line[max(0, number.start() - AROUND) : number.start()]) is not None,
        )
        for number in _NUMBER.finditer(line)
    ]


def _duration(line: bytes, number: re.Match[bytes]) -> float | None:
    """Return the seconds that a number of a line tells, None where it is no duration."""
    unit = _UNIT.match(line, number.end())
    if unit is not None:
        return float(number[0]) * _SCALE[unit[1][:1]]
    named = _SECONDS_OF.search(line[max(0, number.start() - AROUND) : number.start()])
    return None if named is None else float(number[0])


def _span(lines: list[bytes]) -> float:
    """Return the seconds between the first line and the last, by their clocks or by the durations that they tell."""
    clocks = [found for line in (lines[0], lines[-1]) if (found := _CLOCK.search(line))]
    if len(clocks) == 2:
        begin, end = (int(c[1]) * 3600 + int(c[2]) * 60 + int(c[3]) for c in clocks)
        return float((end - begin) % 86_400)
    told = [[s for n in _NUMBER.finditer(line) if (s := _duration(line, n)) is not None] for line in lines]
    grown = [end - begin for begin, end in zip(told[0], told[-1], strict=False)]
    return max(0.0, *grown, 0.0)
