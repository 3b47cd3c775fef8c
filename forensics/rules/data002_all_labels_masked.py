"""The data leave no label."""

from collections.abc import Iterator

from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.names import Kind
from forensics.plugin import rule
from forensics.rules._curves import from_first_entry, norm_is
from forensics.rules._labels import NO_LABEL, log_probabilities_zero
from forensics.rules._seen import Seen, holds, weigh_no, weigh_yes
from forensics.rules._setup import has_metric
from forensics.rules._tensors import poisoned
from forensics.rules._told import happened

BOUNDS = ("cutoff_len", "max_seq_length", "max_length", "model_max_length", "max_source_length")


def _short_window(run: Run) -> Seen | None:
    for name in BOUNDS:
        setting, number = run.environment.best(name), run.environment.number(name)
        if setting is not None and number is not None and number > 0:
            return Seen(number <= 256, f"{name} is {setting.value}", setting.source, "length")
    return None


@rule(
    "DATA002",
    "all-labels-masked",
    explains=("all-labels-ignored",),
    helps=("grad_norm", "events", "weights", "max_seq_length"),
    references=(
        "https://github.com/huggingface/trl/issues/643",
        "https://github.com/unslothai/unsloth/issues/2900",
        "https://github.com/huggingface/trl/issues/1191",
        "https://github.com/lm-sys/FastChat/issues/3266",
    ),
    requires=(NO_LABEL,),
)
def all_labels_masked(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """The data pipeline sets every label to -100, so there is nothing to learn from.

    ## What happens
    Labels of the prompt are set to -100 so that only the answer is learnt. When the answer is cut off
    (prompt longer than the maximum length), empty, or not found, nothing is left.

    ## How to tell
    Loss 0.0 or NaN with grad_norm exactly 0.0 and finite weights. If the log carries tokenization-mismatch
    or response-template warnings, those name the reason; without them it is the mask itself or the
    truncation.

    ## What to do
    Decode the labels of one sample. Raise the maximum length or shorten the prompt from the left; check that
    the chat template marks the answer.

    ## Sources
    TRL issues 643 and 1191, Unsloth issue 2900, FastChat issue 3266.
    """
    yield from weigh_yes(norm_is(run, explained, "zero"), 5)
    yield from weigh_yes(log_probabilities_zero(run), 6, "no label token was summed")
    yield from weigh_yes(happened(run, Kind.ALL_LABELS_IGNORED), 7)
    yield from weigh_no(poisoned(run, explained), 1)
    yield from weigh_yes(from_first_entry(run, explained), 1)
    yield from weigh_yes(_short_window(run), 1, "it may cut the answer off")
    for kind in (Kind.TOKENIZATION_MISMATCH, Kind.RESPONSE_TEMPLATE_NOT_FOUND):
        warned = happened(run, kind)
        if holds(warned):
            yield from weigh_yes(warned, -2, "a closer cause is at hand")
    yield from weigh_yes(has_metric(run, "reward", "frac_reward_zero_std"), -2, "reinforcement learning has no labels")
    yield Fix(
        "Decode one batch (-100 removed) and repair what drops the answer: a larger maximum length, truncation of"
        " the prompt instead of the answer, or the right template.",
        None,
        "https://github.com/huggingface/trl/issues/643",
    )
    yield Experiment("Count labels other than -100 in the first hundred samples.", "none", 1)
