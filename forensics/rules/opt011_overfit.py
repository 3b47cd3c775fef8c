"""The model learns its data by heart at the expense of everything else."""

from collections.abc import Iterator

import numpy as np

from forensics.analysis.epochs import last_epoch
from forensics.analysis.evaluation import training_since
from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.names import EVAL_LOSS
from forensics.plugin import Condition, rule
from forensics.rules._curves import loss_falls, loss_rose, series_of, shown
from forensics.rules._seen import Seen, unless, weigh_yes

RISE = 1.05
"""eval_loss 5 % above its lowest value counts as rising; below that it is noise of the evaluation set."""


def evaluation_rises(run: Run) -> Seen | None:
    """Tell whether eval_loss ends well above its lowest value; needs three evaluations."""
    series = series_of(run, EVAL_LOSS)
    if series is None:
        return None
    finite = np.flatnonzero(np.isfinite(series.values))
    if len(finite) < 3:
        return None
    lowest = finite[int(np.argmin(series.values[finite]))]
    low, last = float(series.values[lowest]), float(series.values[finite[-1]])
    said = f"eval_loss is lowest at step {series.steps[lowest]} ({shown(low)}) and ends at {shown(last)}"
    return Seen(last > RISE * low, said, series.source_at(int(lowest)), "eval_loss")


def _apart(run: Run, explained: Explained) -> Seen | None:
    """Tell whether evaluation and training part; where both rise, it is a divergence."""
    return unless(evaluation_rises(run), loss_rose(run, explained), _training_follows(run))


def _training_follows(run: Run) -> Seen | None:
    """Tell whether the training loss ends a fifth above what it was at the best evaluation."""
    series = series_of(run, EVAL_LOSS)
    if series is None or not bool(np.isfinite(series.values).any()):
        return None
    step = int(series.steps[int(np.nanargmin(series.values))])
    since = training_since(run, step)
    if since is None:
        return None
    said = f"the training loss is {shown(since.then)} around step {step} and {shown(since.now)} at the end"
    return Seen(since.rises, said, None, "training loss since")


@rule(
    "OPT011",
    "overfit",
    explains=("eval-gap", "suspiciously-low-loss"),
    helps=("eval_loss", "loss", "epoch"),
    references=(
        "https://huggingface.co/docs/transformers/main/en/main_classes/callback#transformers.EarlyStoppingCallback",
    ),
    requires=(Condition("eval_loss rises while the training loss does not", _apart),),
)
def overfit(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """The model overfits: the training loss falls while the evaluation loss rises.

    ## What happens
    After several passes the model remembers samples instead of learning from them.

    ## How to tell
    eval_loss has its minimum before the end and rises from there, loss goes on falling, often in a step at
    each epoch boundary.

    ## What to do
    Take the checkpoint with the lowest eval_loss; train for fewer epochs.

    ## Sources
    The curves themselves; `EarlyStoppingCallback` of transformers.
    """
    del explained
    yield from weigh_yes(evaluation_rises(run), 5)
    yield from weigh_yes(loss_falls(run), 2)
    epochs = last_epoch(run)
    if epochs is not None and epochs >= 3:
        yield Evidence(1, f"the data were seen {epochs:.3g} times")
    yield Fix("Load the best checkpoint at the end, and stop when eval_loss rises.", {"load_best_model_at_end": True})
    yield Experiment("Evaluate the earlier checkpoints.", "one of them is better", 1)
