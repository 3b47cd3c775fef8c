"""DeepSpeed ZeRO layout: `mp_rank_XX_model_states.pt` and one `*_optim_states.pt` a rank.

The optimizer shards hold flat fp32 partitions. They are mapped back to named parameters as pieces of files,
without rebuilding a state dict: the rules are those of `deepspeed/utils/zero_to_fp32.py`
(`_zero2_merge_trainable_params`, `_zero3_merge_trainable_params`) and of `param_slice_mappings` (>= 0.7.4).
"""

import re
from collections.abc import Iterator, Mapping

from forensics.formats.torch_file import named_tensors
from forensics.model import Artifact, OptimizerState, Role, TensorRecord
from forensics.weights.folders import Folder, step_of
from forensics.weights.found import Found, open_torch, stored_records
from forensics.weights.layouts._partitions import Partition, named_pieces
from forensics.weights.optimizer import group_numbers, real, record_state, whole

MODEL = re.compile(r"(?:zero_pp_rank_(\d+)_)?mp_rank_(\d+)_model_states\.pt")
OPTIMIZER = re.compile(r"(?:bf16_|fp16_)?zero_pp_rank_(\d+)_mp_rank_(\d+)_optim_states\.pt")
LAYER = re.compile(r"layer_(\d+)(?:-model_\d+)?-model_states\.pt")
EXPERT = re.compile(r"layer_\d+_expert_\d+_mp_rank_\d+_model_states\.pt")


def recognise(folder: Folder) -> Found | None:
    """Return the checkpoint in this folder, or None when it holds no DeepSpeed states."""
    models = list(folder.matching(MODEL))
    shards = list(folder.matching(OPTIMIZER))
    if not models and not shards:
        return None
    step = step_of(folder.name)
    found = Found(
        folder.path, "deepspeed", step if step is not None else step_of(folder.parent), modified=folder.modified
    )
    header = _model_states(found, [artifact for _, artifact in models])
    _layers(found, folder)
    _optimizer_states(found, [artifact for match, artifact in shards if int(match[2]) == 0], header)
    return found


def _model_states(found: Found, artifacts: list[Artifact]) -> Mapping[object, object]:
    """Add the weights of each rank's module; return the first readable file's other entries."""
    header: Mapping[object, object] = {}
    for artifact in artifacts:
        read = open_torch(found, artifact)
        if read is None or not isinstance(read.value, Mapping):
            continue
        header = header or read.value
        module = read.value.get("module")
        tensors = [(name, t) for name, t in named_tensors(module) if t.elements] if module is not None else []
        # ZeRO-3 leaves placeholders of shape (0,) here; its weights are in the optimizer shards.
        records = stored_records(found, artifact, tensors, "weight")
        known = {record.name for record in found.records}
        found.records.extend(record for record in records if record.name not in known)
    _labels(found, header)
    return header


def _labels(found: Found, header: Mapping[object, object]) -> None:
    shapes = header.get("param_shapes")
    trainable = {str(name) for group in _groups(shapes) for name in group}
    buffers = header.get("buffer_names")
    for name in buffers if isinstance(buffers, list) else []:
        found.trained[str(name)] = "buffer"
    frozen = header.get("frozen_param_shapes")
    for name in frozen if isinstance(frozen, Mapping) else ():
        found.trained[str(name)] = "frozen"
    shared = header.get("shared_params")
    for name in shared if isinstance(shared, Mapping) else ():
        found.trained[str(name)] = "tied"
    for name in trainable:
        found.trained.setdefault(name, "trainable")


def _layers(found: Found, folder: Folder) -> None:
    for pattern in (LAYER, EXPERT):
        for match, artifact in folder.matching(pattern):
            read = open_torch(found, artifact)
            if read is not None:
                prefix = match.string.removesuffix("-model_states.pt").removesuffix("_model_states.pt")
                tensors = ((f"{prefix}.{name}", tensor) for name, tensor in named_tensors(read.value))
                found.records.extend(stored_records(found, artifact, tensors, "weight"))


def _groups(shapes: object) -> list[Mapping[object, object]]:
    if isinstance(shapes, Mapping):
        return [shapes]
    return [group for group in shapes if isinstance(group, Mapping)] if isinstance(shapes, list) else []


def _optimizer_states(found: Found, artifacts: list[Artifact], header: Mapping[object, object]) -> None:
    partitions: list[Partition] = []
    expected = 0
    first: Mapping[object, object] = {}
    for artifact in artifacts:
        read = open_torch(found, artifact)
        state = (
            read.value.get("optimizer_state_dict")
            if read is not None and isinstance(read.value, Mapping)
            else None
        )
        if read is None or not isinstance(state, Mapping):
            continue
        first = first or state
        expected = max(expected, _partition_count(state.get("partition_count")))
        partitions.append(Partition(artifact.path, state))
    if partitions:
        found.world_size = expected or len(artifacts)
    if expected and expected != len(artifacts):
        found.incomplete(
            f"{len(artifacts)} of {expected} optimizer shards are there: a rank did not finish saving", found.path
        )
    found.optimizer = _state(first, header)
    if partitions and (not expected or expected == len(partitions)):
        found.records.extend(_named(partitions, header))


def _named(partitions: list[Partition], header: Mapping[object, object]) -> Iterator[TensorRecord]:
    roles: tuple[Role, ...] = ("master", "exp_avg", "exp_avg_sq")
    groups = _groups(header.get("param_shapes"))
    for role in roles:
        for name, shape, pieces in named_pieces(partitions, groups, role):
            yield TensorRecord(name, role, pieces.dtype, shape, pieces.pieces)


def _partition_count(value: object) -> int:
    if isinstance(value, list | tuple):
        return max((whole(v) or 0 for v in value), default=0)
    return whole(value) or 0


def _state(state: Mapping[object, object], header: Mapping[object, object]) -> OptimizerState | None:
    if not state and not header:
        return None
    base = state.get("base_optimizer_state") or state.get("optimizer_state_dict")
    groups = base.get("param_groups") if isinstance(base, Mapping) else None
    first = groups[0] if isinstance(groups, list) and groups and isinstance(groups[0], Mapping) else {}
    betas = first.get("betas")
    pair = betas if isinstance(betas, tuple | list) and len(betas) == 2 else (None, None)
    scaler = record_state(state.get("loss_scaler"))
    dynamic = scaler.get("dynamic") is True
    return OptimizerState(
        learning_rates=group_numbers(groups, "lr"),
        weight_decays=group_numbers(groups, "weight_decay"),
        beta1=real(pair[0]),
        beta2=real(pair[1]),
        epsilon=real(first.get("eps")),
        scheduler_step=_scheduler_step(header.get("lr_scheduler")),
        loss_scale=real(scaler.get("cur_scale")) if dynamic else None,
        minimum_loss_scale=real(scaler.get("min_scale")) if dynamic else None,
        skipped_steps=whole(header.get("skipped_steps")),
        global_steps=whole(header.get("global_steps")),
        kind="adam" if "betas" in first else "",
    )


def _scheduler_step(state: object) -> int | None:
    if not isinstance(state, Mapping):
        return None
    return whole(state.get("last_epoch", state.get("last_batch_iteration")))
