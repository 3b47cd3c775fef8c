"""NaN gradients reached the weights."""

from collections.abc import Iterator

from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.names import Kind
from forensics.plugin import Condition, rule
from forensics.rules._curves import evaluations_broke, norm_is, onset
from forensics.rules._deepspeed import unguarded
from forensics.rules._seen import Seen, first, held, opposite, unless, weigh_no, weigh_yes
from forensics.rules._tensors import poisoned, widespread
from forensics.rules._told import happened


def _carries_nan(run: Run, explained: Explained) -> Seen | None:
    """Tell whether a gradient or a weight holds NaN; None where neither norms, weights nor evaluations tell."""
    saved, asserted = poisoned(run, explained), happened(run, Kind.NAN_ASSERTION)
    norm = norm_is(run, explained, "nonfinite", "sentinel")
    return first(
        held(saved), held(asserted), unless(norm, opposite(saved)), saved, held(evaluations_broke(run, explained))
    )


def _to_the_end(explained: Explained) -> Seen | None:
    if explained.finding.until is not None or onset(explained) is None:
        return None
    if explained.finding.symptom not in {"loss-to-zero", "loss-nan", "grad-norm-nan", "grad-norm-sentinel"}:
        return None
    said = f"it never recovers after step {onset(explained)}, as when the weights are NaN"
    return Seen(True, said, explained.finding.source, "never recovers")


@rule(
    "NUM001",
    "nan-gradient-applied",
    explains=(
        "nan-loss-logged-as-zero",
        "nan-norm-shown-as-sentinel",
        "nan-spread-by-clipping",
        "loss-nan",
        "grad-norm-nan",
        "eval-nan",
        "weights-nan",
        "weights-inf",
        "optimizer-nan",
        "crash-exception",
    ),
    mechanism=True,
    helps=("grad_norm", "weights", "events", "package deepspeed", "bf16"),
    references=(
        "https://github.com/deepspeedai/DeepSpeed/pull/4512",
        "https://github.com/deepspeedai/DeepSpeed/pull/6976",
        "https://github.com/deepspeedai/DeepSpeed/pull/8035",
        "https://github.com/deepspeedai/DeepSpeed/issues/5223",
        "https://github.com/deepspeedai/DeepSpeed/issues/5241",
        "https://github.com/hiyouga/LlamaFactory/issues/9298",
        "https://github.com/deepspeedai/Megatron-DeepSpeed/issues/203",
    ),
    requires=(Condition("a gradient that was applied holds NaN", _carries_nan),),
)
def nan_gradient_applied(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """A gradient with NaN or infinities was applied, and from then on the weights are NaN.

    ## What happens
    One NaN element is enough: clipping multiplies every gradient by a NaN norm, Adam writes NaN into its
    moments and into the fp32 master weights, and every later forward pass gives NaN. A learning rate of 0
    does not protect (0 * NaN is NaN). fp16 runs have a scaler that skips such steps; bf16 runs mostly have
    no guard: DeepSpeed from 0.11.2 to 0.19.2 applies them unchecked unless `bf16.check_grad_overflow` is set
    (from 0.17.1 on).

    ## How to tell
    grad_norm is NaN (or DeepSpeed's constant) from the onset to the end, and the first checkpoint after it
    holds NaN in nearly all tensors that train. If a later checkpoint is finite, or grad_norm recovers, no
    NaN was applied. If grad_norm is exactly 0.0, the labels are masked.

    ## What to do
    Nothing saved after the onset can be used, optimizer state included. Go back to the last clean
    checkpoint, and add a guard so that one bad step is skipped instead of ending the run.

    ## Sources
    DeepSpeed pull requests 4512 (check dropped for bf16, 0.11.2), 6976 (option, 0.17.1), 8035 (default,
    0.19.3); measured with torch 2.13: one NaN element and clip_grad_norm_ make every gradient NaN.
    """
    yield from weigh_yes(norm_is(run, explained, "nonfinite"), 5)
    yield from weigh_yes(norm_is(run, explained, "sentinel"), 4, "DeepSpeed's sign of NaN gradients")
    yield from weigh_yes(poisoned(run, explained), 4)
    yield from weigh_yes(widespread(run), 2, "one bad gradient does that")
    yield from weigh_yes(evaluations_broke(run, explained), 3, "an evaluation only runs forward: the weights are NaN")
    yield from weigh_yes(_to_the_end(explained), 2)
    guard = unguarded(run)
    yield from weigh_yes(guard, 2)
    yield from weigh_no(guard, -2, "such steps are skipped there")
    yield from weigh_yes(happened(run, Kind.NAN_ASSERTION), 5, "it means a norm of NaN, not of zero")
    yield from weigh_yes(happened(run, Kind.NONFINITE_SKIPPED), -2, "the steps were skipped")
    yield from weigh_yes(happened(run, Kind.OVERFLOW), -2, "a scaler guards the run")
    yield Fix(
        "Guard bf16 steps: DeepSpeed 0.17.1 and later skip a nonfinite step when asked to, 0.19.3 by default.",
        {"bf16.check_grad_overflow": True, "deepspeed": ">=0.19.4"},
        "https://github.com/deepspeedai/DeepSpeed/pull/8035",
    )
    yield Experiment(
        "Log grad_norm at every step (logging_steps=1) and save just before the onset.",
        "grad_norm is NaN at one step while the loss of that step is still finite",
        1,
    )
