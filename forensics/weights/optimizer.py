"""Optimizer, scheduler and scaler files, read as data."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from forensics.formats.pickle_values import Record, StoredTensor
from forensics.formats.torch_file import TorchFile, read_elements
from forensics.model import Artifact, OptimizerState
from forensics.storage.file import File
from forensics.weights.found import Found, open_torch

SMALL_BYTES = 4096
MOST_STEPS = 1024
"""Step counters read of one optimizer: a few bytes each."""


def read_optimizer(found: Found, optimizer: TorchFile | None, artifact: Artifact | None) -> OptimizerState | None:
    """Return what an optimizer file says, see `state_of`; None when there is none or it is no such dict."""
    if optimizer is None or artifact is None or not isinstance(optimizer.value, Mapping):
        return None
    return state_of(found, optimizer.value, artifact)


def state_of(found: Found, saved: Mapping[object, object], artifact: Artifact) -> OptimizerState | None:
    """Return what `torch.optim.Optimizer.state_dict()` says about itself.

    The step counter is the largest of the state's `step` entries, which torch keeps a tensor since 1.12; counters
    that disagree become a problem of the checkpoint.
    """
    groups = saved.get("param_groups")
    state = saved.get("state")
    listed = list(groups.values()) if isinstance(groups, Mapping) else groups
    first = listed[0] if isinstance(listed, list) and listed and isinstance(listed[0], Mapping) else {}
    betas = first.get("betas")
    pair = betas if isinstance(betas, tuple | list) and len(betas) == 2 else (None, None)
    steps = _steps(state, artifact) or [step for step in [whole(first.get("step"))] if step is not None]
    return OptimizerState(
        learning_rates=group_numbers(listed, "lr"),
        weight_decays=group_numbers(listed, "weight_decay"),
        beta1=real(pair[0]),
        beta2=real(pair[1]),
        epsilon=real(first.get("eps")),
        step=checked_steps(found, steps),
        kind="adam" if "betas" in first else "sgd" if "momentum" in first else "",
    )


def checked_steps(found: Found, steps: Sequence[int]) -> int | None:
    """Return the optimizer's step; parameters that count different steps become a problem.

    Adam's bias correction is per parameter: one that lacks steps had no gradient, or was added later.
    """
    if not steps:
        return None
    low, high = min(steps), max(steps)
    if low != high:
        behind = sum(step < high for step in steps)
        found.suspicious(
            f"the step counters of the optimizer disagree: {behind} of {len(steps)} parameters looked at are "
            f"behind ({low:,} against {high:,} steps): they had no gradient in some steps, or began later",
            found.path,
        )
    return high


def add_scheduler(found: Found, state: OptimizerState | None, artifact: Artifact) -> OptimizerState:
    """Add `last_epoch` of a torch scheduler, which counts its steps."""
    state = state or OptimizerState()
    read = open_torch(found, artifact)
    if read is None or not isinstance(read.value, Mapping):
        return state
    return replace(state, scheduler_step=whole(read.value.get("last_epoch")))


def add_scaler(found: Found, state: OptimizerState | None, artifact: Artifact) -> OptimizerState:
    """Add the scale of a `torch.amp.GradScaler` state."""
    state = state or OptimizerState()
    read = open_torch(found, artifact)
    if read is None or not isinstance(read.value, Mapping):
        return state
    return replace(state, loss_scale=real(read.value.get("scale")))


def group_numbers(groups: object, key: str) -> tuple[float, ...]:
    if not isinstance(groups, list):
        return ()
    values = [real(group.get(key)) for group in groups if isinstance(group, Mapping)]
    return tuple(value for value in values if value is not None)


def real(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 53 else None


def record_state(value: object) -> Mapping[object, object]:
    """Return the attributes of an object that was pickled with its `__dict__`."""
    if isinstance(value, Record) and isinstance(value.state, Mapping):
        return value.state
    return {}


def _steps(state: object, artifact: Artifact) -> list[int]:
    if not isinstance(state, Mapping):
        return []
    steps: list[int] = []
    tensors: dict[int, StoredTensor] = {}
    for entry in state.values():
        step = entry.get("step") if isinstance(entry, Mapping) else None
        if isinstance(step, StoredTensor):
            tensors[step.offset] = step
        elif (known := whole(step)) is not None:
            steps.append(known)
    steps.extend(_tensor_steps(list(tensors.values())[:MOST_STEPS], artifact))
    return steps


def _tensor_steps(tensors: list[StoredTensor], artifact: Artifact) -> list[int]:
    readable = [t for t in tensors if t.problem is None and t.elements == 1]
    if not readable:
        return []
    with File(artifact.location) as file:
        values = [float(read_elements(file, tensor, SMALL_BYTES).reshape(-1)[0]) for tensor in readable]
    return [int(value) for value in values if 0 <= value < 1 << 53]
