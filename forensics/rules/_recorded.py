"""What the black boxes of the ranks say about a cause (docs/blackbox.md)."""

from itertools import pairwise

import numpy as np

from forensics.analysis.recorded import again, attempts, breaks, index_of, made_by_reduction
from forensics.model import Run
from forensics.model.recording import LOCAL, REDUCED, STILL
from forensics.rules._seen import Seen


def reduction_made_it(run: Run) -> Seen | None:
    """Tell whether the reduction made the first gradient that was not finite; None where no record tells.

    False where a rank's own gradient already was not finite.
    """
    found = next(iter(breaks(run)), None)
    if found is None:
        return None
    if made_by_reduction(found):
        recording, names = found.reduced[0]
        at = index_of(recording, found.step)
        assert at is not None
        said = (
            f"finite before, not finite after the reduction: at step {found.step} the gradients of all"
            f" {recording.world} ranks were finite, and {names[0]} is not after they were reduced"
        )
        return Seen(True, said, recording.source(at), "recorded reduction")
    if not found.local:
        return None
    recording, names = found.local[0]
    at = index_of(recording, found.step)
    assert at is not None
    said = (
        f"the gradient of {names[0]} was not finite on rank {recording.rank} before the reduction, at step {found.step}"
    )
    return Seen(False, said, recording.source(at), "recorded reduction")


def not_reduced(run: Run) -> Seen | None:
    """Tell whether gradients were reduced in a run of several ranks: by the first step at which they were not."""
    for attempt in attempts(run):
        if not attempt.several or attempt.sharded:
            continue
        recording = attempt.ranks[0]
        both = recording.seen(LOCAL) & recording.seen(REDUCED)
        same = (recording.length(LOCAL) == recording.length(REDUCED)) | ~both
        rows = np.flatnonzero(same.all(axis=1) & both.any(axis=1))
        if len(rows):
            step = int(recording.steps[rows[0]])
            said = f"from step {step} on the gradients after the reduction equal those before it"
            return Seen(True, said, recording.source(int(rows[0])), "not reduced")
        if both.any():
            return Seen(False, "the reduction changed the gradients", recording.source(0), "not reduced")
    return None


FLOAT16_LARGEST = 65504.0


def beyond_float16(run: Run) -> Seen | None:
    """Tell whether a gradient that the reduction spoiled was too large for float16 before; None where none was.

    False in one process, where nothing is reduced.
    """
    found = next((one for one in breaks(run) if made_by_reduction(one)), None)
    if found is None:
        made = attempts(run)
        if not made or any(attempt.several for attempt in made):
            return None
        return Seen(False, "one process trains: nothing is reduced", made[0].ranks[0].source(0), "one process")
    spoiled = {name for _, names in found.reduced for name in names}
    largest, where = max(
        (float(recording.values[at, recording.names.index(name), 1]), name)
        for recording in found.attempt.ranks
        if (at := index_of(recording, found.step)) is not None
        for name in sorted(spoiled)
    )
    recording = found.reduced[0][0]
    at = index_of(recording, found.step)
    assert at is not None
    said = f"the largest gradient before the reduction was {largest:.3g}, in {where}"
    return Seen(largest > FLOAT16_LARGEST, said, recording.source(at), "float16 range")


def recorded_as(run: Run, dtype: str) -> Seen | None:
    """Tell whether most weights have the type, as the optimizer steps them."""
    for attempt in attempts(run):
        recording = attempt.ranks[0]
        if recording.kind not in {"single", "replicated", "fsdp2"}:
            return None
        usual = max(set(recording.dtypes), key=recording.dtypes.count)
        said = f"the weights that {recording.optimizer or 'the optimizer'} steps are {usual}"
        return Seen(usual == dtype, said, recording.source(0), "dtype of the weights")
    return None


def standing_still(run: Run) -> Seen | None:
    """Tell whether most weights of most tensors kept every bit over the later half of the record."""
    for attempt in attempts(run):
        recording = attempt.ranks[0]
        later = len(recording) // 2
        rows = ~recording.skipped[later:] & np.isfinite(recording.values[later:, :, STILL]).all(axis=1)
        if not rows.any():
            return None
        share = (recording.values[later:][rows][:, :, STILL] > 0.5).mean()
        said = f"in {share:.0%} of the tensors and steps more than half of the weights kept every bit"
        return Seen(bool(share > 0.5), said, recording.source(later), "recorded standstill")
    return None


def masterless(run: Run) -> Seen | None:
    """Tell that there are no fp32 masters: the weights that stand still are the ones that the optimizer steps."""
    low, still = recorded_as(run, "bfloat16"), standing_still(run)
    return low if low is not None and low.holds and still is not None and still.holds else None


def data_again(run: Run) -> Seen | None:
    """Tell whether an attempt began with batches that the one before had seen; None without two records with data."""
    found: Seen | None = None
    for before, after in pairwise(attempts(run)):
        old, new = before.ranks[0], after.ranks[0]
        if not old.batches or not new.batches:
            continue
        pairs = again(old, new)
        said = f"{len(pairs)} batches of the attempt before come again" if pairs else "no batch comes again"
        found = Seen(bool(pairs), said, new.source(0), "batches seen before")
    return found
