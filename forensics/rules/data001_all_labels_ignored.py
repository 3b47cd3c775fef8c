"""No token counts in the loss."""

from collections.abc import Iterator

from forensics.model import Evidence, Experiment, Explained, Run
from forensics.names import Kind
from forensics.plugin import rule
from forensics.rules._curves import from_first_entry, norm_is
from forensics.rules._labels import NO_LABEL, log_probabilities_zero
from forensics.rules._seen import weigh_no, weigh_yes
from forensics.rules._setup import has_metric
from forensics.rules._tensors import poisoned
from forensics.rules._told import happened


@rule(
    "DATA001",
    "all-labels-ignored",
    explains=(
        "nan-loss-logged-as-zero",
        "loss-nan",
        "grad-norm-zero",
        "loss-to-zero",
        "eval-nan",
        "loss-nan-transient",
        "loss-zero-transient",
        "logps-zero",
        "loss-constant",
    ),
    mechanism=True,
    helps=("grad_norm", "weights", "events", "eval_loss"),
    references=(
        "https://github.com/lm-sys/FastChat/issues/3266",
        "https://github.com/unslothai/unsloth/issues/2900",
        "https://github.com/huggingface/trl/issues/643",
    ),
    requires=(NO_LABEL,),
)
def all_labels_ignored(run: Run, explained: Explained) -> Iterator[Evidence | Experiment]:
    """Every label of a batch is -100, so the loss is a mean over nothing: NaN, with gradients of exactly zero.

    ## What happens
    Cross entropy with reduction "mean" over no token is 0/0 = NaN. Ignored positions still contribute
    exactly zero gradient, so grad_norm is 0.0 and the weights stay finite: only weight decay and old
    momentum act on them. Some trainers divide by a token count themselves and print 0.0.

    ## How to tell
    Loss 0.0 (or NaN) together with grad_norm exactly 0.0. This one bit splits the cases: a grad_norm of NaN
    means a numeric failure, and then the labels are not to blame.

    ## What to do
    Decode the labels of one batch and look whether anything but -100 is left.

    ## Sources
    FastChat issue 3266 (`{'loss': 0.0, 'grad_norm': 0.0}`), Unsloth issue 2900, TRL issue 643; measured with
    torch 2.13 (loss nan, grad_norm 0.0).
    """
    yield from weigh_yes(norm_is(run, explained, "zero"), 5)
    yield from weigh_yes(log_probabilities_zero(run), 6, "no label token was summed")
    yield from weigh_yes(happened(run, Kind.ALL_LABELS_IGNORED), 5)
    yield from weigh_yes(happened(run, Kind.TOKENIZATION_MISMATCH), 4, "each drops the labels of a sample")
    yield from weigh_yes(happened(run, Kind.RESPONSE_TEMPLATE_NOT_FOUND), 4, "each drops the labels of a sample")
    yield from weigh_no(poisoned(run, explained), 1)
    yield from weigh_yes(from_first_entry(run, explained), 1)
    yield from weigh_yes(
        has_metric(run, "reward", "rewards/mean", "frac_reward_zero_std"), -2, "this is no labelled run"
    )
    yield Experiment("Decode the labels of the first batch.", "all of them are -100", 1)
