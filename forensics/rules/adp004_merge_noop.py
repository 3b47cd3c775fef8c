"""The merged model equals the base model."""

from collections.abc import Iterator

from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.plugin import Condition, rule
from forensics.rules._curves import norm_is
from forensics.rules._seen import holds, opposite, weigh_no, weigh_yes
from forensics.rules._setup import is_set
from forensics.rules._tensors import unmoved, zero_lora_b


@rule(
    "ADP004",
    "merge-noop",
    explains=("weights-unchanged",),
    helps=("weights", "adapter.peft_type", "grad_norm"),
    references=(
        "https://github.com/huggingface/trl/issues/386",
        "https://github.com/huggingface/peft/issues/1579",
        "https://github.com/huggingface/peft/issues/1402",
    ),
    requires=(
        Condition("the adapter has learnt something", lambda run, _: opposite(zero_lora_b(run))),
        Condition("the merged weights equal those of the base model", lambda run, _: unmoved(run)),
    ),
)
def merge_noop(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """The adapter was trained, but merging it changed nothing: the merged weights are those of the base model.

    ## What happens
    Keys with another prefix are loaded with strict=False and silently ignored, merge() is never called, or
    the base model is saved in place of the merged one.

    ## How to tell
    The merged tensors are bit-identical to the base, while the adapter's lora_B is not zero and grad_norm
    was above zero.

    ## What to do
    Use merge_and_unload() and save its result; look at missing and unexpected keys when loading.

    ## Sources
    TRL issue 386, PEFT issue 1579.
    """
    adapter = is_set(run, "adapter.peft_type")
    yield from weigh_yes(adapter, 1)
    if holds(adapter):
        still = unmoved(run)
        yield from weigh_yes(still, 1)
        if holds(still):
            yield from weigh_no(zero_lora_b(run), 5, "the adapter has learnt, what it was merged into has not moved")
        yield from weigh_yes(norm_is(run, explained, "positive"), 1)
    yield Fix("Save what merge_and_unload() returns.", None, "https://github.com/huggingface/trl/issues/386")
    yield Experiment("Compare one merged matrix with W + scale * B A.", "it equals W", 1)
