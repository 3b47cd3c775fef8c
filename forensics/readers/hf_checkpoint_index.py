"""The index of a sharded checkpoint: `model.safetensors.index.json`, `pytorch_model.bin.index.json`.

    {
      "metadata": {"total_parameters": 6738415616, "total_size": 13476839424},
      "weight_map": {"lm_head.weight": "model-00002-of-00002.safetensors"}
    }

`total_parameters` is written since transformers 4.54 (seen in 4.54.1, not yet in 4.51.3).
"""

from collections.abc import Iterator, Mapping

from forensics.errors import MalformedError
from forensics.model import Artifact, Fact, Setting, Source, Standing
from forensics.plugin import reader
from forensics.readers._environment import damage, load_object

_PREFIX = "checkpoint_index"


@reader("hf-checkpoint-index", match=(r"(^|/)(model|pytorch_model|adapter_model)[\w.\-]*\.index\.json$",))
def hf_checkpoint_index(artifact: Artifact) -> Iterator[Fact]:
    """Index of a sharded Hugging Face checkpoint: sizes and counts, under `checkpoint_index.`."""
    document, index = load_object(artifact)
    if index is None:
        raise MalformedError(f"{artifact.path} holds no JSON object")
    yield from damage(artifact, document, "what stands before it was read")
    metadata, weights = index.get("metadata"), index.get("weight_map")
    held: dict[str, int] = {}
    if isinstance(metadata, Mapping):
        sizes = {key: metadata.get(key) for key in ("total_size", "total_parameters")}
        held = {key: int(size) for key, size in sizes.items() if isinstance(size, (int, float)) and abs(size) < 1e300}
    if isinstance(weights, Mapping):
        held |= {
            "tensors": len(weights),
            "shards": len({name for name in weights.values() if isinstance(name, str)}),
        }
    for name, value in held.items():
        yield Setting("setting", f"{_PREFIX}.{name}", value, Source(artifact.path, name), Standing.RECORDED)
    if "total_parameters" in held:
        place = Source(artifact.path, "metadata.total_parameters")
        yield Setting("setting", "inferred.transformers", ">4.51.3", place, Standing.INFERRED)
