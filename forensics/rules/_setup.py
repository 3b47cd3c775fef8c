"""How the run was set up: precision, DeepSpeed, ranks, hardware, events of its log."""

import math
import re
from collections.abc import Collection

import numpy as np

from forensics.deferred.patterns import expression
from forensics.model import Explained, Group, Run, Scalar, Setting, Source
from forensics.names import LEARNING_RATE, LOSS_SCALE, Kind
from forensics.rules import _curves as curves
from forensics.rules import _rates as rates
from forensics.rules import _tensors as tensors
from forensics.rules._seen import Seen, first, held, unless
from forensics.rules._told import happened, said
from forensics.rules._versions import Affected

NO_BF16 = expression(
    r"\b(V100|T4|P100|P40|K80|GTX ?\d+|RTX ?20\d\d|2080|TITAN (RTX|Xp|V)|Quadro RTX|M40)\b", re.IGNORECASE
)
"""Pascal, Volta and Turing boards: no bfloat16 units (compute capability below 8.0)."""
ACCELERATOR = expression(r"gpu$|gpu_name$|accelerator$")
"""Names under which readers give the board."""
HOPPER = expression(r"\b(H100|H200|H800|H20|GH200)\b", re.IGNORECASE)


def whole_number(run: Run, name: str, group: Group = "setting") -> int | None:
    """Return a setting as a whole number of zero or more; None when it is absent, "auto" or no such number."""
    number = run.environment.number(name, group)
    return int(number) if number is not None and math.isfinite(number) and number >= 0 else None


def setting_is(run: Run, name: str, wanted: Collection[Scalar]) -> Seen | None:
    """Tell whether a setting has one of the wanted values; truth values and numbers are read from text."""
    setting = run.environment.best(name)
    if setting is None:
        return None
    found: set[Scalar] = {setting.value}
    flag, number = run.environment.flag(name), run.environment.number(name)
    if flag is not None:
        found = {flag}
    elif number is not None:
        found.add(number)
    # True == 1 in Python: a flag must not pass for a number
    match = any(type(v) is type(w) and v == w for v in found for w in wanted) or any(
        not isinstance(w, bool) and isinstance(w, int | float) and number is not None and number == w for w in wanted
    )
    return Seen(match, f"{name} is {setting.value}", setting.source, name)


def is_set(run: Run, name: str) -> Seen | None:
    """Tell whether a setting is set to something; null, empty and false count as not set."""
    setting = run.environment.best(name)
    if setting is None:
        return None
    value = setting.value
    empty = value is None or value is False or str(value).strip().lower() in {"", "none", "false", "null", "[]", "{}"}
    return Seen(not empty, f"{name} is {value}", setting.source, name)


def package_within(run: Run, package: str, affected: str) -> Seen | None:
    """Tell whether the recorded version lies in a PEP 440 range; None when no version was recorded."""
    return Affected(package, affected).seen(run)


def _first_flag(run: Run, names: tuple[str, ...]) -> Setting | None:
    flags = (run.environment.best(name) for name in names if run.environment.flag(name) is not None)
    return next(flags, None)


BF16 = ("bf16.enabled", "bfloat16.enabled", "bf16", "pure_bf16")
FP16 = ("fp16.enabled", "fp16")
WEIGHT_DTYPES = ("torch_dtype", "dtype", "model.torch_dtype", "model.dtype")


def precision_setting(run: Run) -> tuple[str, Setting] | None:
    """Return what the run computed in, "bf16", "fp16" or "fp32", and the setting that says so.

    DeepSpeed's own switches outrank the Trainer's, as the engine decides; "fp32" is said only where both switches
    were recorded as off.
    """
    half = {"bf16": BF16, "fp16": FP16}
    for name, switches in half.items():
        setting = _first_flag(run, switches[:1])
        if setting is not None and run.environment.flag(setting.name):
            return name, setting
    for name, switches in half.items():
        for switch in switches[1:]:
            setting = run.environment.best(switch)
            if setting is not None and run.environment.flag(switch):
                return name, setting
    for name in ("mixed_precision", "accelerate.mixed_precision", "precision"):
        setting = run.environment.best(name)
        text = str(setting.value).lower() if setting is not None else ""
        for kind in ("bf16", "fp16"):
            if setting is not None and (kind in text or (kind == "fp16" and text.startswith("16"))):
                return kind, setting
    off = [_first_flag(run, switches) for switches in half.values()]
    return ("fp32", off[0]) if off[0] is not None and off[1] is not None else None


def precision_is(run: Run, *wanted: str) -> Seen | None:
    found = precision_setting(run)
    if found is None:
        return None
    kind, setting = found
    return Seen(
        kind in wanted,
        f"the run computes in {kind} ({setting.name} is {setting.value})",
        setting.source,
        "precision",
    )


_COMPILED = expression(r"torch[./]_(?:dynamo|inductor)\b|backend='inductor'")


def compiled(run: Run) -> Seen | None:
    """Tell whether torch.compile was in use: by its setting, or by an exception out of its own code."""
    told = said(run, Kind.TRACEBACK, _COMPILED)
    if told is not None and told.holds:
        return Seen(True, f"{told.statement}, out of torch.compile", told.source, "torch.compile")
    return setting_is(run, "torch_compile", [True])


FP16_LINES = (Kind.OVERFLOW, Kind.LOSS_SCALE_AT_MINIMUM, Kind.UNSCALE_FP16, Kind.WEIGHTS_IN_FP16)


def fp16_used(run: Run) -> Seen | None:
    """Tell whether the run trained in fp16: by settings, by a loss scale that is logged, by a line of its scaler."""
    lines = (happened(run, kind) for kind in FP16_LINES)
    line = next((line for line in lines if line is not None and line.holds), None)
    return fp16_told(run) or (None if line is None else Seen(True, line.statement, line.source, "precision"))


def fp16_told(run: Run) -> Seen | None:
    """Tell whether settings or a loss scale say that the run trained in fp16."""
    found, scale = precision_is(run, "fp16"), run.timeline.get(LOSS_SCALE)
    if found is not None or scale is None or not np.any(scale.values > 1):
        return found
    said = f"a loss scale is logged (up to {float(np.nanmax(scale.values)):g}), as fp16 needs one"
    return Seen(True, said, scale.source_at(0), "precision")


ATTENTION = ("attn_implementation", "model._attn_implementation", "model.attn_implementation", "_attn_implementation")


def attention_matches(run: Run, wanted: str) -> Seen | None:
    """Tell whether the attention implementation matches; None where it was not recorded, or left to "auto"."""
    for name in (*ATTENTION, "flash_attn"):
        setting = run.environment.best(name)
        if setting is not None and setting.value not in {None, "", "auto", True, False}:
            found = re.search(wanted, str(setting.value), re.IGNORECASE) is not None
            return Seen(found, f"{name} is {setting.value}", setting.source, "attention")
    return None


def pretrained_in(run: Run, wanted: str) -> Seen | None:
    """Tell whether the model's configuration says that its weights were saved in a dtype ("bfloat16")."""
    for name in ("model.torch_dtype", "model.dtype"):
        setting = run.environment.best(name)
        if setting is not None and setting.value is not None:
            said = f"{name} in the model's configuration is {setting.value}"
            return Seen(wanted in str(setting.value), said, setting.source, "dtype of the model")
    return None


def world_size(run: Run) -> tuple[int, Source] | None:
    """Return the number of processes and where it was read."""
    groups: tuple[Group, ...] = ("setting", "hardware", "variable")
    for group in groups:
        for name in ("world_size", "WORLD_SIZE", "num_processes", "accelerate.num_processes"):
            setting, number = run.environment.best(name, group), whole_number(run, name, group)
            if setting is not None and number:
                return number, setting.source
    checkpoint = next((c for c in run.checkpoints if c.world_size), None)
    if checkpoint is None or checkpoint.world_size is None:
        return None
    return checkpoint.world_size, Source(checkpoint.path)


def several_ranks(run: Run) -> Seen | None:
    found = world_size(run)
    if found is None:
        told = run.environment.best("multi_gpu")
        several = run.environment.flag("multi_gpu")
        if told is None or several is None:
            return None
        return Seen(
            several, f"the run has {'several processes' if several else 'one process'}", told.source, "world size"
        )
    ranks = "one process" if found[0] == 1 else f"{found[0]} processes"
    return Seen(found[0] > 1, f"the run has {ranks}", found[1], "world size")


def in_a_collective(run: Run) -> Seen | None:
    """Tell whether several ranks took part: by their number, or because a collective of theirs failed."""
    failed = (happened(run, kind) for kind in (Kind.NCCL_TIMEOUT, Kind.NCCL_ERROR))
    return first(several_ranks(run), *(held(seen) for seen in failed))


def hardware_matches(run: Run, pattern: re.Pattern[str], what: str) -> Seen | None:
    """Tell whether a recorded accelerator name matches; None when no accelerator was recorded."""
    named = [s for s in run.environment.of("hardware") if ACCELERATOR.match(s.name) and isinstance(s.value, str)]
    for setting in named:
        if pattern.search(str(setting.value)):
            return Seen(True, f"the accelerator is {setting.value}, {what}", setting.source, "accelerator")
    if named:
        return Seen(False, f"the accelerator is {named[0].value}", named[0].source, "accelerator")
    return None


def has_metric(run: Run, *names: str) -> Seen | None:
    """Tell whether one of the metrics was logged; None when the run logged no metric at all."""
    for name in names:
        series = run.timeline.get(name)
        if series is not None and len(series):
            return Seen(True, f"{name} is logged", series.source_at(0), f"metric {names[0]}")
    return Seen(False, f"{names[0]} is not logged", None, f"metric {names[0]}") if run.timeline.series else None


WITHOUT_GRAPH = expression(
    "does not require grad and does not have a grad_fn|One of the differentiated Tensors does not require grad"
    "|optimizer got an empty parameter list"
    "|No gradients provided for any variable|not needed in cases when no parameters require gradient"
)
"""What refuses to train nothing: torch.autograd of a loss that hangs on no parameter that trains (torch 2.13,
`_engine_run_backward`), its optimizers without a parameter, Keras' `apply_gradients`."""


def no_gradient_flows(run: Run, explained: Explained) -> Seen | None:
    """Tell whether no gradient reaches a parameter: a norm of exactly 0, or a backward pass that found no graph."""
    refused = said(run, Kind.TRACEBACK, WITHOUT_GRAPH)
    if refused is not None and refused.holds:
        return refused
    still = tensors.unmoved(run)
    falls = None if still is not None and still.holds else curves.loss_falls(run, curves.onset(explained))
    # Only a gradient that reached a parameter can overflow.
    return unless(curves.norm_is(run, explained, "zero"), falls, happened(run, Kind.OVERFLOW))


def rate_stands(run: Run, _: Explained) -> Seen | None:
    """Tell whether the rate stays at its highest value although the schedule that was asked for decays."""
    setting, series = run.environment.best("lr_scheduler_type"), run.timeline.get(LEARNING_RATE)
    if setting is None or series is None or len(series) < 5:
        return None
    if not re.search("cosine|linear|polynomial", str(setting.value), re.IGNORECASE):
        return Seen(False, f"lr_scheduler_type is {setting.value}", setting.source, "schedule in force")
    late = series.values[len(series) // 2 :]
    stands = bool(np.all(late == late[0]) and late[0] > 0 and late[0] == np.nanmax(series.values))
    told = f"stays at {late[0]:g}" if stands else "moves"
    said = f"lr_scheduler_type is {setting.value}, and learning_rate {told} in the second half of the entries"
    return Seen(stands, said, series.source_at(len(series) - 1), "schedule in force")


def counter_began_anew(run: Run, explained: Explained) -> Seen | None:
    """Tell whether a counter of the optimizer or the schedule began anew, or a resume was refused for its lack."""
    refused = said(run, Kind.CHECKPOINT_REFUSED, re.compile("Can't find a valid checkpoint at"))
    if refused is not None and refused.holds:
        return refused
    counted = tensors.problem_matches(run, "its optimizer has counted")
    if counted is not None and counted.holds:
        return counted
    by_design = setting_matches(run, "lr_scheduler_type", "restart")
    return unless(rates.schedule_restarted(run, explained), by_design)


def setting_matches(run: Run, name: str, wanted: str) -> Seen | None:
    """Tell whether the text of a setting matches; None when it was not recorded."""
    setting = run.environment.best(name)
    if setting is None or setting.value is None:
        return None
    found = re.search(wanted, str(setting.value), re.IGNORECASE) is not None
    return Seen(found, f"{name} is {setting.value}", setting.source, name)


PLANNED = 0.9
"""Share of the planned steps from which a run is at its end."""


def warmup_too_long(run: Run) -> Seen | None:
    """Tell whether the warm-up takes as many steps as are planned: by both numbers, or as the rate itself shows it."""
    setting, warmup = run.environment.best("warmup_steps"), run.environment.number("warmup_steps")
    planned, series = run.planned_steps, run.timeline.get(LEARNING_RATE)
    if planned is None:
        return None
    if setting is not None and warmup is not None:
        said = f"warmup_steps is {setting.value} of {planned:,} planned steps"
        return Seen(warmup >= planned > 1, said, setting.source, "warm-up")
    if series is None or series.axis != "step" or len(series) < 5 or series.steps[-1] < PLANNED * planned:
        return None
    rises = bool(np.all(np.diff(series.values) > 0))
    said = (
        f"learning_rate {'only rises' if rises else 'falls again'} until step {series.steps[-1]} of {planned:,} planned"
    )
    return Seen(rises, said, series.source_at(len(series) - 1), "warm-up")
