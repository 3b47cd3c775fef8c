"""A training configuration in YAML: LLaMA-Factory, axolotl, TRL, and those that nest (torchtune, NeMo, verl, Hydra).

model_name_or_path: meta-llama/Llama-2-7b-hf
stage: sft
finetuning_type: full
deepspeed: ds_z2.json
learning_rate: 1e-5
per_device_train_batch_size: 1
bf16: true
"""

import re
from collections.abc import Iterator

from forensics.deferred.patterns import expression
from forensics.model import Artifact, Fact, Standing
from forensics.plugin import reader
from forensics.readers._arguments import looks_flat, looks_nested, looks_plain, told
from forensics.readers._yaml import load_yaml, yaml_damage

_FOREIGN = expression(
    rb"^(?:_wandb|compute_environment|distributed_type|lifecycle_stage|dependencies|apiVersion|services|wandb_version)"
    rb"[ ]{0,4}:"
    rb"|^[ \t]{1,8}desc[ ]{0,4}:",
    re.MULTILINE,
)
_ENGINE = expression(rb"^zero_optimization:[ \t]*(?:#.*)?\r?$", re.MULTILINE)
_SECTION = expression(rb"^[A-Za-z_][\w.-]*:[ \t]*(?:#.*)?$", re.MULTILINE)


def looks_like_arguments(head: bytes) -> bool:
    """Tell whether text is YAML of training arguments, flat or in sections, and no other YAML file."""
    if head.lstrip().startswith((b"{", b"#!")) or _FOREIGN.search(head):
        return False
    return (
        looks_flat(head)
        or looks_plain(head)
        or _ENGINE.search(head) is not None
        or (_SECTION.search(head) is not None and looks_nested(head))
    )


@reader("yaml-config", sniff=looks_like_arguments)
def yaml_config(artifact: Artifact) -> Iterator[Fact]:
    """Training configuration in YAML, flat (LLaMA-Factory, axolotl, TRL) or nested (torchtune, NeMo, Hydra)."""
    if artifact.path.endswith("hparams.yaml") or not artifact.path.lower().endswith((".yaml", ".yml")):
        return
    document, found = load_yaml(artifact)
    if found is None:
        return
    yield from yaml_damage(artifact, document)
    yield from told(artifact, found, Standing.CONFIGURED)
