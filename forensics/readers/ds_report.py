"""What `ds_report` prints (`deepspeed/env_report.py`); rows are a name, a run of dots, a value.

DeepSpeed general environment info:
torch version .................... 2.5.1+cu124
deepspeed info ................... 0.16.9, unknown, unknown
torch cuda version ............... 12.4
nvcc version ..................... 12.4
deepspeed wheel compiled w. ...... torch 2.5, cuda 12.4
"""

import re
from collections.abc import Iterator

from forensics.model import Artifact, Fact, Standing
from forensics.plugin import reader
from forensics.readers._environment import LINE, hardware, package, read_lines, sniffed, too_long

_ROW = re.compile(r"^(torch version|deepspeed info|torch cuda version|nvcc version) \.{2,40} (\S[^,\n]{0,200})")
_MARK = re.compile(r"^(?:torch version|deepspeed info) \.{2,40} \S", re.MULTILINE)
_PACKAGES = {"torch version": "torch", "deepspeed info": "deepspeed"}
_HARDWARE = {"torch cuda version": "cuda", "nvcc version": "nvcc"}


def _sniff(head: bytes) -> bool:
    return b"deepspeed info ..." in head and _MARK.search(sniffed(head)) is not None


@reader("ds-report", sniff=_sniff)
def ds_report(artifact: Artifact) -> Iterator[Fact]:
    """`ds_report` output: versions of torch, DeepSpeed and CUDA."""
    yield from too_long(artifact, "`ds_report` output")
    for line in read_lines(artifact):
        row = _ROW.match(line.text)
        if row is None:
            continue
        source, value = artifact.at(LINE, line.number), row[2].strip()
        if row[1] in _PACKAGES:
            yield from package(_PACKAGES[row[1]], value, source, Standing.CONFIGURED)
        else:
            yield from hardware(_HARDWARE[row[1]], value, source)
