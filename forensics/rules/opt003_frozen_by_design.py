"""Only frozen tensors stood still."""

from collections.abc import Iterator

from forensics.model import Evidence, Explained, Run
from forensics.plugin import Condition, rule
from forensics.rules._curves import norm_is
from forensics.rules._seen import Seen, first, held, holds, unless, weigh_yes
from forensics.rules._setup import is_set
from forensics.rules._tensors import only_frozen_unmoved, only_open_unmoved, unmoved

FREEZE = ("freeze_vision_tower", "freeze_backbone", "tune_mm_mlp_adapter", "freeze_trainable_layers")


def _by_design(run: Run) -> Seen | None:
    """Tell whether the tensors that stood still are frozen: by the optimizer state, else by what was configured."""
    asked = (held(is_set(run, name)) for name in (*FREEZE, "adapter.peft_type"))
    return unless(first(held(only_frozen_unmoved(run)), only_open_unmoved(run), *asked), unmoved(run))


@rule(
    "OPT003",
    "frozen-by-design",
    explains=("weights-unchanged",),
    benign=True,
    helps=("weights", "adapter.peft_type", "optimizer"),
    references=("https://github.com/modelscope/ms-swift/issues/3935",),
    requires=(Condition("what did not move is frozen, and something else moved", lambda run, _: _by_design(run)),),
)
def frozen_by_design(run: Run, explained: Explained) -> Iterator[Evidence]:
    """The tensors that did not change are frozen on purpose; those that train did change.

    ## What happens
    A vision tower, the embeddings, or the base model under an adapter are frozen. They are saved all the
    same and are bit-identical in every checkpoint.

    ## How to tell
    Every unchanged tensor is one that the optimizer does not hold, and other tensors moved. A gradient norm
    above zero says the same.

    ## What to do
    Nothing.

    ## Sources
    ms-swift issue 3935 (maintainer: frozen vision tower is no fault).
    """
    frozen = only_frozen_unmoved(run)
    yield from weigh_yes(frozen, 10)
    if not holds(frozen):
        yield from weigh_yes(only_open_unmoved(run), 5)
    yield from weigh_yes(is_set(run, "adapter.peft_type"), 1)
    for name in FREEZE:
        yield from weigh_yes(is_set(run, name), 2)
    yield from weigh_yes(norm_is(run, explained, "positive"), 1)
    yield from weigh_yes(norm_is(run, explained, "zero"), -2)
