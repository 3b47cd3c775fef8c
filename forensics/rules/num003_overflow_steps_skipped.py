"""Overflowing steps are skipped."""

from collections.abc import Iterator

import numpy as np

from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.names import LEARNING_RATE, LOSS_SCALE, Kind
from forensics.plugin import Condition, rule
from forensics.rules._curves import after, norm_is, onset, series_of, shown
from forensics.rules._seen import Seen, first, held, weigh_yes
from forensics.rules._setup import fp16_used, precision_is
from forensics.rules._tensors import poisoned, unmoved
from forensics.rules._told import happened


def frozen_rate(run: Run, explained: Explained) -> Seen | None:
    """Tell whether learning_rate repeats one value exactly: the scheduler stands while steps are skipped."""
    series = series_of(run, LEARNING_RATE)
    if series is None:
        return None
    values = after(series, onset(explained))
    if len(values) < 2:
        return None
    same = bool(np.all(values == values[0]))
    said = f"learning_rate repeats {shown(float(values[0]))} in {len(values)} entries"
    constant = bool(np.all(series.values == values[0]))
    return Seen(same and not constant, said, series.source_at(len(series) - len(values)), "learning_rate after")


def falling_scale(run: Run) -> Seen | None:
    """Tell whether the loss scale fell to a 16th of its highest value or less."""
    series = series_of(run, LOSS_SCALE)
    if series is None or len(series) < 2:
        return None
    high, last = float(np.nanmax(series.values)), float(series.values[-1])
    said = f"the loss scale goes from {shown(high)} to {shown(last)}"
    return Seen(last <= high / 16, said, series.source_at(len(series) - 1), "loss scale")


def _guarded(run: Run) -> Seen | None:
    """Tell whether something in the run skips bad steps: the scaler of fp16, or a guard that said so."""
    return first(held(happened(run, Kind.NONFINITE_SKIPPED)), held(falling_scale(run)), fp16_used(run))


@rule(
    "NUM003",
    "overflow-steps-skipped",
    explains=(
        "steps-skipped",
        "loss-scale-collapse",
        "lr-zero",
        "lr-constant",
        "grad-norm-nan",
        "grad-norm-nan-isolated",
        "grad-norm-zero",
        "weights-unchanged",
        "crash-exception",
    ),
    mechanism=True,
    helps=("events", "loss_scale", "learning_rate", "fp16", "weights"),
    references=(
        "https://github.com/deepspeedai/DeepSpeed/issues/4017",
        "https://github.com/deepspeedai/DeepSpeed/pull/1958",
        "https://github.com/deepspeedai/DeepSpeed/pull/3008",
        "https://github.com/deepspeedai/DeepSpeed/issues/1599",
        "https://github.com/LianjiaTech/BELLE/issues/134",
        "https://github.com/OpenBMB/MiniCPM-V/issues/346",
    ),
    requires=(Condition("fp16 was in use, or another guard that skips steps", lambda run, _: _guarded(run)),),
)
def overflow_steps_skipped(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """Steps were skipped because their scaled gradients overflowed: weights and scheduler stood still.

    ## What happens
    An fp16 run multiplies the loss by a scale. When a gradient is infinite or NaN, the scaler drops the step
    and halves the scale. The scheduler does not advance, so the learning rate repeats (or stays at 0 through
    the warmup), and DeepSpeed prints the norm of the last good step again. Some skips at the start (scale
    65536 seeking its level) are normal, and "hysteresis" lines are no errors. A scale that falls to its
    minimum ends the run.

    ## How to tell
    OVERFLOW lines, a falling loss scale, a learning rate that repeats to the last digit, grad_norm NaN
    beside a finite loss; weights finite, and identical between late checkpoints if every step is skipped.

    ## What to do
    Count the skips. Below one in a hundred, nothing needs to be done. If they never stop, the run computes
    in fp16 what needs bf16.

    ## Sources
    DeepSpeed `loss_scaler.py` (`update_scale`), issues 4017 and 1599, pull request 1958 (the exit at the
    minimum); `torch.amp.GradScaler`.
    """
    yield from weigh_yes(happened(run, Kind.OVERFLOW), 4)
    yield from weigh_yes(happened(run, Kind.NONFINITE_SKIPPED), 4)
    yield from weigh_yes(happened(run, Kind.LOSS_SCALE_AT_MINIMUM), 5)
    yield from weigh_yes(happened(run, Kind.LR_UNAVAILABLE), 4, "the scheduler waits for a step that is not skipped")
    yield from weigh_yes(falling_scale(run), 3)
    yield from weigh_yes(frozen_rate(run, explained), 2)
    yield from weigh_yes(precision_is(run, "fp16"), 2)
    yield from weigh_yes(norm_is(run, explained, "nonfinite", "recovering"), 1)
    yield from weigh_yes(unmoved(run), 1)
    yield from weigh_yes(poisoned(run, explained), -2, "a skipped step leaves them alone")
    yield Fix("Compute in bf16 where the hardware has it: it needs no loss scale.", {"bf16": True, "fp16": False})
    yield Experiment("Count the OVERFLOW lines after the first hundred steps.", "few: benign; all steps: fatal", 1)
