"""Metric dictionaries on the console: transformers' Trainer and what is built on it (TRL, axolotl, ms-swift ...).

transformers 4 prints Python floats (`loss` rounded to four decimals, `nan` bare), transformers >= 5.0 prints every
float as quoted text in `%.4g` (`trainer_callback.ProgressCallback.on_log`). The step is not among them; ms-swift,
LLaMA-Factory and others add it under a name of their own.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from forensics.formats.text import BAR, Window, fragment_start, line_rank, number, numbers, pairs
from forensics.model import UNKNOWN_STEP, Floats, Integers, Precision
from forensics.names import EVAL_LOSS, LOSS, TRAIN_LOSS, canonical
from forensics.readers._text.collected import DictRows, Unread, as_integers, plain_rows

BARS_AFTER = 2
"""A nested bar (evaluation, "Writing model shards") may be drawn before the training bar is drawn again."""
NEAR_BYTES = 4096
MAX_LAYOUTS = 24
"""Sets of keys in a window that get an expression of their own; the rest is read one by one."""
MAX_SHAPES = 500
"""Sets of keys in a window that are read at all; real logs have a handful."""
_NEVER = re.compile(rb"(?!)")

STEP_KEYS = (
    b"step",
    b"global_step",
    b"current_steps",  # LLaMA-Factory
    b"global_step/max_steps",  # ms-swift, "10/1200"
    b"iteration",  # Megatron-SWIFT, "10/1000"
    b"train/global_step",  # Weights & Biases
    b"iter",  # mmengine
)

_QUOTES = (b"'", b'"')
_NEXT_BAR = rb"(?:\n\r? *\d+%\|[^|\r\n]*\| *(\d{1,18})/(\d{1,18}) \[[^\r\n{]*(?=[\r{]|\Z))?"
_WHOLE_BAR = re.compile(BAR.pattern + rb"[^\r\n]*")
_DICT = re.compile(rb"""\{(['"][^{}\r\n]*)\}""")
_WRAPPED = re.compile(rb"""\{(['"](?:[^{}\r\n]{0,1000}\n){1,60}?[^{}\r\n]{0,1000})\}""")
_COUNTER = re.compile(rb"(\d+)(?:/\d+)?")
_STEP_BEFORE = re.compile(rb"[Ss]tep[ :=]+(\d+)\D{0,3}\Z")
_ECHO = b">> "
_NO_BARS = (-1,) * (2 * BARS_AFTER)


Shape = tuple[tuple[bytes, ...], tuple[bool, ...]]


@dataclass(slots=True)
class _Layout:
    """Dictionaries with the same keys in the same order and quotes, read by one regular expression.

    Its groups are the values, then counter and total of the bar that follows, unless an LF after it says that
    nested bars may come. `odd` holds start, end and values of dictionaries that the expression does not fit:
    those with `tensor(...)` values.
    """

    keys: tuple[bytes, ...]
    quoted: tuple[bool, ...]
    pattern: re.Pattern[bytes]
    matches: list[re.Match[bytes]] = field(default_factory=list)
    odd: list[tuple[int, int, tuple[bytes, ...]]] = field(default_factory=list)


@dataclass(slots=True)
class _Records:
    """The dictionaries of a layout in the order of the text: `texts` has a column for each key."""

    starts: Integers
    texts: list[tuple[bytes, ...]]
    before: Integers
    after: Integers
    heads: dict[int, bytes]


def scan_window(window: Window) -> Iterator[DictRows | Unread]:
    """Yield the metric dictionaries of a window, a table for each set of keys; a text where there are too many."""
    layouts: dict[Shape, _Layout] = {}
    data = window.data
    reach = min(len(data), window.end + window.ahead)
    pending = _openings(window)
    while (layout := _learn(data, pending, reach, layouts)) is not None:
        match = layout.pattern.match
        found = [match(data, start, reach) for start in pending]
        layout.matches.extend(filter(None, found))
        pending = [start for start, each in zip(pending, found, strict=True) if each is None]
    for layout in layouts.values():
        yield from _tables(layout, window)
    if len(layouts) >= MAX_SHAPES:
        yield Unread(window.line, f"metric dictionaries of more than {MAX_SHAPES:,} kinds, the rest was left out")


def _openings(window: Window) -> list[int]:
    """Return where a brace with a quote behind it stands."""
    size = min(window.end, len(window.data) - 1) - window.begin
    if size <= 0:
        return []
    text = np.frombuffer(window.data, dtype=np.uint8, count=size + 1, offset=window.begin)
    braces = np.flatnonzero(text[:-1] == ord("{"))
    following = text[braces + 1]
    openings: list[int] = (braces[(following == ord("'")) | (following == ord('"'))] + window.begin).tolist()
    return openings


def _learn(data: bytes, pending: list[int], reach: int, layouts: dict[Shape, _Layout]) -> _Layout | None:
    """Take dictionaries off the front of `pending` until one has a layout that is new; None when none has.

    Those of known layouts that were met are odd ones: their layout's expression has already passed them over.
    """
    for index, start in enumerate(pending):
        whole = _DICT.match(data, start, reach)
        found = whole or _WRAPPED.match(data, start, reach)
        if found is None:
            continue
        parsed = list(pairs(found[1])) if whole else _unwrapped(found[1])
        keys = tuple(key for key, _, _ in parsed)
        if not _is_metrics(keys):
            continue
        shape = (keys, tuple(flag for _, _, flag in parsed))
        layout = layouts.get(shape)
        fresh = layout is None
        if layout is None:
            if len(layouts) >= MAX_SHAPES:
                continue
            pattern = _pattern(*shape) if len(layouts) < MAX_LAYOUTS else _NEVER
            layout = layouts[shape] = _Layout(*shape, pattern)
        if fresh and whole and layout.pattern.match(data, start, reach):
            del pending[:index]
            return layout
        layout.odd.append((start, found.end(), tuple(value for _, value, _ in parsed)))
    return None


def _unwrapped(body: bytes) -> list[tuple[bytes, bytes, bool]]:
    """Return the pairs of a dictionary that a terminal broke over several lines, in the middle of words too.

    A terminal leaves no blank where it breaks; a line that was printed broken is indented. All of it must be pairs
    of numbers, a loss among them: configurations are printed like this as well.
    """
    lines = body.split(b"\n")
    text = b"".join([lines[0], *(b" " + line.strip() if line[:1] == b" " else line for line in lines[1:])])
    found = list(pairs(text))
    numeric = sum(number(value) is not None for _, value, _ in found)
    whole = text.count(b":") == len(found) == numeric
    return found if whole and any(canonical(key.decode("utf-8", "replace")) == LOSS for key, _, _ in found) else []


def _is_metrics(keys: Sequence[bytes]) -> bool:
    """Tell whether there is an epoch, a step or a loss; configurations printed as dictionaries have none."""
    if b"epoch" in keys or any(key in keys for key in STEP_KEYS):
        return True
    return any(canonical(key.decode("utf-8", "replace")) in {LOSS, EVAL_LOSS, TRAIN_LOSS} for key in keys)


def _pattern(keys: Sequence[bytes], quoted: Sequence[bool]) -> re.Pattern[bytes]:
    parts = []
    for key, is_quoted in zip(keys, quoted, strict=True):
        value = rb"""['"]([^'"{}\r\n]*)['"]""" if is_quoted else rb"""([^'",:{}()\[\]\r\n]+)"""
        parts.append(rb"""['"]""" + re.escape(key) + rb"""['"]: """ + value)
    return re.compile(rb"\{" + rb", ".join(parts) + rb"\}" + _NEXT_BAR)


def _tables(layout: _Layout, window: Window) -> Iterator[DictRows]:
    """Turn the texts of a layout into columns; rows with an unreadable number get a table of their own."""
    records = _records(layout, window)
    columns = [numbers(column) for column in records.texts]
    numeric = tuple(index for index, (_, readable) in enumerate(columns) if readable.any())
    if all(columns[index][1].all() for index in numeric):
        yield _table(layout, window, records, columns, numeric, np.arange(len(records.starts)))
        return
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for row in range(len(records.starts)):
        groups[tuple(index for index in numeric if columns[index][1][row])].append(row)
    for indices, rows in groups.items():
        yield _table(layout, window, records, columns, indices, as_integers(rows))


def _records(layout: _Layout, window: Window) -> _Records:
    """Order the dictionaries of a layout and find the bars around them."""
    size = len(layout.keys)
    texts, starts, after = _matched(layout.matches, size, window)
    if layout.odd:
        starts = np.concatenate([starts, as_integers([start for start, _, _ in layout.odd])])
        bars = as_integers([_bars_after(window, end) for _, end, _ in layout.odd])
        order = np.argsort(starts, kind="stable")
        odd = list(zip(*(values for _, _, values in layout.odd), strict=True))
        texts = [
            tuple((*column, *more)[row] for row in order)
            for column, more in zip(texts or [()] * size, odd, strict=True)
        ]
        starts, after = starts[order], np.concatenate([after, bars])[order]
    heads = {row: _head(window, int(starts[row])) for row in _headed(window, starts)}
    before = np.full((len(starts), 2), -1, dtype=np.int64)
    for row, head in heads.items():
        before[row] = _bar_before(head)
    return _Records(starts, texts, before, after, heads)


def _matched(
    matches: Sequence[re.Match[bytes]], size: int, window: Window
) -> tuple[list[tuple[bytes, ...]], Integers, Integers]:
    """Return the texts of the matches by key, where they start, and the bars that follow them."""
    after = np.full((len(matches), 2 * BARS_AFTER), -1, dtype=np.int64)
    columns = list(zip(*[match.groups() for match in matches], strict=True))
    if not columns:
        return [], as_integers([]), after
    counters, totals = columns[size:]
    after[:, 0] = [-1 if counter is None else int(counter) for counter in counters]
    after[:, 1] = [-1 if total is None else int(total) for total in totals]
    percent = -1
    for row in np.flatnonzero(after[:, 0] < 0).tolist():
        end = matches[row].end(size) + 1
        if percent < end:
            percent = window.data.find(b"%", end)
        if percent < 0:
            break
        if percent < end + NEAR_BYTES:
            after[row] = _bars_after(window, end)
    return columns[:size], as_integers([match.start() for match in matches]), after


def _headed(window: Window, starts: Integers) -> list[int]:
    """Return which dictionaries have something before them on their line."""
    text = np.frombuffer(window.data, dtype=np.uint8)
    previous = text[np.maximum(starts - 1, 0)]
    rows: list[int] = np.flatnonzero((starts > 0) & (previous != 10) & (previous != 13)).tolist()
    return rows


def _table(  # noqa: PLR0913, PLR0917  (a layout, what it collected, and which part of it)
    layout: _Layout,
    window: Window,
    records: _Records,
    columns: Sequence[tuple[Floats, NDArray[np.bool_]]],
    indices: Sequence[int],
    rows: Integers,
) -> DictRows:
    metric = [index for index in indices if layout.keys[index] not in (b"epoch", *STEP_KEYS)]
    epochs = columns[layout.keys.index(b"epoch")][0][rows] if b"epoch" in layout.keys else None
    values = np.column_stack([columns[index][0][rows] for index in metric]) if metric else np.empty((len(rows), 0))
    quoted = any(layout.quoted[index] and layout.keys[index] not in STEP_KEYS for index in indices)
    heads = [records.heads.get(row, b"") for row in rows.tolist()]
    starts = records.starts[rows]
    table = plain_rows(
        tuple(layout.keys[index].decode("utf-8", "replace") for index in metric),
        values,
        window.offset + starts,
        window.lines(starts),
        _steps(layout, records, rows, heads),
        epochs=epochs,
        ranks=[line_rank(head) for head in heads] if records.heads else None,
        precision=Precision.FOUR_DIGITS if quoted else Precision.DOUBLE,
    )
    return DictRows(
        rows=table,
        before=records.before[rows],
        after=records.after[rows],
        echoed=np.array([head.endswith(_ECHO) for head in heads], dtype=np.bool_),
        quoted=quoted,
    )


def _head(window: Window, start: int) -> bytes:
    """Return what stands before a dictionary on its line."""
    return window.data[fragment_start(window.data, start, window.floor(start)) : start]


def _steps(layout: _Layout, records: _Records, rows: Integers, heads: Sequence[bytes]) -> Integers:
    """Return the steps that dictionaries name themselves, or that the words before them name."""
    steps = np.full(len(rows), UNKNOWN_STEP, dtype=np.int64)
    for key in STEP_KEYS:
        if key in layout.keys:
            index = layout.keys.index(key)
            texts = records.texts[index]
            if b"".join(texts).isdigit() and 0 < min(map(len, texts)) <= max(map(len, texts)) < 19:
                return as_integers(list(map(int, texts)))[rows]
            found = [_COUNTER.match(records.texts[index][row]) for row in rows.tolist()]
            break
    else:
        if not records.heads:
            return steps
        found = [_STEP_BEFORE.search(head[-40:]) for head in heads]
    for row, match in enumerate(found):
        if match and len(match[1]) < 19:
            steps[row] = int(match[1])
    return steps


def _bar_before(head: bytes) -> tuple[int, int]:
    if not head:
        return -1, -1
    at = head.rfind(b"%|")
    found = BAR.match(head, at) if at >= 0 else None
    return _counter(found) if found else (-1, -1)


def _bars_after(window: Window, end: int) -> tuple[int, ...]:
    """Return counters and totals of the bars drawn after a dictionary and before the next one.

    One bar is enough where it is alone: nested bars stand on lines of their own, so only an LF behind a bar
    makes the next one worth a look.
    """
    data = window.data
    limit = min(len(data), end + NEAR_BYTES)
    bars: tuple[int, ...] = ()
    position = end
    while len(bars) < 2 * BARS_AFTER:
        place = data.find(b"%", position, _next_opening(data, position, limit))
        if place < 0:
            break
        found = _WHOLE_BAR.match(data, place, limit)
        position = place + 1
        if found is not None:
            bars += _counter(found)
            position = found.end()
            if data[position : position + 1] != b"\n":
                break
    return bars + _NO_BARS[len(bars) :]


def _next_opening(data: bytes, position: int, limit: int) -> int:
    """Return where the next brace with a quote behind it stands, `limit` when there is none before."""
    brace = data.find(b"{", position, limit)
    while brace >= 0 and data[brace + 1 : brace + 2] not in _QUOTES:
        brace = data.find(b"{", brace + 1, limit)
    return limit if brace < 0 else brace


def _counter(found: re.Match[bytes]) -> tuple[int, int]:
    if len(found[1]) > 18 or len(found[2]) > 18:
        return -1, -1
    return int(found[1]), int(found[2])
