"""The tokenizer's configuration: `tokenizer_config.json`.

{
  "eos_token": {"content": "</s>", "lstrip": false},
  "model_max_length": 4096,
  "pad_token": "</s>",
  "padding_side": "right",
  "tokenizer_class": "LlamaTokenizer"
}
"""

from collections.abc import Iterator, Mapping

from forensics.errors import MalformedError
from forensics.model import Artifact, Fact, Standing
from forensics.plugin import reader
from forensics.readers._environment import damage, in_checkpoint, load_object, settings

_LEFT_OUT = frozenset({"added_tokens_decoder", "chat_template", "added_tokens", "extra_special_tokens"})


@reader("tokenizer-config", match=(r"(^|/)tokenizer_config\.json$",))
def tokenizer_config(artifact: Artifact) -> Iterator[Fact]:
    """`tokenizer_config.json` of a Hugging Face tokenizer, as settings under `tokenizer.`."""
    document, found = load_object(artifact)
    if found is None:
        raise MalformedError(f"{artifact.path} holds no JSON object")
    yield from damage(artifact, document, "the settings before it were read")
    kept = {key: _content(value) for key, value in found.items() if key not in _LEFT_OUT}
    standing = Standing.RECORDED if in_checkpoint(artifact.path) else Standing.CONFIGURED
    yield from settings(artifact, kept, standing, "tokenizer")


def _content(value: object) -> object:
    """Return the text of a special token that was saved as an `AddedToken`."""
    return value["content"] if isinstance(value, Mapping) and "content" in value else value
