"""Settings ranked by standing, and the frameworks that left their mark."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from forensics.deferred.patterns import expression
from forensics.model import Artifact, Checkpoint, Environment, Group, Setting, Source, Standing

DEEPSPEED_MARKS = ("zero_optimization.", "bf16.enabled", "fp16.enabled", "zero_allow_untested_optimizer")
_NUMBER = expression(r"(\d+)")


def natural(path: str) -> tuple[tuple[int, str], ...]:
    """Return a key that sorts `checkpoint-9` before `checkpoint-10`.

    >>> sorted(["checkpoint-10", "checkpoint-9"], key=natural)
    ['checkpoint-9', 'checkpoint-10']
    """
    return tuple((int(p), "") if p.isdigit() and len(p) < 19 else (-1, p) for p in _NUMBER.split(path))


def rank_settings(settings: Iterable[Setting], checkpoints: Sequence[Checkpoint] = ()) -> Environment:
    """Group settings by name, the best witness first: higher standing, then the later in natural order of files.

    The world size is added from checkpoints that tell it (a shard or a random state per rank).
    """
    groups: dict[tuple[Group, str], list[Setting]] = defaultdict(list)
    for setting in settings:
        groups[(setting.group, setting.name)].append(setting)
    for checkpoint in checkpoints:
        if checkpoint.world_size:
            source = Source(checkpoint.path, "one state file a rank")
            groups[("setting", "world_size")].append(
                Setting("setting", "world_size", checkpoint.world_size, source, Standing.RECORDED)
            )
    ranked: dict[tuple[Group, str], tuple[Setting, ...]] = {}
    for key, found in groups.items():
        if len(found) == 1:
            ranked[key] = (found[0],)
            continue
        found.sort(key=lambda s: (natural(s.source.path), s.source.record))
        found.reverse()
        found.sort(key=lambda s: -s.standing)
        # What a file says again and again (a list of packages that each rank printed) is told once.
        said: dict[tuple[str, Standing, str], Setting] = {}
        for setting in found:
            said.setdefault((setting.source.path, setting.standing, repr(setting.value)), setting)
        ranked[key] = tuple(said.values())
    return Environment(ranked)


def frameworks_of(
    environment: Environment, checkpoints: Sequence[Checkpoint], artifacts: Sequence[Artifact]
) -> tuple[str, ...]:
    """Name the frameworks that the run used, as its traces prove; an installed package proves nothing."""
    names = {name for group, name in environment.entries if group == "setting"}
    paths = [artifact.path for artifact in artifacts]
    kinds = {checkpoint.kind for checkpoint in checkpoints}
    found = []
    if "logging_nan_inf_filter" in names or any(p.endswith("trainer_state.json") for p in paths):
        found.append("transformers")
    if any(n.startswith(DEEPSPEED_MARKS) for n in names) or any("deepspeed" in kind for kind in kinds):
        found.append("deepspeed")
    if any(n.startswith("adapter.") for n in names):
        found.append("peft")
    if any("lightning" in kind for kind in kinds):
        found.append("lightning")
    if any("megatron" in kind for kind in kinds):
        found.append("megatron")
    return tuple(found)
