"""What can be said while the run still runs: the first steps, and one flag that ends it at the first NaN."""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from forensics.recorder.layout import LOCAL_SEEN, PROBED, REDUCED_SEEN, ROW_NONFINITE, ROW_SKIPPED

FIRST_STEPS = 20
GROWN = 100.0
"""Gradients that grow a hundredfold within twenty steps are told; warm-up and clipping stay below ten."""
ZERO_ROWS = 5
"""Steps in a row; the first of an adapter whose other half begins at zero has no gradient either."""
CHECKPOINT = re.compile(r"(?:checkpoint|global_step|step|iter|ckpt)[-_=]?(\d+)", re.IGNORECASE)


def tell(text: str) -> None:
    """Print one line on stderr; a closed stderr is no reason to stop."""
    try:
        sys.stderr.write(f"blackbox: {text}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return


def unseen(flags: list[int], *, stepped: bool) -> str | None:
    """Return which gradients no flag of the first row tells of; reduced ones may be missing where no step was taken."""
    seen = {LOCAL_SEEN: "gradients before their reduction"} | ({REDUCED_SEEN: "reduced gradients"} if stepped else {})
    missing = [what for flag, what in seen.items() if not any(one & flag for one in flags)]
    return " and ".join(missing) or None


def last_good_checkpoint(folder: str, step: int) -> str | None:
    """Return the newest checkpoint beside the record that was saved before `step`."""
    try:
        names = [path.name for path in Path(folder).absolute().parent.iterdir()]
    except OSError:
        return None
    numbers = {name: int(found[1]) for name in names if (found := CHECKPOINT.search(name))}
    good = {name: number for name, number in numbers.items() if number < step}
    return max(good, key=lambda name: good[name]) if good else None


class FirstSteps:
    """Watches the first rows and says once whether anything looks wrong."""

    def __init__(self, names: list[str]) -> None:
        self.names, self.rows = names, 0
        tensors = len(names)
        self.zero = np.zeros(tensors, np.int64)
        self.unmoved = np.ones(tensors, bool)
        self.lengths: list[float] = []
        self.nonfinite: str | None = None

    def add(self, step: int, columns: Any, flags: Any, row_flags: int, order: list[int]) -> str | None:
        """Take a row: `columns` (tensors, 8) float32, `flags` (tensors,) int. Return the sentence after the last."""
        self.rows += 1
        local = (flags & LOCAL_SEEN) != 0
        lengths = columns[:, 0]
        self.zero = np.where(local & (lengths == 0), self.zero + 1, np.where(local, 0, self.zero))
        probed = (flags & PROBED) != 0
        if not row_flags & ROW_SKIPPED:
            self.unmoved &= ~probed | (columns[:, 4] == 0)
        with np.errstate(all="ignore"):
            self.lengths.append(float(np.sqrt(np.square(lengths, dtype=np.float64).sum())))
        if row_flags & ROW_NONFINITE and self.nonfinite is None:
            bad = [i for i in order if not math.isfinite(columns[i, 1])] or [
                i for i in order if not math.isfinite(columns[i, 3])
            ]
            self.nonfinite = f"not finite at step {step}" + (
                f", first in {self.names[bad[0]]}" if bad else " (the loss)"
            )
        if self.rows != FIRST_STEPS:
            return None
        found = list(self._found(columns, probed))
        return "; ".join(found) if found else "nothing looks wrong (finite, moving, not growing)"

    def _found(self, columns: Any, probed: Any) -> Any:
        if self.nonfinite:
            yield self.nonfinite
        zero = np.flatnonzero(self.zero >= ZERO_ROWS)
        if len(zero):
            yield f"gradients exactly 0 in {len(zero)} of {len(self.names)} tensors, e.g. {self.names[zero[0]]}"
        early, late = np.median(self.lengths[:5]), np.median(self.lengths[-5:])
        if np.isfinite(late) and early > 0 and late > GROWN * early:
            yield f"gradients grew {late / early:.0f}-fold"
        unmoved = np.flatnonzero(self.unmoved & probed)
        if len(unmoved):
            yield f"{len(unmoved)} of {len(self.names)} tensors have not moved, e.g. {self.names[unmoved[0]]}"
        elif (probed & (columns[:, 6] > 0.5) & (columns[:, 0] > 0)).sum() > len(self.names) / 2:
            yield "most weights of most tensors stand still: the steps may be too small for their precision"


LOSS, REDUCED, LOCAL = 1, 2, 3
SHIFT = 20
TOP = (1 << SHIFT) - 1


class StopFlag:
    """One number that is reduced (MAX) over the ranks each step and read one step later.

    The single communication of the recorder, and only with `stop_on`: all ranks learn of a NaN that only one has
    seen, and stop at the same step. The number says what was not finite (a local gradient outranks a reduced one,
    that the loss), the first tensor in backward order, and the rank.
    """

    def __init__(self, rank: int, device: Any, *, distributed: bool) -> None:
        self.rank, self.device, self.distributed = rank, device, distributed
        self.pending: tuple[Any, Any, int] | None = None
        self.places: Any = None

    def code(self, columns: Any, losses: Any, order: list[int]) -> Any:
        """Return the number of this rank for one row: `columns` (8, tensors), `losses` (n,); no value is waited for."""
        tensors = columns.shape[1]
        if self.places is None or self.places[1] != len(order):
            place = torch.full((tensors,), tensors, dtype=torch.int64)
            for number, index in enumerate(order):
                place[index] = number
            self.places = (place.to(self.device), len(order))
        place = TOP - self.places[0].clamp(max=TOP)

        def best(bad: Any, kind: int) -> Any:
            return torch.where(bad, (kind << 2 * SHIFT) + (place << SHIFT) + self.rank, 0).amax()

        loss = torch.where(torch.isfinite(losses).all(), 0, (LOSS << 2 * SHIFT) + self.rank)
        return (
            torch.stack(
                [
                    best(~torch.isfinite(columns[1]), LOCAL),
                    best(~torch.isfinite(columns[3]), REDUCED),
                    loss.to(torch.int64),
                ]
            )
            .amax()
            .reshape(1)
        )

    def send(self, code: Any, step: int) -> None:
        """Reduce the number of this step (None where there is none) over the ranks; nobody waits for it here."""
        if code is None:
            code = torch.zeros(1, dtype=torch.int64, device=self.device)
        work: Any = None
        if self.distributed:
            work = torch.distributed.all_reduce(code, torch.distributed.ReduceOp.MAX, async_op=True)
        if code.device.type == "cuda":
            # The stream waits for the reduction, the host for neither: the copy has long arrived when it is read.
            if work is not None:
                work.wait()
            code = torch.empty(1, dtype=torch.int64, pin_memory=True).copy_(code, non_blocking=True)
            work = torch.cuda.Event()
            work.record()
        self.pending = (code, work, step)

    def read(self) -> tuple[int, int, int, int] | None:
        """Return (kind, place in backward order, rank, step) of what was sent a step ago; None when all was fine."""
        if self.pending is None:
            return None
        code, work, step = self.pending
        self.pending = None
        if work is not None:
            work.synchronize() if hasattr(work, "record") else work.wait()
        number = int(code)
        return None if number == 0 else (number >> 2 * SHIFT, TOP - (number >> SHIFT & TOP), number & TOP, step)


def sentence(found: tuple[int, int, int, int], names: list[str], order: list[int], folder: str) -> str:
    """Say what ended the run: tensor, rank, step and the last checkpoint before it."""
    kind, place, rank, step = found
    name = names[order[place]] if place < len(order) else "a tensor that had no gradient in the first step"
    what = {
        LOCAL: f"the gradient of {name} is not finite on rank {rank}, before the reduction",
        REDUCED: f"the gradient of {name} is not finite after the reduction (seen by rank {rank}), finite before it",
        LOSS: f"the loss is not finite on rank {rank}, the gradients are",
    }[kind]
    good = last_good_checkpoint(folder, step)
    kept = f"last checkpoint before it: {good}" if good else "no checkpoint from before it lies beside the record"
    return f"stopping, step {step}: {what}; {kept}"
