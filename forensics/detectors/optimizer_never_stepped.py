"""No weight moved in the whole record."""

from collections.abc import Iterator

import numpy as np

from forensics.analysis.recorded import attempts
from forensics.detectors._wording import joined
from forensics.model import Finding, Run
from forensics.model.recording import LOCAL, UPDATE
from forensics.plugin import detector

LEAST_ROWS = 5


@detector("optimizer-never-stepped", any_of=("recordings",))
def optimizer_never_stepped(run: Run) -> Iterator[Finding]:
    """Find a record in which gradients came at each step and the optimizer was stepped at none.

    Source: the step hooks of torch optimizers and of DeepSpeed, and the probed weights, which kept every bit.
    Minimum: five rows.
    Silenced by: a single weight that moved, or one step that reached the optimizer.
    Known false alarms: an optimizer that is none of torch's and was not given to the recorder, with weights that are
    copied from elsewhere.
    """
    for attempt in attempts(run):
        recording = attempt.ranks[0]
        seen = recording.length(LOCAL) > 0
        still = (recording.values[:, :, UPDATE] == 0) | ~recording.probed
        if len(recording) < LEAST_ROWS or not seen.any(axis=1).all() or not still.all() or not recording.skipped.all():
            continue
        overflows = int(recording.overflowed.sum())
        bad = int(np.sum(recording.nonfinite(LOCAL).any(axis=1)))
        yield Finding(
            symptom="optimizer-never-stepped",
            severity="error",
            statement=joined(
                (
                    f"the optimizer was not stepped in any of {len(recording)} steps, and no weight moved",
                    f"{bad} of them had gradients that were not finite" if bad else "the gradients were finite",
                    "" if not bad or not overflows else "a loss scaler skips such steps",
                )
            ),
            source=recording.source(0),
            step=int(recording.steps[0]),
            step_range=(None, int(recording.steps[0])),
        )
