"""A checkpoint does not hold the weights of its step."""

from collections.abc import Iterator

import numpy as np

from forensics.model import Finding, Run
from forensics.names import Kind
from forensics.plugin import detector


@detector("checkpoint-foreign", any_of=(f"event {Kind.CHECKPOINT_STEP}",))
def checkpoint_foreign(run: Run) -> Iterator[Finding]:
    """Find checkpoints whose weights are those of another step than the one they are named after.

    Source: hashes of the black box, exact to the bit, against the same elements of the saved tensors.
    Minimum: one tensor that is stored in the type in which it was trained, and a row of that step.
    Silenced by: equal hashes; another type in the file, as of a cast or a merge.
    Known false alarms: a final save of the best checkpoint, loaded back at the end: a notice; weights that are averaged
    (EMA) for the save.
    """
    for event in run.timeline.events_of(Kind.CHECKPOINT_STEP):
        step, held = int(event.steps[0]), float(event.values[0])
        if held == step:
            continue
        final = event.path == "."
        whose = "no recorded step" if np.isnan(held) else f"step {int(held)}"
        yield Finding(
            symptom="checkpoint-foreign",
            severity="notice" if final else "warning",
            statement=f"{event.path} is named after step {step} and holds the weights of {whose}, by their hashes",
            source=event.source_at(0),
            step=step,
            step_range=(None, step),
        )
