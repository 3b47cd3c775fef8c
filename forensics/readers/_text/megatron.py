"""Iteration lines of Megatron-LM, Megatron-DeepSpeed and GPT-NeoX: fields between bars, `key: value`.

Sources: Megatron-LM `megatron/training/training.py:training_log` (v2.5 to HEAD), Megatron-DeepSpeed
`megatron/training.py`, GPT-NeoX `megatron/logging.py`.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from forensics.formats.text import Window, clock_times, fragment_end, fragment_start, line_rank, number
from forensics.readers._text.collected import Rows, plain_rows
from forensics.readers._text.phrases import Positions

# `elapsed time per iteration (ms):` and `lm loss PPL:`, from a letter on that is quickly found.
ANCHORS = (b"psed time per iteration (ms):", b"PPL: ")

_ITERATION = re.compile(rb"iteration +(\d{1,18})/")
_VALIDATION = re.compile(rb"validation loss at iteration (\d{1,18})[^|\r\n]*\|([^\r\n]*)")
_FIELD = re.compile(rb"([^|:]+): *([-+\w.,]+)%?[^|]*(?:\||\Z)")
_STAMP = re.compile(rb"\[(20\d\d-\d\d-\d\d \d\d:\d\d:\d\d(?:[.,]\d{1,6})?)\]")
_NOTHING = b"1970-01-01 00:00:00"

LOSS_FIELD = "lm loss"


@dataclass(frozen=True, slots=True)
class _Layout:
    """Fields that came in one order, read by one expression; `names` includes a loss that was not printed."""

    names: tuple[str, ...]
    pattern: re.Pattern[bytes]

    def read(self, text: bytes) -> dict[str, float] | None:
        """Return what `_fields` does, None when the text does not fit."""
        found = self.pattern.fullmatch(text)
        if found is None:
            return None
        try:
            values = list(map(float, found.groups()))
        except ValueError:
            return None
        missing = len(self.names) - len(values)
        return dict(zip(self.names, values + [float("nan")] * missing, strict=True))


@dataclass(slots=True)
class _Table:
    """Lines with the same fields."""

    starts: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    values: list[list[float]] = field(default_factory=list)
    stamps: list[bytes] = field(default_factory=list)
    ranks: list[int] = field(default_factory=list)


def scan_window(window: Window, positions: Positions) -> Iterator[Rows]:
    """Yield the metrics of every iteration line and validation line.

    `lm loss` is printed only when it is finite in at least one iteration of the interval: a line that has a
    gradient norm but no loss gets a loss of NaN.
    """
    tables: dict[tuple[str, ...], _Table] = defaultdict(_Table)
    layout: _Layout | None = None
    ended = -1
    for place in sorted(positions.get(ANCHORS[0], []) + positions.get(ANCHORS[1], [])):
        if place < ended:
            continue
        start = fragment_start(window.data, place, window.floor(place))
        ended = fragment_end(window.data, place, window.reach(place))
        line = window.data[start:ended]
        iteration, validation = _ITERATION.search(line), _VALIDATION.search(line)
        if validation is not None:
            fields = _fields(validation[2], "{} validation")
            _add(tables, line, place, int(validation[1]), fields)
        elif iteration is not None:
            stamp = _STAMP.search(line, 0, iteration.start())
            text = line[stamp.end() :] if stamp else line  # the colon of a time is none of a field
            known = layout.read(text) if layout else None
            fields = _fields(text) if known is None else known
            if known is None:
                layout = _learned(text, fields)
            _add(tables, line, place, int(iteration[1]), fields)
    for names, table in tables.items():
        times = clock_times(table.stamps)
        yield plain_rows(
            names,
            np.array(table.values, dtype=np.float64).reshape(len(table.starts), len(names)),
            [window.offset + start for start in table.starts],
            window.lines(table.starts),
            table.steps,
            wall_times=np.where(times == 0, np.nan, times),
            ranks=table.ranks,
        )


def _fields(line: bytes, form: str = "{}") -> dict[str, float]:
    fields: dict[str, float] = {}
    for part in line.split(b"|"):
        found = _FIELD.fullmatch(part.strip())
        value = number(found[2]) if found else None
        if found is not None and value is not None:
            fields[form.format(found[1].strip().removesuffix(b" value").decode("utf-8", "replace"))] = value
    if LOSS_FIELD not in fields and "lm_loss" not in fields and "grad norm" in fields:
        fields[LOSS_FIELD] = float("nan")
    return fields


def _learned(text: bytes, fields: dict[str, float]) -> _Layout | None:
    """Return the layout of a line all of whose parts with a colon are fields, None for any other line."""
    *parts, last = text.split(b"|")
    found = [_FIELD.fullmatch(part.strip()) for part in parts]
    count = sum(each is not None for each in found)
    unclear = any(b":" in part for part, each in zip(parts, found, strict=True) if each is None)
    if unclear or last.strip() or len(fields) - count != _without_loss(fields):
        return None
    # No underscore in the value: `float` takes it for a separator of digits, `number` does not.
    form = rb"\s*%b: *([-+a-zA-Z0-9.]+)(?![\w,+-])[^|]*\|"
    forms = [form % re.escape(each[1]) if each else rb"[^|:]*\|" for each in found]
    return _Layout(tuple(fields), re.compile(b"".join(forms) + rb"\s*"))


def _without_loss(fields: dict[str, float]) -> bool:
    """Tell whether `_fields` put in a loss that was not printed: it comes last and is NaN."""
    last = next(reversed(fields), "")
    return last == LOSS_FIELD and fields[last] != fields[last]


def _add(tables: dict[tuple[str, ...], _Table], line: bytes, start: int, step: int, fields: dict[str, float]) -> None:
    if not fields:
        return
    table = tables[tuple(fields)]
    table.starts.append(start)
    table.steps.append(step)
    table.values.append(list(fields.values()))
    stamp = _STAMP.search(line)
    table.stamps.append(stamp[1] if stamp else _NOTHING)
    table.ranks.append(line_rank(line[:24].split(b"iteration")[0]))
