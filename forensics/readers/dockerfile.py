"""A container recipe: `Dockerfile`.

    FROM nvcr.io/nvidia/pytorch:24.06-py3
    ENV NCCL_DEBUG=INFO
    RUN pip install deepspeed==0.12.5 "transformers==4.36.2" && pip cache purge

Only exact versions are facts, and only intended ones; the image is told as hardware `container_image`.
"""

import re
from collections.abc import Iterator

from forensics.deferred.patterns import expression
from forensics.formats.flatten import scalar
from forensics.model import Artifact, Fact, Setting, Standing
from forensics.plugin import reader
from forensics.readers._environment import EXACT, LINE, package, read_lines
from forensics.readers._images import image_settings

_FROM = expression(r"^FROM\s{1,8}(?:--\S{1,80}\s{1,8})?(\S{1,200})", re.IGNORECASE)
_ENV = expression(r"^ENV\s{1,8}([A-Za-z_]\w{0,80})[=\s]\s{0,8}(.{1,400})$", re.IGNORECASE)


@reader("dockerfile", match=(r"(?i)(^|/)([\w.\-]+\.)?Dockerfile(\.[\w\-]+)?$",))
def dockerfile(artifact: Artifact) -> Iterator[Fact]:
    """`Dockerfile`: base image, variables, exact versions that it installs."""
    for line in read_lines(artifact):
        source = artifact.at(LINE, line.number)
        text = line.text.strip()
        if image := _FROM.match(text):
            yield from image_settings(image[1], source)
        elif variable := _ENV.match(text):
            value = scalar(variable[1], variable[2].strip("\"' "))
            yield Setting("variable", variable[1], value, source, Standing.INTENDED)
        elif not text.startswith("#"):
            for name, version in EXACT.findall(text[:8192]):
                yield from package(name, version, source, Standing.INTENDED)
