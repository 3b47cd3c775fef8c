"""The arguments of a training, in whatever a configuration is written: flat ones, and those of nested frameworks.

LLaMA-Factory, axolotl and TRL write TrainingArguments flat; torchtitan, torchtune, NeMo, verl, kohya and Hydra nest
them (`optimizer.lr`, `trainer.max_steps`). Every value is kept under its own dotted name; what also is a
TrainingArgument is told under that name too, where the file has one such value.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from forensics.deferred.patterns import expression
from forensics.model import Artifact, Setting, Standing
from forensics.names import ARGUMENTS
from forensics.readers._environment import settings

NAMES: Mapping[str, str] = MappingProxyType(
    {
        "base_model": "model_name_or_path",
        "micro_batch_size": "per_device_train_batch_size",
        "num_epochs": "num_train_epochs",
        "lr_scheduler": "lr_scheduler_type",
        "optimizer": "optim",
        "lr": "learning_rate",
        "max_iters": "max_steps",
        "grad_clip": "max_grad_norm",
    }
)
"""axolotl's names (`axolotl/utils/schemas/training.py`), nanoGPT's (`train.py`), and the TrainingArguments they set."""
_NESTED: Mapping[str, str] = MappingProxyType(
    {
        **{
            name: name
            for name in (
                "learning_rate",
                "max_grad_norm",
                "warmup_steps",
                "warmup_ratio",
                "max_steps",
                "weight_decay",
                "seed",
                "bf16",
                "fp16",
                "mixed_precision",
                "precision",
                "gradient_accumulation_steps",
                "num_train_epochs",
                "torch_dtype",
                "attn_implementation",
            )
        },
        **{
            other: name
            for name in ("warmup_steps", "max_steps", "gradient_accumulation_steps", "max_grad_norm")
            for other in ARGUMENTS[name]
            if "." not in other
        },
        "lr": "learning_rate",
        "base_lr": "learning_rate",  # detectron2
        "max_iter": "max_steps",
        "max_norm": "max_grad_norm",  # torchtitan
        "mixed_precision_param": "mixed_precision",  # torchtitan
        "steps": "max_steps",  # torchtitan, under `training`
    }
)
TRAINING = frozenset(_NESTED.values())
"""Names of which each tells that a configuration is one of a training."""
_WORD = (
    r"model_name_or_path|base_model|learning_rate|per_device_train_batch_size|micro_batch_size|num_train_epochs|num_epochs"
    r"|output_dir|gradient_accumulation_steps|lr_scheduler(?:_type)?|finetuning_type|lora_(?:r|rank|target)|max_steps"
    r"|warmup_(?:steps|ratio)|bf16|fp16|tf32|optim(?:izer)?|sequence_len|cutoff_len|deepspeed|max_grad_norm|weight_decay"
    r"|(?:logging|save|eval)_(?:steps|strategy)|per_device_eval_batch_size|gradient_checkpointing|label_smoothing_factor"
    r"|adam_(?:beta1|beta2|epsilon)|neftune_noise_alpha|attn_implementation|torch_dtype|load_in_[48]bit|lora_(?:alpha|dropout)"
    r"|max_(?:seq|prompt|completion)_length|sample_packing|use_(?:liger_kernel|peft|vllm|reentrant)|dataloader_num_workers"
    r"|fsdp(?:_config)?|ddp_(?:timeout|find_unused_parameters)|resume_from_checkpoint|reward_funcs|num_generations"
)
_NESTED_WORD = (
    r"lr|learning_rate|max_steps(?:_per_epoch)?|max_epochs|total_epochs|weight_decay|(?:num_)?warmup_(?:steps|ratio|epochs)|gradient_clip_val|max_norm"
    r"|clip_grad|grad_clip|max_grad_norm|max_train_(?:epochs|steps)|optimizer_type|train_batch_size|micro_batch_size|local_batch_size|global_batch_size|seq_len|mixed_precision\w*"
    r"|accumulate_grad_batches|gradient_accumulation_steps|optimizer|precision|num_epochs|epochs|batch_size"
    r"|base_lr|max_iter|warmup_iters|ims_per_batch"
)
FLAT = expression(rf"^(?:[\"'])?({_WORD})[\"']?[ ]{{0,4}}[:=][ \t]{{0,8}}\S".encode(), re.MULTILINE)
INDENTED = expression(
    rf"^[ \t]{{0,24}}[\"']?((?i:{_NESTED_WORD}))[\"']?[ ]{{0,8}}[:=][ \t]{{0,8}}\S".encode(), re.MULTILINE
)
_KEY = expression(rb"^[ \t]{0,24}[\"']?([A-Za-z][\w.]{0,40})[\"']?[ ]{0,8}:[ \t]{0,8}\S", re.MULTILINE)
_A_RATE = expression(
    rb"^[ \t]{0,24}[\"']?(?:\w{1,20}_)?(?:lr|learning_rate)0?[\"']?[ ]{0,8}:[ \t]{0,8}(?:\d{0,9}\.\d|\de|0\b)",
    re.MULTILINE | re.IGNORECASE,
)
"""A rate is a fraction; a vocabulary that holds the word has a whole number beside it."""
ENOUGH = 3
"""Different words of `_NESTED_WORD` that a nested configuration has; flat ones need two of the surer words."""
_RATES = frozenset({"lr", "learning_rate", "base_lr", "adam_lr", "lr0", "initial_lr", "init_lr", "peak_lr", "max_lr"})
_BESIDE = frozenset(
    {
        *("epochs", "num_epochs", "n_epochs", "max_epochs", "max_epoch", "iterations", "num_iterations", "n_iters"),
        *("steps", "num_steps", "max_steps", "total_steps", "max_iters", "total_timesteps", "episodes", "num_episodes"),
        *("updates", "rounds", "num_rounds", "n_rounds", "batch_size", "train_batch_size", "bs", "batch", "seed"),
        *("optimizer", "optim", "scheduler", "momentum", "weight_decay", "wd", "dropout", "warmup_steps", "warmup"),
        *("hidden_size", "hidden_dim", "hidden", "n_layers", "num_layers", "dataset", "device", "num_workers"),
        *("gamma", "clip_range", "ent_coef", "temperature", "margin", "latent_dim", "timesteps", "num_train_epochs"),
    }
)
"""Words that loops of one's own name beside a rate."""


def told(artifact: Artifact, found: Mapping[str, object], standing: Standing) -> Iterator[Setting]:
    """Yield the settings of a configuration; a DeepSpeed configuration inside of it is told by its own names."""
    engine = found.get("deepspeed")
    if isinstance(engine, Mapping):
        found = {key: value for key, value in found.items() if key != "deepspeed"}
        yield from settings(artifact, engine, standing)
    also: dict[str, list[Setting]] = defaultdict(list)
    flat = set[str]()
    for setting in settings(artifact, found, standing):
        name = NAMES.get(setting.name, setting.name)
        flat.add(name)
        yield Setting(setting.group, name, setting.value, setting.source, standing)
        leaf = setting.name.rpartition(".")[2].lower()
        if leaf != setting.name.lower() and leaf in _NESTED and (leaf != "steps" or setting.name == "training.steps"):
            also[_NESTED[leaf]].append(setting)
    for name, ones in also.items():
        if name not in flat and len({one.value for one in ones}) == 1:
            yield Setting("setting", name, ones[0].value, ones[0].source, standing)


def looks_flat(head: bytes) -> bool:
    """Tell whether two keys or more at the margin are those of training arguments."""
    return len({match[1] for match in FLAT.finditer(head)}) >= 2


def is_plain(names: Iterable[str]) -> bool:
    """Tell whether names are those of a loop of one's own: a rate, and another word of a training."""
    found = {name.rpartition(".")[2].lower() for name in names}
    return not found.isdisjoint(_RATES) and not found.isdisjoint(_BESIDE)


def looks_plain(head: bytes) -> bool:
    """Tell whether keys at any depth are those of a loop of one's own."""
    return _A_RATE.search(head) is not None and is_plain(match[1].decode() for match in _KEY.finditer(head))


def looks_nested(head: bytes) -> bool:
    """Tell whether keys at any depth are those of a training configuration."""
    return len({match[1].lower() for match in INDENTED.finditer(head)}) >= ENOUGH
