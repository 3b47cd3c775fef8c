"""What an argument says by the name that it gives: a DeepSpeed configuration that tools ship under fixed names.

`--deepspeed zero3` of ms-swift (`swift/llm/ds_config`) takes the configuration of that name; `ds_z2_config.json` is
LLaMA-Factory's, `zero3_offload.json` and `deepspeed_configs/zero2.json` are axolotl's. Only the stage is believed, and
only until the file itself is read.
"""

import re
from collections.abc import Iterator

from forensics.deferred.patterns import expression
from forensics.model import Scalar, Setting, Source, Standing

_STAGE = expression(r"(?:^|[/_\-])(?:ds_?)?z(?:ero)?_?(?:stage_?)?([0-3])(?!\d|\.\d)(?:[\w.\-]{0,60})$", re.IGNORECASE)
_ARGUMENTS = frozenset({"deepspeed", "deepspeed_config", "deepspeed_config_file"})


def presets(name: str, value: Scalar, source: Source) -> Iterator[Setting]:
    """Yield the ZeRO stage that the argument names: meant when it is a preset, inferred when it is a file's name."""
    match = _STAGE.search(value) if name in _ARGUMENTS and isinstance(value, str) else None
    if match is not None:
        preset = re.fullmatch(r"[\w\-]{1,40}", str(value)) is not None
        standing = Standing.INTENDED if preset else Standing.INFERRED
        yield Setting("setting", "zero_optimization.stage", int(match[1]), source, standing)
