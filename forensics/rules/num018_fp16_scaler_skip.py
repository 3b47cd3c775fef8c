"""A loss scaler at its normal work."""

from collections.abc import Iterator

import numpy as np

from forensics.model import Evidence, Experiment, Explained, Run
from forensics.names import Kind
from forensics.plugin import Condition, rule
from forensics.rules._curves import loss_falls, norm_is, onset
from forensics.rules._seen import Seen, first, held, opposite, unless, weigh_yes
from forensics.rules._setup import fp16_told, fp16_used
from forensics.rules._tensors import poisoned, unmoved
from forensics.rules._told import happened

FEW = 0.01
"""Maintainers call a skip in a hundred steps normal (LLaMA-Factory issue 9462)."""
WARMUP = 16
"""An initial scale of 2^16 may be halved 16 times before it fits."""
LOW, SETTLED = 64.0, 200
"""The bounds of `loss-scale-collapse`, under which a scale is no longer settling."""


def skipped_share(run: Run) -> Seen | None:
    """Tell whether few steps were skipped: at most one in a hundred, beyond the first 16."""
    events = next(iter(run.timeline.events_of(Kind.OVERFLOW)), None)
    last = run.timeline.last_step
    if events is None or not len(events) or not last:
        return None
    count = run.timeline.count_of(Kind.OVERFLOW)
    few = count <= max(WARMUP, FEW * last) and count < last / 2
    said = f"{count} of {last} steps were skipped"
    return Seen(few, said, events.source_at(0), "share of skipped steps")


def _still_sinking(run: Run) -> Seen | None:
    """Tell whether the log ends while overflows halve a scale of 64 and less: ten halvings below where it begins."""
    events = max(run.timeline.events_of(Kind.OVERFLOW), key=len, default=None)
    if events is None or len(events) < 2 or not np.isfinite(events.values[-1]):
        return None
    scale, last, end = float(events.values[-1]), int(events.steps[-1]), run.timeline.last_step
    settled = end is not None and last >= 0 and end - last >= SETTLED
    said = f"the scale is at {scale:g} in the last overflow, and no {SETTLED} steps without one follow"
    return Seen(scale <= LOW and not settled, said, events.source_at(len(events) - 1), "loss scale at the end")


def _goes_on(run: Run, explained: Explained) -> Seen | None:
    """Tell whether few steps were skipped and the run went on."""
    share = skipped_share(run)
    seen = first(held(norm_is(run, explained, "recovering")), share)
    others = _still_sinking(run), happened(run, Kind.LOSS_SCALE_AT_MINIMUM), unmoved(run), poisoned(run, explained)
    return unless(seen, opposite(share), norm_is(run, explained, "nonfinite"), *others)


@rule(
    "NUM018",
    "fp16-scaler-skip",
    explains=("overflow-steps-skipped", "steps-skipped", "grad-norm-nan-isolated", "lr-zero"),
    benign=True,
    helps=("events", "grad_norm", "loss", "fp16"),
    references=(
        "https://github.com/hiyouga/LlamaFactory/issues/9462",
        "https://github.com/LianjiaTech/BELLE/issues/134",
        "https://github.com/OpenBMB/MiniCPM-V/issues/346",
        "https://github.com/JiaquanYe/TableMASTER-mmocr/issues/32",
        "https://github.com/InternLM/xtuner/issues/187",
    ),
    requires=(
        Condition("fp16 was in use", lambda run, _: fp16_used(run)),
        Condition("few steps were skipped, and the run went on", _goes_on),
    ),
)
def fp16_scaler_skip(run: Run, explained: Explained) -> Iterator[Evidence | Experiment]:
    """The fp16 loss scaler skipped a few steps, as it is meant to, and the run went on.

    ## What happens
    The scaler raises its scale until a gradient overflows, drops that step, halves the scale and goes on. At
    the start it does so several times in a row; the learning rate then shows 0, as the scheduler has not
    moved yet.

    ## How to tell
    Single NaN or infinite norms with finite ones after, a loss that keeps falling, at most one skip in a
    hundred steps beyond the first 16. Skips that never stop, or a scale at its minimum, are another matter.

    ## What to do
    Nothing.

    ## Sources
    LLaMA-Factory issue 9462, xtuner issue 187, BELLE issue 134; `torch.amp.GradScaler`.
    """
    yield from weigh_yes(fp16_told(run), 2)
    yield from weigh_yes(skipped_share(run), 4)
    yield from weigh_yes(norm_is(run, explained, "recovering"), 5)
    yield from weigh_yes(loss_falls(run, onset(explained)), 2)
    yield Experiment("Count skipped steps after step 100.", "below one in a hundred", 1)
