"""The model knows its training data by heart."""

from collections.abc import Iterator

import numpy as np

from forensics.analysis.epochs import last_epoch
from forensics.model import Evidence, Experiment, Explained, Run
from forensics.model.statistics import median
from forensics.names import LOSS
from forensics.plugin import Condition, rule
from forensics.rules._curves import ALIVE, before, eval_is_nan, norm_is, onset, series_of, shown, sudden
from forensics.rules._seen import Seen, first, held, unless, weigh, weigh_yes
from forensics.rules._tensors import poisoned


def _fades(run: Run, explained: Explained) -> Seen | None:
    """Tell whether the loss sank step by step below 0.05, through at least three falling levels."""
    loss = series_of(run, LOSS)
    if loss is None:
        return None
    values = before(loss, onset(explained))
    finite = values[np.isfinite(values) & (values > 0)]
    if len(finite) < 3:
        return None
    last, half = median(finite[-3:]), median(finite[: max(1, len(finite) // 2)])
    said = f"loss sank from {shown(half)} (median of the first half) to {shown(last)} before"
    return Seen(last < ALIVE and last < half, said, loss.source_at(len(values) - 1), "shape of the loss")


def _epochs(run: Run) -> Seen | None:
    epochs = last_epoch(run)
    return None if epochs is None else Seen(epochs >= 3, f"the data were seen {epochs:.3g} times", None, "epochs")


def _numbers(run: Run, explained: Explained) -> Seen | None:
    """Tell whether the loss is a small number and no NaN: it fades, or gradients above zero stand beside it."""
    norm = norm_is(run, explained, "positive")
    bad = norm_is(run, explained, "nonfinite", "recovering", "sentinel")
    seen = first(held(_fades(run, explained)), held(norm))
    return unless(seen, bad, eval_is_nan(run, explained), poisoned(run, explained), sudden(run, explained))


@rule(
    "DATA010",
    "memorised",
    explains=("log-precision-rounds-to-zero", "loss-to-zero", "loss-zero-transient", "suspiciously-low-loss"),
    benign=True,
    helps=("loss", "grad_norm", "eval_loss", "epoch", "weights"),
    references=("https://github.com/huggingface/transformers/blob/v4.57.6/src/transformers/trainer.py",),
    requires=(Condition("the loss is a small number and no NaN", _numbers),),
)
def memorised(run: Run, explained: Explained) -> Iterator[Evidence | Experiment]:
    """The training data are known by heart, so their loss really is about zero; the numbers are in order.

    ## What happens
    A small or repetitive data set seen many times is memorised. Its loss sinks through 0.1, 0.01, 0.001, and
    a log that keeps four decimals ends in 0.0.

    ## How to tell
    The loss sinks gradually, grad_norm is finite and small, eval_loss is a number, weights are finite. Any
    NaN rules it out, and so does a fall from above 0.05 to 0.0 in one entry.

    A loss that no skill explains (a warning) may as well be that of labels which the input gives away: the fading is
    then a weak sign.

    ## What to do
    Nothing is broken. Stop earlier or add data if the model is to generalise: compare with eval_loss.

    ## Sources
    `round(..., 4)` in the Trainer of transformers 4.x; measured: trivial labels fall to 1e-9 with finite
    weights.
    """
    no_skill = explained.finding.symptom == "suspiciously-low-loss" and explained.finding.severity == "warning"
    yield from weigh(_fades(run, explained), 2 if no_skill else 10, -2)
    yield from weigh_yes(norm_is(run, explained, "positive"), 2)
    yield from weigh_yes(_epochs(run), 1)
    yield Experiment("Evaluate on data the model has not seen.", "a loss well above zero", 1)
