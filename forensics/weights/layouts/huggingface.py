"""Hugging Face layout: `model.safetensors`, `pytorch_model.bin`, adapters, shards with an index, `optimizer.pt`.

transformers 5.23 writes config.json, model.safetensors, training_args.bin, optimizer.pt, scheduler.pt, rng_state
and, last, trainer_state.json (`Trainer._save_checkpoint`): what is missing at the end tells an interrupted save.
"""

import re
from collections import Counter
from collections.abc import Mapping

from forensics.errors import ForensicsError
from forensics.formats.file import File
from forensics.formats.lenient_json import load
from forensics.formats.pickle_values import StoredTensor
from forensics.formats.torch_file import TorchFile, named_tensors
from forensics.model import Artifact, Role, TensorRecord
from forensics.weights.folders import Folder, step_of
from forensics.weights.found import Found, open_torch, safetensors_records, stored_records
from forensics.weights.optimizer import add_scaler, add_scheduler, read_optimizer

SAFE = re.compile(
    r"(?:model|adapter_model|diffusion_pytorch_model|consolidated)(?:-\d{5}-of-(\d{5}))?\.safetensors"
)
PICKLED = re.compile(r"(?:pytorch_model|adapter_model)(?:-\d{5}-of-(\d{5}))?\.bin")
INDEX = re.compile(r"(?:model|pytorch_model|adapter_model)\.(?:safetensors|bin)\.index\.json")
RANDOM_STATE = re.compile(r"(?:rng_state|random_states)_(\d+)\.(?:pth|pkl)")
OPTIMIZER = ("optimizer.pt", "optimizer.bin")
SCHEDULER = ("scheduler.pt", "scheduler.bin")
LFS_POINTER_BYTES = 200


def recognise(folder: Folder) -> Found | None:
    """Return the checkpoint in this folder, or None when it holds no weights and no save in progress."""
    named = re.fullmatch(r"(?:tmp-)?checkpoint-\d+", folder.name) is not None
    weights = [a for pattern in (SAFE, PICKLED) for _, a in folder.matching(pattern)]
    indexes = [a for _, a in folder.matching(INDEX)]
    state = [name for name in (*OPTIMIZER, *SCHEDULER) if name in folder.files]
    if not weights and not indexes and not (named and (state or "trainer_state.json" in folder.files)):
        return None
    found = Found(folder.path, "huggingface", step_of(folder.name), modified=folder.modified)
    _weights(found, folder)
    _index(found, folder, indexes)
    _optimizer(found, folder)
    ranks = [int(match[1]) for match, _ in folder.matching(RANDOM_STATE)]
    if ranks:
        found.world_size = max(ranks) + 1
    if named:
        _completeness(found, folder)
    return found


def _weights(found: Found, folder: Folder) -> None:
    for _, artifact in folder.matching(SAFE):
        found.records.extend(safetensors_records(found, artifact))
    if found.records:
        return
    for _, artifact in folder.matching(PICKLED):
        read = open_torch(found, artifact)
        if read is not None:
            found.records.extend(stored_records(found, artifact, named_tensors(read.value), "weight"))


def _index(found: Found, folder: Folder, indexes: list[Artifact]) -> None:
    for artifact in indexes:
        try:
            with File(artifact.location) as file:
                index = load(file, artifact.limits).value
        except ForensicsError as error:
            found.damaged(f"{artifact.path}: {error}", artifact.path)
            continue
        mapping = index.get("weight_map") if isinstance(index, Mapping) else None
        if not isinstance(mapping, Mapping):
            found.damaged(f"{artifact.path} has no weight_map", artifact.path)
            continue
        shards = {str(shard) for shard in mapping.values()}
        missing = sorted(shard for shard in shards if shard not in folder.files)
        if missing:
            found.incomplete(
                f"{len(missing)} of {len(shards)} shards are missing: {', '.join(missing[:3])}", artifact.path
            )
            continue
        present = {record.name for record in found.records}
        lost = sorted(str(name) for name in mapping if name not in present)
        if lost and not found.problems:
            found.damaged(
                f"{len(lost)} tensors of the index are in no shard: {', '.join(lost[:3])}", artifact.path
            )


def _optimizer(found: Found, folder: Folder) -> None:
    artifact = next((folder.files[name] for name in OPTIMIZER if name in folder.files), None)
    read = open_torch(found, artifact) if artifact is not None else None
    found.optimizer = read_optimizer(read, artifact)
    if read is not None and artifact is not None:
        moments = [record for role in _MOMENTS for record in _moment_records(found, artifact, read, role)]
        found.records.extend(moments)
        _mark_trained(found, read)
    for name in SCHEDULER:
        if name in folder.files:
            found.optimizer = add_scheduler(found, found.optimizer, folder.files[name])
    if "scaler.pt" in folder.files:
        found.optimizer = add_scaler(found, found.optimizer, folder.files["scaler.pt"])


_MOMENTS: tuple[Role, ...] = ("exp_avg", "exp_avg_sq")


def _moment_records(found: Found, artifact: Artifact, read: TorchFile, role: Role) -> list[TensorRecord]:
    state = read.value.get("state") if isinstance(read.value, Mapping) else None
    if not isinstance(state, Mapping):
        return []
    tensors = [
        (f"optimizer.state.{number}", entry[role])
        for number, entry in state.items()
        if isinstance(entry, Mapping) and isinstance(entry.get(role), StoredTensor)
    ]
    return stored_records(found, artifact, tensors, role)


def _mark_trained(found: Found, read: TorchFile) -> None:
    """Tell trainable from frozen tensors by shape: the optimizer knows its parameters only by number.

    A shape that occurs as often in the optimizer's state as among the weights is trainable throughout; one that
    does not occur there is frozen. Where the counts differ the shape decides nothing.
    """
    if not isinstance(read.value, Mapping):
        return
    state, groups = read.value.get("state"), read.value.get("param_groups")
    weights = [record for record in found.records if record.role == "weight"]
    parameters = _parameter_count(groups)
    shapes = _state_shapes(state)
    if sum(shapes.values()) != parameters:
        if parameters == len(weights):
            found.trained.update(dict.fromkeys((record.name for record in weights), "trainable"))
        return
    present = Counter(record.shape for record in weights)
    for record in weights:
        known = shapes.get(record.shape, 0)
        if known == present[record.shape]:
            found.trained[record.name] = "trainable"
        elif known == 0:
            found.trained[record.name] = "frozen"


def _parameter_count(groups: object) -> int:
    if not isinstance(groups, list):
        return 0
    listed = [group.get("params") for group in groups if isinstance(group, Mapping)]
    return sum(len(numbers) for numbers in listed if isinstance(numbers, list))


def _state_shapes(state: object) -> Counter[tuple[int, ...]]:
    entries = state.values() if isinstance(state, Mapping) else ()
    kept = [entry.values() for entry in entries if isinstance(entry, Mapping)]
    shapes = (next((v.shape for v in values if isinstance(v, StoredTensor) and v.shape), None) for values in kept)
    return Counter(shape for shape in shapes if shape is not None)


def _completeness(found: Found, folder: Folder) -> None:
    resumable = any(name in folder.files for name in OPTIMIZER) or "training_args.bin" in folder.files
    if folder.name.startswith("tmp-"):
        found.incomplete(
            f"{folder.path} is a save that was never renamed: the run ended while saving", folder.path
        )
    elif "checkpoint-is-incomplete.txt" in folder.files:
        found.incomplete(f"{folder.path} is marked incomplete by the Trainer", folder.path)
    elif resumable and "trainer_state.json" not in folder.files:
        found.incomplete(
            f"{folder.path} has no trainer_state.json, which the Trainer writes last: the save was interrupted",
            folder.path,
        )
