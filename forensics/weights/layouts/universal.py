"""DeepSpeed's universal checkpoint: `zero/PARAMETER/{fp32,exp_avg,exp_avg_sq,step}.pt`, whole tensors by name.

DeepSpeed 0.19 `checkpoint/ds_to_universal.py` (`merge_tp_slices`): each file is a dict with `param`. A
frozen parameter or a buffer has `fp32.pt` alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from forensics.formats.pickle_values import StoredTensor
from forensics.formats.torch_file import named_tensors, read_elements
from forensics.model import OptimizerState, Role
from forensics.storage.file import File
from forensics.weights.folders import Folder, Folders, step_of
from forensics.weights.found import Found, open_torch, stored_records
from forensics.weights.optimizer import checked_steps, real, state_of, whole

FILES: tuple[tuple[str, Role], ...] = (
    ("fp32.pt", "master"),
    ("exp_avg.pt", "exp_avg"),
    ("exp_avg_sq.pt", "exp_avg_sq"),
)
_NAMES = frozenset(name for name, _ in FILES)


def recognise(folder: Folder, folders: Folders) -> Iterator[Found]:
    """Yield the checkpoint of which this folder is the first parameter's."""
    if "fp32.pt" not in folder.files or folder.parent.rpartition("/")[2] != "zero":
        return
    near = folders.children[folder.parent]
    if next(one for one in near if "fp32.pt" in one.files) is not folder:
        return
    parameters = [one for one in near if one.files.keys() & _NAMES]
    base = folder.parent.rpartition("/")[0] or "."
    modified = max(one.modified for one in parameters)
    found = Found(base, "universal", step_of(base.rpartition("/")[2]), modified=modified)
    lacking = [one.name for one in parameters if len(one.files.keys() & _NAMES) == len(_NAMES) - 1]
    if lacking:
        found.incomplete(
            f"{len(lacking)} of {len(parameters)} parameters lack a file, first {lacking[0]}", folder.parent
        )
    frozen = [one.name for one in parameters if one.files.keys() & _NAMES == {"fp32.pt"}]
    found.trained.update(dict.fromkeys(frozen, "frozen"))
    for one in parameters:
        _parameter(found, one)
    _settings(found, folders.get(folder.parent))
    steps = [step for one in parameters if (step := _step(found, one)) is not None]
    if steps:
        found.optimizer = replace(found.optimizer or OptimizerState(), step=checked_steps(found, steps))
    yield found


def _parameter(found: Found, folder: Folder) -> None:
    for name, role in FILES:
        if name not in folder.files:
            continue
        artifact = folder.files[name]
        read = open_torch(found, artifact)
        if read is None:
            continue
        value = read.value.get("param") if isinstance(read.value, Mapping) else read.value
        tensors = (
            [(folder.name, value)]
            if isinstance(value, StoredTensor)
            else [(f"{folder.name}.{part}", tensor) for part, tensor in named_tensors(value)]
        )
        found.records.extend(stored_records(found, artifact, tensors, role))


def _step(found: Found, folder: Folder) -> int | None:
    artifact = folder.files.get("step.pt")
    read = open_torch(found, artifact) if artifact is not None else None
    if read is None or artifact is None:
        return None
    value = read.value.get("param") if isinstance(read.value, Mapping) else read.value
    if isinstance(value, StoredTensor) and value.problem is None and value.elements == 1:
        with File(artifact.location) as file:
            value = float(read_elements(file, value, 64).reshape(-1)[0])
    known = real(value)
    return int(known) if known is not None and 0 <= known < 1 << 53 else None


def _settings(found: Found, folder: Folder | None) -> None:
    artifact = folder.files.get("optimizer_state.pt") if folder is not None else None
    read = open_torch(found, artifact) if artifact is not None else None
    if read is None or artifact is None or not isinstance(read.value, Mapping):
        return
    state = read.value.get("optimizer_state_dict", read.value)
    base = state.get("base_optimizer_state", state) if isinstance(state, Mapping) else None
    settings = state_of(found, base, artifact) if isinstance(base, Mapping) else None
    step = whole(state.get("global_steps")) if isinstance(state, Mapping) else None
    if settings is not None:
        found.optimizer = replace(settings, global_steps=step)
    elif step is not None:
        found.optimizer = replace(found.optimizer or OptimizerState(), global_steps=step)
