"""Whether a checkpoint holds the weights of its step, by the hashes of a black box.

The box hashes up to 1,024 weights of each tensor after each step (docs/blackbox.md); the same elements of the saved
tensors give the same number when nothing touched the weights in between. Only those elements are read.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from forensics.errors import ForensicsError
from forensics.model import Checkpoint, Events, Recording, TensorRecord
from forensics.names import Kind
from forensics.recorder.layout import HASH_WEIGHTS
from forensics.storage.file import File
from forensics.storage.locations import Root

TENSORS = 8
"""Tensors that are compared: two saves of a run that differ at all differ in each of them."""
NAMES = {"float32": "F32", "bfloat16": "BF16", "float16": "F16", "float64": "F64"}
SIGNED = {"F32": "<i4", "BF16": "<i2", "F16": "<i2", "F64": "<i8"}
PREFIXES = ("module.", "_orig_mod.", "base_model.model.")
WHOLE = {"single", "replicated", "zero12"}
"""Kinds of training in which each rank holds all of each weight."""


def belonging(root: Root, checkpoints: Sequence[Checkpoint], recordings: Sequence[Recording]) -> Iterator[Events]:
    """Yield a `Kind.CHECKPOINT_STEP` event for each checkpoint of which a recorded step can be told from the weights.

    Its step is the one that the checkpoint claims, its value the recorded step whose weights it holds, NaN where it
    holds those of no recorded step.
    """
    whole = [recording for recording in recordings if recording.kind in WHOLE and len(recording)]
    if not whole:
        return
    for checkpoint in checkpoints:
        if checkpoint.step is None or not any(checkpoint.step in r.steps for r in whole):
            continue
        try:
            found = [step for recording in whole if (step := _step_of(root, checkpoint, recording)) is not None]
        except ForensicsError:
            continue
        if found:
            known = [step for step in found if not np.isnan(step)]
            value = float(checkpoint.step) if checkpoint.step in known else next(iter(known), np.nan)
            yield Events(
                kind=Kind.CHECKPOINT_STEP,
                steps=np.array([checkpoint.step], dtype=np.int64),
                values=np.array([value], dtype=np.float64),
                records=np.array([0], dtype=np.int64),
                path=checkpoint.path,
                place="",
            )


def _step_of(root: Root, checkpoint: Checkpoint, recording: Recording) -> float | None:
    """Return the step whose hashes the saved tensors have, NaN for none, None where no tensor could be compared."""
    saved = {_plain(record.name): record for record in checkpoint.records}
    same = np.ones(len(recording), dtype=bool)
    compared = 0
    for index, name in enumerate(recording.names):
        record = saved.get(_plain(name))
        if record is None or not _comparable(record, recording, index) or compared == TENSORS:
            continue
        compared += 1
        same &= recording.hashes[:, index] == _hash(root, record, recording.probes[index])
    if not compared:
        return None
    steps = recording.steps[same]
    if checkpoint.step in steps:
        return float(checkpoint.step or 0)
    return float(steps[-1]) if len(steps) else np.nan


def _plain(name: str) -> str:
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    return name


def _comparable(record: TensorRecord, recording: Recording, index: int) -> bool:
    stride, count = recording.probes[index].tolist()
    stored = record.dtype == NAMES.get(recording.dtypes[index])
    plain = record.strides is None and len(record.pieces) == 1 and record.role == "weight"
    return bool(stored and plain and recording.probed[:, index].all() and (count - 1) * stride < record.elements)


def _hash(root: Root, record: TensorRecord, probe: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> int:
    """Return the hash of the probed elements of a saved tensor."""
    stride, count = probe.tolist()
    piece, size = record.pieces[0], np.dtype(SIGNED[record.dtype]).itemsize
    with File(root / piece.path) as file:
        if stride == 1:
            raw = file.read(piece.offset, count * size)
        else:
            raw = b"".join(file.read(piece.offset + k * stride * size, size) for k in range(count))
    bits = np.frombuffer(raw, SIGNED[record.dtype]).astype(np.int64).view(np.uint64)
    return int((bits * HASH_WEIGHTS[:count]).sum(dtype=np.uint64).astype(np.int64))
