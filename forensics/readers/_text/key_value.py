"""Lines of `key: value`, `key=value` or `key value`: every trainer that prints its metrics as plain text.

    Step 10 | loss:1.2345 lr:2e-05 grad_norm:0.98                                   torchtune
    [titan] 2025-05-01 10:00:00,123 - root - INFO - step: 10  loss:  7.9001         torchtitan
    step:10 - train/loss:1.2345 - train/lr(1e-3):0.01                               verl
    iteration: 10 / 10000 | consumed_tokens: 10.5M | lm_loss: 9.88 | lr: 3e-05      nanotron
    Training epoch 0, iteration 9/999 | lr: 1.499e-06 | reduced_train_loss: 9.877   NeMo
    05/01 10:00:00 - mmengine - INFO - Iter(train) [   10/12000]  loss: 1.9876      mmengine, xtuner
    Epoch 0:  12%|#   | 120/1000 [02:10<15:53,  0.92it/s, train_loss_step=1.83]     Lightning
    steps: 100 loss: 2.3457 iter time (s): 1.234 samples/sec: 103.728               DeepSpeed pipeline engine
    Epoch 1 | iter 3 step 0 | loss train: 2.646, val: n/a | iter time: 55.9 ms      litgpt
    epoch: 3442 loss: 0.2105                                                        a loop that counts epochs only
    Step 16: train_loss=0.0000, grad_norm=0.0000, lr=1.34e-03                       a loop of one's own

A line counts when it has a step, and a loss or a gradient norm. One with an epoch only counts where the file has no
line with a step: then the epochs are its steps.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from forensics.formats.text import (
    BAR,
    POSTFIXES,
    Window,
    fragment_end,
    fragment_start,
    line_rank,
    number,
    strip_prefixes,
)
from forensics.model import UNKNOWN_STEP, Precision
from forensics.readers._text.collected import Rows, plain_rows
from forensics.readers._text.phrases import SLICE_BYTES


@dataclass(frozen=True, slots=True)
class _Anchor:
    """An expression, and a rare pair of bytes that stands `before` bytes behind the beginning of each match."""

    pattern: re.Pattern[bytes]
    before: int
    pair: bytes
    following: frozenset[int]
    """What may come next: HF dictionaries, by far the most frequent, have a quote behind the name."""


_ANCHORS = (
    _Anchor(
        re.compile(rb"[Ll]oss(?:_\w{1,40}|/\w{1,40})?(?: ?[=:] ?| )[ \w(.]{0,12}[-+\dni]"),
        2,
        b"ss",
        frozenset(b"_/=: "),
    ),
    # The last metric of a bar's postfix.
    _Anchor(re.compile(rb"=[-+.\dni][^\]\[\r\n(=]*\]"), 0, b"=", frozenset(b"-+.0123456789ni")),
    _Anchor(re.compile(rb"grad[ _-]norm ?[=:] ?[ \w(.]{0,12}[-+\dni]"), 7, b"rm", frozenset(b" =:")),
)
_VALUE = (
    rb"([-+]?(?:\d[\d,]*\.?\d*(?:[eE][-+]?\d+)?|nan|inf)(?![\w.])|[-+]?\d+(?:\.\d+)?(?=[KMBT]\b)"
    rb"|tensor\([^()]*\)|(?:np|numpy)\.\w+\([^()]*\))([KMBT]\b)?"
)
_PAIR = re.compile(rb"([A-Za-z_][\w/.@-]*(?:\([\w%/-]+\))?)( ?[:=] *| )" + _VALUE)
_WORDED = re.compile(
    rb"([Gg]rad [Nn]orm|lm loss|loss train|(?:[Tt]rain(?:ing)?|[Vv]al(?:idation)?|[Ee]val(?:uation)?) [Ll]oss"
    rb"|[Ll]earning [Rr]ate|[Ll]oss [Ss]cale|iter time \(s\))( ?[:=] *| )" + _VALUE
)
_SPACED = re.compile(r"loss|norm|^lr$|^acc|^ppl$", re.IGNORECASE)
_STEP = re.compile(
    rb"(?:\b(?:global[_ ]?step|steps?|iteration|iter|Iter\(\w+\)|Epoch\(\w+\) +\[\d+\]|Epoch \[\d+\])"
    rb"[\s:=#\[]*|\bglobal_step[=:]\s*)(\d{1,18})(?:\s*/\s*(\d{1,18}))?(?![\d.]*[eE.]\d)",
    re.IGNORECASE,
)
_EPOCH_OF_TOTAL = re.compile(rb"(?:Epoch\(\w+\) +|Epoch )\[(\d{1,9})\]\[ *(\d{1,18})/ *(\d{1,18})\]")
_EPOCH_ONLY = re.compile(rb"\b[Ee]poch *[:=#\[( ] *(\d{1,9})\b(?![.%])")
_BAR_EPOCH = re.compile(rb"[Ee]poch:? +(\d{1,9})(?:/\d+)?:? ")
_GLOBAL_STEP = re.compile(rb"\bglobal_step: *(\d{1,18})\b")
_VALIDATION = re.compile(rb"\bvalid(?:ate|ation)?\b|\b(?:Iter|Epoch)\((?:val|test)\)|\beval", re.IGNORECASE)
_PLAIN = {
    **dict.fromkeys(("train loss", "training loss", "loss train"), "training_loss"),
    **dict.fromkeys(("val loss", "validation loss", "eval loss", "evaluation loss"), "validation_loss"),
    **{name: name for name in ("loss", "lr", "grad norm", "learning rate", "loss scale")},
}
"""Names of two words, and names that loops of one's own write with capitals, as other trainers write them."""
_SUFFIXES = {b"": 1.0, b"K": 1e3, b"M": 1e6, b"B": 1e9, b"T": 1e12}
EPOCH_BYTES = 120
"""How far from the start of a line its epoch may stand."""
_NOT_METRICS = frozenset(
    (
        *("step", "steps", "global_step", "iteration", "iter", "epoch", "eta", "rank", "v_num", "pid", "norm"),
        *("dp", "pp", "tp", "cp", "ep"),  # nanotron's prefix
    )
)
# Exact formats print what Python's repr gives; a bar's postfix, human-readable and fixed formats do not.
_LOSSY = re.compile(rb"consumed_tokens:|reduced_train_loss:|it/s, |s/it, ")


@dataclass(slots=True)
class _Table:
    """Lines with the same metrics."""

    starts: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    epochs: list[float] = field(default_factory=list)
    values: list[list[float]] = field(default_factory=list)
    ranks: list[int] = field(default_factory=list)


def scan_window(window: Window) -> Iterator[Rows]:
    """Yield the metrics of every line that has a step and a loss or gradient norm, each line once."""
    tables: dict[tuple[tuple[str, ...], Precision, bool], _Table] = defaultdict(_Table)
    for start in _line_starts(window):
        line = window.data[start : fragment_end(window.data, start, window.reach(start))]
        read = _read(line)
        if read is None:
            continue
        step, epoch, values, precision = read
        table = tables[tuple(values), precision, step is None]
        table.starts.append(max(start, window.begin))
        table.steps.append(UNKNOWN_STEP if step is None else step)
        table.epochs.append(np.nan if epoch is None else epoch)
        table.values.append(list(values.values()))
        table.ranks.append(line_rank(line[:24]))
    for (names, precision, _), table in tables.items():
        yield plain_rows(
            names,
            np.array(table.values, dtype=np.float64).reshape(len(table.starts), len(names)),
            [window.offset + start for start in table.starts],
            window.lines(table.starts),
            table.steps,
            epochs=np.array(table.epochs, dtype=np.float64),
            ranks=table.ranks,
            precision=precision,
        )


def _line_starts(window: Window) -> list[int]:
    places = sorted(place for anchor in _ANCHORS for place in _places(window, anchor))
    starts: list[int] = []
    ended = -1
    for place in places:
        if place >= ended:
            starts.append(fragment_start(window.data, place, window.floor(place)))
            ended = fragment_end(window.data, place, window.reach(place))
    return starts


def _places(window: Window, anchor: _Anchor) -> Iterator[int]:
    """Yield where the expression of an anchor matches: vector operations find its pair of bytes."""
    follows = np.zeros(256, dtype=np.bool_)
    follows[list(anchor.following)] = True
    width = len(anchor.pair)
    for first in range(window.begin, window.end, SLICE_BYTES):
        size = min(SLICE_BYTES + width, len(window.data) - first)
        text = np.frombuffer(window.data, dtype=np.uint8, count=size, offset=first)
        heads = max(size - width, 0)
        marked = text[:heads] == anchor.pair[0]
        if width > 1:
            marked &= text[1 : heads + 1] == anchor.pair[1]
        found = np.flatnonzero(marked)
        found = found[follows[text[found + width]]]
        for place in (found + (first - anchor.before)).tolist():
            if place >= window.begin and anchor.pattern.match(window.data, place, window.end):
                yield place


def _read(line: bytes) -> tuple[int | None, int | None, dict[str, float], Precision] | None:
    """Return step or else epoch, metrics and precision of a line, None when it is no line of metrics."""
    if b"elapsed time per iteration" in line or b"validation loss at iteration" in line:
        return None  # the lines of the Megatron family have a reader of their own
    bar = BAR.search(line)
    postfix = next(filter(None, (each.search(line, bar.end()) for each in POSTFIXES)), None) if bar else None
    if bar is not None and postfix is None:
        return None
    text = strip_prefixes(line)
    body = postfix[1] if postfix else text
    values = _metrics(body)
    if not any(_is_subject(name) for name in values):
        return None
    step = _bar_step(line, bar) if bar else _line_step(text)
    epoch = _line_epoch(text) if step is None and not bar else None
    if step is None and epoch is None:
        return None
    if not postfix and "validation_loss" not in values and _VALIDATION.search(text):
        values = {name if name.startswith(("val", "eval")) else f"eval_{name}": each for name, each in values.items()}
    return step, epoch, values, Precision.FOUR_DIGITS if _LOSSY.search(line) else Precision.DOUBLE


def _metrics(body: bytes) -> dict[str, float]:
    values: dict[str, float] = {}
    for pattern in (_WORDED, _PAIR):
        for found in pattern.finditer(body):
            name = found[1].decode("utf-8", "replace")
            name = _PLAIN.get(name.lower(), name)
            value = number(found[3])
            if value is None or name.lower() in _NOT_METRICS or name in values:
                continue
            if found[2] == b" " and not _SPACED.search(name):
                continue
            unit = re.fullmatch(r"(.+)\((1e[+-]?\d+)\)", name)
            if unit:  # verl prints `train/lr(1e-3)`
                name, value = unit[1], value * float(unit[2])
            values[name] = value * _SUFFIXES[found[4] or b""]
    for worded, last in (
        ("grad norm", "norm"),
        ("lm loss", "loss"),
        ("training_loss", "loss"),
        ("validation_loss", "loss"),
        ("loss scale", "scale"),
        ("learning rate", "rate"),
    ):
        if worded in values:
            values.pop(last, None)
    return values


def _is_subject(name: str) -> bool:
    lowered = name.lower()
    return "loss" in lowered.replace("loss scale", "").replace("loss_scale", "") or "norm" in lowered


def _line_step(text: bytes) -> int | None:
    paired = _EPOCH_OF_TOTAL.search(text)
    if paired:
        return (max(int(paired[1]), 1) - 1) * int(paired[3]) + int(paired[2])
    found = _GLOBAL_STEP.search(text) or _STEP.search(text)
    return int(found[1]) if found else None


def _line_epoch(text: bytes) -> int | None:
    """Return the epoch of a line that begins with it, as loops print that log once an epoch."""
    found = _EPOCH_ONLY.search(text, 0, EPOCH_BYTES)
    return int(found[1]) if found else None


def _bar_step(line: bytes, bar: re.Match[bytes]) -> int | None:
    """Return the counter of a bar; bars that begin anew with every epoch are laid end to end."""
    if len(bar[1]) > 18 or len(bar[2]) > 18:
        return None
    epoch = _BAR_EPOCH.search(line, 0, bar.start())
    return int(bar[1]) + (int(epoch[1]) * int(bar[2]) if epoch else 0)
