"""Training arguments in JSON, as HfArgumentParser and many scripts take them.

{"model_name_or_path": "gpt2", "learning_rate": 2e-5, "bf16": true, "deepspeed": "ds_zero2.json"}
"""

from collections.abc import Iterator

from forensics.deferred.patterns import expression
from forensics.model import Artifact, Fact, Standing
from forensics.plugin import reader
from forensics.readers._arguments import looks_flat, looks_nested, looks_plain, told
from forensics.readers._environment import damage, load_object

_FOREIGN = expression(
    rb'"(?:log_history|global_step|weight_map|architectures|peft_type|cells|'
    rb'swift_version|body)"\s*:|"(?:train_loss|eval_loss|loss)"\s*:\s*[\d\[-]'
)
_ENGINE = expression(rb'"(?:zero_optimization|train_micro_batch_size_per_gpu)"\s*:')
_WITH_ENGINE = expression(rb'"deepspeed"\s*:\s*\{')
"""A DeepSpeed configuration has a reader of its own; arguments may hold one."""
_OF_OTHERS = frozenset(
    {"args.json", "config.json", "tokenizer_config.json", "wandb-summary.json", "wandb-metadata.json"}
)
_BROKEN_UP = expression(rb"([{,])[ \t]*\"")


def _sniff(head: bytes) -> bool:
    start = head.lstrip(b"\xef\xbb\xbf \r\n\t")
    if not start.startswith(b"{") or b'"' not in start[:200] or _FOREIGN.search(start):
        return False
    if _ENGINE.search(start) and not _WITH_ENGINE.search(start):
        return False
    lines = _BROKEN_UP.sub(rb'\1\n"', start)  # one key a line, however it was written
    return looks_flat(lines) or looks_nested(lines) or looks_plain(lines)


@reader("json-config", sniff=_sniff)
def json_config(artifact: Artifact) -> Iterator[Fact]:
    """Training arguments in JSON, flat or in sections, under the names of TrainingArguments."""
    name = artifact.path.rpartition("/")[2]
    if artifact.size > artifact.limits.yaml_bytes or name in _OF_OTHERS:
        return
    document, found = load_object(artifact)
    if found is None:
        return
    yield from damage(artifact, document, "the arguments before it were read")
    yield from told(artifact, found, Standing.CONFIGURED)
