"""bf16 without a guard against nonfinite steps."""

from collections.abc import Iterator

import numpy as np

from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.names import GRAD_NORM
from forensics.plugin import Condition, rule
from forensics.rules._curves import first_norm_bad_loss_good, norm_is, series_of
from forensics.rules._deepspeed import deepspeed_used, unguarded
from forensics.rules._recurrence import periodic
from forensics.rules._seen import Seen, first, held, opposite, unless, weigh_no, weigh_yes
from forensics.rules._setup import fp16_used
from forensics.rules._tensors import single


def _megatron_counter(run: Run) -> Seen | None:
    if "megatron" not in run.frameworks:
        return None
    counted = run.timeline.get("nan_iterations") or run.timeline.get("number of nan iterations")
    if counted is None or not len(counted):
        return None
    zero = bool((counted.values == 0).all())
    said = f"Megatron counts {int(counted.values[-1])} nan iterations"
    return Seen(zero, said, counted.source_at(len(counted) - 1), "nan iterations")


def _no_guard(run: Run) -> Seen | None:
    """Tell whether nonfinite gradients are applied unchecked; a loss scaler checks them."""
    unchecked = first(unguarded(run), held(_megatron_counter(run)))
    return unless(unchecked, fp16_used(run))


def _one_bad_step(run: Run, _: Explained) -> Seen | None:
    """Tell whether the source of the NaN is known to be a single step, which a guard would have skipped.

    Where the forward pass broke first, no guard of the gradients would have helped.
    """
    source = first(held(single(run)), held(periodic(run)))
    return unless(source, _forward_first(run))


def _forward_first(run: Run) -> Seen | None:
    """Tell whether the loss broke in the very step of the first bad norm; entries that span steps cannot tell."""
    series = series_of(run, GRAD_NORM)
    if series is None or series.axis != "step" or np.all(np.isfinite(series.values)):
        return None
    index = int(np.argmin(np.isfinite(series.values)))
    if index == 0 or series.steps[index] - series.steps[index - 1] != 1:
        return None
    return opposite(first_norm_bad_loss_good(run))


@rule(
    "NUM010",
    "bf16-no-nan-guard",
    explains=("nan-gradient-applied",),
    helps=("package deepspeed", "bf16", "bf16.check_grad_overflow"),
    cases=2,
    references=(
        "https://github.com/deepspeedai/DeepSpeed/pull/4512",
        "https://github.com/deepspeedai/DeepSpeed/pull/6976",
        "https://github.com/deepspeedai/DeepSpeed/pull/8035",
        "https://github.com/deepspeedai/Megatron-DeepSpeed/pull/434",
        "https://github.com/epfLLM/Megatron-LLM/pull/34",
        "https://github.com/deepspeedai/DeepSpeed/issues/5241",
        "https://github.com/epfLLM/Megatron-LLM/issues/33",
    ),
    requires=(
        Condition("nothing checks the gradients of this release", lambda run, _: _no_guard(run)),
        Condition("one bad step is known to be the source of the NaN", _one_bad_step),
    ),
)
def bf16_no_nan_guard(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """Nothing guards a bf16 run against a nonfinite gradient, so a single bad step destroyed it.

    ## What happens
    fp16 runs carry a loss scaler that skips bad steps. bf16 needs no scale, and with the scale went the
    check: DeepSpeed dropped it for bf16 in 0.11.2, made it an option in 0.17.1 (`bf16.check_grad_overflow`),
    and switched it on in 0.19.3. Megatron-LLM before pull request 34 and Megatron-DeepSpeed before 434 had
    the same gap and counted "number of nan iterations: 0" beside a missing loss.

    ## How to tell
    bf16, one of these releases, and NaN to the end with no OVERFLOW line. This explains why one bad step was
    fatal, not why there was a bad step: a cause of the NaN itself, where the evidence has one, outranks it.

    ## What to do
    Switch the check on, and then count the skipped steps: many skips mean that the cause is still there.

    ## Sources
    DeepSpeed pull requests 4512 (first in v0.11.2), 6976 (v0.17.1) and 8035 (v0.19.3) by git log of the tags;
    `stage_1_and_2.py` at v0.12.5 checks under `if self.dtype == torch.float16` only. Megatron-DeepSpeed 434.
    """
    yield from weigh_yes(unguarded(run), 3)
    yield from weigh_yes(norm_is(run, explained, "nonfinite", "sentinel"), 1)
    yield from weigh_no(deepspeed_used(run), -2, "other trainers were not found to lack a guard that they had before")
    yield from weigh_yes(_megatron_counter(run), 5, "the counter stays at 0 without a scaler")
    yield Fix(
        "Let DeepSpeed skip nonfinite steps: an option from 0.17.1 on, the default from 0.19.3 on.",
        {"bf16.check_grad_overflow": True, "deepspeed": ">=0.19.4"},
        "https://github.com/deepspeedai/DeepSpeed/pull/6976",
    )
    yield Experiment("Run with the check on and count skipped steps.", "rare skips: cured; many: look further", 1)
