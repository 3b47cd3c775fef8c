"""The model's configuration: `config.json`, beside weights or in a checkpoint.

    {
      "architectures": ["LlamaForCausalLM"],
      "model_type": "llama",
      "rope_scaling": null,
      "torch_dtype": "bfloat16",
      "transformers_version": "4.36.2",
      "vocab_size": 32000
    }

`transformers_version` names the library that last saved the file (`configuration_utils.PretrainedConfig.to_dict`):
in `checkpoint-N` the one that trained; elsewhere perhaps the one of the base model's author.
"""

from collections.abc import Iterator, Mapping

from forensics.model import Artifact, Fact, Skip, Standing
from forensics.plugin import reader
from forensics.readers._arguments import is_plain, told
from forensics.readers._environment import load_object
from forensics.readers._hf_config import read_config

_KEYS = frozenset({"model_type", "architectures", "transformers_version", "hidden_size", "vocab_size", "torch_dtype"})


@reader("model-config", match=(r"(^|/)config\.json$",))
def model_config(artifact: Artifact) -> Iterator[Fact]:
    """`config.json` of a Hugging Face model, as settings under `model.`; of a loop of one's own, its arguments."""
    facts = list(read_config(artifact, "model", {"transformers_version": "transformers"}, _KEYS))
    if not facts:
        _, found = load_object(artifact)
        facts.extend(told(artifact, found, Standing.CONFIGURED) if found and is_plain(_names(found)) else ())
    yield from facts or [Skip(artifact.path, "is not the configuration of a Hugging Face model")]


def _names(found: Mapping[str, object]) -> Iterator[str]:
    """Yield the names of a configuration and of its sections."""
    for name, value in found.items():
        yield name
        if isinstance(value, dict):
            yield from value
