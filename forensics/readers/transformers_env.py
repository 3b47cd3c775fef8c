"""What `transformers-cli env` (v4) or `transformers env` (v5) prints for an issue.

    - `transformers` version: 4.57.1
    - Platform: Linux-5.15.0-1064-azure-x86_64-with-glibc2.35
    - Python version: 3.10.15
    - Huggingface_hub version: 0.35.3
    - Accelerate version: 1.10.1
    - Accelerate config:    not found
    - DeepSpeed version: 0.16.9
    - PyTorch version (accelerator?): 2.5.1+cu124 (CUDA)
    - GPU type: NVIDIA A100-SXM4-80GB

transformers up to 4.46 prints `PyTorch version (GPU?): 2.1.2+cu121 (True)`.
"""

import re
from collections.abc import Iterator

from forensics.model import Artifact, Fact
from forensics.plugin import reader
from forensics.readers._blocks import find_items, read_items
from forensics.readers._environment import read_lines, sniffed, too_long

_HEADER = re.compile(r"^[\s>]{0,8}[-*] `transformers` version:", re.MULTILINE)


def _sniff(head: bytes) -> bool:
    return b"transformers` version:" in head and _HEADER.search(sniffed(head)) is not None


@reader("transformers-env", sniff=_sniff)
def transformers_env(artifact: Artifact) -> Iterator[Fact]:
    """Hugging Face `transformers env` output, alone or pasted among other text: packages, platform, GPU."""
    yield from too_long(artifact, "`transformers env` output")
    yield from read_items(artifact, find_items(list(read_lines(artifact)), "transformers"))
