"""What the run recorded of DeepSpeed: whether it ran, at which ZeRO stage, with overlapping communication."""

from forensics.model import Run, Source
from forensics.names import Kind
from forensics.rules._seen import Seen, holds
from forensics.rules._setup import package_within, precision_is, whole_number
from forensics.rules._told import happened

UNGUARDED = ">=0.11.2,<0.19.3"
"""DeepSpeed releases that apply nonfinite bf16 gradients unless told otherwise (pull requests 4512 and 8035)."""

UNSET = {"", "none", "null", "false", "[]", "{}"}


def deepspeed_used(run: Run) -> Seen | None:
    """Tell whether DeepSpeed ran. An installed package proves nothing; an empty `deepspeed` argument nearly does.

    The argument is also empty under `accelerate launch --use_deepspeed`, so absence needs that no package of that
    name was recorded either, or a checkpoint with a plain optimizer state.
    """
    return _traces(run) or _absence(run)


def _traces(run: Run) -> Seen | None:
    stage = run.environment.best("zero_optimization.stage")
    if stage is not None:
        number = whole_number(run, stage.name)
        told = "set" if number is None else number
        return Seen(True, f"DeepSpeed ran (zero_optimization.stage is {told})", stage.source, "deepspeed")
    micro = run.environment.best("train_micro_batch_size_per_gpu")
    if micro is not None:
        said = "DeepSpeed ran (its configuration has train_micro_batch_size_per_gpu)"
        return Seen(True, said, micro.source, "deepspeed")
    if "deepspeed" in run.frameworks:
        return Seen(True, "DeepSpeed left its traces in the run", None, "deepspeed")
    setting = run.environment.best("deepspeed")
    if setting is not None and str(setting.value).lower() not in UNSET:
        return Seen(True, f"DeepSpeed ran (deepspeed is {setting.value})", setting.source, "deepspeed")
    return None


def _absence(run: Run) -> Seen | None:
    sharded = run.environment.best("fsdp")
    if sharded is not None and str(sharded.value).strip("[]'\" ").lower() not in UNSET:
        return Seen(False, f"the run used FSDP, not DeepSpeed (fsdp is {sharded.value})", sharded.source, "deepspeed")
    installed = run.has("package deepspeed")
    setting = run.environment.best("deepspeed")
    whole = [c for c in run.checkpoints if c.optimizer is not None and "deepspeed" not in c.kind]
    if setting is not None and not installed:
        return Seen(False, "DeepSpeed did not run (deepspeed is not set)", setting.source, "deepspeed")
    if setting is not None and whole:
        said = "DeepSpeed did not run (deepspeed is not set, and the optimizer state is a plain one)"
        return Seen(False, said, Source(whole[0].path), "deepspeed")
    packages = list(run.environment.of("package"))
    if not installed and len(packages) >= WHOLE_LIST:
        said = f"DeepSpeed is not among the {len(packages)} packages that were recorded"
        return Seen(False, said, packages[0].source, "deepspeed")
    return None


WHOLE_LIST = 10
"""A capture with this many packages is taken for a whole list, in which a missing name means not installed."""


def zero_stage(run: Run) -> tuple[int, Source] | None:
    setting, number = run.environment.best("zero_optimization.stage"), whole_number(run, "zero_optimization.stage")
    return None if setting is None or number is None else (number, setting.source)


def stage_in(run: Run, *wanted: int) -> Seen | None:
    """Tell whether DeepSpeed ran at one of the stages; it did at none where it did not run at all."""
    found = zero_stage(run)
    if found is None:
        used = deepspeed_used(run)
        return Seen(False, used.statement, used.source, "zero stage") if used is not None and not used.holds else None
    return Seen(found[0] in wanted, f"ZeRO stage is {found[0]}", found[1], "zero stage")


def pipeline_engine(run: Run) -> Seen | None:
    """Tell whether DeepSpeed's pipeline engine ran, by its setting or by the line that lays out the stages."""
    setting, stages = run.environment.best("pipeline.stages"), run.environment.number("pipeline.stages")
    if setting is not None and stages is not None:
        return Seen(stages > 1, f"pipeline.stages is {setting.value}", setting.source, "pipeline")
    laid = happened(run, Kind.PIPELINE_ENGINE)
    if laid is not None and laid.holds:
        return Seen(True, laid.statement, laid.source, "pipeline")
    used = deepspeed_used(run)
    return None if used is None or used.holds else Seen(False, used.statement, used.source, "pipeline")


def overlap_comm(run: Run) -> Seen | None:
    """Tell whether communication overlaps; unset means true for stage 3 only (DeepSpeed, `zero/config.py`)."""
    name = "zero_optimization.overlap_comm"
    setting, flag = run.environment.best(name), run.environment.flag(name)
    if setting is not None and flag is not None:
        return Seen(flag, f"overlap_comm is {setting.value}", setting.source, "overlap_comm")
    found = zero_stage(run)
    # only a DeepSpeed configuration that was read as a whole tells that the key is absent
    if found is None or not run.has("zero_optimization.reduce_bucket_size"):
        return None
    return Seen(
        found[0] == 3,
        f"overlap_comm is not set, which means {found[0] == 3} for stage {found[0]}",
        found[1],
        "overlap_comm",
    )


def unguarded(run: Run) -> Seen | None:
    """Tell whether the recorded DeepSpeed applies bf16 gradients without looking for NaN."""
    asked = run.environment.best("bf16.check_grad_overflow")
    if asked is not None and run.environment.flag("bf16.check_grad_overflow"):
        return Seen(False, "bf16.check_grad_overflow is true", asked.source, "guard")
    if not holds(precision_is(run, "bf16")) or not holds(deepspeed_used(run)):
        return None
    version = package_within(run, "deepspeed", UNGUARDED)
    if version is None:
        return None
    said = f"{version.statement}, where bf16 gradients are applied unchecked" if version.holds else version.statement
    return Seen(version.holds, said, version.source, "guard")


def clipping_left_out(run: Run) -> Seen | None:
    """Tell whether the Trainer was told to clip and the DeepSpeed configuration, read as a whole, has no such key.

    Under DeepSpeed only the engine clips: `Accelerator.clip_grad_norm_` (accelerate 1.10) merely asks it for the
    norm, and `HfTrainerDeepSpeedConfig` (transformers 4.57) fills in "auto" but adds no key. The engine's default is
    0.0, no clipping (`GRADIENT_CLIPPING_DEFAULT`).
    """
    stage, asked = run.environment.best("zero_optimization.stage"), run.environment.number("max_grad_norm")
    if stage is None:
        return None
    setting = run.environment.best("gradient_clipping")
    if setting is not None:
        return Seen(False, f"gradient_clipping is {setting.value}", setting.source, "clipping")
    whole = stage.source.path.endswith(".json") or run.has("zero_optimization.reduce_bucket_size")
    if not whole or asked is None or asked <= 0:
        return None
    said = f"max_grad_norm is {asked:g}, but the DeepSpeed configuration has no gradient_clipping: nothing is clipped"
    return Seen(True, said, stage.source, "clipping")


def clipping(run: Run) -> Seen | None:
    """Tell whether gradients are clipped by their global norm."""
    left_out = clipping_left_out(run)
    if holds(left_out):
        assert left_out is not None
        return Seen(False, left_out.statement, left_out.source, "clipping")
    for name in ("gradient_clipping", "max_grad_norm"):
        setting, number = run.environment.best(name), run.environment.number(name)
        if setting is not None and number is not None:
            return Seen(number > 0, f"{name} is {setting.value}", setting.source, "clipping")
    return None
