"""A small loss is printed as 0.0."""

from collections.abc import Iterator

from forensics.model import Evidence, Experiment, Explained, Precision, Run
from forensics.names import LOSS
from forensics.plugin import Condition, rule
from forensics.rules._curves import ALIVE, before, eval_is_nan, norm_is, onset, series_of, shown
from forensics.rules._seen import Seen, unless, weigh_yes
from forensics.rules._tensors import poisoned


def _tail(run: Run, explained: Explained) -> Seen | None:
    loss = series_of(run, LOSS)
    values = before(loss, onset(explained)) if loss is not None else None
    if loss is None or values is None or not len(values):
        return None
    last = float(values[-1])
    said = f"the last loss before the first 0.0 is {shown(last)}"
    return Seen(0 < last < ALIVE / 5, said, loss.source_at(len(values) - 1), "loss before")


def _rounded(run: Run, explained: Explained) -> Seen | None:
    loss, step = series_of(run, LOSS), onset(explained)
    if loss is None:
        return None
    index = min(len(before(loss, step)) if step is not None else 0, len(loss) - 1)
    precision = loss.precision_at(index)
    how = {Precision.FOUR_DECIMALS: "four decimals", Precision.FOUR_DIGITS: "four digits"}.get(
        precision, "full precision"
    )
    said = f"the loss was written with {how}"
    return Seen(precision == Precision.FOUR_DECIMALS, said, loss.source_at(index), "precision of the log")


def _small(run: Run, explained: Explained) -> Seen | None:
    """Tell whether the loss had faded before it printed 0, and nothing about it is NaN."""
    bad = norm_is(run, explained, "nonfinite", "recovering")
    return unless(_tail(run, explained), bad, eval_is_nan(run, explained), poisoned(run, explained))


@rule(
    "LOG003",
    "log-precision-rounds-to-zero",
    explains=("loss-to-zero", "loss-zero-transient", "suspiciously-low-loss"),
    mechanism=True,
    helps=("loss", "grad_norm", "eval_loss", "weights"),
    references=("https://github.com/huggingface/transformers/blob/v4.57.6/src/transformers/trainer.py",),
    requires=(Condition("the loss fades before it prints 0", _small),),
)
def log_precision_rounds_to_zero(run: Run, explained: Explained) -> Iterator[Evidence | Experiment]:
    """The loss is really small, below 5e-5, and rounding prints it as 0.0.

    ## What happens
    transformers 4.x rounds the logged loss to four decimals, in the log and in `trainer_state.json`, so
    anything below 5e-5 becomes 0.0. Nothing is NaN. transformers 5 keeps full precision in the trainer
    state.

    ## How to tell
    The loss fades (0.01, 0.002, 0.0003) before it prints 0.0, grad_norm stays finite, eval_loss is a number,
    and the weights are finite.

    ## What to do
    Nothing is broken in the numbers. A training loss of zero means that the model knows its data by heart:
    look at eval_loss.

    ## Sources
    `Trainer._maybe_log_save_evaluate`, `round(tr_loss_scalar / ..., 4)`, transformers 4.36 to 4.57.
    """
    yield from weigh_yes(_tail(run, explained), 5)
    yield from weigh_yes(norm_is(run, explained, "positive"), 2)
    yield from weigh_yes(_rounded(run, explained), 1)
    yield Experiment("Read the loss in the event file, which keeps float32.", "it is small but above zero", 1)
