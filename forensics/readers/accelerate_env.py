"""What `accelerate env` prints for an issue, with the default configuration indented by a tab.

- `Accelerate` version: 1.10.1
- Platform: Linux-5.15.0-1064-azure-x86_64-with-glibc2.35
- Python version: 3.10.15
- Numpy version: 1.26.4
- PyTorch version: 2.5.1+cu124
- System RAM: 1007.70 GB
- GPU type: NVIDIA A100-SXM4-80GB
- `Accelerate` default config:
    - distributed_type: DEEPSPEED
    - mixed_precision: bf16
"""

import re
from collections.abc import Iterator

from forensics.model import Artifact, Fact
from forensics.plugin import reader
from forensics.readers._blocks import find_items, read_items
from forensics.readers._environment import read_lines, sniffed, too_long

_HEADER = re.compile(r"^[\s>]{0,8}[-*] `Accelerate` version:", re.MULTILINE)


def _sniff(head: bytes) -> bool:
    return b"Accelerate` version:" in head and _HEADER.search(sniffed(head)) is not None


@reader("accelerate-env", sniff=_sniff)
def accelerate_env(artifact: Artifact) -> Iterator[Fact]:
    """`accelerate env` output, alone or pasted among other text: packages, platform, GPU, configuration."""
    yield from too_long(artifact, "`accelerate env` output")
    yield from read_items(artifact, find_items(list(read_lines(artifact)), "accelerate"))
