"""Gradients corrupted in flight by DeepSpeed's overlapped ZeRO-1/2 reduction."""

from collections.abc import Iterator

from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.names import Kind
from forensics.plugin import Condition, rule
from forensics.rules._curves import healthy_before, norms_grew, sudden
from forensics.rules._deepspeed import deepspeed_used, overlap_comm, stage_in, unguarded
from forensics.rules._recorded import beyond_float16, reduction_made_it
from forensics.rules._seen import Seen, fails, holds, opposite, unless, weigh_no, weigh_yes
from forensics.rules._setup import precision_is, setting_is, several_ranks
from forensics.rules._tensors import single
from forensics.rules._told import happened
from forensics.rules._versions import Affected, within, witness

ISSUES = "https://github.com/deepspeedai/DeepSpeed/issues"
PULLS = "https://github.com/deepspeedai/DeepSpeed/pull"

COMPILE_RACES = ">=0.18.5,<0.19.3"
FIXED = ">=0.19.3"
RACES = Affected("deepspeed", ">=0.12.4,<0.19.3", "commit and tag", "commit and tag")
"""By `git tag --contains`: pull request 4695 is first in 0.12.4, and 5606, 7371, 7805 and 8080 are all in 0.19.3."""
WINDOWS = (
    ("<0.11.2", -2, "it reduces per rank (no pull request 4695) and skips steps with NaN"),
    (">=0.11.2,<0.12.4", -1, "users found 0.11.2 to 0.12.3 good"),
    (
        ">=0.12.4,<0.14.3",
        4,
        "multi-rank bucket all-reduce (pull request 4695) without the two-way stream wait (5606)",
    ),
    (">=0.14.3,<0.17.2", 1, "the main race is fixed in 0.14.3, reports continue to 0.16"),
    (">=0.17.2,<0.17.5", 3, "bucket.clear() resets the ping-pong index here (pull request 6993)"),
    (">=0.17.5,<0.18.5", -1, "overlap is masked here (pull request 7371)"),
    (COMPILE_RACES, -2, "the buffer race is fixed in 0.18.5 (pull request 7805)"),
    (FIXED, -2, "every known variant is fixed by 0.19.3"),
)
SUPPORTS = 1
"""What a release says of a race of the overlap where nothing overlaps: users saw the fault there, too (issue 6351)."""
SMALL_BUCKET = 5e7
"""Reporters cured the fault by going from 5e7 to 2e8 (DeepSpeed issue 5347)."""


def _version(run: Run) -> Iterator[Evidence]:
    found = witness(run, "deepspeed")
    for affected, usual, reason in WINDOWS:
        points, why = usual, reason
        if found is not None and within(run, "deepspeed", affected):
            if affected == COMPILE_RACES and run.environment.flag("torch_compile"):
                points, why = 1, "with torch.compile the buffers still race here (pull request 8080)"
            if points > SUPPORTS and fails(overlap_comm(run)):
                points, why = SUPPORTS, f"{why}; without overlap that race cannot happen"
            said = f"deepspeed {found.value} lies in {affected}: {why}"
            yield Evidence(points, said, found.source, "version of deepspeed")


def _with_the_race(run: Run) -> Seen | None:
    """Tell whether the release is one in which a race of the reduction is known."""
    return RACES.seen(run)


def _reduced(run: Run) -> Seen | None:
    """Tell whether several processes train, and whether the fault may lie in what they reduce.

    A black box that saw a rank's own gradient fail first, or gradients beyond float16, shows that it does not.
    """
    return unless(several_ranks(run), opposite(reduction_made_it(run)), beyond_float16(run))


def _small_bucket(run: Run) -> Seen | None:
    name = "zero_optimization.reduce_bucket_size"
    setting, size = run.environment.best(name), run.environment.number(name)
    if setting is None:
        return None
    if str(setting.value) == "auto":
        return Seen(True, "reduce_bucket_size is auto, hidden_size squared", setting.source, "bucket")
    if size is None:
        return None
    return Seen(size <= SMALL_BUCKET, f"reduce_bucket_size is {setting.value}", setting.source, "bucket")


def _fixes() -> Iterator[Fix | Experiment]:
    yield Fix(
        "Set zero_optimization.overlap_comm to false: reduction and backward pass no longer share a buffer"
        " in time, at the cost of some speed. No package changes.",
        {"zero_optimization.overlap_comm": False},
        f"{ISSUES}/5242",
    )
    yield Fix(
        "Install deepspeed 0.11.1: it has neither the multi-rank bucket all-reduce nor the dropped bf16 check, so"
        " it also skips a step with NaN gradients: count its skipped steps afterwards. Users found 0.12.3 good, too."
        " The overlap of releases before 0.12.4 has a slower fault of its own (DIST015): watch that the loss falls.",
        {"deepspeed": "0.11.1"},
        f"{PULLS}/4695",
    )
    yield Fix(
        "Or install deepspeed 0.19.4 or later: the buffer races are fixed in 0.18.5 (with torch.compile in 0.19.3),"
        " what else is known of these releases by 0.19.4. Let it skip nonfinite bf16 steps.",
        {"deepspeed": ">=0.19.4", "bf16.check_grad_overflow": True},
        f"{PULLS}/7805",
    )
    yield Fix(
        "Or stay on this version and reduce per rank again, which is slower; the switch came with 0.12.4.",
        {"zero_optimization.use_multi_rank_bucket_allreduce": False},
        f"{PULLS}/4695",
    )
    yield Fix(
        "To stay on this version with overlap, raise reduce_bucket_size; fewer, larger buckets made it disappear"
        " for several users, but nothing guarantees it.",
        {"zero_optimization.reduce_bucket_size": 500000000},
        f"{ISSUES}/5347",
    )
    yield Experiment("Pin deepspeed==0.11.1 and run the same steps.", "the loss stays finite past the onset", 1)
    yield Experiment("Set overlap_comm to false and run past the onset.", "no NaN", 1)
    yield Experiment("Run the same steps on one GPU.", "no NaN: nothing is reduced there", 2)
    yield Experiment("Run with ZeRO stage 3, or without DeepSpeed.", "no NaN: another reduction path", 3)


@rule(
    "DIST001",
    "ds-zero12-comm-corruption",
    explains=(
        "reduction-made-nan",
        "nan-gradient-applied",
        "grad-norm-nan",
        "grad-norm-nan-isolated",
        "loss-divergence",
        "grad-norm-explosion",
    ),
    helps=(
        "package deepspeed",
        "zero_optimization.stage",
        "zero_optimization.overlap_comm",
        "zero_optimization.reduce_bucket_size",
        "world_size",
        "bf16",
        "grad_norm",
    ),
    cases=23,
    references=(
        f"{ISSUES}/5242",
        f"{ISSUES}/5347",
        f"{PULLS}/4695",
        f"{PULLS}/5606",
        f"{PULLS}/7371",
        f"{PULLS}/7805",
        f"{PULLS}/8080",
        "https://github.com/shibing624/MedicalGPT/issues/296",
        "https://github.com/deepspeedai/DeepSpeed/issues/7188",
        "https://github.com/hiyouga/LlamaFactory/issues/6966",
        "https://github.com/haotian-liu/LLaVA/commit/24fa1d0",
        "https://github.com/haotian-liu/LLaVA/issues/1231",
        "https://github.com/haotian-liu/LLaVA/issues/1621",
    ),
    requires=(
        Condition("DeepSpeed ran at ZeRO stage 1 or 2", lambda run, _: stage_in(run, 1, 2)),
        Condition("several processes train", lambda run, _: _reduced(run)),
        Condition("the release of DeepSpeed is one with the race", lambda run, _: _with_the_race(run)),
    ),
)
def ds_zero12_comm_corruption(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """DeepSpeed ZeRO-1/2 corrupts gradients while it reduces them: a race in the overlapped bucket all-reduce.

    ## What happens
    DeepSpeed 0.12.4 replaced one reduce per rank by one all-reduce over a bucket that mixes the slices of
    several ranks. With overlap_comm the reduction runs on a stream of its own, while the backward pass may
    already refill the same buffer, so garbage enters the averaged gradients. A two-way wait between the
    streams (0.14.3) fixed the main race; buffer reuse stayed fragile until 0.18.5, and with torch.compile
    until 0.19.3. From 0.11.2 to 0.19.2 no check stops the NaN in bf16, so one bad step ends the run.

    ## How to tell
    Stage 1 or 2, overlap_comm true, more than one process, a small or automatic bucket (the Trainer's "auto"
    is hidden_size squared, 1.7e7 for 4096), bf16. The norms are healthy, then NaN from one step to the next.
    One GPU, stage 3 or overlap_comm false make it go away. Against it: one process, stage 3, a gradient norm
    that grew before, NaN in a single tensor, a loss scaler's skipped steps. overlap_comm false alone did not
    help in LLaMA-Factory issue 9567 and DeepSpeed issue 6351, so it ranks and does not prove.

    ## What to do
    Set overlap_comm to false, or install 0.11.1 or a release from 0.18.5 on; start again from the last clean
    checkpoint.

    ## Sources
    DeepSpeed pull requests 4695 (first in 0.12.4), 5606 (0.14.3), 6993 (0.17.2), 7371 (0.17.5), 7805
    (0.18.5), 8080 (0.19.3), by `git tag --contains`; issues 5242 (0.12.3 good, 0.12.4 bad), 5347, 7188;
    MedicalGPT issue 296.
    """
    used = deepspeed_used(run)
    yield from _version(run)
    stage = stage_in(run, 1, 2)
    yield from weigh_yes(stage, 2, "the reduction of stages 1 and 2 is concerned")
    yield from weigh_yes(several_ranks(run), 1)
    overlap = overlap_comm(run)
    if holds(stage):
        yield from weigh_yes(overlap, 3, "reduction and backward pass share a buffer")
        yield from weigh_no(overlap, -2, "without overlap the main race cannot happen")
        yield from weigh_yes(_small_bucket(run), 1, "many small buckets, many chances for the race")
        yield from weigh_yes(setting_is(run, "zero_optimization.use_multi_rank_bucket_allreduce", (False,)), -2)
        yield from weigh_yes(
            setting_is(run, "zero_optimization.contiguous_gradients", (False,)), -2, "no shared buffer"
        )
        yield from weigh_yes(precision_is(run, "bf16"), 1)
        yield from weigh_yes(unguarded(run), 1)
    yield from weigh_yes(precision_is(run, "fp16"), -2, "its scaler skips bad steps")
    yield from weigh_yes(happened(run, Kind.OVERFLOW), -2, "a scaler at work points to fp16")
    if holds(used) and not fails(overlap) and holds(healthy_before(run, explained)):
        yield from weigh_yes(sudden(run, explained), 2, "a race strikes without warning")
    yield from weigh_yes(norms_grew(run, explained), -2, "a divergence, not a race")
    yield from weigh_yes(single(run), -2, "the race hits slices of many tensors")
    yield from weigh_yes(happened(run, Kind.CUDNN_SDPA_STRIDES), -2)
    yield from _fixes()
