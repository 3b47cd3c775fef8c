"""NaN that came into being while gradients were reduced."""

from collections.abc import Iterator

from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.plugin import rule
from forensics.rules._recorded import reduction_made_it
from forensics.rules._seen import weigh_yes


@rule(
    "DIST030",
    "reduction-made-nan",
    explains=("reduced-gradient-nonfinite", "nan-gradient-applied", "grad-norm-nan", "grad-norm-sentinel"),
    mechanism=True,
    stands_alone=True,
    needs=("recordings",),
    references=(
        "https://github.com/deepspeedai/DeepSpeed/issues/5242",
        "https://github.com/pytorch/pytorch/blob/v2.13.0/torch/nn/parallel/distributed.py",
    ),
)
def reduction_made_nan(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """Every rank's gradients were finite before their reduction, and the reduced gradient is not.

    ## What happens
    Each rank computed good gradients. On the way through the reduction (bucket, all-reduce or reduce-scatter,
    division by the ranks, a communication hook) an element became NaN or infinite: a race on the buffer, a copy that
    peer-to-peer transport corrupted, a sum that left the range of float16, or a hook's own fault.

    ## How to tell
    Only a record of both sides tells: `forensics.recorder` reads each gradient in the backward pass of its rank, and
    again after the reduction of the same step. A log shows a NaN norm, whichever side it came from.

    ## What to do
    Look for what stands behind it: the release of DeepSpeed and overlap_comm, peer-to-peer transport
    (NCCL_P2P_DISABLE=1), float16 without a scaler, a communication hook. Model, data and learning rate are not it.

    ## Sources
    Measured with planted faults: a NaN put into the reduced buffer under DDP, FSDP2 and ZeRO 1, 2, 3 reads so in every
    case, a NaN in one rank's own gradient in none.
    """
    del explained
    yield from weigh_yes(reduction_made_it(run), 10)
    yield Experiment("Record the same steps in one process.", "the gradients stay finite: nothing is reduced there", 1)
