"""The model learns its data by heart at the expense of everything else."""

from collections.abc import Iterator

import numpy as np

from forensics.analysis.epochs import last_epoch
from forensics.analysis.evaluation import training_since
from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.names import EVAL_LOSS, LOSS
from forensics.plugin import Condition, rule
from forensics.rules._curves import before, loss_falls, loss_rose, series_of, shown
from forensics.rules._seen import Seen, first, held, unless, weigh_yes

RISE = 1.05
"""eval_loss 5 % above its lowest value counts as rising; below that it is noise of the evaluation set."""
APART = 3.0
"""A first evaluation this many times the training loss beside it: of the runs with an `eval-gap` in the collected
material, the two that evaluate something else than they train have 7 and more, those that overfit 1.7 at most."""
EVALUATED = ("eval_acc", "eval_accuracy", "val_acc", "val_accuracy")
TRAINED = ("train_acc", "train_accuracy", "accuracy", "acc")


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


def never_alike(run: Run) -> Seen | None:
    """Tell whether the first evaluation was far from the training already, which no data learnt by heart explain."""
    series = series_of(run, EVAL_LOSS)
    loss = series_of(run, LOSS)
    if series is None or loss is None or not np.isfinite(series.values[0]):
        return None
    step = int(series.steps[0])
    until = before(loss, step + 1)
    if not len(until) or not np.isfinite(until[-1]) or until[-1] <= 0:
        return None
    then, first = float(until[-1]), float(series.values[0])
    said = f"the first eval_loss, at step {step}, is {shown(first)} beside a training loss of {shown(then)}"
    return Seen(first > APART * then, said, series.source_at(0), "first evaluation")


def guesses_from_the_start(run: Run) -> Seen | None:
    """Tell whether the evaluated accuracy never came near that of the training at the first evaluation."""
    told, ours = (
        next((s for n in names if (s := series_of(run, n)) is not None), None) for names in (EVALUATED, TRAINED)
    )
    if told is None or ours is None:
        return None
    best, then = float(np.nanmax(told.values)), float(ours.values[0])
    said = f"{told.name} is {shown(best)} at its best, where {ours.name} began at {shown(then)}"
    return Seen(APART * best < then, said, told.source_at(0), "evaluated accuracy")


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
    apart = first(held(never_alike(run)), held(guesses_from_the_start(run)))
    yield from weigh_yes(apart, -2, "what is evaluated may not be what is trained")
    epochs = last_epoch(run)
    if epochs is not None and epochs >= 3:
        yield Evidence(1, f"the data were seen {epochs:.3g} times")
    yield Fix("Load the best checkpoint at the end, and stop when eval_loss rises.", {"load_best_model_at_end": True})
    yield Experiment("Evaluate the earlier checkpoints.", "one of them is better", 1)
