"""ZeRO's optimizer shards: flat fp32 partitions, mapped back to named parameters as pieces of files.

No state dict is rebuilt. The rules are those of `deepspeed/utils/zero_to_fp32.py`
(`_zero2_merge_trainable_params`, `_zero3_merge_trainable_params`), see `_partitions`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from forensics.deferred.records import dataclass
from forensics.model import Artifact, OptimizerState, Role, TensorRecord
from forensics.weights.found import Found, open_torch
from forensics.weights.layouts._partitions import Partition, named_pieces, unaccounted
from forensics.weights.optimizer import group_numbers, real, record_state, state_of, whole

Header = Mapping[object, object]
ROLES: tuple[Role, ...] = ("master", "exp_avg", "exp_avg_sq")


@dataclass(frozen=True, slots=True)
class Shard:
    """The optimizer files of one model-parallel rank, its model states' other entries, the prefix of its names."""

    artifacts: Sequence[Artifact]
    header: Header
    prefix: str


def groups_of(shapes: object) -> list[Header]:
    """Return `param_shapes` as a list of groups; before DeepSpeed 0.4 it was one dict."""
    if isinstance(shapes, Mapping):
        return [shapes]
    return [group for group in shapes if isinstance(group, Mapping)] if isinstance(shapes, list) else []


def add_optimizer(found: Found, shard: Shard) -> None:
    """Add master weights, moments and settings of the shards."""
    partitions: list[Partition] = []
    counts: list[int] = []
    first: Header = {}
    origin = shard.artifacts[0]
    for artifact in shard.artifacts:
        read = open_torch(found, artifact)
        value = read.value if read is not None else None
        state = value.get("optimizer_state_dict") if isinstance(value, Mapping) else None
        if not isinstance(state, Mapping):
            continue
        if not first:
            first, origin = state, artifact
        counts = counts or _partition_counts(state.get("partition_count"))
        partitions.append(Partition(artifact.path, state))
    expected = max(counts, default=0)
    if partitions:
        found.world_size = max(found.world_size or 0, expected or len(shard.artifacts))
    if expected and expected != len(shard.artifacts):
        found.incomplete(
            f"{len(shard.artifacts)} of {expected} optimizer shards are there: a rank did not finish saving",
            found.path,
        )
    settings = _state(found, first, shard.header, origin)
    found.optimizer = found.optimizer or settings
    if partitions and (not expected or expected == len(partitions)):
        _named(found, shard, partitions, counts)


def _named(found: Found, shard: Shard, partitions: list[Partition], counts: list[int]) -> None:
    groups = [
        group if number >= len(counts) or counts[number] == len(partitions) else {}
        for number, group in enumerate(groups_of(shard.header.get("param_shapes")))
    ]
    left = [
        name
        for number, group in enumerate(groups_of(shard.header.get("param_shapes")))
        if not groups[number]
        for name in group
    ]
    if left:
        _experts(found, shard, partitions, counts)
    held = found.records.tensors
    known = set(zip(held.names, held.roles, strict=True))
    for role in ROLES:
        records = {
            name: TensorRecord(shard.prefix + name, role, pieces.dtype, shape, pieces.pieces)
            for name, shape, pieces in named_pieces(partitions, groups, role)
        }
        taken = {n: r for n, r in records.items() if (r.name, role) not in known}
        found.records.extend(taken.values())
        found.records.extend(_shared(shard, taken))
    problem = unaccounted(partitions, groups)
    if problem is not None:
        found.suspicious(problem, found.path)


def _experts(found: Found, shard: Shard, partitions: list[Partition], counts: list[int]) -> None:
    """Add groups that fewer ranks share (experts): each rank's own, as flat tensors under the group's number.

    `param_shapes` of the first rank names only its own experts, so the others' cannot be named from these files.
    """
    for number, count in enumerate(counts):
        if count == len(partitions):
            continue
        for rank, partition in enumerate(partitions):
            for role in ROLES:
                name = f"{shard.prefix}expert_group_{number}.rank_{rank}"
                for flat in named_pieces([partition], [{}] * number + [{name: None}], role, flat=True):
                    found.records.append(TensorRecord(flat[0], role, flat[2].dtype, flat[1], flat[2].pieces))


def _shared(shard: Shard, records: Mapping[str, TensorRecord]) -> Iterator[TensorRecord]:
    """Yield the tied parameters, which have no partition of their own, as aliases of their owners."""
    shared = shard.header.get("shared_params")
    for alias, owner in shared.items() if isinstance(shared, Mapping) else ():
        record = records.get(str(owner))
        if record is not None:
            yield replace(record, name=f"{shard.prefix}{alias}", alias_of=record.name)


def _partition_counts(value: object) -> list[int]:
    """Return the partition count of each group; ZeRO-3 has one for all."""
    if isinstance(value, list | tuple):
        return [whole(v) or 0 for v in value]
    known = whole(value)
    return [known] if known else []


def _state(found: Found, state: Header, header: Header, artifact: Artifact) -> OptimizerState | None:
    if not state and not header:
        return None
    base = state.get("base_optimizer_state") or state.get("optimizer_state_dict")
    groups = base.get("param_groups") if isinstance(base, Mapping) else None
    known = state_of(found, base, artifact) if isinstance(base, Mapping) else None
    scaler = record_state(state.get("loss_scaler"))
    dynamic = scaler.get("dynamic") is True
    return replace(
        known or OptimizerState(),
        learning_rates=group_numbers(groups, "lr"),
        weight_decays=group_numbers(groups, "weight_decay"),
        scheduler_step=_scheduler_step(header.get("lr_scheduler")),
        loss_scale=real(scaler.get("cur_scale")) if dynamic else None,
        minimum_loss_scale=real(scaler.get("min_scale")) if dynamic else None,
        skipped_steps=whole(header.get("skipped_steps")),
        global_steps=whole(header.get("global_steps")),
    )


def _scheduler_step(state: object) -> int | None:
    if not isinstance(state, Mapping):
        return None
    return whole(state.get("last_epoch", state.get("last_batch_iteration")))
