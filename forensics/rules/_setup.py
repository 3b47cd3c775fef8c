"""How the run was set up: precision, DeepSpeed, ranks, hardware, events of its log."""

import math
import re
from collections.abc import Collection

from forensics.analysis.crashes import own_exceptions
from forensics.model import Group, Run, Scalar, Setting, Source
from forensics.names import Kind
from forensics.rules._seen import Seen
from forensics.rules._versions import within, witness

NO_BF16 = re.compile(
    r"\b(V100|T4|P100|P40|K80|GTX ?\d+|RTX ?20\d\d|2080|TITAN (RTX|Xp|V)|Quadro RTX|M40)\b", re.IGNORECASE
)
"""Pascal, Volta and Turing boards: no bfloat16 units (compute capability below 8.0)."""
ACCELERATOR = re.compile(r"gpu$|gpu_name$|accelerator$")
"""Names under which readers give the board."""
HOPPER = re.compile(r"\b(H100|H200|H800|H20|GH200)\b", re.IGNORECASE)


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
    lies = within(run, package, affected)
    found = witness(run, package)
    if lies is None or found is None:
        return None
    where = "lies in" if lies else "lies outside"
    return Seen(lies, f"{package} {found.value} {where} {affected}", found.source, f"version of {package}")


def happened(run: Run, kind: str, *, told: str = "") -> Seen | None:
    """Tell whether the log shows an event; None when no event of any kind was read, as then no log may exist."""
    found = next(iter(run.timeline.events_of(kind)), None)
    if found is not None and len(found):
        count = run.timeline.count_of(kind)
        text = told or (f"the log says “{found.text.strip()[:160]}”" if found.text else f"the log shows {kind}")
        times = "once" if count == 1 else f"{count} times"
        return Seen(True, f"{text} ({times})", found.source_at(0), f"event {kind}")
    if run.timeline.events:
        return Seen(False, f"no {kind} line is in the log", None, f"event {kind}")
    return None


def said(run: Run, kind: str, pattern: re.Pattern[str]) -> Seen | None:
    """Tell whether an event was logged in words that match; None when no event of any kind was read."""
    for events in run.timeline.events_of(kind):
        if len(events) and pattern.search(events.text):
            told = " ".join(events.text.split())[:200]
            return Seen(True, f"the log says “{told}”", events.source_at(0), f"text of {kind}")
    if run.timeline.events:
        return Seen(False, f"no {kind} line that says so is in the log", None, f"text of {kind}")
    return None


def raised(run: Run) -> Seen | None:
    """Tell whether the script ended in an exception of its own; None when no event of any kind was read."""
    for events in own_exceptions(run):
        told = " ".join(events.text.split())[:160]
        return Seen(True, f"the log says “{told}”", events.source_at(0), "exception")
    return Seen(False, "no exception of the script is in the log", None, "exception") if run.timeline.events else None


def ended_by_signal(run: Run, *numbers: int) -> Seen | None:
    """Tell whether a launcher says that a process was ended by one of these signals; None when it says nothing.

    A launcher writes -9, a shell 137 for signal 9.
    """
    codes = [(events, i) for events in run.timeline.events_of(Kind.SIGNAL) for i in range(len(events))]
    for events, i in codes:
        code = float(events.values[i])
        if code in {float(-n) for n in numbers} | {128.0 + n for n in numbers}:
            said = f"a process ended with exit code {code:.0f}"
            return Seen(True, said, events.source_at(i), "exit code")
    return Seen(False, "no process was ended by a signal", None, "exit code") if codes else None


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
        return None
    ranks = "one process" if found[0] == 1 else f"{found[0]} processes"
    return Seen(found[0] > 1, f"the run has {ranks}", found[1], "world size")


def hardware_matches(run: Run, pattern: re.Pattern[str], what: str) -> Seen | None:
    """Tell whether a recorded accelerator name matches; None when no accelerator was recorded."""
    named = [s for s in run.environment.of("hardware") if ACCELERATOR.match(s.name) and isinstance(s.value, str)]
    for setting in named:
        if pattern.search(str(setting.value)):
            return Seen(True, f"the accelerator is {setting.value}, {what}", setting.source, "accelerator")
    if named:
        return Seen(False, f"the accelerator is {named[0].value}", named[0].source, "accelerator")
    return None


def rocm_build(run: Run) -> Seen | None:
    """Tell whether torch was built for ROCm, by the tag of its version; None where that has no tag."""
    found = run.environment.best("torch", "package")
    if found is None or "+" not in str(found.value):
        return None
    built = "+rocm" in str(found.value)
    return Seen(built, f"torch is {found.value}, a build for {'ROCm' if built else 'others'}", found.source, "build")


def has_metric(run: Run, *names: str) -> Seen | None:
    """Tell whether one of the metrics was logged; None when the run logged no metric at all."""
    for name in names:
        series = run.timeline.get(name)
        if series is not None and len(series):
            return Seen(True, f"{name} is logged", series.source_at(0), f"metric {names[0]}")
    return Seen(False, f"{names[0]} is not logged", None, f"metric {names[0]}") if run.timeline.series else None
