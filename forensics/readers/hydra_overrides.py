"""What Hydra says when a job fails (`hydra/_internal/utils.py`): the overrides that it was started with.

Error executing job with overrides: ['trainer.max_epochs=1', 'data.train_batch_size=16', '+model.dtype=bf16']
"""

from collections.abc import Iterator

from forensics.deferred.patterns import expression
from forensics.formats.flatten import scalar
from forensics.formats.plain_scalar import plain
from forensics.model import Artifact, Fact, Setting, Standing
from forensics.plugin import reader
from forensics.readers._environment import LINE, read_lines

_LINE = expression(r"Error executing job with overrides: (\[.{0,60000})")
_QUOTED = expression(r"'((?:[^'\\]|\\.){0,4000})'|\"((?:[^\"\\]|\\.){0,4000})\"")
_OVERRIDE = expression(r"[+~]{0,2}([A-Za-z_][\w.@/]{0,200})=(.*)")


@reader("hydra-overrides", sniff=lambda head: b"Error executing job with overrides: [" in head)
def hydra_overrides(artifact: Artifact) -> Iterator[Fact]:
    """Hydra's last line of a job that failed: the overrides that it was started with."""
    for line in read_lines(artifact):
        told = _LINE.search(line.text)
        for quoted in _QUOTED.finditer(told[1]) if told else ():
            override = _OVERRIDE.fullmatch(quoted[1] or quoted[2] or "")
            if override is not None:
                name, value = override.groups()
                source = artifact.at(LINE, line.number)
                yield Setting("setting", name, scalar(name, plain(value)), source, Standing.RECORDED)
