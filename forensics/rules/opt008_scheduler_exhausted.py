"""The schedule ended before the run did."""

from collections.abc import Iterator

import numpy as np

from forensics.analysis.printed import rounded_away
from forensics.deferred.patterns import expression
from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.names import LEARNING_RATE, Kind
from forensics.plugin import Condition, rule
from forensics.rules._curves import onset, series_of, shown
from forensics.rules._seen import Seen, held, weigh_yes
from forensics.rules._told import said

REFUSED = expression(r"Tried to step \d{1,12} times\. The specified number of total steps is \d")
"""torch 2.13 `OneCycleLR.get_lr`, which raises in place of a rate beyond its plan."""
NOTHING = 1e-6
"""Share of its highest value that no schedule keeps to the end: a cosine of 1,000 entries ends at 2e-6 of it."""
LONG = 0.25
"""Share of the entries that such a rate must last, so that no schedule's last steps count."""


def ran_out(run: Run) -> Seen | None:
    """Tell whether the rate was above zero and then 0 for at least three entries, or as good as 0 for a quarter."""
    series = series_of(run, LEARNING_RATE)
    if series is None or not np.any(series.values > 0):
        return None
    known = series.values[np.isfinite(series.values)]
    alive = np.flatnonzero(series.values > NOTHING * float(known.max(initial=0.0)))
    faded = len(series) - 1 - int(alive[-1])
    if faded >= max(3, LONG * len(series)) and series.values[-1] > 0:
        said = f"learning_rate is {shown(float(series.values[-1]))} at the end, below a millionth of its highest in the"
        return Seen(True, f"{said} last {faded} entries", series.source_at(int(alive[-1]) + 1), "end of the schedule")
    if rounded_away(series):
        return None
    last = int(np.flatnonzero(series.values > 0)[-1])
    rest = len(series) - 1 - last
    said = f"learning_rate is 0 in the last {rest} entries, after step {series.steps[last]}"
    if rest < 3:
        return Seen(False, f"learning_rate is 0 in {rest} entries at the end, as schedules end", series.source_at(last))
    return Seen(True, said, series.source_at(last + 1), "end of the schedule")


def below_zero(run: Run, explained: Explained) -> Seen | None:
    """Tell whether the rate was negative for three entries before a divergence; None where the rate was not logged."""
    series, step = series_of(run, LEARNING_RATE), onset(explained)
    if series is None or step is None:
        return None
    before = series.values[series.steps <= step]
    negative = int(np.count_nonzero(before < 0))
    if negative < 3:
        return Seen(False, f"learning_rate is negative in {negative} entries before step {step}", None, "negative rate")
    said = f"learning_rate is negative in {negative} entries before step {step}"
    return Seen(True, said, series.source_at(int(np.flatnonzero(series.values < 0)[0])), "negative rate")


def _refused(run: Run) -> Seen | None:
    return said(run, Kind.TRACEBACK, REFUSED)


def _spent(run: Run, explained: Explained) -> Seen | None:
    if explained.name == "crash-exception":
        return held(_refused(run))
    return below_zero(run, explained) if explained.name == "loss-divergence" else ran_out(run)


@rule(
    "OPT008",
    "scheduler-exhausted",
    explains=(
        "lr-zero",
        "loss-divergence",
        "loss-plateau",
        "loss-constant",
        "update-stalled",
        "weights-unchanged",
        "crash-exception",
    ),
    helps=("learning_rate", "max_steps", "lr_scheduler_type"),
    references=("https://github.com/huggingface/transformers/blob/v4.57.6/src/transformers/optimization.py",),
    requires=(
        Condition(
            "the rate fell to 0 before the end, or below it where the loss rose, or the schedule refused a step", _spent
        ),
    ),
)
def scheduler_exhausted(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """The schedule reached zero before the run ended: the last steps learnt nothing, or climbed where it went below.

    ## What happens
    The scheduler was built for fewer steps than the run takes: resumed with another max_steps, stepped once
    a micro-step, or on every process. A linear schedule without a floor goes on below zero, and the loss climbs.

    ## How to tell
    learning_rate is above zero, falls on its schedule, and is 0, or next to nothing, for many entries before the
    end: also of a factor that was meant for epochs and is applied each few steps. One entry of 0 at the very end
    is how a linear schedule ends. A one-cycle schedule raises instead: "Tried to step 497 times. The specified
    number of total steps is 496".

    ## What to do
    Give the scheduler the number of optimizer steps (not micro-steps, not steps times processes).

    ## Sources
    `get_linear_schedule_with_warmup`, transformers `optimization.py`; `OneCycleLR.get_lr`, torch 2.13.
    """
    if explained.name == "crash-exception":
        yield from weigh_yes(_refused(run), 10)
    elif explained.name == "loss-divergence":
        yield from weigh_yes(below_zero(run, explained), 9, "such steps climb")
    else:
        yield from weigh_yes(ran_out(run), 6)
    yield Fix("Build the scheduler for the whole number of optimizer steps.", {"lr_scheduler_type": "cosine"})
    yield Experiment("Print scheduler.get_last_lr() over the run.", "0 long before the end", 1)
