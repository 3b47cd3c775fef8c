"""The gradients after the reduction are those before it, bit for bit, on every rank."""

from collections.abc import Iterator

import numpy as np

from forensics.analysis.recorded import Attempt, attempts, index_of
from forensics.model import Finding, Recording, Run
from forensics.model.recording import LOCAL, REDUCED
from forensics.plugin import detector

LEAST_STEPS = 2
LEAST_TENSORS = 2


@detector("reduction-did-nothing", any_of=("recordings",))
def reduction_did_nothing(run: Run) -> Iterator[Finding]:
    """Find steps at which no rank's gradient was changed by the reduction.

    Source: DeepSpeed 0.12.5 at ZeRO stage 1 on a CPU reduces nothing (`split_half_float_double` knows only
    torch.cpu.FloatTensor): 13 of 13 owned tensors equal their local gradient; in 0.19.8, 0 of 13. A loop that stays in
    `no_sync()` shows the same.
    Minimum: two steps and two tensors on every rank, with records of all ranks.
    Silenced by: ranks that saw the same batch (equal check sums of the tokens), gradients of zero.
    Known false alarms: ranks that see the same batch where no tokens were recorded.
    """
    for attempt in attempts(run):
        steps = [step for step in attempt.common() if _unchanged(attempt, step)] if _can_tell(attempt) else []
        if len(steps) < LEAST_STEPS:
            continue
        whole = len(steps) == len(attempt.common())
        first = attempt.ranks[0]
        at = index_of(first, steps[0])
        assert at is not None
        span = "at every step" if whole else f"at {len(steps)} steps from step {steps[0]} on"
        yield Finding(
            symptom="reduction-did-nothing",
            severity="error",
            statement=f"{span} the gradients after the reduction equal those before it, bit for bit, on all"
            f" {first.world} ranks, though their batches differ: each rank trains on its own",
            source=first.source(at),
            step=steps[0],
            step_range=(None if whole else steps[0] - 1, steps[0]),
            until=None if steps[-1] == attempt.common()[-1] else steps[-1],
        )


def _can_tell(attempt: Attempt) -> bool:
    return (
        attempt.several and attempt.complete and not any(r.kind in {"fsdp1", "fsdp2", "zero3"} for r in attempt.ranks)
    )


def _unchanged(attempt: Attempt, step: int) -> bool:
    batches = {r.batches.get(step, (str(r.rank),)) for r in attempt.ranks}
    return len(batches) == len(attempt.ranks) and all(_same(recording, step) for recording in attempt.ranks)


def _same(recording: Recording, step: int) -> bool:
    at = index_of(recording, step)
    assert at is not None
    both = recording.seen(LOCAL)[at] & recording.seen(REDUCED)[at]
    local, reduced = recording.length(LOCAL)[at], recording.length(REDUCED)[at]
    owned = both & (reduced > 0) & np.isfinite(local)
    # A parameter that is split over two ranks is smaller in either, whatever was reduced.
    return int(owned.sum()) >= LEAST_TENSORS and bool((local[owned] == reduced[owned]).mean() >= MOSTLY)


MOSTLY = 0.9
