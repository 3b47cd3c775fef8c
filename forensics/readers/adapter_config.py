"""A PEFT adapter's configuration: `adapter_config.json`.

    {
      "base_model_name_or_path": "meta-llama/Llama-2-7b-hf",
      "lora_alpha": 16,
      "peft_type": "LORA",
      "peft_version": "0.18.0",
      "r": 8,
      "target_modules": ["v_proj", "q_proj"]
    }

`peft_version` is written since PEFT 0.18.0. The order of `target_modules` is that of a set, so it is sorted here.
"""

from collections.abc import Iterator
from dataclasses import replace

from forensics.model import Artifact, Fact, Setting
from forensics.plugin import reader
from forensics.readers._hf_config import read_config


@reader("adapter-config", match=(r"(^|/)adapter_config\.json$",))
def adapter_config(artifact: Artifact) -> Iterator[Fact]:
    """`adapter_config.json` of a PEFT adapter, as settings under `adapter.`."""
    for fact in read_config(artifact, "adapter", {"peft_version": "peft"}):
        if isinstance(fact, Setting) and fact.name == "adapter.target_modules":
            modules = sorted(str(fact.value).split(", "))
            yield replace(fact, value=", ".join(modules))
        else:
            yield fact
