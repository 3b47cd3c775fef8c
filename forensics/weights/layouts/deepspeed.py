"""DeepSpeed's layout: `mp_rank_XX_model_states.pt`, one `*_optim_states.pt` a rank, layers and experts in files.

Names are those of the module. Of tensor-parallel ranks (`mp_rank_01`) the first keeps them plain and the others
carry their rank, since they hold other slices under the same names.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

from forensics.deferred.patterns import expression
from forensics.formats.pickle_values import StoredTensor
from forensics.formats.torch_file import named_tensors
from forensics.model import Artifact, Piece, TensorRecord
from forensics.weights.folders import Folder, Folders, step_of
from forensics.weights.found import Found, open_torch, stored_records
from forensics.weights.layouts._zero import Shard, add_optimizer, groups_of

MODEL = expression(r"(?:zero_pp_rank_(\d+)_)?mp_rank_(\d+)_model_states\.pt")
OPTIMIZER = expression(r"(?:bf16_|fp16_)?zero_pp_rank_(\d+)_mp_rank_(\d+)_optim_states\.pt")
LAYER = expression(r"layer_(\d+)(?:-model_(\d+))?-model_states\.pt")
EXPERT = expression(r"(?:layer_\d+_)?expert_\d+_mp_rank_(\d+)_model_states\.pt")
EXPERT_OPTIMIZER = expression(r"expp_rank_(\d+)_mp_rank_(\d+)_optim_states\.pt")

Header = Mapping[object, object]


def recognise(folder: Folder, folders: Folders) -> Iterator[Found]:
    """Yield the checkpoint in this folder, if it holds DeepSpeed's states."""
    del folders
    models = list(folder.matching(MODEL))
    shards = list(folder.matching(OPTIMIZER))
    if not models and not shards:
        return
    step = step_of(folder.name)
    found = Found(
        folder.path, "deepspeed", step if step is not None else step_of(folder.parent), modified=folder.modified
    )
    headers = _model_states(found, models)
    _layers(found, folder)
    by_rank: dict[int, list[Artifact]] = defaultdict(list)
    for match, artifact in shards:
        by_rank[int(match[2])].append(artifact)
    for rank in sorted(by_rank):
        add_optimizer(found, Shard(by_rank[rank], headers.get(rank, {}), _prefix(rank)))
    _expert_optimizers(found, folder)
    _world(found, headers, sum(map(len, by_rank.values())))
    yield found


def _prefix(rank: int) -> str:
    return f"mp_rank_{rank:02d}:" if rank else ""


def _model_states(found: Found, models: list[tuple[re.Match[str], Artifact]]) -> dict[int, Header]:
    """Add the weights of each rank's module; return the other entries by model-parallel rank."""
    headers: dict[int, Header] = {}
    fragments: dict[tuple[int, str], list[Piece]] = defaultdict(list)
    known: set[str] = set()
    for match, artifact in models:
        rank = int(match[2])
        read = open_torch(found, artifact)
        if read is None or not isinstance(read.value, Mapping):
            continue
        header = headers.setdefault(rank, read.value)
        module = read.value.get("module")
        named = [(name, t) for name, t in named_tensors(module) if t.elements] if module is not None else []
        # ZeRO-3 leaves placeholders of shape (0,) here; its weights are in the optimizer shards.
        prefix = _prefix(rank) if any(name in known for name, _ in named) and match[1] is None else ""
        records = stored_records(found, artifact, ((prefix + name, t) for name, t in named), "weight")
        new = [record for record in records if record.name not in known]
        known.update(record.name for record in new)
        found.records.extend(new)
        _fragments(fragments, rank, artifact, read.value)
        if header is read.value:
            _labels(found, header, prefix)
    _frozen(found, headers, fragments, known)
    return headers


def _fragments(fragments: dict[tuple[int, str], list[Piece]], rank: int, artifact: Artifact, header: Header) -> None:
    """Collect the parts of frozen parameters: under ZeRO-3 every rank holds its own, under ZeRO-1/2 the whole."""
    listed = header.get("frozen_param_fragments")
    for name, tensor in listed.items() if isinstance(listed, Mapping) else ():
        if isinstance(tensor, StoredTensor) and tensor.problem is None and tensor.contiguous:
            fragments[rank, str(name)].append(Piece(artifact.path, tensor.offset, tensor.nbytes))


def _frozen(
    found: Found,
    headers: Mapping[int, Header],
    fragments: Mapping[tuple[int, str], list[Piece]],
    known: set[str],
) -> None:
    """Add frozen parameters of ZeRO-3, cut to their size: the last part is padded."""
    for (rank, name), pieces in fragments.items():
        shapes = headers[rank].get("frozen_param_shapes")
        shape = shapes.get(name) if isinstance(shapes, Mapping) else None
        full = _prefix(rank) + name
        if name in known or full in known or not isinstance(shape, tuple):
            continue
        listed = headers[rank]["frozen_param_fragments"]
        first = listed.get(name) if isinstance(listed, Mapping) else None
        if not isinstance(first, StoredTensor):
            continue
        record = TensorRecord(full, "weight", first.dtype, shape, ())
        width = first.nbytes // max(first.elements, 1)
        left = record.elements * width
        kept: list[Piece] = []
        for piece in pieces:
            kept.append(Piece(piece.path, piece.offset, min(piece.nbytes, left)))
            left -= kept[-1].nbytes
        if left:
            found.incomplete(f"{name} is frozen and {left // max(width, 1):,} of its elements are missing", found.path)
            continue
        pieces_there = tuple(piece for piece in kept if piece.nbytes)
        found.records.append(TensorRecord(full, "weight", first.dtype, shape, pieces_there))


def _labels(found: Found, header: Header, prefix: str) -> None:
    trainable = {str(name) for group in groups_of(header.get("param_shapes")) for name in group}
    buffers = header.get("buffer_names")
    for name in buffers if isinstance(buffers, list) else []:
        found.trained[f"{prefix}{name}"] = "buffer"
    frozen = header.get("frozen_param_shapes")
    for name in frozen if isinstance(frozen, Mapping) else ():
        found.trained[f"{prefix}{name}"] = "frozen"
    shared = header.get("shared_params")
    for name in shared if isinstance(shared, Mapping) else ():
        found.trained[f"{prefix}{name}"] = "tied"
    for name in trainable:
        found.trained.setdefault(f"{prefix}{name}", "trainable")
    # `frozen_param_shapes` is saved under ZeRO-2 and 3 only; elsewhere what has no place in a group is frozen.
    module = header.get("module")
    for name in module if trainable and isinstance(module, Mapping) else ():
        found.trained.setdefault(f"{prefix}{name}", "frozen")


def _layers(found: Found, folder: Folder) -> None:
    """Add the files of single layers (pipeline) and experts.

    `PipelineModule` names a layer's parameters by its number (`3.weight`), and so does `param_shapes`; experts
    keep the module's names.
    """
    for match, artifact in folder.matching(LAYER):
        read = open_torch(found, artifact)
        if read is not None:
            prefix = f"{_prefix(int(match[2] or 0))}{int(match[1])}."
            tensors = ((prefix + name, tensor) for name, tensor in named_tensors(read.value))
            found.records.extend(stored_records(found, artifact, tensors, "weight"))
    for match, artifact in folder.matching(EXPERT):
        read = open_torch(found, artifact)
        if read is not None:
            tensors = ((_prefix(int(match[1])) + name, tensor) for name, tensor in named_tensors(read.value))
            found.records.extend(stored_records(found, artifact, tensors, "weight"))


def _expert_optimizers(found: Found, folder: Folder) -> None:
    """Add the optimizer of each expert-parallel rank, which DeepSpeed saves so without ZeRO."""
    from forensics.weights.layouts._saved import moment_records

    for match, artifact in folder.matching(EXPERT_OPTIMIZER):
        read = open_torch(found, artifact)
        state = read.value.get("optimizer") if read is not None and isinstance(read.value, Mapping) else None
        if isinstance(state, Mapping):
            found.records.extend(moment_records(found, artifact, state, f"expp_rank_{match[1]}:"))


def _world(found: Found, headers: Mapping[int, Header], shards: int) -> None:
    """Compare the world size that the engine saved with the files that are there."""
    header = headers[min(headers)] if headers else {}
    data, model = header.get("dp_world_size"), header.get("mp_world_size")
    if not isinstance(data, int) or not isinstance(model, int):
        return
    expected = data * model
    found.world_size = found.world_size if found.world_size and found.world_size >= expected else expected
    if shards and shards > expected:
        found.suspicious(
            f"{shards} optimizer shards are there, but the engine ran on {expected} ranks: files of an earlier "
            "save with more ranks are among them",
            found.path,
        )
