"""The Trainer's arguments as the run used them: `training_args.bin`.

`torch.save(self.args)` of `Trainer._save`: a pickled `TrainingArguments` (or a subclass) with every attribute.
It is walked, never unpickled. As attributes:

    output_dir                   "run"
    learning_rate                2e-06
    lr_scheduler_type            SchedulerType("linear")
    logging_nan_inf_filter       True
    distributed_state            PartialState: num_processes 2
    deepspeed                    "ds_zero2.json"
    hf_deepspeed_config          HfTrainerDeepSpeedConfig: config {"zero_optimization": {"stage": 2}, ...}

The DeepSpeed configuration in it is the one that the Trainer filled in ("auto" resolved), so it is EFFECTIVE.
"""

from collections.abc import Iterator, Mapping

from forensics.errors import MalformedError
from forensics.formats.torch_file import TorchFile, plain, read_torch
from forensics.model import Artifact, Fact, Setting, Skip, Source, Standing
from forensics.plugin import reader
from forensics.readers._environment import settings
from forensics.storage.file import File

_ENGINE = ("hf_deepspeed_config", "deepspeed_plugin")
_STATE = "distributed_state"
# Objects that hold the arguments' machinery, and nothing that anybody set.
_LEFT_OUT = frozenset({*_ENGINE, _STATE, "__cached__setup_devices", "_setup_devices", "__class__"})


@reader("training-args", match=(r"(^|/)training_args\.bin$",))
def training_args(artifact: Artifact) -> Iterator[Fact]:
    """`training_args.bin`: all TrainingArguments, the effective DeepSpeed configuration, the world size."""
    with File(artifact.location) as file:
        read = read_torch(file, artifact.limits)
    arguments = _mapping(plain(read.value, artifact.limits))
    if "learning_rate" not in arguments and "output_dir" not in arguments:
        raise MalformedError(f"{artifact.path} holds no training arguments")
    yield from _damage(artifact, read)
    name = arguments.get("__class__")
    if isinstance(name, str):
        yield Setting("setting", "training_args.class", name, Source(artifact.path, "class"), Standing.RECORDED)
    yield from _world(artifact, arguments)
    engine = _engine_config(arguments)
    if engine is not None:
        yield from settings(artifact, engine, Standing.EFFECTIVE)
    kept = {key: held for key, held in arguments.items() if key not in _LEFT_OUT}
    if isinstance(kept.get("deepspeed"), Mapping):
        kept["deepspeed"] = "<given as a dictionary>"
    for setting in settings(artifact, kept, Standing.RECORDED):
        if not setting.name.endswith(".__class__"):
            yield setting


def _mapping(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _damage(artifact: Artifact, read: TorchFile) -> Iterator[Skip]:
    if read.partial:
        yield Skip(artifact.path, f"is damaged ({'; '.join(read.problems[:3])}); what stands before was read")


def _world(artifact: Artifact, arguments: Mapping[str, object]) -> Iterator[Setting]:
    processes = _mapping(arguments.get(_STATE)).get("num_processes")
    if type(processes) is int and 0 < processes < 1 << 31:
        place = Source(artifact.path, f"{_STATE}.num_processes")
        yield Setting("setting", "world_size", processes, place, Standing.RECORDED)


def _engine_config(arguments: Mapping[str, object]) -> object:
    """Return the DeepSpeed configuration: of the Trainer's own object, or of accelerate's plugin."""
    for holder in _ENGINE:
        held = _mapping(arguments.get(holder))
        inner = _mapping(held.get("hf_ds_config")) if "hf_ds_config" in held else held
        config = inner.get("config")
        if isinstance(config, Mapping) and config:
            return config
    return None
