"""What a W&B run tells about its surroundings, in its log as in its files: configuration and environment."""

from collections.abc import Iterator, Mapping, Sequence

from forensics.formats.flatten import REDACTED, flatten, is_secret, scalar
from forensics.model import Scalar, Setting, Source, Standing
from forensics.readers._environment import hardware, package

MODEL_KEYS = frozenset(
    {
        "architectures",
        "attention_bias",
        "attention_dropout",
        "attn_implementation",
        "bos_token_id",
        "dtype",
        "eos_token_id",
        "head_dim",
        "hidden_act",
        "hidden_size",
        "id2label",
        "initializer_range",
        "intermediate_size",
        "label2id",
        "max_position_embeddings",
        "model_type",
        "num_attention_heads",
        "num_hidden_layers",
        "num_key_value_heads",
        "pad_token_id",
        "quantization_config",
        "rms_norm_eps",
        "rope_scaling",
        "rope_theta",
        "sliding_window",
        "tie_word_embeddings",
        "torch_dtype",
        "transformers_version",
        "use_cache",
        "vocab_size",
    }
)
"""Keys that come from the model where W&B mixes both: the Trainer logs `{**model.config, **args}`
(transformers, `integrations/integration_utils.py`, `WandbCallback.setup`)."""
_HARDWARE = {
    "os": "os",
    "gpu": "gpu",
    "gpu_count": "gpu_count",
    "cudaVersion": "driver_cuda",
    "docker": "container_image",
}


def settings_of_config(config: Mapping[str, object], sources: Mapping[str, Source]) -> Iterator[Setting]:
    """Yield a run's configuration; `sources` says where each key was read last."""
    mixed = "model_type" in config or "transformers_version" in config
    for key, value in config.items():
        if key == "_wandb":
            continue
        source = sources[key]
        if key == "transformers_version" and isinstance(value, str):
            yield from package("transformers", value, source, Standing.RECORDED)
        # A DeepSpeed configuration goes by its own keys.
        prefix = "" if key == "deepspeed" and isinstance(value, Mapping) else key
        prefix = f"model.{key}" if mixed and key in MODEL_KEYS else prefix
        for name, held in flatten(value, prefix.replace("/", ".")):
            yield Setting("setting", name, held, source, Standing.RECORDED)


def facts_of_environment(found: Mapping[str, object], source: Source) -> Iterator[Setting]:
    """Yield what `wandb-metadata.json`, or the record of the same content, says. Host and user are left out."""
    python = found.get("python")
    if isinstance(python, str):
        # Newer releases write the implementation too, "CPython 3.10.15".
        yield from package("python", python.split(" ")[-1], source, Standing.RECORDED)
    for key, name in _HARDWARE.items():
        value = found.get(key)
        if isinstance(value, (str, int)) and value:
            yield from hardware(name, value, source, Standing.RECORDED)
    program, arguments = found.get("program"), found.get("args")
    words = [str(program)] if isinstance(program, str) else []
    words += [str(word) for word in arguments] if isinstance(arguments, list) else []
    if words:
        yield Setting("command", "launch", _told(words), source, Standing.RECORDED)


def _told(words: Sequence[str]) -> Scalar:
    """Return a command as text without the values of secret arguments."""
    told: list[str] = []
    hidden = False
    for word in words:
        name, equals, _ = word.partition("=")
        secret = name.startswith("-") and is_secret(name.lstrip("-").replace("-", "_"))
        told.append(
            REDACTED if hidden and not word.startswith("-") else f"{name}={REDACTED}" if secret and equals else word
        )
        hidden = secret and not equals
    return scalar("launch", " ".join(told))
