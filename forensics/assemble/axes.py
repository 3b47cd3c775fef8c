"""One axis for each metric: what cannot be put on it is told and left out of the curve, never mixed in."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from forensics.deferred.records import dataclass
from forensics.model import NOUNS, UNKNOWN_STEP, Axis, Samples, Skip
from forensics.names import LOSS

TOLD = 3
"""Metrics that are named where entries are left out."""


@dataclass(frozen=True, slots=True)
class Aligned:
    """The blocks of each metric on its one axis, every place known, and what was left out."""

    blocks: Mapping[str, tuple[Samples, ...]]
    skips: tuple[Skip, ...]


def align(samples: Sequence[Samples]) -> Aligned:
    """Choose the axis on which most entries of a metric are, that of the loss where it has both.

    Steps come first among equals. Entries on another axis, or on none, stay among the samples of the timeline.
    """
    by_name: dict[str, list[Samples]] = defaultdict(list)
    for block in samples:
        by_name[block.name].append(block)
    preferred = _axis_of(by_name.get(LOSS, ()), None)
    kept: dict[str, tuple[Samples, ...]] = {}
    left: dict[tuple[str, Axis], Counter[str]] = defaultdict(Counter)
    for name in sorted(by_name):
        axis = _axis_of(by_name[name], preferred)
        if axis is not None:
            kept[name] = tuple(_placed(block) for block in by_name[name] if block.axis == axis)
        for block in by_name[name]:
            out = len(block.steps) - (int(np.count_nonzero(_known(block))) if block.axis == axis else 0)
            if out and not any(_twin(block, other) for other in kept.get(name, ())):
                left[(block.path, axis or "step")][name] += out
    return Aligned(kept, (*_left_out(left), *_counted(kept)))


def _known(block: Samples) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.asarray(block.steps != UNKNOWN_STEP)


def _placed(block: Samples) -> Samples:
    known = _known(block)
    return block if known.all() else block.take(known)


def _twin(block: Samples, other: Samples) -> bool:
    """Tell whether a block is another of the same file over a second axis, as Megatron writes each metric."""
    return block.path == other.path and block.axis != other.axis and np.array_equal(block.values, other.values, True)


def _axis_of(blocks: Sequence[Samples], preferred: Axis | None) -> Axis | None:
    """Return the axis of most entries; None where no entry has a place."""
    counts = Counter[Axis]()
    for block in blocks:
        counts[block.axis] += int(np.count_nonzero(_known(block)))
    if preferred is not None and counts[preferred]:
        return preferred
    axis = max(counts, key=lambda each: (counts[each], each == "step", each), default=None)
    return axis if axis is not None and counts[axis] else None


def _left_out(left: Mapping[tuple[str, Axis], Counter[str]]) -> Iterator[Skip]:
    for (path, axis), counts in left.items():
        count, names = sum(counts.values()), sorted(counts)
        more = f" and {len(names) - TOLD} more" if len(names) > TOLD else ""
        noun = "entry" if count == 1 else "entries"
        reason = f"no {NOUNS[axis][0]} is known for them, and the others have one"
        yield Skip(f"{count:,} {noun} of {', '.join(names[:TOLD])}{more} in {path}", reason)


def _counted(kept: Mapping[str, Sequence[Samples]]) -> Iterator[Skip]:
    paths = {block.path for blocks in kept.values() for block in blocks if block.axis == "entry"}
    for path in sorted(paths):
        yield Skip(f"steps in {path}", "no step is written; entries are counted instead")
