"""Checkpoints scanned within a budget, each compared with the one before it."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

import numpy as np

from forensics.cluster import Cluster
from forensics.deferred.records import dataclass
from forensics.errors import ForensicsError
from forensics.formats.dtypes import DTYPES
from forensics.model import Checkpoint, Depth, Piece, Skip
from forensics.storage.file import READ_BYTES, File
from forensics.storage.locations import Root
from forensics.weights.checksums import judge_checksums
from forensics.weights.judge_tables import judge_tables
from forensics.weights.masters import BUDGET_BYTES, judge_masters
from forensics.weights.resolution import peak_rate, resolution_of
from forensics.weights.series import examine_series
from forensics.weights.token_rows import token_rows

WeightsDepth: TypeAlias = Literal["auto", "full", "quick", "off"]
Progress: TypeAlias = Callable[[str, int, int], None]

BUDGET_SECONDS = 60.0
"""What `auto` may spend on reading every byte before it looks at samples only."""
PROBE_BYTES = 64 << 20


def examine_checkpoints(
    root: Root,
    checkpoints: Sequence[Checkpoint],
    weights: WeightsDepth = "auto",
    progress: Progress | None = None,
    cluster: Cluster | None = None,
) -> tuple[tuple[Checkpoint, ...], tuple[Skip, ...]]:
    """Scan the checkpoints that hold tensors; return them with their tables, and what was left out.

    Those with a known step form one series in step order, in which each tensor is compared with the save before.
    A save without a step (the final model at the top of a run) is scanned alone: it may be a copy of the last
    checkpoint, and equality with it would prove nothing.
    """
    held = [i for i, c in enumerate(checkpoints) if len(c.records)]
    if weights == "off" or not held:
        left = [Skip(checkpoints[i].path, "weights were not examined (--weights off)") for i in held]
        return tuple(checkpoints), tuple(left)
    chosen = _chosen(root, [checkpoints[i] for i in held], weights)
    series, alone = _series(checkpoints, held)
    examined = list(checkpoints)
    skips: list[Skip] = []
    for group in [series, *([i] for i in alone)]:
        scanned = scan_checkpoints(root, [checkpoints[i] for i in group], chosen.depth, progress, skips, cluster)
        for index, checkpoint in zip(group, scanned, strict=True):
            examined[index] = checkpoint
    if chosen.depth == "quick":
        skips.extend(_sampled(chosen, examined))
    return judged(root, examined, full=chosen.depth == "full"), tuple(skips)


def judged(root: Root, checkpoints: Sequence[Checkpoint], *, full: bool) -> tuple[Checkpoint, ...]:
    """Add what the values say: problems and the template's rows of each checkpoint, the rounding of the newest.

    Masters are held against their copies, and the entries of a zip against their checksums, in full looks only,
    since that reads both again.
    """
    rate = peak_rate(checkpoints)
    newest = max((i for i, c in enumerate(checkpoints) if c.table is not None and c.optimizer), default=None)
    last = max((i for i, c in enumerate(checkpoints) if c.table is not None), default=None)
    made = []
    for index, checkpoint in enumerate(checkpoints):
        problems = [*checkpoint.problems, *judge_tables(checkpoint, newest=index == last)]
        if full and checkpoint.table is not None:
            problems.extend(judge_masters(root, checkpoint, BUDGET_BYTES // len(checkpoints)))
            problems.extend(judge_checksums(root, checkpoint, BUDGET_BYTES // len(checkpoints)))
        found = resolution_of(root, checkpoint, rate) if index == newest else ()
        told = tuple(dict.fromkeys(problems))
        made.append(replace(checkpoint, problems=told, resolution=found, token_rows=token_rows(root, checkpoint)))
    return tuple(made)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """How deep to look, the bytes there are, and the measured read rate that decided (None when asked for)."""

    depth: Depth
    total: int
    rate: float | None = None


def _sampled(chosen: _Chosen, examined: Sequence[Checkpoint]) -> Iterator[Skip]:
    """Say how much a quick look left out; nothing when the checkpoints are so small that it saw every byte."""
    looked, there = map(sum, zip(*(_looked_at(checkpoint) for checkpoint in examined), strict=True))
    if looked == there:
        return
    limit = max((c.detection_limit for c in examined if c.detection_limit is not None), default=0.0)
    why = ""
    if chosen.rate is not None:
        why = f", because reading all takes {chosen.total / chosen.rate:,.0f} s at {chosen.rate / 1e9:.2f} GB/s"
    yield Skip(
        "every byte of the weights",
        f"{_size(looked)} of {_size(there)}, in blocks drawn by chance, were looked at{why}; bad elements below "
        f"{100 * limit:.2g} % of a checkpoint may have been missed; --weights full reads all",
    )


def _looked_at(checkpoint: Checkpoint) -> tuple[int, int]:
    """Return the bytes of the elements that a scan counted, and of all in the tensors that it could read."""
    looked = there = 0
    if checkpoint.table is not None:
        held, table = checkpoint.tensors, checkpoint.table
        bits = np.array([DTYPES[word].bits if word in DTYPES else 0 for word in held.dtypes.words] or [0])
        read = held.own & table.nan.known
        of = bits[held.dtypes.codes[read]]
        looked = int((table.elements[read] * of // 8).sum())
        there = int((held.elements[read] * of // 8).sum())
    return looked, there


def _size(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"


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


def _chosen(root: Root, checkpoints: Sequence[Checkpoint], weights: WeightsDepth) -> _Chosen:
    total = sum(sum(c.tensors.nbytes[c.tensors.own].tolist()) for c in checkpoints)
    if weights != "auto":
        return _Chosen(weights, total)
    if total <= PROBE_BYTES:
        return _Chosen("full", total)
    rate = _read_rate(root, checkpoints)
    return _Chosen("full" if total / rate <= BUDGET_SECONDS else "quick", total, rate)


def _read_rate(root: Root, checkpoints: Sequence[Checkpoint]) -> float:
    """Measure bytes per second on the largest piece of the newest checkpoint."""
    held = checkpoints[-1].tensors
    if not len(held.piece_sizes):
        return float(PROBE_BYTES)
    at = int(np.argmax(held.piece_sizes))
    largest = Piece(held.files[held.piece_files[at]], int(held.piece_offsets[at]), int(held.piece_sizes[at]))
    started, done = time.perf_counter(), 0
    try:
        with File(root / largest.path) as file:
            while done < min(largest.nbytes, PROBE_BYTES):
                done += len(file.read(largest.offset + done, min(READ_BYTES, largest.nbytes - done)))
    except ForensicsError:
        return float(PROBE_BYTES)
    return max(done, 1) / max(time.perf_counter() - started, 1e-9)


def scan_checkpoints(  # noqa: PLR0913, PLR0917  (what is scanned, how, where)
    root: Root,
    checkpoints: Sequence[Checkpoint],
    depth: Depth,
    progress: Progress | None,
    skips: list[Skip],
    cluster: Cluster | None = None,
) -> list[Checkpoint]:
    """Scan a series in its order; a file that cannot be read costs its tensors and becomes a skip."""

    def told(done: int, total: int) -> None:
        if progress is not None:
            progress(f"weights, {done / 1e9:.1f} of {total / 1e9:.1f} GB", done, total)

    seen = examine_series(root, [c.records for c in checkpoints], depth=depth, progress=told, cluster=cluster)
    skips.extend(Skip(path, reason) for path, reason in seen.failures.items())
    return [
        replace(checkpoint, table=table, depth=depth, detection_limit=limit)
        for checkpoint, table, limit in zip(checkpoints, seen.tables, seen.detection_limits, strict=True)
    ]
