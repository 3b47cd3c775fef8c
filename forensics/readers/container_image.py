r"""The container image of a job: a pod of Kubernetes, a compose file, a Slurm or Singularity command.

image: nvcr.io/nvidia/pytorch:25.04-py3
#SBATCH --container-image=nvcr.io#nvidia/pytorch:25.04-py3
singularity exec --nv docker://pytorch/pytorch:2.1.2-cuda12.1-cudnn8-devel python train.py
"""

import re
from collections.abc import Iterator

from forensics.deferred.patterns import expression
from forensics.model import Artifact, Fact
from forensics.plugin import reader
from forensics.readers._environment import LINE, read_lines
from forensics.readers._images import IMAGE, image_settings

_GIVEN = expression(
    r"(?:^\s{0,40}(?:- )?image:\s{1,8}[\"']?|--container-image[= ]\s{0,4}[\"']?|docker://)(\S{3,300})", re.MULTILINE
)


def _sniff(head: bytes) -> bool:
    named = b"image" in head or b"docker://" in head
    return named and _GIVEN.search(head.decode("utf-8", "replace")) is not None


@reader("container-image", sniff=_sniff)
def container_image(artifact: Artifact) -> Iterator[Fact]:
    """Images of pods, compose files, Slurm and Singularity: what NVIDIA's and others' names tell of their content."""
    for line in read_lines(artifact):
        given = _GIVEN.search(line.text)
        image = IMAGE.match(given[1].replace("#", "/").strip("\"'")) if given else None
        if image is not None:
            yield from image_settings(image[1], artifact.at(LINE, line.number))
