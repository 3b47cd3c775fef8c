"""Checkpoints scanned within a budget, each compared with the one before it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias

from forensics.errors import ForensicsError
from forensics.formats.file import READ_BYTES, File
from forensics.model import Checkpoint, Depth, Skip
from forensics.weights.series import examine_series

WeightsDepth: TypeAlias = Literal["auto", "full", "quick", "off"]
Progress: TypeAlias = Callable[[str, int, int], None]

BUDGET_SECONDS = 60.0
"""What `auto` may spend on reading every byte before it looks at samples only."""
PROBE_BYTES = 64 << 20


def examine_checkpoints(
    root: Path,
    checkpoints: Sequence[Checkpoint],
    weights: WeightsDepth = "auto",
    progress: Progress | None = None,
) -> tuple[tuple[Checkpoint, ...], tuple[Skip, ...]]:
    """Scan the checkpoints that hold tensors; return them with their tables, and what was left out.

    Those with a known step form one series in step order, in which each tensor is compared with the save before.
    A save without a step (the final model at the top of a run) is scanned alone: it may be a copy of the last
    checkpoint, and equality with it would prove nothing.
    """
    held = [i for i, c in enumerate(checkpoints) if c.records]
    if weights == "off" or not held:
        left = [Skip(checkpoints[i].path, "weights were not examined (--weights off)") for i in held]
        return tuple(checkpoints), tuple(left)
    depth = _depth(root, [checkpoints[i] for i in held]) if weights == "auto" else weights
    series, alone = _series(checkpoints, held)
    examined = list(checkpoints)
    skips: list[Skip] = []
    for group in [series, *([i] for i in alone)]:
        scanned = scan_checkpoints(root, [checkpoints[i] for i in group], depth, progress, skips)
        for index, checkpoint in zip(group, scanned, strict=True):
            examined[index] = checkpoint
    if depth == "quick":
        skips.append(Skip("every byte of the weights", "sampled only; --weights full reads all"))
    return tuple(examined), tuple(skips)


def _series(checkpoints: Sequence[Checkpoint], held: Sequence[int]) -> tuple[list[int], list[int]]:
    series: list[int] = []
    alone: list[int] = []
    steps: set[int] = set()
    for i in held:
        step = checkpoints[i].step
        if step is None or step in steps:
            alone.append(i)
        else:
            steps.add(step)
            series.append(i)
    return series, alone


def _depth(root: Path, checkpoints: Sequence[Checkpoint]) -> Depth:
    total = sum(record.nbytes for c in checkpoints for record in c.records if record.alias_of is None)
    if total <= PROBE_BYTES:
        return "full"
    return "full" if total / _read_rate(root, checkpoints) <= BUDGET_SECONDS else "quick"


def _read_rate(root: Path, checkpoints: Sequence[Checkpoint]) -> float:
    """Measure bytes per second on the largest piece of the newest checkpoint."""
    pieces = [piece for record in checkpoints[-1].records for piece in record.pieces]
    largest = max(pieces, key=lambda piece: piece.nbytes)
    started, done = time.perf_counter(), 0
    try:
        with File(root / largest.path) as file:
            while done < min(largest.nbytes, PROBE_BYTES):
                done += len(file.read(largest.offset + done, min(READ_BYTES, largest.nbytes - done)))
    except ForensicsError:
        return float(PROBE_BYTES)
    return max(done, 1) / max(time.perf_counter() - started, 1e-9)


def scan_checkpoints(
    root: Path, checkpoints: Sequence[Checkpoint], depth: Depth, progress: Progress | None, skips: list[Skip]
) -> list[Checkpoint]:
    """Scan a series in its order; a file that cannot be read costs its tensors and becomes a skip."""

    def told(done: int, total: int) -> None:
        if progress is not None:
            progress(f"weights, {done / 1e9:.1f} of {total / 1e9:.1f} GB", done, total)

    seen = examine_series(root, [c.records for c in checkpoints], depth=depth, progress=told)
    skips.extend(Skip(path, reason) for path, reason in seen.failures.items())
    return [
        replace(checkpoint, table=table, depth=depth, detection_limit=limit)
        for checkpoint, table, limit in zip(checkpoints, seen.tables, seen.detection_limits, strict=True)
    ]
