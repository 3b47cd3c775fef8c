"""Gradients that leave the range of float16 while they are reduced."""

from collections.abc import Iterator

from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.plugin import Condition, rule
from forensics.rules._recorded import beyond_float16
from forensics.rules._seen import weigh_yes


@rule(
    "DIST032",
    "fp16-reduction-overflow",
    explains=("reduction-made-nan",),
    needs=("recordings",),
    helps=("communication_data_type",),
    references=(
        "https://docs.pytorch.org/docs/stable/ddp_comm_hooks.html",
        "https://www.deepspeed.ai/docs/config-json/#communication-data-type",
    ),
    requires=(
        Condition("a gradient is too large for float16 before it is reduced", lambda run, _: beyond_float16(run)),
    ),
)
def fp16_reduction_overflow(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """The gradients are reduced as float16, and are too large for it.

    ## What happens
    A communication hook (`fp16_compress_hook`, PowerSGD) or `communication_data_type: fp16` casts gradients to float16
    for the reduction. What exceeds 65504 becomes infinite on the way, though it was finite on every rank.

    ## How to tell
    Before the reduction the gradients are finite and one of them exceeds 65504; after it the same tensor is infinite.

    ## What to do
    Reduce in bfloat16 (`bf16_compress_hook`, `communication_data_type: bf16`) or float32, or find out why gradients
    are so large.

    ## Sources
    torch `default_hooks.fp16_compress_hook`; the run fp16-reduction-overflow-recorded, made with it on two ranks.
    """
    del explained
    yield from weigh_yes(beyond_float16(run), 7, "float16 ends at 65504")
    yield Fix("Reduce in bfloat16 or float32: bf16_compress_hook, or no hook.", {"communication_data_type": "bf16"})
    yield Experiment("Record the same steps without the communication hook.", "the reduced gradients stay finite", 1)
