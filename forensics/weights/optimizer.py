"""Optimizer, scheduler and scaler files, read as data."""

from collections.abc import Mapping
from dataclasses import replace

from forensics.formats.file import File
from forensics.formats.pickle_values import Record, StoredTensor
from forensics.formats.torch_file import TorchFile, read_elements
from forensics.model import Artifact, OptimizerState
from forensics.weights.found import Found, open_torch

SMALL_BYTES = 4096


def read_optimizer(optimizer: TorchFile | None, artifact: Artifact | None) -> OptimizerState | None:
    """Return what `torch.optim.Optimizer.state_dict()` says about itself.

    The step counter is the largest of the state's `step` entries, which torch keeps a tensor since 1.12.
    """
    if optimizer is None or artifact is None or not isinstance(optimizer.value, Mapping):
        return None
    groups = optimizer.value.get("param_groups")
    state = optimizer.value.get("state")
    first = groups[0] if isinstance(groups, list) and groups and isinstance(groups[0], Mapping) else {}
    betas = first.get("betas")
    pair = betas if isinstance(betas, tuple | list) and len(betas) == 2 else (None, None)
    return OptimizerState(
        learning_rates=group_numbers(groups, "lr"),
        weight_decays=group_numbers(groups, "weight_decay"),
        beta1=real(pair[0]),
        beta2=real(pair[1]),
        epsilon=real(first.get("eps")),
        step=_step(state, artifact),
        kind="adam" if "betas" in first else "sgd" if "momentum" in first else "",
    )


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


def _step(state: object, artifact: Artifact) -> int | None:
    if not isinstance(state, Mapping):
        return None
    steps: list[int] = []
    tensors: dict[int, StoredTensor] = {}
    for entry in state.values():
        step = entry.get("step") if isinstance(entry, Mapping) else None
        if isinstance(step, StoredTensor):
            tensors[step.offset] = step
        elif (known := whole(step)) is not None:
            steps.append(known)
    steps.extend(_tensor_steps(list(tensors.values())[:64], artifact))
    return max(steps, default=None)


def _tensor_steps(tensors: list[StoredTensor], artifact: Artifact) -> list[int]:
    readable = [t for t in tensors if t.problem is None and t.elements == 1]
    if not readable:
        return []
    with File(artifact.location) as file:
        values = [float(read_elements(file, tensor, SMALL_BYTES).reshape(-1)[0]) for tensor in readable]
    return [int(value) for value in values if 0 <= value < 1 << 53]
