"""The log-probabilities of a preference run are exactly 0."""

from collections.abc import Iterator

import numpy as np

from forensics.detectors._wording import counted
from forensics.model import Finding, Run
from forensics.plugin import detector

LEAST = 3
NAMES = ("logps/chosen", "logps/rejected")


@detector("logps-zero", any_of=NAMES)
def logps_zero(run: Run) -> Iterator[Finding]:
    """Find summed log-probabilities of answers that are exactly 0: a sum over no token.

    Source: DPO and its kin sum the log-probabilities of the label tokens; where every label is -100 the sum is 0.0, the
    rewards are 0 and the loss is ln 2. 1 of 59 faulty runs that were called healthy, 0 of 13 healthy preference runs.
    Minimum: three entries, all of them 0, or one where both answers have 0: a model never is so sure of either.
    Silenced by: nothing.
    Known false alarms: none known.
    Counts of healthy and missed runs are those of the simulation that chose the thresholds, not of this code
    (docs/design/0004-evidence.md); as written it is silent on 39 healthy runs.
    """
    told = {name: series for name in NAMES if (series := run.timeline.get(name)) is not None and len(series)}
    zero = {name: series for name, series in told.items() if not bool(np.any(series.values != 0))}
    for name, series in zero.items():
        if len(series) < LEAST and len(zero) < len(NAMES):
            continue
        yield Finding(
            symptom="logps-zero",
            severity="error",
            statement=f"{name} is exactly 0 in every entry ({counted(len(series), 'entry', 'entries')}): no label "
            "token is left to sum over",
            source=series.source_at(0),
            step=int(series.steps[0]),
            step_range=(None, int(series.steps[0])),
        )
        return
