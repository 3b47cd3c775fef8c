"""A setting of the run is not the one that was used."""

from collections.abc import Iterator

import numpy as np

from forensics.analysis import context
from forensics.detectors._wording import number
from forensics.model import Finding, Run
from forensics.names import LEARNING_RATE
from forensics.plugin import detector

LEAST = 3
OVER = 1.5
"""No schedule of transformers or DeepSpeed goes above the configured rate."""


@detector("setting-not-in-force", needs=("learning_rate",))
def setting_not_in_force(run: Run) -> Iterator[Finding]:
    """Find logged learning rates above the one that was configured.

    Source: a resume restores the optimizer's own rates over the new setting (`optimizer.load_state_dict`), and a
    scheduler of another configuration replaces the Trainer's.
    Minimum: three entries above 1.5 times the configured rate.
    Silenced by: rates below it, which every schedule has; several values on file for the setting.
    Known false alarms: 0 of 26 healthy runs of the fixtures; a script that scales the rate by the number of processes.
    """
    series, setting = context.recorded(run, LEARNING_RATE), run.environment.best("learning_rate")
    asked = run.environment.number("learning_rate")
    # What is called `lr` is scaled by the batch before use in DeiT, MAE and their kin, but not in Megatron-LM.
    own = setting is not None and (
        setting.name == "learning_rate" or run.environment.best("lr_decay_style") is not None
    )
    if setting is None or not own or asked is None or not asked > 0:
        return
    if run.environment.conflicts("learning_rate", "setting"):
        return
    over = np.flatnonzero(np.isfinite(series.values) & (series.values > OVER * asked))
    if len(over) < LEAST:
        return
    index = int(over[0])
    step = int(series.steps[index])
    yield Finding(
        symptom="setting-not-in-force",
        severity="warning",
        statement=f"the learning rate in force is not the configured one: {number(float(series.values[index]))} at "
        f"step {step}, {number(asked)} is set ({setting.source})",
        source=series.source_at(index),
        step=step,
        step_range=(int(series.steps[index - 1]) if index else None, step),
    )
