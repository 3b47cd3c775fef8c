"""Dicts that training loops hand to `torch.save`: weights under one key, optimizers under another."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from forensics.formats.pickle_values import StoredTensor
from forensics.formats.torch_file import TorchFile, named_tensors
from forensics.model import Artifact, OptimizerState, Role, TensorRecord
from forensics.weights.found import Found, stored_records
from forensics.weights.optimizer import real, state_of, whole

WEIGHTS = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "module",
    "model",
    "net",
    "network",
    "weights",
    "model_weights",
)
OPTIMIZERS = ("optimizer_states", "optimizer_state_dict", "optimizer_state", "optimizer", "optim", "opt")
STEPS = ("global_step", "iteration", "step", "global_steps", "iter", "iter_num")
SCHEDULERS = ("lr_schedulers", "lr_scheduler", "scheduler", "scheduler_state_dict", "opt_param_scheduler")
MOMENTS: tuple[Role, ...] = ("exp_avg", "exp_avg_sq")
VIRTUAL_STAGES = 64


def saved_records(found: Found, artifact: Artifact, read: TorchFile, prefix: str = "") -> None:
    """Add the weights and moments of a training loop's dict, its step and its optimizer's settings.

    What is no such dict counts as weights throughout.
    """
    value = read.value
    if not isinstance(value, Mapping):
        found.records.extend(stored_records(found, artifact, named_tensors(value), "weight"))
        return
    optimizers = [state for key in OPTIMIZERS for state in _states(value.get(key))]
    weights = [(prefix + name, tensor) for name, tensor in _weights(value)]
    found.records.extend(stored_records(found, artifact, weights, "weight"))
    for number, state in enumerate(optimizers):
        label = prefix if len(optimizers) == 1 else f"{prefix}{number}."
        found.records.extend(moment_records(found, artifact, state, label))
        settings = state_of(found, state, artifact)
        if found.optimizer is None and settings is not None:
            found.optimizer = settings
    if found.step is None:
        found.step = next((step for key in STEPS if (step := whole(value.get(key))) is not None), None)
    _scheduler(found, value)


def moment_records(
    found: Found, artifact: Artifact, state: Mapping[object, object], prefix: str = ""
) -> list[TensorRecord]:
    """Return the moments of a torch optimizer's state dict.

    Its parameters have numbers, or names when FSDP or a wrapper keyed them so; numbers read `optimizer.state.N`.
    """
    entries = state.get("state")
    if not isinstance(entries, Mapping):
        return []
    records: list[TensorRecord] = []
    for role in MOMENTS:
        tensors = [
            (prefix + (key if isinstance(key, str) else f"optimizer.state.{key}"), entry[role])
            for key, entry in entries.items()
            if isinstance(entry, Mapping) and isinstance(entry.get(role), StoredTensor)
        ]
        records.extend(stored_records(found, artifact, tensors, role))
    return records


def _weights(value: Mapping[object, object]) -> Iterator[tuple[str, StoredTensor]]:
    """Yield the tensors of a dict's weights, or all that no other part claims when it has no such part."""
    for key in WEIGHTS:
        part = value.get(key)
        if isinstance(part, Mapping) and next(named_tensors(part), None) is not None:
            yield from named_tensors(part)
            return
    # Megatron's interleaved schedule saves one dict a virtual stage: model0, model1, ...
    stages = [n for n in range(VIRTUAL_STAGES) if isinstance(value.get(f"model{n}"), Mapping)]
    if stages:
        for number in stages:
            yield from ((f"model{number}.{name}", t) for name, t in named_tensors(value[f"model{number}"]))
        return
    rest = {key: part for key, part in value.items() if key not in {*OPTIMIZERS, *SCHEDULERS, "rng_state"}}
    yield from named_tensors(rest)


def _states(value: object) -> list[Mapping[object, object]]:
    """Return the torch optimizers' state dicts in what was saved as one: itself, a list, Megatron's wrapper."""
    if isinstance(value, list | tuple):
        return [state for part in value[:VIRTUAL_STAGES] for state in _states(part)]
    if not isinstance(value, Mapping):
        return []
    if isinstance(value.get("state"), Mapping):
        return [value]
    return [state for key in ("optimizer", "base_optimizer_state") for state in _states(value.get(key))]


def _scheduler(found: Found, value: Mapping[object, object]) -> None:
    for key in SCHEDULERS:
        part = value.get(key)
        first = part[0] if isinstance(part, list) and part else part
        step = whole(first.get("last_epoch")) if isinstance(first, Mapping) else None
        if step is not None:
            found.optimizer = replace(found.optimizer or OptimizerState(), scheduler_step=step)
            return


def scale_of(state: object) -> float | None:
    """Return the loss scale of a GradScaler's state when it is a plain number."""
    return real(state.get("scale")) if isinstance(state, Mapping) else None
