"""One sample breaks the step."""

from collections.abc import Iterator

from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.plugin import Condition, rule
from forensics.rules._curves import first_norm_bad_loss_good, norm_is, norms_grew
from forensics.rules._inputs import missing_values, odd_input, spoiled_values
from forensics.rules._recurrence import periodic
from forensics.rules._seen import first, held, weigh_no, weigh_yes


@rule(
    "DATA012",
    "bad-data-sample",
    explains=(
        "nan-gradient-applied",
        "loss-nan-transient",
        "grad-norm-nan-isolated",
        "loss-spike",
        "loss-nan",
        "crash-exception",
    ),
    helps=("grad_norm", "loss", "epoch"),
    references=(
        "https://github.com/NVIDIA/Megatron-LM/issues/780",
        "https://github.com/alibaba/Pai-Megatron-Patch/issues/366",
    ),
    requires=(
        Condition(
            "the same data position fails again (in every epoch, or in a second run), or the log shows the odd sample",
            lambda run, explained: first(
                held(odd_input(run, explained)), held(missing_values(run, explained)), periodic(run)
            ),
        ),
    ),
)
def bad_data_sample(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """A single sample (empty, all padding, out of range) makes the NaN or the spike.

    ## What happens
    A mean over no token is 0/0, an empty image or an extreme value explodes in the first layers.

    ## How to tell
    The same data position fails again with the same seed, or once every epoch; or the log prints an extreme, a
    length or a count of the batch, and it is no number, 0 or far from all others in the step of the onset; or its
    own table of the data tells of missing values, and the loss is NaN from the first entry on. If it fails elsewhere
    in a second run, it is hardware or a race.

    ## What to do
    Print the batch of the failing step, and bisect it.

    ## Sources
    Megatron-LM issue 780 (reproducible: data; not reproducible: hardware), Pai-Megatron-Patch issue 366.
    """
    yield from weigh_yes(odd_input(run, explained), 7, "no weight makes it")
    yield from weigh_yes(missing_values(run, explained), 7, "a missing value is NaN, and one makes the loss NaN")
    yield from weigh_yes(spoiled_values(run, explained), 3, "what is normalised may have no spread, or no value")
    yield from weigh_yes(periodic(run), 5)
    yield from weigh_no(first_norm_bad_loss_good(run), 1, "the forward pass broke first")
    yield from weigh_yes(norm_is(run, explained, "recovering"), 2)
    yield from weigh_yes(norms_grew(run, explained), -2, "a divergence")
    yield Fix("Drop samples without a label or with empty fields before training.")
    yield Experiment("Run again from the same checkpoint with the same seed.", "the same step fails: it is the data", 2)
    yield Experiment("Run again with another data seed.", "another step fails", 2)
