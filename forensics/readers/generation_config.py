"""Generation defaults: `generation_config.json`.

{
  "_from_model_config": true,
  "bos_token_id": 1,
  "eos_token_id": 2,
  "transformers_version": "4.36.2"
}
"""

from collections.abc import Iterator

from forensics.model import Artifact, Fact
from forensics.plugin import reader
from forensics.readers._hf_config import read_config


@reader("generation-config", match=(r"(^|/)generation_config\.json$",))
def generation_config(artifact: Artifact) -> Iterator[Fact]:
    """`generation_config.json` of a Hugging Face model, as settings under `generation.`."""
    yield from read_config(artifact, "generation", {"transformers_version": "transformers"})
