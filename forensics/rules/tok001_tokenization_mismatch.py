"""FastChat and LLaVA drop the labels of samples they cannot split."""

import math
from collections.abc import Iterator

import numpy as np

from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.names import Kind
from forensics.plugin import Condition, rule
from forensics.rules._curves import norm_is
from forensics.rules._labels import no_label_counts
from forensics.rules._seen import Seen, fails, held, weigh_no, weigh_yes
from forensics.rules._told import happened

MANY = 20


def _shape(run: Run) -> Seen | None:
    """Tell what the mismatches look like: constant, or never found."""
    events = next(iter(run.timeline.events_of(Kind.TOKENIZATION_MISMATCH)), None)
    if events is None or not len(events):
        return None
    known = events.values[np.isfinite(events.values)]
    if not len(known):
        return None
    sizes = {round(v) for v in known.tolist() if math.isfinite(v)}
    if len(sizes) == 1 and abs(next(iter(sizes))) == 1:
        said = f"every mismatch is {next(iter(sizes)):+d}: one BOS or EOS token, a tokenizer version"
        return Seen(True, said, events.source_at(0), "shape of the mismatch")
    if events.text.find("mismatch: 1 vs") >= 0:
        said = "the mismatch is “1 vs. N”: the separator was never found, a wrong conversation template"
        return Seen(True, said, events.source_at(0), "shape of the mismatch")
    return Seen(
        False,
        f"the mismatches differ ({min(sizes)} to {max(sizes)})",
        events.source_at(0),
        "shape of the mismatch",
    )


def _drops_labels(run: Run, explained: Explained) -> Seen | None:
    """Tell whether labels are dropped: the warnings alone say so, a dead loss needs gradients of zero beside it."""
    if explained.name == "tokenization-mismatch-warnings":
        return held(happened(run, Kind.TOKENIZATION_MISMATCH))
    return no_label_counts(run, explained)


@rule(
    "TOK001",
    "tokenization-mismatch",
    explains=("all-labels-ignored", "tokenization-mismatch-warnings"),
    helps=("events", "event tokenization-mismatch", "grad_norm", "package tokenizers"),
    cases=9,
    references=(
        "https://github.com/lm-sys/FastChat/issues/3266",
        "https://github.com/lm-sys/FastChat/issues/1289",
        "https://github.com/haotian-liu/LLaVA/issues/779",
        "https://github.com/haotian-liu/LLaVA/issues/1166",
        "https://github.com/lm-sys/FastChat/issues/2992",
        "https://github.com/lm-sys/FastChat/issues/2871",
    ),
    requires=(Condition("no label counts", _drops_labels),),
)
def tokenization_mismatch(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """The conversation template does not fit the tokenizer, so FastChat-style code ignores whole samples.

    ## What happens
    The code splits a conversation at the template's separators and adds up token lengths. When the sum
    differs from the real length, it prints "WARNING: tokenization mismatch: A vs. B. (ignored)" and sets all
    labels of the sample to -100.

    ## How to tell
    "1 vs. N": the separator was never found, the template belongs to another model. A constant difference of
    one: a BOS or EOS token that another tokenizer version adds or not. A difference that grows with the
    turns: an offset per turn. If all samples warn, loss is 0.0 and grad_norm 0.0; if some do, data are lost
    and nothing else: a loss that is positive, or a gradient that is NaN, has another cause.

    ## What to do
    Choose the conversation template of the base model, and pin transformers and tokenizers to what the
    project names (LLaVA 1.5: tokenizers below 0.14).

    ## Sources
    FastChat issues 3266, 2992, 2871, 2494 and 1289 (harmless), LLaVA issues 779 and 1166, LLaVA commit
    f47c16e.
    """
    warned = happened(run, Kind.TOKENIZATION_MISMATCH)
    count = run.timeline.count_of(Kind.TOKENIZATION_MISMATCH)
    if explained.name == "tokenization-mismatch-warnings":
        yield from weigh_yes(warned, 10)
    else:
        yield from weigh_yes(warned, 4 if count >= MANY else 2)
    if fails(warned):
        yield from weigh_no(warned, -2)
    yield from weigh_yes(_shape(run), 2)
    if explained.name == "all-labels-ignored":
        yield from weigh_yes(norm_is(run, explained, "zero"), 2)
    yield Fix(
        "Use the conversation template of the base model (FastChat --conv-template, LLaVA --version), and the"
        " tokenizers release that the project pins.",
        None,
        "https://github.com/lm-sys/FastChat/issues/3266",
    )
    yield Experiment("Count the warnings against the number of samples.", "nearly equal: nothing is learnt", 1)
