"""CTC was asked for more labels than there are frames."""

import math
import re
from collections.abc import Iterator

import numpy as np

from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.names import LOSS
from forensics.plugin import Condition, rule
from forensics.rules._curves import onset, series_of, shown
from forensics.rules._seen import Seen, first, holds, weigh_yes
from forensics.rules._setup import precision_is, setting_is

CTC = re.compile(r"(?<![a-z])ctc|(?:For|Loss)CTC|CTC(?:Loss|BPE|Model)", re.IGNORECASE)
NAMES = ("loss", "loss_type", "criterion", "criterion._name", "model.architectures", "_target_", "model_type", "task")
LENGTHS = re.compile(r"frame|input_len|audio_len|duration|seconds_of_audio|src_len", re.IGNORECASE)
SHORTER = 0.5
"""Of the usual length: a batch this short at the onset is no chance among batches of one length."""


def is_ctc(run: Run, _: Explained | None = None) -> Seen | None:
    """Tell whether the loss is CTC, by a metric, a setting or the model; false where the model has another head."""
    loss = series_of(run, LOSS)
    if loss is not None and CTC.search(loss.logged_as):
        return Seen(True, f"the loss is {loss.logged_as}", loss.source_at(0), "kind of loss")
    for name, series in run.timeline.series.items():
        if CTC.search(name) and len(series):
            return Seen(True, f"{name} is logged", series.source_at(0), "kind of loss")
    for name in NAMES:
        setting = run.environment.best(name)
        if setting is not None and CTC.search(str(setting.value)):
            return Seen(True, f"{name} is {setting.value}", setting.source, "kind of loss")
    heads = run.environment.best("model.architectures")
    if heads is not None and heads.value:
        return Seen(False, f"the model is {heads.value}", heads.source, "kind of loss")
    return None


def infinite_first(run: Run) -> Seen | None:
    """Tell whether the first bad value of the loss is infinite rather than NaN; None without a bad value."""
    loss = series_of(run, LOSS)
    if loss is None or np.isfinite(loss.values).all():
        return None
    index = int(np.argmin(np.isfinite(loss.values)))
    value = float(loss.values[index])
    said = f"the first bad loss, at {loss.axis} {loss.steps[index]}, is {'inf' if math.isinf(value) else 'NaN'}"
    return Seen(math.isinf(value), said, loss.source_at(index), "first bad loss")


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
            usual = float(np.median(earlier))
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
    # Any loss may be infinite first: only of CTC is it the mark.
    yield from weigh_yes(infinite_first(run), 4 if holds(known) else 1, "no alignment exists: -log 0")
    yield from weigh_yes(shorter_input(run, explained), 3, "fewer frames than labels")
    yield from weigh_yes(keeps_infinity(run), 1, "an infinite loss is kept")
    yield from weigh_yes(precision_is(run, "fp16"), -1, "the range of fp16 ends early")
    yield Fix(
        "Drop samples with fewer frames than labels plus repeats, or set zero_infinity.", {"ctc_zero_infinity": True}
    )
    yield Experiment("Count the samples of the step before that have fewer frames than labels.", "one at least", 1)
