"""Batches that the run had already seen come again after a resume."""

from collections.abc import Iterator
from itertools import pairwise

from forensics.analysis.recorded import Attempt, again, attempts
from forensics.detectors._wording import joined
from forensics.model import Finding, Run
from forensics.plugin import detector

LEAST = 3


@detector("data-repeated", any_of=("recordings",))
def data_repeated(run: Run) -> Iterator[Finding]:
    """Find an attempt that begins with the batches with which the one before had begun, under other step numbers.

    Source: check sums of the tokens of each micro-batch. A sampler that restarts after a resume shows the first
    batches again; a right resume shows new ones, or those of the same steps.
    Minimum: three batches in the same order.
    Silenced by: the same batch at the same step, which a resume from an older checkpoint makes again; an attempt before
    that had itself gone through the data more than once.
    Known false alarms: a run that was stopped exactly at the end of an epoch and does not shuffle: a warning, no error.
    """
    for before, after in pairwise(attempts(run)):
        yield from _repeats(before, after)


def _repeats(before: Attempt, after: Attempt) -> Iterator[Finding]:
    for recording in after.ranks:
        old = next((r for r in before.ranks if r.rank == recording.rank), None)
        if old is None or not old.batches or not recording.batches:
            continue
        pairs = again(old, recording)
        if len(pairs) < LEAST:
            continue
        (was, now), last = pairs[0], pairs[-1]
        where = f" on rank {recording.rank}" if after.several else ""
        yield Finding(
            symptom="data-repeated",
            severity="warning",
            statement=joined(
                (
                    f"after the resume step {now} sees the batch of step {was}{where}, and so on",
                    f"{len(pairs)} batches come again, to step {last[1]}",
                    "the sampler began anew",
                )
            ),
            source=recording.source(0),
            step=now,
            step_range=(now - 1, now),
            until=last[1],
        )
        return
