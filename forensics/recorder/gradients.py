"""The gradients of one step: norms before the reduction, norms after it, and the order in which they came."""

from __future__ import annotations

from typing import Any

import torch

from forensics.recorder.layout import AT_STEP, LOCAL_SEEN, MAXIMUM, REDUCED_SEEN, SHARD
from forensics.recorder.norms import Norms, dense, joined, norms_of, norms_of_all, packed, ratio, scaled

REREAD = 4
"""Gradients that are read again to see whether all were multiplied: one may be zero, and a bias costs nothing."""


class Gradients:
    """Norms of the gradients of one step, as tensors on the device.

    Where gradients accumulate in `p.grad` the last micro-batch holds the sum and is the one that counts. Where a
    framework takes each micro-batch away (ZeRO-2, ZeRO-3, FSDP2), the largest over the micro-batches counts.
    """

    def __init__(self, tensors: int, device: Any, *, accumulates: bool) -> None:
        self.tensors, self.device, self.accumulates = tensors, device, accumulates
        self.order: list[int] = []
        self.known: set[int] = set()
        self.expected: int | None = None
        self.ungated = False
        self.maximum = True
        self.twice = False
        self.clear()

    def clear(self) -> None:
        """Begin a new step."""
        self.micro: list[list[Norms | None]] = []
        self.counts = [0] * self.tensors
        self.fired = 0
        self.versions: dict[int, tuple[int, int]] = {}
        self.reduced: list[Norms | None] | None = None
        self.reduced_flag = 0
        self.factor: Any = None

    def close_step(self) -> None:
        """Learn how many tensors fire in a backward pass, and whether the last micro-batch can be told."""
        if self.fired:
            self.expected = max(self.expected or 0, self.fired)
            # No norm in a whole step: what tells the last micro-batch does not work here.
            self.ungated = self.ungated or not self.micro
        self.clear()

    def saw(self, index: int, gradient: Any, *, measured: bool) -> None:
        """Note that a gradient is complete on this rank, and queue its norms in the stream that made it.

        Later the same tensor may hold the reduced gradient (DDP) or be gone (ZeRO).
        """
        repeat = self.counts[index]
        self.counts[index] = repeat + 1
        if repeat and repeat == max(self.counts):
            self.fired = 0
        self.fired += 1
        if index not in self.known:
            self.known.add(index)
            self.order.append(index)
        gradient = dense(gradient)
        if gradient is None or not (measured or self.ungated):
            return
        row = 0 if self.accumulates else repeat
        while len(self.micro) <= row:
            self.micro.append([None] * self.tensors)
        self.micro[row][index] = norms_of(gradient, maximum=self.maximum)
        self.versions[index] = (gradient.data_ptr(), gradient._version)

    @property
    def whole(self) -> bool:
        """Whether as many tensors fired as in a full backward pass: reentrant checkpointing runs nested ones."""
        return self.expected is None or self.fired >= self.expected

    def read(self, pieces: list[tuple[int, Any]], flag: int, *, copy: bool = False) -> None:
        """Take the norms of reduced gradients, (number of the tensor, gradient); a tensor may come in two pieces.

        With `copy` a gradient that nobody has written to since `saw` is not read again, but for a few small ones: what
        `torch.amp.GradScaler` (or `p.grad.data.mul_`) does to all of them leaves no mark at the tensors (torch 2.13).
        """
        self.reduced, self.reduced_flag = [None] * self.tensors, REDUCED_SEEN | flag
        left: list[tuple[int, Any]] = []
        copied: list[tuple[int, Any]] = []
        for index, piece in pieces:
            gradient = dense(piece)
            if gradient is None:
                continue
            if copy and self.versions.get(index) == (gradient.data_ptr(), gradient._version):
                copied.append((index, gradient))
            else:
                left.append((index, gradient))
        self.twice = copy and bool(left)
        found = norms_of_all([gradient for _, gradient in left], maximum=self.maximum)
        for (index, _), norms in zip(left, found):
            known = self.reduced[index]
            self.reduced[index] = norms if known is None else joined(known, norms)
        if copied:
            smallest = sorted(copied, key=lambda each: each[1].numel())[:REREAD]
            now = [norms_of(gradient, maximum=False) for _, gradient in smallest]
            factor = ratio([self.micro[0][index] for index, _ in smallest], now, self.device)
            # One multiplication of the whole table, where nothing else was read.
            self.factor = None if left else factor
            for index, _ in copied:
                seen = self.micro[0][index]
                self.reduced[index] = scaled(seen, factor) if left else seen

    def table(self) -> Any:
        """Return local L2, local maximum, reduced L2, reduced maximum: float32 of shape (4, tensors)."""
        local = [packed(row, self.device) for row in self.micro] or [torch.zeros(2, self.tensors, device=self.device)]
        largest = local[0] if len(local) == 1 else torch.stack(local).amax(0)
        reduced = packed(self.reduced or [None] * self.tensors, self.device)
        return torch.cat([largest, reduced if self.factor is None else reduced * self.factor])

    def flags(self) -> list[int]:
        """Return the flags of each tensor."""
        local = [any(row[index] is not None for row in self.micro) for index in range(self.tensors)]
        reduced = [norms is not None for norms in self.reduced or [None] * self.tensors]
        read = MAXIMUM if self.maximum else 0
        return [
            (LOCAL_SEEN | read if one else 0) | (self.reduced_flag | read if other else 0)
            for one, other in zip(local, reduced)
        ]


def place_flag(*, at_step: bool, shard: bool) -> int:
    """Return the flags that say where a reduced gradient was read."""
    return (AT_STEP if at_step else 0) | (SHARD if shard else 0)
