"""Metric dictionaries on the console: transformers' Trainer and everything built on it (TRL, axolotl, ms-swift ...).

transformers 4 prints Python floats (`loss` rounded to four decimals, `nan` bare), transformers >= 5.0 prints every
float as quoted text in `%.4g` (`trainer_callback.ProgressCallback.on_log`). The step is not among them; ms-swift,
LLaMA-Factory and others add it under a name of their own.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from forensics.formats.text import BAR, Window, fragment_start, line_rank, number, pairs
from forensics.model import UNKNOWN_STEP, Floats, Precision
from forensics.names import EVAL_LOSS, LOSS, TRAIN_LOSS, canonical
from forensics.readers._text.collected import DictRows, as_integers, plain_rows

BARS_AFTER = 3
"""A nested bar (evaluation, "Writing model shards") may be drawn before the training bar is drawn again."""
NEAR_BYTES = 4096

STEP_KEYS = (
    b"step",
    b"global_step",
    b"current_steps",  # LLaMA-Factory
    b"global_step/max_steps",  # ms-swift, "10/1200"
    b"iteration",  # Megatron-SWIFT, "10/1000"
    b"train/global_step",  # Weights & Biases
    b"iter",  # mmengine
)

_OPENING = re.compile(rb"""\{['"]""")
_DICT = re.compile(rb"""\{(['"][^{}\r\n]*)\}""")
_COUNTER = re.compile(rb"(\d+)(?:/\d+)?")
_STEP_BEFORE = re.compile(rb"[Ss]tep[ :=]+(\d+)\D{0,3}\Z")
_ECHO = b">> "


@dataclass(slots=True)
class _Layout:
    """Dictionaries with the same keys in the same order and quotes: one regular expression, one group a value."""

    keys: tuple[bytes, ...]
    quoted: tuple[bool, ...]
    pattern: re.Pattern[bytes]
    groups: list[tuple[bytes, ...]] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)


def scan_window(window: Window) -> Iterator[DictRows]:
    """Yield the metric dictionaries of a window, one table for each set of keys."""
    layouts: dict[tuple[tuple[bytes, ...], tuple[bool, ...]], _Layout] = {}
    recent: list[_Layout] = []
    data = window.data
    for opening in (b"{'", b'{"'):
        start = data.find(opening, window.begin, window.end)
        while start >= 0:
            end = _take(data, start, window.reach(start), layouts, recent)
            start = data.find(opening, end, window.end)
    for layout in layouts.values():
        if layout.starts:
            yield from _tables(layout, window)


def _take(
    data: bytes,
    start: int,
    reach: int,
    layouts: dict[tuple[tuple[bytes, ...], tuple[bool, ...]], _Layout],
    recent: list[_Layout],
) -> int:
    """File the dictionary at `start` under its layout; return where to search on."""
    for layout in recent:
        found = layout.pattern.match(data, start, reach)
        if found is not None:
            break
    else:
        whole = _DICT.match(data, start, reach)
        if whole is None:
            return start + 1
        layout_or_none, values = _learn(whole[1], layouts)
        if layout_or_none is None:
            return whole.end()
        layout_or_none.groups.append(values)
        layout_or_none.starts.append(start)
        layout_or_none.ends.append(whole.end())
        if layout_or_none not in recent:
            recent.insert(0, layout_or_none)
            del recent[6:]
        return whole.end()
    layout.groups.append(found.groups())
    layout.starts.append(start)
    layout.ends.append(found.end())
    return found.end()


def _learn(
    body: bytes, layouts: dict[tuple[tuple[bytes, ...], tuple[bool, ...]], _Layout]
) -> tuple[_Layout | None, tuple[bytes, ...]]:
    found = list(pairs(body))
    keys = tuple(key for key, _, _ in found)
    quoted = tuple(flag for _, _, flag in found)
    values = tuple(value for _, value, _ in found)
    layout = layouts.get((keys, quoted))
    if layout is None:
        if not _is_metrics(keys):
            return None, ()
        layout = _Layout(keys, quoted, _pattern(keys, quoted))
        layouts[keys, quoted] = layout
    return layout, values


def _is_metrics(keys: Sequence[bytes]) -> bool:
    """A dictionary of metrics has an epoch, a step or a loss; configurations printed as dictionaries have not."""
    if b"epoch" in keys or any(key in keys for key in STEP_KEYS):
        return True
    return any(canonical(key.decode("utf-8", "replace")) in {LOSS, EVAL_LOSS, TRAIN_LOSS} for key in keys)


def _pattern(keys: Sequence[bytes], quoted: Sequence[bool]) -> re.Pattern[bytes]:
    parts = []
    for key, is_quoted in zip(keys, quoted, strict=True):
        value = rb"""['"]([^'"{}\r\n]*)['"]""" if is_quoted else rb"""([^'",:{}()\[\]\r\n]+)"""
        parts.append(rb"""['"]""" + re.escape(key) + rb"""['"]: """ + value)
    return re.compile(rb"\{" + rb", ".join(parts) + rb"\}")


def _tables(layout: _Layout, window: Window) -> Iterator[DictRows]:
    """Turn the collected texts of a layout into columns; rows with an unreadable number get a table of their own."""
    columns = [_numbers(column) for column in zip(*layout.groups, strict=True)]
    clean = [index for index, column in enumerate(columns) if not np.isnan(column[1]).any()]
    numeric = tuple(index for index, column in enumerate(columns) if (column[1] == 0).any())
    if numeric == tuple(clean) or not numeric:
        yield _table(layout, window, numeric, [values for values, _ in columns], slice(None))
        return
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for row in range(len(layout.starts)):
        groups[tuple(index for index in numeric if columns[index][1][row] == 0)].append(row)
    for indices, rows in groups.items():
        yield _table(layout, window, indices, [values for values, _ in columns], rows)


def _numbers(column: Sequence[bytes]) -> tuple[Floats, Floats]:
    """Return the numbers of a column, and 0 where there is one and NaN where there is none."""
    try:
        values = np.array(list(map(float, column)), dtype=np.float64)
    except ValueError:
        parsed = [number(text) for text in column]
        values = np.array([np.nan if value is None else value for value in parsed], dtype=np.float64)
        return values, np.array([np.nan if value is None else 0.0 for value in parsed], dtype=np.float64)
    return values, np.zeros(len(values))


def _table(
    layout: _Layout, window: Window, indices: Sequence[int], columns: list[Floats], chosen: slice | list[int]
) -> DictRows:
    rows = list(range(len(layout.starts))[chosen]) if isinstance(chosen, slice) else chosen
    starts = [layout.starts[row] for row in rows]
    ends = [layout.ends[row] for row in rows]
    heads = [_head(window, start) for start in starts]
    metric = [index for index in indices if layout.keys[index] not in (b"epoch", *STEP_KEYS)]
    epochs = columns[layout.keys.index(b"epoch")][rows] if b"epoch" in layout.keys else None
    values = np.column_stack([columns[index][rows] for index in metric]) if metric else np.empty((len(rows), 0))
    quoted = any(
        flag and layout.keys[index] not in STEP_KEYS for index, flag in enumerate(layout.quoted) if index in indices
    )
    table = plain_rows(
        tuple(layout.keys[index].decode("utf-8", "replace") for index in metric),
        values,
        [window.offset + start for start in starts],
        window.lines(starts),
        _steps(layout, rows, heads),
        epochs=epochs,
        ranks=[line_rank(head) for head in heads],
        precision=Precision.FOUR_DIGITS if quoted else Precision.DOUBLE,
    )
    return DictRows(
        rows=table,
        before=as_integers([_bar_before(head) for head in heads]).reshape(-1, 2),
        after=as_integers([_bars_after(window, end) for end in ends]).reshape(-1, 2 * BARS_AFTER),
        echoed=np.array([head.endswith(_ECHO) for head in heads], dtype=np.bool_),
        quoted=quoted,
    )


def _head(window: Window, start: int) -> bytes:
    """Return what stands before a dictionary on its line."""
    return window.data[fragment_start(window.data, start, window.floor(start)) : start]


def _steps(layout: _Layout, rows: Sequence[int], heads: Sequence[bytes]) -> list[int]:
    for key in STEP_KEYS:
        if key in layout.keys:
            index = layout.keys.index(key)
            found = [_COUNTER.match(layout.groups[row][index]) for row in rows]
            return [int(match[1]) if match and len(match[1]) < 19 else UNKNOWN_STEP for match in found]
    named = [_STEP_BEFORE.search(head[-40:]) if head else None for head in heads]
    return [int(match[1]) if match and len(match[1]) < 19 else UNKNOWN_STEP for match in named]


def _bar_before(head: bytes) -> tuple[int, int]:
    if not head:
        return -1, -1
    at = head.rfind(b"%|")
    found = BAR.match(head, at) if at >= 0 else None
    return _counter(found) if found else (-1, -1)


def _bars_after(window: Window, end: int) -> list[int]:
    """Return counters and totals of the bars drawn after a dictionary and before the next one."""
    data = window.data
    limit = min(len(data), end + NEAR_BYTES)
    bars: list[int] = []
    position = data.find(b"%|", end, limit)
    if position >= 0:
        following = _OPENING.search(data, end, limit)
        limit = following.start() if following else limit
        found = BAR.search(data, end, limit)
        while found and len(bars) < 2 * BARS_AFTER:
            bars.extend(_counter(found))
            found = BAR.search(data, found.end(), limit)
    return bars + [-1] * (2 * BARS_AFTER - len(bars))


def _counter(found: re.Match[bytes]) -> tuple[int, int]:
    if len(found[1]) > 18 or len(found[2]) > 18:
        return -1, -1
    return int(found[1]), int(found[2])
