"""The number was made by the log, not by the run."""

from collections.abc import Iterator

import numpy as np

from forensics.model import Evidence, Explained, Run
from forensics.names import LOSS
from forensics.plugin import Condition, rule
from forensics.rules._curves import norm_is, onset
from forensics.rules._seen import Seen, unless, weigh_yes
from forensics.rules._tensors import poisoned


def contradicted(run: Run, explained: Explained) -> Seen | None:
    """Tell whether another source gives a healthy loss for the step at which one gives 0 or NaN."""
    step = onset(explained)
    for other in run.timeline.disagreements:
        if other.metric != LOSS or (step is not None and other.step != step):
            continue
        values = (other.kept, other.other)
        dead = [v == 0 or not np.isfinite(v) for v in values]
        if any(dead) and not all(dead):
            where = f"{other.kept_source} and {other.other_source}"
            said = f"{where} give {other.kept:g} and {other.other:g} for step {other.step}"
            return Seen(True, said, other.other_source, "disagreement")
    return None


def _only_in_the_log(run: Run, explained: Explained) -> Seen | None:
    """Tell whether two sources disagree, and neither gradients nor weights are bad."""
    bad = norm_is(run, explained, "nonfinite", "sentinel", "zero")
    return unless(contradicted(run, explained), bad, poisoned(run, explained))


@rule(
    "LOG005",
    "log-artifact",
    explains=("loss-to-zero", "loss-zero-transient", "step-gap"),
    benign=True,
    helps=("loss", "grad_norm", "weights"),
    references=("https://github.com/huggingface/transformers/pull/13619",),
    requires=(Condition("another source gives a healthy value for that step", _only_in_the_log),),
)
def log_artifact(run: Run, explained: Explained) -> Iterator[Evidence]:
    """The sources disagree: one log shows a bad value for a step for which another shows a good one.

    ## What happens
    A logger wrote a default in place of a missing value, a rank printed its own share, or a file was edited.

    ## How to tell
    Two sources give different values for the same step, the gradients are finite and so are the weights.

    ## What to do
    Trust the source that is closest to the run: trainer_state.json, then the event file, then the console.

    ## Sources
    Order of sources as in the timeline of this program.
    """
    against = contradicted(run, explained)
    yield from weigh_yes(against, 4)
    if against is not None:
        yield from weigh_yes(norm_is(run, explained, "positive"), 2)
