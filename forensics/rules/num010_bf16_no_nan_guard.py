"""bf16 without a guard against nonfinite steps."""

from collections.abc import Iterator

from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.plugin import rule
from forensics.rules._curves import norm_is
from forensics.rules._deepspeed import deepspeed_used, unguarded
from forensics.rules._seen import Seen, weigh, weigh_no, weigh_yes
from forensics.rules._setup import precision_is


def _megatron_counter(run: Run) -> Seen | None:
    if "megatron" not in run.frameworks:
        return None
    counted = run.timeline.get("nan_iterations") or run.timeline.get("number of nan iterations")
    if counted is None or not len(counted):
        return None
    zero = bool((counted.values == 0).all())
    said = f"Megatron counts {int(counted.values[-1])} nan iterations"
    return Seen(zero, said, counted.source_at(len(counted) - 1), "nan iterations")


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
    guard = unguarded(run)
    yield from weigh(guard, 3, -10)
    yield from weigh_yes(norm_is(run, explained, "nonfinite", "sentinel"), 1)
    yield from weigh_no(deepspeed_used(run), -4, "other trainers were not found to lack a guard that they had before")
    yield from weigh_yes(_megatron_counter(run), 5, "the counter stays at 0 without a scaler")
    yield from weigh_yes(precision_is(run, "fp16"), -10, "its scaler is the guard")
    yield Fix(
        "Let DeepSpeed skip nonfinite steps: an option from 0.17.1 on, the default from 0.19.3 on.",
        {"bf16.check_grad_overflow": True, "deepspeed": ">=0.17.1"},
        "https://github.com/deepspeedai/DeepSpeed/pull/6976",
    )
    yield Experiment("Run with the check on and count skipped steps.", "rare skips: cured; many: look further", 1)
