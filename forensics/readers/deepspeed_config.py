"""A DeepSpeed configuration as it was given: `ds_config.json`, `zero2.json`.

    {
      "bf16": {"enabled": true},
      "zero_optimization": {"stage": 2, "overlap_comm": true, "reduce_bucket_size": "auto"},
      "train_micro_batch_size_per_gpu": "auto"
    }

"auto" is kept as text: the Trainer fills it in later, and what it filled in is told by checkpoints and logs.
"""

from collections.abc import Iterator, Mapping

from forensics.deferred.patterns import expression
from forensics.errors import MalformedError
from forensics.model import Artifact, Fact, Standing
from forensics.plugin import reader
from forensics.readers._environment import damage, load_object, settings

_OWN_KEYS = frozenset(
    {
        "zero_optimization",
        "train_micro_batch_size_per_gpu",
        "zero_allow_untested_optimizer",
        "zero_force_ds_cpu_optimizer",
        "steps_per_print",
        "wall_clock_breakdown",
    }
)
_MARKS = expression(
    rb'"(?:zero_optimization|train_micro_batch_size_per_gpu|zero_allow_untested_optimizer|zero_force_ds_cpu_optimizer)"'
    rb"\s*:"
)
_FOREIGN = expression(rb'"(?:log_history|global_step|weight_map|logging_steps|per_device_train_batch_size)"\s*:')


def _sniff(head: bytes) -> bool:
    start = head.lstrip(b"\xef\xbb\xbf \r\n\t")
    return start.startswith(b"{") and _MARKS.search(head) is not None and _FOREIGN.search(head) is None


@reader("deepspeed-config", sniff=_sniff)
def deepspeed_config(artifact: Artifact) -> Iterator[Fact]:
    """DeepSpeed configuration in JSON, under its own dotted names (`zero_optimization.stage`)."""
    document, found = load_object(artifact)
    if found is None:
        raise MalformedError(f"{artifact.path} holds no JSON object")
    inner = _inner(found)
    if inner is not None:
        yield from damage(artifact, document, "the settings before it were read")
        yield from settings(artifact, inner, Standing.CONFIGURED)


def _inner(found: Mapping[str, object]) -> Mapping[str, object] | None:
    """Return the object itself when it is a DeepSpeed configuration, or the one that it holds."""
    if not _OWN_KEYS.isdisjoint(found):
        return found
    for value in found.values():
        if isinstance(value, Mapping) and not _OWN_KEYS.isdisjoint(value):
            return value
    return None
