"""The loss leaps where the run was resumed."""

from collections.abc import Iterator

import numpy as np

from forensics.analysis import context, robust
from forensics.detectors._wording import number
from forensics.model import Finding, Run
from forensics.names import LOSS
from forensics.plugin import detector

BEFORE = 5
AFTER = 3
REACH = 20


@detector("resume-jump", needs=("loss",))
def resume_jump(run: Run) -> Iterator[Finding]:
    """Find a loss whose level changes at a restart.

    Source: S. Bekman's ml-engineering, training-loss-patterns (resume spikes; a loss that looks better right
    after a resume because data are repeated): lost optimizer state, lost order of data, other weights.
    Minimum: five finite entries before the seam and three after.
    Silenced by: a change below 30 % or six point-to-point deviations; a policy-gradient trainer.
    Known false alarms: a resume with other data; a rise is a warning, a fall a notice.
    """
    series = context.recorded(run, LOSS)
    if context.policy_gradient(run):
        return
    for seam in sorted(context.seams(run)):
        cut = int(np.searchsorted(series.steps, seam))
        before, after = series.values[max(0, cut - REACH) : cut], series.values[cut : cut + AFTER]
        before, after = before[np.isfinite(before) & (before > 0)], after[np.isfinite(after) & (after > 0)]
        if len(before) < BEFORE or len(after) < AFTER:
            continue
        old, new = float(np.median(before[-BEFORE:])), float(np.median(after))
        scatter = max(robust.noise(before), 1e-9)
        if abs(new - old) < 6 * scatter or not (new > 1.3 * old or old > 1.3 * new):
            continue
        step = int(series.steps[cut])
        yield Finding(
            symptom="resume-jump",
            severity="warning" if new > old else "notice",
            statement=f"the loss goes from {number(old)} to {number(new)} at step {step}, where the run was resumed",
            source=series.source_at(cut),
            step=step,
            step_range=(int(series.steps[cut - 1]), step),
        )
