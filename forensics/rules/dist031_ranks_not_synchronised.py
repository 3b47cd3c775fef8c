"""Ranks that train on their own."""

from collections.abc import Iterator

from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.names import Kind
from forensics.plugin import rule
from forensics.rules._recorded import not_reduced
from forensics.rules._seen import weigh_yes
from forensics.rules._told import happened


@rule(
    "DIST031",
    "ranks-not-synchronised",
    explains=("rank-drift", "reduction-did-nothing"),
    helps=("world_size", "zero_optimization.stage"),
    references=(
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.parallel.DistributedDataParallel.html",
        "https://github.com/deepspeedai/DeepSpeed/blob/v0.12.5/deepspeed/runtime/zero/stage_1_and_2.py",
    ),
)
def ranks_not_synchronised(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """The gradients of the ranks are not reduced, so that each rank trains a model of its own.

    ## What happens
    Each rank steps with the gradients of its own batches. The replicas move apart, and what is saved is the model of
    rank 0, trained on a part of the data with a part of the batch.

    ## How to tell
    The gradient after the reduction equals the one before it, bit for bit, though the ranks see different batches;
    under DDP the weights of the ranks differ from that step on, as a program that compares them says.

    ## What to do
    Leave `no_sync()` before the last micro-batch, call the DDP module and not `model.module`, or reduce by hand. Go
    back to the last checkpoint before the step. DeepSpeed 0.12.5 at stage 1 on a CPU never reduces: use stage 2.

    ## Sources
    torch `DistributedDataParallel.no_sync`; DeepSpeed 0.12.5 `split_half_float_double` knows torch.cpu.FloatTensor,
    while CPU tensors say torch.FloatTensor (measured: 13 of 13 owned gradients unchanged, in 0.19.8 none).
    """
    del explained
    yield from weigh_yes(not_reduced(run), 10)
    yield from weigh_yes(happened(run, Kind.RANKS_DIFFER), 7)
    yield Fix(
        "Synchronise in the last micro-batch of each step: leave no_sync() before it, call the DDP module itself."
    )
    yield Experiment("Record two steps on two ranks.", "the reduced norms differ from the local ones", 1)
