"""Rows, lines and the capsule, from the numbers of a step; on a GPU in a thread that waits instead of training."""

from __future__ import annotations

import math
import queue
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from forensics.recorder.early import FirstSteps, tell
from forensics.recorder.files import Files, safetensors
from forensics.recorder.layout import COLUMNS, FREEZE_AFTER, ROW_NONFINITE, ROW_SKIPPED

QUEUE = 32
"""Rows that may wait for the disk; more are dropped and counted, never waited for."""


@dataclass
class Row:
    """The numbers of one step. `columns` (8, tensors) float32, `hashes` (tensors,) int64, `losses` (n,) float32.

    `batches` are pairs of input ids and labels, one a micro-batch, either of which may be None.
    """

    seq: int
    step: int
    time: float
    flags: list[int]
    columns: Any
    hashes: Any
    losses: Any
    batches: list[tuple[Any, Any]]
    order: list[int]
    rates: list[float] | None = None
    scale: float | None = None
    skipped: bool | None = None
    dropped: int = 0
    extra: dict[str, Any] = field(default_factory=dict)
    ready: Any = None


def text_of(value: float | None) -> float | str | None:
    """Return what strict JSON can hold: NaN and infinities as text."""
    return value if value is None or math.isfinite(value) else str(float(value))


def crc_of(tokens: Any) -> str:
    """Return the CRC-32 of integers as int64, little endian, in C order: 8 hexadecimal digits."""
    return f"{zlib.crc32(np.ascontiguousarray(tokens).astype('<i8').tobytes()):08x}"


class Writer:
    """Writes rows in the order of their submission."""

    def __init__(self, files: Files, names: list[str], *, threaded: bool, fail: Callable[[Exception], None]) -> None:
        self.files, self.names, self.fail = files, names, fail
        self.first = FirstSteps(names)
        self.tells = True
        self.episode: int | None = None
        self.stopped = False
        self.dropped = 0
        self.told: set[str] = set()
        self.queue: queue.Queue[Row | None] | None = None
        if threaded:
            self.queue = queue.Queue(QUEUE)
            self.thread = threading.Thread(target=self._drain, args=(self.queue,), daemon=True, name="blackbox")
            self.thread.start()

    def submit(self, row: Row) -> None:
        """Write a row, or hand it to the thread; a row that finds the queue full is dropped."""
        if self.queue is None:
            self._write(row)
            return
        row.columns, row.hashes, row.losses = (pinned(t) for t in (row.columns, row.hashes, row.losses))
        row.ready = torch.cuda.Event()
        row.ready.record()
        row.dropped = self.dropped
        try:
            self.queue.put_nowait(row)
        except queue.Full:
            self.dropped += 1

    def _drain(self, rows: queue.Queue[Row | None]) -> None:
        while (row := rows.get()) is not None:
            try:
                row.ready.synchronize()
                self._write(row)
            except Exception as error:  # noqa: BLE001  (a thread that raises would print a traceback into the training log)
                self.fail(error)
                return

    def close(self) -> None:
        """Write what waits, for at most five seconds."""
        if self.queue is not None and self.thread.is_alive():
            try:
                self.queue.put_nowait(None)
            except queue.Full:
                return
            self.thread.join(5)

    def _write(self, row: Row) -> None:
        values = row.columns.numpy().T.copy()
        values[:, 7] = row.flags
        losses = [float(loss) for loss in row.losses.tolist()]
        bad = not (np.isfinite(values[:, [1, 3]]).all() and all(map(math.isfinite, losses)))
        record = np.zeros((), self.files.dtype)
        record["seq"], record["step"], record["time"] = row.seq, row.step, row.time
        record["flags"] = (ROW_SKIPPED if row.skipped else 0) | (ROW_NONFINITE if bad else 0)
        record["x"], record["hash"] = values, row.hashes.numpy()
        # An overflow that a dynamic loss scale skips is ordinary: it is no reason to keep what came before it.
        overflow = bool(row.skipped) and (row.scale is None or row.scale > 1) and all(map(math.isfinite, losses))
        begins = bad and not overflow and self.episode is None
        if begins:
            self.episode = row.seq
        elif self.episode is not None and row.seq >= self.episode + FREEZE_AFTER and not self.stopped:
            self.stopped, self.episode = bad, self.episode if bad else None
        self.files.write_row(record, ring=not self.stopped)
        batches = [tuple(None if t is None else t.contiguous().numpy() for t in pair) for pair in row.batches]
        self.files.write_line(row.seq - 1, self._line(row, losses, batches, bad=bad))
        if begins:
            self._capsule(row, values, losses, batches)
        watched = int(record["flags"]) & ~(ROW_NONFINITE if overflow else 0)
        said = self.first.add(row.step, values, np.array(row.flags), watched, row.order) if self.tells else None
        if said:
            self.tells = False
            if self.files.name.startswith("rank00000") or not said.startswith("nothing"):
                tell(f"{self.files.name[:9]}, {self.first.rows} steps: {said}")
        for failure in self.files.failures:
            if failure not in self.told:
                self.told.add(failure)
                tell(failure)

    @staticmethod
    def _line(row: Row, losses: list[float], batches: list[Any], *, bad: bool) -> dict[str, Any]:
        labels = [pair[1] for pair in batches if pair[1] is not None]
        return {
            "step": row.step,
            "loss": text_of(sum(losses) / len(losses)) if losses else None,
            "losses": [text_of(loss) for loss in losses] if len(losses) > 1 else None,
            "lr": row.rates or None,
            "loss_scale": row.scale,
            "skipped": row.skipped,
            "nonfinite": bad,
            "time": round(row.time, 3),
            "ids_crc": [crc_of(pair[0]) for pair in batches if pair[0] is not None] or None,
            "labels_crc": [crc_of(tokens) for tokens in labels] or None,
            "supervised": sum(int((tokens[..., 1:] != -100).sum()) for tokens in labels) if labels else None,
            "dropped": row.dropped or None,
            **row.extra,
        }

    def _capsule(self, row: Row, values: Any, losses: list[float], batches: list[Any]) -> None:
        """Keep the batch and the whole row of the first step that was not finite."""
        order = row.order or list(range(len(self.names)))
        told = {
            "step": row.step,
            "losses": [text_of(loss) for loss in losses],
            "local_nonfinite": [self.names[i] for i in order if not math.isfinite(values[i, 1])],
            "reduced_nonfinite": [self.names[i] for i in order if not math.isfinite(values[i, 3])],
            "columns": list(COLUMNS),
            "rows": {self.names[i]: [text_of(float(value)) for value in values[i]] for i in order},
        }
        arrays: dict[str, Any] = {}
        for number, (ids, labels) in enumerate(batches):
            for name, tokens in (("input_ids", ids), ("labels", labels)):
                if tokens is not None:
                    arrays[f"{name}.{number}"] = tokens.astype("<i8")
        arrays["torch_rng"] = torch.get_rng_state().numpy()
        self.files.write_whole(".capsule.safetensors", safetensors(arrays))
        self.files.write_json(".capsule.json", told)


def pinned(tensor: Any) -> Any:
    """Copy a tensor to page-locked memory without waiting for it."""
    return torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True).copy_(tensor, non_blocking=True)
