"""Packages as conda tells them: `conda list`, `--export`, `--explicit`, `--json`, `conda env export`.

# packages in environment at /opt/conda/envs/llm:
#
# Name                    Version                   Build  Channel
numpy                     1.26.4          py310hb13e2d6_0    conda-forge
torch                     2.5.1                    pypi_0    pypi

# platform: linux-64
numpy=1.26.4=py310hb13e2d6_0

@EXPLICIT
https://conda.anaconda.org/conda-forge/linux-64/numpy-1.26.4-py310hb13e2d6_0.conda#0123456789abcdef

dependencies:
  - python=3.10.15=h4a871b0_2_cpython
  - pip:
      - torch==2.5.1
"""

import re
from collections.abc import Iterator

from forensics.deferred.patterns import expression
from forensics.formats.lenient_json import parse
from forensics.model import Artifact, Fact, Setting, Standing
from forensics.plugin import reader
from forensics.readers._environment import LINE, package, read_head, sniffed, split_lines, too_long

_TABLE = expression(r"^# Name\s{1,80}Version\s{1,80}Build", re.MULTILINE)
_ROW = expression(r"^([A-Za-z0-9][\w.\-]{0,80})\s{1,80}(\d[\w.!+\-]{0,60})\s{1,80}(\S{1,80})(?:\s{1,80}\S{1,120})?$")
_EXPORT = expression(r"^# This file may be used to create an environment using:", re.MULTILINE)
_EXPORTED = expression(r"^([a-z0-9_][\w.\-]{0,80})=(\d[\w.!+\-]{0,60})=(\S{1,80})$")
_EXPLICIT = expression(r"^@EXPLICIT\s*$", re.MULTILINE)
_ADDRESS = expression(
    r"^https?://\S{1,400}/([a-z0-9_][\w.\-]{0,80})-(\d[\w.!+]{0,60})-[\w.]{1,80}\.(?:conda|tar\.bz2)(?:#.*)?$"
)
_YAML = expression(r"^dependencies:\s*$", re.MULTILINE)
_YAML_CONDA = expression(r"^\s{0,8}- ([a-z0-9_][\w.\-]{0,80})=(\d[\w.!+\-]{0,60})(=[\w.]{1,80})?\s*$")
_YAML_PIP = expression(r"^\s{2,16}- ([A-Za-z0-9][\w.\-]{0,80})==(\d[\w.!+\-]{0,60})\s*$")
_JSON = expression(rb'^\s*\[\s*\{[^{}]{0,2000}"channel":')
# Not Python packages, but worth their name: conda's own builds of the CUDA runtime.
_CUDA = frozenset({"cuda-runtime", "pytorch-cuda", "cudatoolkit", "cuda-version"})


def _sniff(head: bytes) -> bool:
    if _JSON.match(head):
        return b'"version"' in head
    if not any(mark in head for mark in (b"# Name", b"# This file may", b"@EXPLICIT", b"dependencies:")):
        return False
    text = sniffed(head)
    if any(pattern.search(text) for pattern in (_TABLE, _EXPORT, _EXPLICIT)):
        return True
    return _YAML.search(text) is not None and any(
        _YAML_CONDA.match(line) or _YAML_PIP.match(line) for line in text.split("\n")
    )


@reader("conda-list", sniff=_sniff)
def conda_list(artifact: Artifact) -> Iterator[Fact]:
    """`conda list` in all its forms and `conda env export`: packages."""
    yield from too_long(artifact, "conda's lists")
    data = read_head(artifact)
    if _JSON.match(data):
        yield from _read_json(artifact, data)
        return
    lines = list(split_lines(data, artifact.limits.text_line_bytes))
    text = "\n".join(line.text for line in lines)
    patterns = [
        (_TABLE, _ROW),
        (_EXPORT, _EXPORTED),
        (_EXPLICIT, _ADDRESS),
        (_YAML, _YAML_CONDA),
        (_YAML, _YAML_PIP),
    ]
    active = [row for mark, row in patterns if mark.search(text)]
    # An export carries build strings; an environment.yml by hand does not, and is only a wish.
    built = any(match and match[3] for match in map(_YAML_CONDA.match, text.split("\n")))
    for line in lines:
        for pattern in active:
            match = pattern.match(line.text)
            if match:
                by_hand = pattern in (_YAML_CONDA, _YAML_PIP) and not built
                standing = Standing.INTENDED if by_hand else Standing.CONFIGURED
                yield from _package(artifact, match[1], match[2], line.number, standing)
                break


def _package(artifact: Artifact, name: str, version: str, number: int, standing: Standing) -> Iterator[Setting]:
    source = artifact.at(LINE, number)
    # conda names PyTorch's package after the project; its torch is the same.
    yield from package("torch" if name == "pytorch" else name, version, source, standing)
    if name in _CUDA:
        yield Setting("hardware", "cuda", version, source, standing)
    elif name == "nccl":
        yield Setting("hardware", "nccl", version, source, standing)


def _read_json(artifact: Artifact, data: bytes) -> Iterator[Setting]:
    rows = parse(data, artifact.limits).value
    for index, row in enumerate(rows if isinstance(rows, list) else ()):
        name, version = (row.get("name"), row.get("version")) if isinstance(row, dict) else (None, None)
        if isinstance(name, str) and isinstance(version, str):
            yield from package(
                "torch" if name == "pytorch" else name, version, artifact.at("[{}]", index), Standing.CONFIGURED
            )
