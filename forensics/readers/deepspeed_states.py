"""What DeepSpeed says about itself in its checkpoints: `*_model_states.pt`, `*_optim_states.pt`.

Torch files, walked and never unpickled. Beside tensors, `engine._save_checkpoint` and the ZeRO optimizers'
`state_dict` put in them:

    global_steps, global_samples, skipped_steps      500, 8000, 7
    dp_world_size, mp_world_size                     8, 1
    ds_config                                        {"zero_optimization": {"stage": 2}, ...}
    ds_version                                       "0.12.5"
    optimizer_state_dict.loss_scaler                 DynamicLossScaler: cur_scale 65536, last_overflow_iter 480
"""

from collections.abc import Iterator, Mapping

import numpy as np

from forensics.deferred.patterns import expression
from forensics.formats.pickle_values import Record
from forensics.formats.torch_file import plain, read_torch
from forensics.model import Artifact, Fact, Samples, Setting, Skip, Source, Standing
from forensics.names import LOSS_SCALE, SKIPPED_STEPS
from forensics.plugin import reader
from forensics.readers._environment import package, settings
from forensics.storage.file import File

_STATES = expression(
    r"(^|/)(?P<kind>mp_rank_\d+_model_states|(?:\w+_)?zero_pp_rank_\d+_mp_rank_\d+_(?:optim|model)_states)\.pt$"
)
_FIRST_RANK = expression(r"(?:^|/)(?:(?:(?:bf|fp)16_)?zero_pp_rank_0_)?mp_rank_0+_(?:optim|model)_states\.pt$")
_STEP = expression(r"(?:global_step|checkpoint-)(\d{1,15})/")
_SIZES = ("dp_world_size", "mp_world_size", "global_steps", "global_samples", "skipped_steps")
MAX_COUNT = 1 << 62


@reader("deepspeed-states", match=(_STATES.pattern,))
def deepspeed_states(artifact: Artifact) -> Iterator[Fact]:
    """DeepSpeed checkpoint states of the first rank: version, configuration, skipped steps, loss scale."""
    if _FIRST_RANK.search(artifact.path) is None:
        return  # the other ranks repeat it
    with File(artifact.location) as file:
        read = read_torch(file, artifact.limits)
    state = _attributes(read.value)
    if read.partial:
        yield Skip(artifact.path, f"is damaged ({'; '.join(read.problems[:3])}); what stands before was read")
    inner = _attributes(state.get("optimizer_state_dict"))
    yield from _version(artifact, state.get("ds_version", inner.get("ds_version")))
    config = state.get("ds_config")
    if isinstance(config, Mapping):
        yield from settings(artifact, plain(config, artifact.limits), Standing.EFFECTIVE)
    yield from _counts(artifact, state)
    yield from _scaler(artifact, inner.get("loss_scaler"))


def _attributes(value: object) -> Mapping[object, object]:
    """Return the state of an object, or the mapping itself; nothing for anything else."""
    state = value.state if isinstance(value, Record) else value
    return state if isinstance(state, Mapping) else {}


def _version(artifact: Artifact, version: object) -> Iterator[Setting]:
    if isinstance(version, str):
        yield from package("deepspeed", version, Source(artifact.path, "ds_version"), Standing.RECORDED)


def _counts(artifact: Artifact, state: Mapping[object, object]) -> Iterator[Samples | Setting]:
    counts = {name: held for name in _SIZES if type(held := state.get(name)) is int and 0 <= held < MAX_COUNT}
    for name, value in counts.items():
        yield Setting("setting", f"deepspeed.{name}", value, Source(artifact.path, name), Standing.RECORDED)
    ranks = counts.get("dp_world_size", 0) * counts.get("mp_world_size", 1)
    if ranks:
        yield Setting("setting", "world_size", ranks, Source(artifact.path, "dp_world_size"), Standing.RECORDED)
    if "skipped_steps" in counts and "global_steps" in counts:
        yield _point(artifact, SKIPPED_STEPS, counts["global_steps"], counts["skipped_steps"], "skipped_steps")


def _scaler(artifact: Artifact, scaler: object) -> Iterator[Samples | Setting]:
    """Yield the state of the loss scaler, of `runtime/fp16/loss_scaler.py`; a static scale of bf16 is one too."""
    held = plain(_attributes(scaler), artifact.limits)
    if not isinstance(held, dict):
        return
    for key, value in held.items():
        if isinstance(value, (bool, int, float, str)):
            place = Source(artifact.path, f"optimizer_state_dict.loss_scaler.{key}")
            yield Setting("setting", f"loss_scaler.{key}", value, place, Standing.RECORDED)
    scale, step = held.get("cur_scale"), _STEP.search(artifact.path)
    if step and isinstance(scale, (int, float)) and held.get("dynamic") is True:
        place_of_scale = "optimizer_state_dict.loss_scaler.cur_scale"
        yield _point(artifact, LOSS_SCALE, int(step[1]), float(scale), place_of_scale)


def _point(artifact: Artifact, name: str, step: int, value: float, place: str) -> Samples:
    return Samples(
        name=name,
        steps=np.array([step], dtype=np.int64),
        values=np.array([value], dtype=np.float64),
        records=np.zeros(1, dtype=np.int64),
        path=artifact.path,
        place=place,
    )
