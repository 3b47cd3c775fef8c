"""An accelerate configuration: `default_config.yaml`, or the file given to `accelerate launch --config_file`.

compute_environment: LOCAL_MACHINE
distributed_type: DEEPSPEED
deepspeed_config:
  zero_stage: 2
mixed_precision: bf16
num_machines: 1
num_processes: 8
"""

import re
from collections.abc import Iterator

from forensics.deferred.patterns import expression
from forensics.model import Artifact, Fact, Setting, Source, Standing
from forensics.plugin import reader
from forensics.readers._environment import settings
from forensics.readers._yaml import load_yaml, yaml_damage

_MARK = expression(rb"^(?:compute_environment|distributed_type)[ ]{0,4}:", re.MULTILINE)


def _sniff(head: bytes) -> bool:
    return _MARK.search(head) is not None


@reader("accelerate-config", sniff=_sniff)
def accelerate_config(artifact: Artifact) -> Iterator[Fact]:
    """Accelerate configuration in YAML, as settings under `accelerate.`."""
    document, found = load_yaml(artifact)
    if found is None or not {"compute_environment", "distributed_type"} & set(found):
        return
    yield from yaml_damage(artifact, document)
    yield from settings(artifact, found, Standing.CONFIGURED, "accelerate")
    processes = found.get("num_processes")
    if isinstance(processes, int) and not isinstance(processes, bool) and processes > 0:
        place = Source(artifact.path, "num_processes")
        yield Setting("setting", "world_size", processes, place, Standing.CONFIGURED)
