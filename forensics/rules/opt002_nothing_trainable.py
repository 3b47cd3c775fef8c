"""No parameter trains."""

from collections.abc import Iterator

import numpy as np

from forensics.deferred.patterns import expression
from forensics.model import Evidence, Experiment, Explained, Fix, Run, Source
from forensics.names import Kind
from forensics.plugin import Condition, rule
from forensics.rules._curves import from_first_entry, norm_is
from forensics.rules._seen import Seen, first, held, holds, weigh, weigh_no, weigh_yes
from forensics.rules._setup import WITHOUT_GRAPH, no_gradient_flows, setting_is
from forensics.rules._tensors import scanned, table_of, unmoved
from forensics.rules._told import said

NOTHING_GIVEN = expression(
    "optimizer got an empty parameter list|No gradients provided for any variable"
    "|not needed in cases when no parameters require gradient"
)
"""torch `Optimizer.__init__` and Keras `BaseOptimizer.apply_gradients`: there is nothing to train."""
NO_OPTIMIZER = expression("this fit will run with no optimizer|does not have any trainable weights")
"""Lightning 2.5 `core/optimizer.py`, Keras 3.11 `trainers/trainer.py`."""
COUNTS = ("trainable_params", "trainable_parameters", "number_of_trainable_parameters")


def all_frozen(run: Run) -> Seen | None:
    """Tell whether every weight is declared frozen, where the optimizer state told which are."""
    for checkpoint in scanned(run):
        table = table_of(checkpoint)
        weights = np.array([role == "weight" for role in table.roles], dtype=bool)
        known = np.array([state != "unknown" for state in table.trained], dtype=bool)
        if (weights & known).any():
            total, frozen = int((weights & known).sum()), int((weights & known & table.frozen).sum())
            said = f"{frozen} of {total} tensors of {checkpoint.path} are frozen"
            return Seen(frozen == total, said, Source(checkpoint.path), "frozen tensors")
    return None


def _count(run: Run) -> Seen | None:
    for name in COUNTS:
        setting, number = run.environment.best(name), run.environment.number(name)
        if setting is not None and number is not None:
            return Seen(number == 0, f"{name} is {setting.value}", setting.source, "trainable parameters")
    return None


def _nothing_flows(run: Run, explained: Explained) -> Seen | None:
    return first(
        held(_count(run)),
        held(said(run, Kind.FRAMEWORK_WARNING, NO_OPTIMIZER)),
        no_gradient_flows(run, explained),
        held(all_frozen(run)),
    )


def _crash(run: Run) -> Iterator[Evidence]:
    """Weigh the refusal of a backward pass; reentrant checkpointing cuts the graph in the same words."""
    nothing = said(run, Kind.TRACEBACK, NOTHING_GIVEN)
    yield from weigh_yes(nothing, 8)
    if not holds(nothing):
        yield from weigh_yes(said(run, Kind.TRACEBACK, WITHOUT_GRAPH), 4, "the loss hangs on no parameter that trains")
    yield from weigh_yes(setting_is(run, "gradient_checkpointing", [True]), -2, "it may have cut the graph")


@rule(
    "OPT002",
    "nothing-trainable",
    explains=("gradients-all-zero", "weights-unchanged", "crash-exception"),
    helps=("grad_norm", "weights", "trainable_params"),
    references=(
        "https://github.com/unslothai/unsloth/issues/1282",
        "https://github.com/modelscope/ms-swift/issues/3935",
    ),
    requires=(Condition("no gradient reaches a parameter", _nothing_flows),),
)
def nothing_trainable(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """No parameter that the optimizer holds receives a gradient: everything is frozen, or the wrong part is.

    ## What happens
    The freezing code matched too much, the adapter was added after the optimizer, an adapter was loaded for
    inference (PEFT is_trainable=False), or a framework release does not count a tied embedding.

    ## How to tell
    grad_norm is exactly 0.0 from the first entry, loss is flat, all tensors are bit-identical; "trainable
    params: 0". Where the loss hangs on nothing that trains, the first backward pass raises "element 0 of tensors
    does not require grad".

    ## What to do
    Print the names with requires_grad before training; load adapters with is_trainable=True.

    ## Sources
    Unsloth issue 1282 (number of trainable parameters too small), ms-swift issue 3935.
    """
    if explained.name == "crash-exception":
        yield from _crash(run)
    yield from weigh(_count(run), 10, -2)
    yield from weigh_yes(said(run, Kind.FRAMEWORK_WARNING, NO_OPTIMIZER), 7, "the framework has nothing to train")
    frozen = all_frozen(run)
    yield from weigh_yes(frozen, 6)
    yield from weigh_no(frozen, -2)
    yield from weigh_yes(norm_is(run, explained, "zero"), 3)
    begins = from_first_entry(run, explained)
    yield from weigh_yes(begins, 1)
    yield from weigh_no(begins, -2, "it trained before")
    # That everything stood still is what was found; of a norm that is 0 alone it is a further sign.
    yield from weigh_yes(unmoved(run), 3 if explained.name == "weights-unchanged" else 1)
    adapter = " (PEFT: is_trainable=True)" if run.has("package peft") or "peft" in run.frameworks else ""
    yield Fix(f"Print the parameters with requires_grad, and unfreeze what should train{adapter}.")
    yield Experiment("Count parameters with requires_grad right before trainer.train().", "0", 1)
