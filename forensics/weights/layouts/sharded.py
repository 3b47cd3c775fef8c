"""One file a rank, each with its part of every tensor: `model_world_size_8_rank_0.pt` of verl.

verl `utils/checkpoint/fsdp_checkpoint_manager.py` saves `model.state_dict()` under FSDP as it is: DTensors,
of which a file holds the local part and where it belongs (torch 2.13 `distributed/tensor/_api.py`, `_dtensor_spec.py`).
accelerate names such files `pytorch_model_fsdp_rank0.bin` (LOCAL_STATE_DICT).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.formats.pickle_values import Record, StoredTensor
from forensics.model import Artifact, OptimizerState, Piece, Role
from forensics.weights.folders import Folder, Folders, step_of
from forensics.weights.found import Found, grepable, open_torch, stored_records
from forensics.weights.layouts._chunks import Chunk, ChunksError, assembled
from forensics.weights.optimizer import record_state, state_of, whole

MODEL = expression(r"model_world_size_(\d+)_rank_(\d+)\.pt|pytorch_model_fsdp(?:_\d+)?_rank(\d+)\.bin")
OPTIMIZER = expression(r"optim_world_size_(\d+)_rank_(\d+)\.pt|optimizer_\d+_rank(\d+)\.bin")
MOMENTS: tuple[Role, ...] = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True, slots=True)
class _Part:
    """The part of a tensor that one rank saved; `dimension` is None for a full copy."""

    shape: tuple[int, ...]
    local: StoredTensor
    dimension: int | None
    path: str


def recognise(folder: Folder, folders: Folders) -> Iterator[Found]:
    """Yield the checkpoint in this folder, if it holds one file a rank."""
    del folders
    models = list(folder.matching(MODEL))
    if not models:
        return
    step = step_of(folder.name)
    found = Found(folder.path, "fsdp-ranks", step if step is not None else step_of(folder.parent))
    found.modified = folder.modified
    expected = max(int(match[1] or 0) for match, _ in models) or len(models)
    found.world_size = expected
    if expected > len(models):
        found.incomplete(f"{len(models)} of {expected} ranks' model files are there", folder.path)
    whole_save = expected == len(models)
    _add(found, [artifact for _, artifact in models], "weight", whole_save)
    optimizers = [artifact for _, artifact in folder.matching(OPTIMIZER)]
    if whole_save and 0 < len(optimizers) < expected:
        found.incomplete(f"{len(optimizers)} of {expected} ranks' optimizer files are there", folder.path)
    _optimizers(found, optimizers, len(optimizers) == expected)
    yield found


def _add(found: Found, artifacts: list[Artifact], role: Role, whole_save: bool) -> None:
    parts: dict[str, list[_Part]] = defaultdict(list)
    for number, artifact in enumerate(artifacts):
        read = open_torch(found, artifact)
        if read is None or not isinstance(read.value, Mapping):
            continue
        for name, value in read.value.items():
            _collect(found, parts, str(name), value, artifact, role if number == 0 else None)
    _assemble(found, parts, role, whole_save)


def _optimizers(found: Found, artifacts: list[Artifact], whole_save: bool) -> None:
    parts: dict[Role, dict[str, list[_Part]]] = {role: defaultdict(list) for role in MOMENTS}
    for number, artifact in enumerate(artifacts):
        read = open_torch(found, artifact)
        state = read.value.get("state") if read is not None and isinstance(read.value, Mapping) else None
        if read is None or not isinstance(state, Mapping) or not isinstance(read.value, Mapping):
            continue
        if number == 0:
            found.optimizer = state_of(found, read.value, artifact) or OptimizerState()
        for key, entry in state.items():
            name = key if isinstance(key, str) else f"optimizer.state.{key}"
            for role in MOMENTS:
                value = entry.get(role) if isinstance(entry, Mapping) else None
                _collect(found, parts[role], name, value, artifact, role if number == 0 else None)
    for role in MOMENTS:
        _assemble(found, parts[role], role, whole_save)


def _collect(  # noqa: PLR0913, PLR0917  (a value, and where it goes)
    found: Found,
    parts: dict[str, list[_Part]],
    name: str,
    value: object,
    artifact: Artifact,
    role: Role | None,
) -> None:
    """Sort a value into parts of sharded tensors; a plain tensor counts once, from the first rank."""
    if isinstance(value, StoredTensor):
        if role is not None:
            found.records.extend(stored_records(found, artifact, [(name, value)], role))
        return
    part = _part(value, artifact.path)
    if part is not None:
        parts[name].append(part)


def _part(value: object, path: str) -> _Part | None:
    if not isinstance(value, Record) or len(value.arguments) < 3 or not isinstance(value.state, tuple):
        return None
    inner = value.arguments[2]
    fields = next((part for part in value.state if isinstance(part, Mapping)), {})
    local = fields.get("_local_tensor")
    shape = inner[2] if isinstance(inner, tuple) and len(inner) > 2 else None
    if not isinstance(local, StoredTensor) or not isinstance(shape, tuple):
        return None
    placements = record_state(fields.get("_spec")).get("placements")
    found = [_dimension(one) for one in placements] if isinstance(placements, tuple) else [None]
    return _Part(shape, local, next((one for one in found if one is not None), None), path)


def _dimension(placement: object) -> int | None:
    """Return the dimension of a `Shard(dim)`, None of a `Replicate()`."""
    if not isinstance(placement, Record) or not placement.class_name.endswith("Shard"):
        return None
    known = whole(record_state(placement).get("dim"))
    if known is None and placement.arguments:
        known = whole(placement.arguments[0])
    return known


def _assemble(found: Found, parts: dict[str, list[_Part]], role: Role, whole_save: bool) -> None:
    lost: dict[str, str] = {}
    for name, ones in parts.items():
        try:
            found.records.extend(assembled(name, role, ones[0].shape, list(_chunks(ones))))
        except ChunksError as error:
            lost[name] = str(error)
    if lost and whole_save:
        name, reason = next(iter(lost.items()))
        found.damaged(f"{len(lost)} sharded tensors do not fit together, first {name}: {grepable(reason)}", found.path)


def _chunks(parts: list[_Part]) -> Iterator[Chunk]:
    """Yield the parts in the order of the ranks, each behind the one before along the sharded dimension."""
    position = 0
    for part in parts:
        local, dimension = part.local, part.dimension
        if local.problem is not None:
            raise ChunksError(local.problem)
        if not local.contiguous:
            raise ChunksError("a part of it is not contiguous")
        piece = Piece(part.path, local.offset, local.nbytes)
        if dimension is None or dimension >= len(local.shape):
            yield Chunk((0,) * len(local.shape), local.shape, local.dtype, piece)
            return
        offsets = tuple(position if axis == dimension else 0 for axis in range(len(local.shape)))
        yield Chunk(offsets, local.shape, local.dtype, piece)
        position += local.shape[dimension]
