"""Hugging Face layout: `model.safetensors`, `pytorch_model.bin`, adapters, shards with an index, `optimizer.pt`.

transformers 5.23 writes config.json, model.safetensors, training_args.bin, optimizer.pt, scheduler.pt, rng_state
and, last, trainer_state.json (`Trainer._save_checkpoint`): what is missing at the end tells an interrupted save.
"""

import re
from collections.abc import Iterator, Mapping

from forensics.deferred.patterns import expression
from forensics.formats.torch_file import named_tensors
from forensics.model import Artifact
from forensics.model.columns import Names
from forensics.weights.folders import Folder, Folders, step_of
from forensics.weights.found import Found, open_torch, safetensors_records, stored_records
from forensics.weights.layouts._index import check_index
from forensics.weights.layouts._saved import moment_records
from forensics.weights.layouts._trained import mark_buffers, mark_trained
from forensics.weights.optimizer import add_scaler, add_scheduler, read_optimizer

SAFE = expression(
    r"(?:(?:ft-)?model|adapter_model|diffusion_pytorch_model|consolidated)(?:_(\d{1,3}))?(?:-\d{5}-of-\d{5})?\.safetensors"
)
PICKLED = expression(
    r"(?:pytorch_model|adapter_model|adapter)(?:_(\d{1,3}))?(?:-\d{5}-of-\d{5})?\.bin"
    r"|pytorch_model_fsdp(?:_(\d{1,3}))?\.bin|consolidated\.(\d\d)\.pth"
)
"""`model_1` is accelerate's name of a second model (`checkpointing.py`, `save_accelerator_state`), whose tensors
carry it; `consolidated.00.pth` that of Meta's releases, a model-parallel rank a file."""
INDEX = expression(r"(?:model|pytorch_model|adapter_model)\.(?:safetensors|bin)\.index\.json")
RANDOM_STATE = expression(r"(?:rng_state|random_states)_(\d+)\.(?:pth|pkl)")
OPTIMIZER = ("optimizer.pt", "optimizer.bin")
SCHEDULER = ("scheduler.pt", "scheduler.bin")
LFS_POINTER_BYTES = 200


def recognise(folder: Folder, folders: Folders) -> Iterator[Found]:
    """Yield the checkpoint in this folder, if it holds weights or a save in progress."""
    named = re.fullmatch(r"(?:tmp-)?checkpoint-\d+", folder.name) is not None
    weights = [a for pattern in (SAFE, PICKLED) for _, a in folder.matching(pattern)]
    indexes = [a for _, a in folder.matching(INDEX)]
    state = [name for name in (*OPTIMIZER, *SCHEDULER) if name in folder.files]
    if not weights and not indexes and not (named and (state or "trainer_state.json" in folder.files)):
        return
    found = Found(folder.path, "huggingface", step_of(folder.name), modified=folder.modified)
    _weights(found, folder)
    for artifact in indexes:
        check_index(found, folder, folders, artifact)
    _optimizer(found, folder)
    ranks = [int(match[1]) for match, _ in folder.matching(RANDOM_STATE)]
    if ranks:
        found.world_size = max(ranks) + 1
    if named:
        _completeness(found, folder)
    yield found


def _weights(found: Found, folder: Folder) -> None:
    for match, artifact in folder.matching(SAFE):
        prefix = _prefix(match)
        records = safetensors_records(found, artifact)
        found.records.extend(
            records.changed(names=Names(prefix + name for name in records.names)) if prefix else records
        )
        if not records and not found.problems and not found.skips:
            _empty(found, artifact)
    if found.records:
        return
    for match, artifact in folder.matching(PICKLED):
        read = open_torch(found, artifact)
        if read is not None:
            named = ((_prefix(match) + name, tensor) for name, tensor in named_tensors(read.value))
            found.records.extend(stored_records(found, artifact, named, "weight"))
            if isinstance(read.value, Mapping) and not read.value:
                _empty(found, artifact)


def _empty(found: Found, artifact: Artifact) -> None:
    """Tell a weight file without a tensor: a state dict that was filtered down to nothing (alpaca-lora issue 446)."""
    found.incomplete(f"{artifact.path} holds no tensor at all", artifact.path)


def _prefix(match: re.Match[str]) -> str:
    number = next((part for part in match.groups() if part is not None), None)
    return f"{number}:" if number is not None and int(number) else ""


def _optimizer(found: Found, folder: Folder) -> None:
    artifact = next((folder.files[name] for name in OPTIMIZER if name in folder.files), None)
    read = open_torch(found, artifact) if artifact is not None else None
    found.optimizer = read_optimizer(found, read, artifact)
    if read is not None and artifact is not None and isinstance(read.value, Mapping):
        found.records.extend(moment_records(found, artifact, read.value))
        mark_trained(found, read.value)
    else:
        mark_buffers(found, found.records.tensors)
    for name in SCHEDULER:
        if name in folder.files:
            found.optimizer = add_scheduler(found, found.optimizer, folder.files[name])
    if "scaler.pt" in folder.files:
        found.optimizer = add_scaler(found, found.optimizer, folder.files["scaler.pt"])


def _of_accelerate(folder: Folder) -> bool:
    """Tell whether `Accelerator.save_state` wrote the folder, which knows no trainer state."""
    return any(name.startswith("random_states_") for name in folder.files)


def _completeness(found: Found, folder: Folder) -> None:
    resumable = any(name in folder.files for name in OPTIMIZER) or "training_args.bin" in folder.files
    if folder.name.startswith("tmp-"):
        found.incomplete(f"{folder.path} is a save that was never renamed: the run ended while saving", folder.path)
    elif "checkpoint-is-incomplete.txt" in folder.files:
        found.incomplete(f"{folder.path} is marked incomplete by the Trainer", folder.path)
    elif resumable and "trainer_state.json" not in folder.files and not _of_accelerate(folder):
        found.incomplete(
            f"{folder.path} has no trainer_state.json, which the Trainer writes last: the save was interrupted",
            folder.path,
        )
