"""Warnings, errors and milestones that a log tells in words, as typed events.

One table: what is searched, which kind it is, which number belongs to it. Sources: transformers `trainer.py`,
`trainer_utils.py`, `modeling_utils.py` (4.21 to 5.23), DeepSpeed `loss_scaler.py`, `engine.py`, `launch.py`, torch
`elastic/multiprocessing/errors`, `ProcessGroupNCCL.cpp`, FastChat `train.py`, TRL's completion-only collator, the
Linux kernel's and Slurm's out-of-memory records.
"""

import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from forensics.formats.text import Window, fragment_end, fragment_start, line_rank, redact, strip_prefixes
from forensics.model import UNKNOWN_STEP
from forensics.names import Kind
from forensics.readers._text.collected import EventRows, as_integers
from forensics.readers._text.deepspeed import checkpoint_step
from forensics.readers._text.phrases import Positions
from forensics.readers._text.tracebacks import exception_text

TEXT_BYTES = 400
REPORT_BYTES = 1 << 16
REPORTED = {
    b"MISSING": Kind.NEWLY_INITIALIZED,
    b"UNEXPECTED": Kind.UNUSED_WEIGHTS,
    b"MISMATCH": Kind.SIZE_MISMATCH,
}
"""Status words of the loading report; the value of the event is the number of rows with that status."""

NOT_A_NUMBER = float("nan")
STOPPED_BY_SIGNAL = re.compile(rb"(?:[\w.]+\.)?SignalException: Process \d+ got signal: (\d{1,3})")
"""torch elastic, `multiprocessing/api.py`, when the launcher itself is told to end."""
OF_A_LAUNCHER = re.compile(rb"(?:[\w.]+\.)?(?:ChildFailedError|CalledProcessError|ProcessExitedException)\b")
"""Last lines of tracebacks in which a launcher (torch elastic, accelerate, deepspeed) reports that a process of
its own failed; what that died of stands before it."""


@dataclass(frozen=True, slots=True)
class _Sign:
    """A phrase and the kind of event it stands for. The anchor is searched; `confirm` must then match the line."""

    anchor: bytes
    kind: str
    confirm: re.Pattern[bytes] | None = None
    read: "Callable[[re.Match[bytes]], tuple[float, int]] | None" = None


def _value(found: re.Match[bytes]) -> tuple[float, int]:
    return float(found[1]), UNKNOWN_STEP


def _difference(found: re.Match[bytes]) -> tuple[float, int]:
    return float(found[1]) - float(found[2]), UNKNOWN_STEP


def _step(found: re.Match[bytes]) -> tuple[float, int]:
    return NOT_A_NUMBER, int(found[1].replace(b",", b""))


def _saved(found: re.Match[bytes]) -> tuple[float, int]:
    return NOT_A_NUMBER, checkpoint_step(found[1])


def _sign(anchor: str, kind: str, confirm: str | None = None, read: object = None) -> _Sign:
    pattern = re.compile(confirm.encode()) if confirm else None
    return _Sign(anchor.encode(), kind, pattern, read)  # type: ignore[arg-type]  # one of the four functions above


_NUMBER = r"(\d{1,30}(?:\.\d+)?(?:e[+-]?\d+)?)"

_FRAMING = re.compile(rb"[\x00-\x06\x0e-\x1a\x1c-\x1f]")
_SKIPPED = "Skipping step"
_WEIGHTS = "Some weights of "

SIGNS = (
    # Loss scaling: `[deepspeed] OVERFLOW! Rank 0 Skipping step. Attempted loss scale: 65536, reducing to 32768`.
    _sign(_SKIPPED, Kind.OVERFLOW, rf"(?:OVERFLOW|overflow)!.*Attempted loss scale: {_NUMBER}", _value),
    _sign(_SKIPPED, Kind.NONFINITE_SKIPPED, r"OVERFLOW!(?!.*Attempted loss scale)"),
    _sign(_SKIPPED, Kind.HYSTERESIS, rf"Attempted loss scale: {_NUMBER}, but hysteresis is", _value),
    _sign("Current loss scale already at minimum", Kind.LOSS_SCALE_AT_MINIMUM),
    # Milestones; the end of training and evaluations are told by metric dictionaries as well.
    _sign("Running training *****", Kind.TRAINING_STARTED),
    _sign("Training completed. Do not forget", Kind.TRAINING_FINISHED),
    _sign("Running Evaluation *****", Kind.EVALUATED),
    _sign("Continuing training from global step", Kind.RESUMED, r"global step ([\d,]{1,18})", _step),
    _sign("Resuming training from checkpoint with", Kind.RESUMED, r"global step ([\d,]{1,18})", _step),
    _sign("kpoint from", Kind.RESUMED, r"successfully loaded checkpoint from .*iteration +(\d{1,18})", _step),
    _sign("Resumed from ", Kind.RESUMED, r"\bResumed from .{1,300}? at (?:global )?step ([\d,]{1,18})", _step),
    _sign("Saving model checkpoint", Kind.CHECKPOINT_SAVED, r"Saving model checkpoint(?: to|:) (\S+)", _saved),
    _sign("kpoint from", Kind.CHECKPOINT_SAVED, r"successfully saved checkpoint from iteration +(\d{1,18})", _step),
    _sign("Saved checkpoint at epoch", Kind.CHECKPOINT_SAVED, r"step (\d{1,18})", _step),
    # Data and labels.
    _sign(
        "kenization mismatch: ",
        Kind.TOKENIZATION_MISMATCH,
        r"mismatch: (-?\d{1,18}) vs\. (-?\d{1,18})",
        _difference,
    ),
    _sign("Could not find response key", Kind.RESPONSE_TEMPLATE_NOT_FOUND),
    _sign("Could not find instruction key", Kind.RESPONSE_TEMPLATE_NOT_FOUND),
    _sign("All labels in your dataset are -100", Kind.ALL_LABELS_IGNORED),
    _sign("Setting `pad_token_id` to `eos_token_id`", Kind.PAD_TOKEN),
    _sign("pad token is same as eos token", Kind.PAD_TOKEN),
    # Model and weights.
    _sign("None of the inputs have requires_grad=True", Kind.NO_INPUT_REQUIRES_GRAD),
    # "... because the shapes did not match" is printed only where `ignore_mismatched_sizes=True` asked for it
    # (`PreTrainedModel._load_pretrained_model`); without it loading raises "size mismatch for".
    _sign(_WEIGHTS, Kind.NEWLY_INITIALIZED, r"not initialized from .*newly initialized"),
    _sign(_WEIGHTS, Kind.UNUSED_WEIGHTS, r"Some weights of the model checkpoint .*were not used"),
    _sign("Size([", Kind.SIZE_MISMATCH, r"size mismatch for "),
    _sign("Error(s) in loading state_dict", Kind.CHECKPOINT_REFUSED),
    _sign("PytorchStreamReader failed", Kind.CHECKPOINT_REFUSED),
    _sign("Error while deserializing header", Kind.CHECKPOINT_REFUSED),
    _sign("Weights only load failed", Kind.CHECKPOINT_REFUSED),
    _sign("Unable to find latest file at", Kind.CHECKPOINT_REFUSED),
    _sign("Can't find a valid checkpoint at", Kind.CHECKPOINT_REFUSED),
    _sign(
        "Saving the full checkpoint instead",
        Kind.GATHER_DISABLED,
        r"stage3_gather_\w+_weights_on_model_save=false",
    ),
    # Optimizer and schedule.
    _sign("Detected call of `lr_scheduler.step()` before", Kind.LR_BEFORE_STEP),
    _sign("pping, returning lr=0", Kind.LR_UNAVAILABLE, r"tried to get lr value before"),
    _sign("Attempting to unscale FP16 gradients", Kind.UNSCALE_FP16),
    # Numerics.
    _sign("FATAL: kernel", Kind.OTHER_ARCHITECTURE, r"is for sm\d+.{0,40} but was built for sm\d+"),
    _sign("SDPA backward got grad_output.strides()", Kind.CUDNN_SDPA_STRIDES, r"cuDNN SDPA backward"),
    _sign("Was asked to gather along dimension 0", Kind.DATA_PARALLEL),
    _sign("Detected inf/nan during batch_number", Kind.NAN_ASSERTION),
    _sign("ps_norm > 0", Kind.NAN_ASSERTION, r"assert all_groups_norm > 0"),
    _sign("NaN in local", Kind.NAN_ASSERTION, r"found NaN in local"),
    # The machine.
    _sign("CUDA out of memory", Kind.OUT_OF_MEMORY),
    _sign("HIP out of memory", Kind.OUT_OF_MEMORY),
    _sign("OutOfMemoryError:", Kind.OUT_OF_MEMORY),
    _sign("DefaultCPUAllocator: ", Kind.OUT_OF_MEMORY, r"can't allocate memory|not enough memory"),
    _sign("Watchdog caught collective operation timeout", Kind.NCCL_TIMEOUT),
    _sign("Timed out waiting ", Kind.NCCL_TIMEOUT, r"Timed out waiting \d{1,12}ms for \w+ operation"),  # gloo
    _sign("NCCL WARN", Kind.NCCL_ERROR),
    _sign("NCCL error", Kind.NCCL_ERROR),
    _sign("CUDA error: ", Kind.CUDA_ERROR),
    _sign("NN error: ", Kind.CUDA_ERROR, r"cuDNN error: "),
    _sign("CUBLAS_STATUS_", Kind.CUDA_ERROR, r"CUBLAS_STATUS_(?!SUCCESS)"),
    _sign("Killed", Kind.KILLED, r"(?:^|\s|: )Killed(?:\s*$|\s+\S*python|\s{2,})"),
    _sign("kill", Kind.OOM_KILL_RECORD, r"oom-kill|oom_kill(?: event|er)?\b"),
    _sign("Out of memory: Kill", Kind.OOM_KILL_RECORD),
    _sign("Memory cgroup out of memory", Kind.OOM_KILL_RECORD),
    _sign("Out Of Memory", Kind.OOM_KILL_RECORD, r"srun: error: .*Out Of Memory"),
    _sign("xits with return code = ", Kind.SIGNAL, r"exits with return code = (-?\d{1,9})", _value),
    _sign("xitcode  : ", Kind.SIGNAL, r"exitcode  : (-?\d{1,9})", _value),
    _sign("DUE TO TIME LIMIT", Kind.TIME_LIMIT),
    _sign("No space left on device", Kind.DISK_FULL),
    _sign("Disk quota exceeded", Kind.DISK_FULL),
    _sign("DataLoader worker (pid", Kind.DATA_LOADER),
    _sign("Traceback (most recent call last)", Kind.TRACEBACK),
    # transformers >= 5.0 prints a table, `utils/loading_report.py`.
    _sign("LOAD REPORT", Kind.NEWLY_INITIALIZED, r"LOAD REPORT.* from: "),
)


def _shared_anchors() -> dict[bytes, tuple[_Sign, ...]]:
    shared: dict[bytes, tuple[_Sign, ...]] = {}
    for sign in SIGNS:
        shared[sign.anchor] = (*shared.get(sign.anchor, ()), sign)
    return shared


ANCHORS = _shared_anchors()


@dataclass(slots=True)
class _Column:
    """Occurrences of one kind while a window is scanned."""

    hits: list[tuple[int, float, int, int, int]] = field(default_factory=list)
    texts: dict[int, bytes] = field(default_factory=dict)


def scan_window(window: Window, positions: Positions) -> Iterator[EventRows]:
    """Yield the events of a window, one table for each kind, at most one event of a kind for each line."""
    columns: dict[str, _Column] = {}
    data = window.data
    for anchor, signs in ANCHORS.items():
        ended = -1
        for position in positions.get(anchor, ()):
            if position < ended:
                continue
            start = fragment_start(data, position, window.floor(position))
            ended = fragment_end(data, position, window.reach(position))
            line = data[start:ended]
            for sign in signs:
                for kind, value, step in _readings(sign, window, position, line):
                    _note(columns.setdefault(kind, _Column()), window, kind, position, line, value, step)
    for kind, column in columns.items():
        yield _rows(kind, column, window)


def _readings(sign: _Sign, window: Window, position: int, line: bytes) -> Iterator[tuple[str, float, int]]:
    confirmed = sign.confirm.search(line) if sign.confirm else None
    if sign.confirm is not None and confirmed is None:
        return
    if sign.anchor == b"LOAD REPORT":
        stop = min(window.reach(position), position + REPORT_BYTES)
        following = window.data.find(sign.anchor, position + 1, stop)
        table = window.data[position : stop if following < 0 else following]
        for word, kind in REPORTED.items():
            count = len(re.findall(rb"\| *" + word + rb" *\|", table.partition(b"\n\n")[0]))
            if count:
                yield kind, float(count), UNKNOWN_STEP
        return
    if sign.kind == Kind.TRACEBACK:
        text = exception_text(window, position)
        told = STOPPED_BY_SIGNAL.match(text)
        if told:
            yield Kind.SIGNAL, -float(told[1]), UNKNOWN_STEP
        if told or OF_A_LAUNCHER.match(text):
            return
    value, step = sign.read(confirmed) if sign.read and confirmed else (NOT_A_NUMBER, UNKNOWN_STEP)
    yield sign.kind, value, step


def _note(  # noqa: PLR0913, PLR0917  (the parts of one occurrence)
    column: _Column, window: Window, kind: str, position: int, line: bytes, value: float, step: int
) -> None:
    start = fragment_start(window.data, position, window.floor(position))
    # Records of a tracker's binary log have framing bytes around what a program printed.
    text = max(_FRAMING.split(strip_prefixes(line).strip()), key=len)
    if kind == Kind.TRACEBACK:
        text = exception_text(window, position)
    rank = line_rank(window.data[start:position])
    column.hits.append((position, value, step, rank, zlib.crc32(text)))
    if len(column.texts) < 1 or position < min(column.texts):
        column.texts = {position: text}


def _rows(kind: str, column: _Column, window: Window) -> EventRows:
    """Order the occurrences; two phrases of one kind on one line are one occurrence."""
    hits = []
    ended = -1
    for hit in sorted(column.hits):
        if hit[0] >= ended:
            hits.append(hit)
            ended = fragment_end(window.data, hit[0], window.reach(hit[0]))
    positions = [hit[0] for hit in hits]
    text = next(iter(column.texts.values()))[:TEXT_BYTES].decode("utf-8", "replace")
    return EventRows(
        kind=kind,
        at=as_integers([window.offset + position for position in positions]),
        records=window.lines(positions),
        steps=as_integers([hit[2] for hit in hits]),
        values=np.array([hit[1] for hit in hits], dtype=np.float64),
        ranks=as_integers([hit[3] for hit in hits]),
        signatures=as_integers([hit[4] for hit in hits]),
        text=redact(text),
    )
