"""CTC was asked for more labels than there are frames."""

import re
from collections.abc import Iterator

import numpy as np

from forensics.deferred.patterns import expression
from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.model.statistics import median
from forensics.plugin import Condition, rule
from forensics.rules._curves import infinite_first, onset, shown
from forensics.rules._labels import is_ctc
from forensics.rules._seen import Seen, first, holds, weigh_yes
from forensics.rules._setup import precision_is, setting_is

LENGTHS = expression(r"frame|input_len|audio_len|duration|seconds_of_audio|src_len", re.IGNORECASE)
SHORTER = 0.5
"""Of the usual length: a batch this short at the onset is no chance among batches of one length."""


def keeps_infinity(run: Run) -> Seen | None:
    """Tell whether an infinite loss is kept as it is; None where the switch is not on file."""
    return first(*(setting_is(run, name, [False]) for name in ("model.ctc_zero_infinity", "zero_infinity")))


def shorter_input(run: Run, explained: Explained) -> Seen | None:
    """Tell whether a logged length of the input is less than half of the usual at the onset; None without both."""
    step = onset(explained)
    for name, series in run.timeline.series.items():
        value = series.value_at(step) if step is not None and LENGTHS.search(name) else None
        earlier = series.values[: int(np.searchsorted(series.steps, step))] if step is not None else series.values[:0]
        if value is not None and len(earlier) >= 3:
            usual = median(earlier)
            said = f"{name} is {shown(value)} at step {step}, {shown(usual)} before (median)"
            return Seen(value < SHORTER * usual, said, series.source_at(len(earlier)), "length of the input")
    return None


@rule(
    "DATA041",
    "ctc-input-too-short",
    explains=("loss-nan", "loss-nan-transient", "nan-gradient-applied"),
    helps=("loss", "model.architectures", "model.ctc_zero_infinity", "grad_norm"),
    references=(
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.CTCLoss.html",
        "https://github.com/FangShancheng/ABINet/issues/65",
        "https://github.com/ypwhs/captcha_break/issues/29",
    ),
    requires=(
        Condition("the loss is CTC", is_ctc),
        Condition(
            "infinite losses are not set to zero",
            lambda run, _: (
                setting_is(run, "model.ctc_zero_infinity", [False]) or setting_is(run, "zero_infinity", [False])
            ),
        ),
    ),
)
def ctc_input_too_short(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """A sample has fewer frames than labels: no alignment exists, and the CTC loss of it is infinite.

    ## What happens
    CTC sums over the ways in which the frames can spell the labels. Too few frames (after the subsampling of the
    encoder) leave none, the probability is 0 and the loss -log 0. The gradient is NaN, and one step with it ruins
    all weights.

    ## How to tell
    The loss is inf, not NaN, in its first bad entry, from healthy numbers and in one step; only later NaN. The batch
    holds a short recording with a long transcript, or a repeated letter that needs a blank between.

    ## What to do
    Leave such samples out (frames after subsampling at least labels plus repeats), or set zero_infinity.

    ## Sources
    PyTorch, CTCLoss, zero_infinity ("infinite losses mainly occur when the inputs are too short to be aligned to the
    targets"); ABINet issue 65 (normal for five iterations, then inf, then nan); measured: 16 frames for 20 labels.
    """
    known = is_ctc(run)
    yield from weigh_yes(known, 1)
    # Any loss may be infinite first, and any batch short: only of CTC are they marks.
    if holds(known):
        yield from weigh_yes(infinite_first(run), 4, "no alignment exists: -log 0")
        yield from weigh_yes(shorter_input(run, explained), 3, "fewer frames than labels")
    yield from weigh_yes(keeps_infinity(run), 1, "an infinite loss is kept")
    yield from weigh_yes(precision_is(run, "fp16"), -1, "the range of fp16 ends early")
    yield Fix(
        "Drop samples with fewer frames than labels plus repeats, or set zero_infinity.", {"ctc_zero_infinity": True}
    )
    yield Experiment("Count the samples of the step before that have fewer frames than labels.", "one at least", 1)
