"""Megatron-LM's legacy layout: `iter_0001000/mp_rank_TT[_PPP]/model_optim_rng.pt`, one file a model-parallel rank.

`megatron/training/checkpointing.py` (`get_checkpoint_name`, `generate_state_dict`). Its `torch_dist` format is
torch's own (`dcp`). Ranks hold slices of some tensors and copies of others, all under the same names, so a name
begins with its rank where there are several.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from forensics.deferred.patterns import expression
from forensics.formats.pickle_values import StoredTensor
from forensics.formats.torch_file import read_elements
from forensics.model import Artifact, OptimizerState
from forensics.storage.file import File
from forensics.weights.folders import Folder, Folders, step_of
from forensics.weights.found import Found, open_torch, stored_records
from forensics.weights.layouts._saved import saved_records
from forensics.weights.optimizer import real, record_state, whole

RANK = expression(r"mp_rank_(\d\d)(?:_(\d\d\d))?(?:_(\d\d\d))?")
FILES = ("model_optim_rng.pt", "model_rng.pt")


def recognise(folder: Folder, folders: Folders) -> Iterator[Found]:
    """Yield the save of which this folder is the first model-parallel rank."""
    if RANK.fullmatch(folder.name) is None or not _is_rank(folder):
        return
    ranks = [one for one in folders.children[folder.parent] if RANK.fullmatch(one.name) and _is_rank(one)]
    if ranks[0].path != folder.path:
        return
    modified = max(one.modified for one in ranks)
    found = Found(folder.parent, "megatron", step_of(folder.parent.rpartition("/")[2]), modified=modified)
    for one in ranks:
        artifact = next(one.files[name] for name in FILES if name in one.files)
        _rank(found, artifact, f"{one.name}:" if len(ranks) > 1 else "", len(ranks))
    yield found


def _is_rank(folder: Folder) -> bool:
    return any(name in folder.files for name in FILES)


def _rank(found: Found, artifact: Artifact, prefix: str, ranks: int) -> None:
    read = open_torch(found, artifact)
    if read is None or not isinstance(read.value, Mapping):
        return
    value = read.value
    step = found.step
    saved_records(found, artifact, read, prefix)
    iteration = whole(value.get("iteration"))
    if step is not None and iteration is not None and iteration != step:
        found.suspicious(f"the folder says step {step}, its iteration {iteration}", artifact.path)
    _masters(found, artifact, value.get("optimizer"), prefix)
    _scale(found, artifact, value.get("optimizer"))
    arguments = record_state(value.get("args"))
    sizes = [whole(arguments.get(f"{axis}_model_parallel_size")) or 1 for axis in ("tensor", "pipeline")]
    expected = sizes[0] * sizes[1]
    if "tensor_model_parallel_size" in arguments and expected > ranks and not found.problems:
        found.incomplete(
            f"{ranks} of {expected} model-parallel ranks are there (tensor {sizes[0]}, pipeline {sizes[1]})",
            found.path,
        )
    found.world_size = whole(arguments.get("world_size")) or found.world_size


def _masters(found: Found, artifact: Artifact, optimizer: object, prefix: str) -> None:
    """Add the fp32 copies of `Float16OptimizerWithFloat16Params.state_dict`, named by group and number."""
    groups = optimizer.get("fp32_from_fp16_params") if isinstance(optimizer, Mapping) else None
    for number, group in enumerate(groups if isinstance(groups, list) else ()):
        tensors = [
            (f"{prefix}optimizer.fp32_from_fp16_params.{number}.{position}", tensor)
            for position, tensor in enumerate(group if isinstance(group, list) else ())
            if isinstance(tensor, StoredTensor)
        ]
        found.records.extend(stored_records(found, artifact, tensors, "master"))


def _scale(found: Found, artifact: Artifact, optimizer: object) -> None:
    scaler = optimizer.get("grad_scaler") if isinstance(optimizer, Mapping) else None
    scale = scaler.get("scale") if isinstance(scaler, Mapping) else None
    if isinstance(scale, StoredTensor) and scale.problem is None and scale.elements == 1:
        with File(artifact.location) as file:
            known: float | None = float(read_elements(file, scale, 64).reshape(-1)[0])
    else:
        known = real(scale)
    if known is not None:
        found.optimizer = replace(found.optimizer or OptimizerState(), loss_scale=known)
