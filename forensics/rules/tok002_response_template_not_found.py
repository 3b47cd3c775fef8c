"""The response template is not in the token ids."""

from collections.abc import Iterator

from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.names import Kind
from forensics.plugin import Condition, rule
from forensics.rules._curves import norm_is
from forensics.rules._labels import no_label_counts
from forensics.rules._seen import Seen, held, holds, weigh_no, weigh_yes
from forensics.rules._told import happened


def _drops_labels(run: Run, explained: Explained) -> Seen | None:
    """Tell whether labels are dropped; a collator that stops the run says so itself."""
    return held(happened(run, Kind.ALL_LABELS_IGNORED)) or no_label_counts(run, explained)


@rule(
    "TOK002",
    "response-template-not-found",
    explains=("all-labels-ignored", "crash-exception"),
    helps=("events", "event response-template-not-found", "grad_norm"),
    cases=3,
    references=(
        "https://github.com/huggingface/trl/issues/1820",
        "https://github.com/huggingface/trl/issues/1191",
        "https://github.com/unslothai/unsloth/issues/2117",
        "https://github.com/huggingface/trl/issues/1920",
    ),
    requires=(Condition("no label counts", _drops_labels),),
)
def response_template_not_found(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """The response template is not found in the token ids, so the whole sample is left out of the loss.

    ## What happens
    TRL's DataCollatorForCompletionOnlyLM (until 0.19.1) and Unsloth's train_on_responses_only look for the
    template's token ids. BPE merges depend on what stands before, so a template tokenised alone (or with a
    trailing space) never matches; every label becomes -100.

    ## How to tell
    "Could not find response key ... This instance will be ignored in loss calculation", or Unsloth's "All
    labels in your dataset are -100"; loss 0.0 with grad_norm 0.0.

    ## What to do
    Pass the token ids cut out of a rendered sample instead of the text, without a trailing space; keep
    pad_token different from eos_token.

    ## Sources
    TRL issues 1820, 1920, 1191 and 1183; Unsloth issues 2117 and 2900. TRL
    `trainer/utils.py`: the collator is in v0.19.1 and gone in v0.20.0.
    """
    warned = happened(run, Kind.RESPONSE_TEMPLATE_NOT_FOUND)
    refused = happened(run, Kind.ALL_LABELS_IGNORED)
    yield from weigh_yes(warned, 7)
    yield from weigh_yes(refused, 5, "the collator found no answer in any sample")
    if not holds(refused):
        yield from weigh_no(warned, -2)
    yield from weigh_yes(happened(run, Kind.PAD_TOKEN), 1, "the template may hold the pad token")
    yield from weigh_yes(norm_is(run, explained, "zero"), 2)
    yield Fix(
        "Give response_template as token ids, taken from a rendered sample, with no trailing space.",
        None,
        "https://github.com/huggingface/trl/issues/1820",
    )
    yield Experiment("Tokenise one rendered sample and search the template's ids in it.", "they do not occur", 1)
