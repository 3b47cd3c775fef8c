"""The Trainer hides a NaN loss behind 0.0."""

from collections.abc import Iterator

from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.names import LOSS
from forensics.plugin import Condition, rule
from forensics.rules._curves import (
    ALIVE,
    before,
    eval_is_nan,
    from_first_entry,
    norm_is,
    onset,
    series_of,
    shown,
    sudden,
)
from forensics.rules._rates import rate_moves
from forensics.rules._seen import Seen, first, held, holds, opposite, unless, weigh_yes
from forensics.rules._setup import package_within, setting_is
from forensics.rules._tensors import poisoned


def _absurd(run: Run, explained: Explained) -> Seen | None:
    loss, step = series_of(run, LOSS), onset(explained)
    if loss is None:
        return None
    values = before(loss, step)
    if not len(values) or not values[-1] >= 100.0:
        return None
    index = len(values) - 1
    said = f"the entry before the zeros, {shown(float(values[-1]))} at step {loss.steps[index]}, is no real loss"
    return Seen(True, said, loss.source_at(index), "absurd entry")


def _faded(run: Run, explained: Explained) -> Seen | None:
    loss = series_of(run, LOSS)
    values = before(loss, onset(explained)) if loss is not None else None
    if loss is None or values is None or not len(values):
        return None
    last = float(values[-1])
    return Seen(
        0 < last < ALIVE, f"loss had faded to {shown(last)} before it became 0", loss.source_at(len(values) - 1)
    )


def _trainer(run: Run) -> Seen | None:
    """Tell whether the Trainer wrote the run, where its release is not recorded."""
    dated = run.environment.best("inferred.transformers")
    if dated is not None:
        return Seen(True, f"the entries look like those of transformers {dated.value}", dated.source, "trainer")
    return Seen(True, "the Trainer wrote its state", None, "trainer") if "transformers" in run.frameworks else None


def _no_number(run: Run, explained: Explained) -> Seen | None:
    """Tell whether the loss behind the zeros is NaN; None where only the zeros themselves are known."""
    bad = norm_is(run, explained, "nonfinite", "recovering", "sentinel")
    signs = (bad, eval_is_nan(run, explained), poisoned(run, explained), sudden(run, explained))
    known = first(*map(held, signs), held(_absurd(run, explained)), held(setting_is(run, FILTER, (True,))))
    unfiltered = opposite(setting_is(run, FILTER, (True,))), opposite(package_within(run, "transformers", ">=4.11.0"))
    return unless(known or held(_trainer(run)), norm_is(run, explained, "positive"), *unfiltered)


FILTER = "logging_nan_inf_filter"


@rule(
    "LOG001",
    "nan-loss-logged-as-zero",
    explains=("loss-to-zero", "loss-absurd-entry", "loss-zero-transient", "loss-spike"),
    mechanism=True,
    helps=("grad_norm", "eval_loss", "logging_nan_inf_filter", "package transformers", "weights"),
    references=(
        "https://github.com/huggingface/transformers/pull/13619",
        "https://github.com/huggingface/transformers/issues/13758",
        "https://github.com/huggingface/trl/issues/6702",
    ),
    requires=(Condition("the loss that is printed as 0 is NaN", _no_number),),
)
def nan_loss_logged_as_zero(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """The loss is NaN, and the Trainer's NaN filter prints it as 0.0.

    ## What happens
    `logging_nan_inf_filter` is true by default since transformers 4.11.0. When the loss of a micro-step is
    NaN or infinite, the Trainer does not add it to its running sum but adds the average since the last log.
    After a log call the sum is zero, so every later entry prints exactly 0.0. Only the log is filtered: the
    NaN gradients are applied. With gradient accumulation the entry in whose window NaN begins can be
    absurdly large (1e2 to 1e6): for true loss l, j finite steps, logging_steps L and accumulation G it shows
    l * j * ((L+1)/(j+1))**G / L.

    ## How to tell
    grad_norm is NaN, infinite or DeepSpeed's constant sqrt(k) beside the zeros; eval_loss is NaN; the next
    checkpoint holds NaN; the learning rate keeps moving. A real loss does not fall from 2 to 0.0 in one
    entry. A finite, changing grad_norm above zero means that the loss is no NaN.

    ## What to do
    Set `logging_nan_inf_filter=False` and `logging_steps=1` and start again from the last clean checkpoint:
    the log then shows the first NaN. The filter is not the fault; look for where the NaN comes from.

    ## Sources
    transformers pull request 13619 (the filter), issue 13758 (it hides NaN); `Trainer._inner_training_loop`
    of 4.46.0 (the rule), reproduced with 4.57.6 and 5.23.0.
    """
    if explained.name == "loss-spike" and _absurd(run, explained) is None:
        return
    yield from weigh_yes(norm_is(run, explained, "nonfinite", "recovering"), 6, "a loss that is 0 has no such gradient")
    yield from weigh_yes(norm_is(run, explained, "sentinel"), 5, "DeepSpeed prints NaN norms so")
    yield from weigh_yes(eval_is_nan(run, explained), 5, "the evaluation has no such filter")
    yield from weigh_yes(poisoned(run, explained), 5)
    yield from weigh_yes(_absurd(run, explained), 4, "the filter with gradient accumulation makes such values")
    fell = sudden(run, explained)
    yield from weigh_yes(fell, 3, "a real loss does not do that in one entry")
    if not holds(fell):
        yield from weigh_yes(from_first_entry(run, explained), 3, "no untrained task starts at 0")
    yield from weigh_yes(rate_moves(run, explained), 1, "the run went on")
    yield from weigh_yes(_faded(run, explained), -2, "a small loss rounds to 0")
    filtered = setting_is(run, FILTER, (True,))
    yield from weigh_yes(filtered, 1)
    if filtered is None:
        release = package_within(run, "transformers", ">=4.11.0")
        yield from weigh_yes(release or _trainer(run), 1, "the filter is on unless somebody switched it off")
    yield Fix(
        "Log the truth: the filter only hides the NaN, it does not stop it from being applied.",
        {"logging_nan_inf_filter": False, "logging_steps": 1},
        "https://github.com/huggingface/transformers/pull/13619",
    )
    yield Experiment(
        "Run again from the last clean checkpoint with logging_nan_inf_filter=False and logging_steps=1.",
        "loss prints nan from the onset on, and the first step with a NaN becomes exact",
        1,
    )
