"""The schedule ended before the run did."""

from collections.abc import Iterator

import numpy as np

from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.names import LEARNING_RATE
from forensics.plugin import Condition, rule
from forensics.rules._curves import series_of
from forensics.rules._seen import Seen, weigh_yes


def ran_out(run: Run) -> Seen | None:
    """Tell whether the rate was above zero and then exactly 0 for at least three entries to the end."""
    series = series_of(run, LEARNING_RATE)
    if series is None or not np.any(series.values > 0):
        return None
    last = int(np.flatnonzero(series.values > 0)[-1])
    rest = len(series) - 1 - last
    said = f"learning_rate is 0 in the last {rest} entries, after step {series.steps[last]}"
    if rest < 3:
        return Seen(False, f"learning_rate is 0 in {rest} entries at the end, as schedules end", series.source_at(last))
    return Seen(True, said, series.source_at(last + 1), "end of the schedule")


@rule(
    "OPT008",
    "scheduler-exhausted",
    explains=("lr-zero", "loss-plateau", "weights-unchanged"),
    helps=("learning_rate", "max_steps", "lr_scheduler_type"),
    references=("https://github.com/huggingface/transformers/blob/v4.57.6/src/transformers/optimization.py",),
    requires=(Condition("the rate fell to 0 before the end", lambda run, _: ran_out(run)),),
)
def scheduler_exhausted(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """The schedule reached zero before the run ended, so the last steps learnt nothing.

    ## What happens
    The scheduler was built for fewer steps than the run takes: resumed with another max_steps, stepped once
    a micro-step, or on every process.

    ## How to tell
    learning_rate is above zero, falls on its schedule, and is exactly 0 for many entries before the end. One
    entry of 0 at the very end is how a linear schedule ends.

    ## What to do
    Give the scheduler the number of optimizer steps (not micro-steps, not steps times processes).

    ## Sources
    `get_linear_schedule_with_warmup`, transformers `optimization.py`.
    """
    del explained
    yield from weigh_yes(ran_out(run), 6)
    yield Fix("Build the scheduler for the whole number of optimizer steps.", {"lr_scheduler_type": "cosine"})
    yield Experiment("Print scheduler.get_last_lr() over the run.", "0 long before the end", 1)
