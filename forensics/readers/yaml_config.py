"""A training configuration in YAML: LLaMA-Factory, axolotl, TRL and Hugging Face arguments.

model_name_or_path: meta-llama/Llama-2-7b-hf
stage: sft
finetuning_type: full
deepspeed: ds_z2.json
learning_rate: 1e-5
per_device_train_batch_size: 1
bf16: true
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from forensics.model import Artifact, Fact, Standing
from forensics.plugin import reader
from forensics.readers._environment import settings
from forensics.readers._presets import presets
from forensics.readers._yaml import load_yaml, yaml_damage

_MARK = re.compile(
    rb"^(model_name_or_path|base_model|learning_rate|per_device_train_batch_size|micro_batch_size|num_train_epochs|"
    rb"num_epochs|output_dir|gradient_accumulation_steps|lr_scheduler(?:_type)?|finetuning_type|"
    rb"lora_(?:r|rank|target)|max_steps|warmup_(?:steps|ratio)|bf16|fp16|optim(?:izer)?|sequence_len|cutoff_len|"
    rb"deepspeed)[ ]{0,4}:[ \t]{1,8}\S",
    re.MULTILINE,
)
_FOREIGN = re.compile(
    rb"^(?:_wandb|compute_environment|distributed_type|lifecycle_stage|dependencies)[ ]{0,4}:", re.MULTILINE
)
_NAMES = {
    "base_model": "model_name_or_path",
    "micro_batch_size": "per_device_train_batch_size",
    "num_epochs": "num_train_epochs",
    "lr_scheduler": "lr_scheduler_type",
    "optimizer": "optim",
}
"""axolotl's names (`axolotl/utils/schemas/training.py`) and those of the TrainingArguments they set."""


def looks_like_arguments(head: bytes) -> bool:
    """Tell whether text has two keys or more of training arguments and none of other YAML files."""
    if head.lstrip().startswith((b"{", b"#!")) or _FOREIGN.search(head):
        return False
    return len({match[1] for match in _MARK.finditer(head)}) >= 2


@reader("yaml-config", sniff=looks_like_arguments)
def yaml_config(artifact: Artifact) -> Iterator[Fact]:
    """Training configuration in YAML (LLaMA-Factory, axolotl, TRL), under the names of TrainingArguments."""
    if artifact.path.endswith("hparams.yaml") or not artifact.path.lower().endswith((".yaml", ".yml")):
        return
    document, found = load_yaml(artifact)
    if found is None:
        return
    yield from yaml_damage(artifact, document)
    engine = found.get("deepspeed")
    if isinstance(engine, Mapping):
        found = {key: value for key, value in found.items() if key != "deepspeed"}
        yield from settings(artifact, engine, Standing.CONFIGURED)
    for setting in settings(artifact, found, Standing.CONFIGURED):
        yield replace(setting, name=_NAMES.get(setting.name, setting.name))
        yield from presets(setting.name, setting.value, setting.source)
