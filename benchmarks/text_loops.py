"""What people write when they want numbers out of a training log: loops over its lines.

Both read text line by line, split each line at CR as redrawn bars need it, and count the dictionaries they found.
They keep everything in lists of Python objects, ours in columns.
"""

import ast
import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

_DICT = re.compile(r"\{'loss'.*?\}")
_BAR = re.compile(r"\s*(\d+)%\|.*?\| *(\d+)/(\d+) \[")
_METRICS = re.compile(r"\{['\"][^{}]*\}")
_STEP = re.compile(r"step=(\d+), skipped=(\d+), lr=\[([^\]]*)\]")
_SPEED = re.compile(r"global_step=(\d+), RunningAvgSamplesPerSec=([\d.]+), CurrSamplesPerSec=([\d.]+)")
_OVERFLOW = re.compile(r"OVERFLOW! Rank (\d+) Skipping step. Attempted loss scale: ([\d.]+), reducing to ([\d.]+)")
_MEGATRON = re.compile(r"iteration +(\d+)/ *\d+ \|.*?lm loss: ([\d.E+-]+) \|")
_WARNINGS = tuple(
    re.compile(pattern)
    for pattern in (
        r"tokenization mismatch: (\d+) vs\. (\d+)",
        r"CUDA out of memory",
        r"Traceback \(most recent call last\)",
        r"NCCL (?:WARN|error)",
        r"Watchdog caught collective operation timeout",
        r"CUDA error: ",
        r"newly initialized",
        r"size mismatch for ",
        r"Token indices sequence length is longer",
        r"Detected call of `lr_scheduler.step\(\)` before",
        r"None of the inputs have requires_grad=True",
        r"No space left on device",
    )
)


def _parts(path: Path, limit: int) -> Iterator[tuple[int, str]]:
    """Yield line number and text of what stands between CR and LF, in the first `limit` characters."""
    with path.open(newline="\n", errors="replace") as file:
        for number, line in enumerate(file, 1):
            for part in line.split("\r"):
                yield number, part
            limit -= len(line)
            if limit < 0:
                return


def minimal(path: Path, limit: int) -> int:
    """Search one expression, `{'loss'...}`, in each part and evaluate what it found with `ast.literal_eval`.

    No steps, no events, no line numbers, no DeepSpeed, no warnings, and no dictionaries of other keys: the least
    that gives a loss curve.
    """
    rows = [ast.literal_eval(found[0]) for _, part in _parts(path, limit) if (found := _DICT.search(part))]
    return len(rows)


def equivalent(path: Path, limit: int) -> int:
    """Try each of 18 known expressions on each part that is not blank, and keep what they tell.

    The counter of tqdm's bar gives the step of the dictionaries; dictionaries of any keys are evaluated with
    `ast.literal_eval`; DeepSpeed's reports of steps, throughput and overflows, Megatron's iterations and a dozen
    warnings and errors are kept with their line numbers. It has still no settings, no versions, no ranks, no
    `key=value` lines, no check of the bars against the epochs and none of some 70 other kinds of events.
    """
    entries, reports, events = [], [], []
    step = -1
    for number, part in _parts(path, limit):
        if not part.strip():
            continue
        bar = _BAR.match(part)
        if bar:
            step = int(bar[2])
        found = _METRICS.search(part)
        if found:
            with contextlib.suppress(ValueError, SyntaxError):
                entries.append((number, step, ast.literal_eval(found[0])))
        for pattern in (_STEP, _SPEED, _OVERFLOW, _MEGATRON):
            told = pattern.search(part)
            if told:
                reports.append((number, *told.groups()))
        for kind, warning in enumerate(_WARNINGS):
            if warning.search(part):
                events.append((number, kind, part))
    return len(entries)
