"""The header of a Slurm batch script.

    #SBATCH --job-name=sft
    #SBATCH --nodes=2
    #SBATCH --gres=gpu:a100:8
    #SBATCH --time=24:00:00

Options become settings under `slurm.`, the generic resource a GPU name and a count; all of it is intended.
"""

import re
from collections.abc import Iterator

from forensics.deferred.patterns import expression
from forensics.formats.flatten import scalar
from forensics.formats.plain_scalar import plain
from forensics.model import Artifact, Fact, Setting, Source, Standing
from forensics.plugin import reader
from forensics.readers._environment import LINE, hardware, read_lines, sniffed

_LINE = expression(r"^#SBATCH\s{1,8}(?:--([a-z][a-z\-]{1,40})|-([A-Za-z]))(?:[=\s]\s{0,8}([^#\s]\S{0,200}))?")
_MARK = expression(r"^#SBATCH\s", re.MULTILINE)
_LETTERS = {
    "N": "nodes",
    "n": "ntasks",
    "t": "time",
    "J": "job-name",
    "p": "partition",
    "c": "cpus-per-task",
    "G": "gpus",
}
_BOARDS = expression(r"^(?:gpu:)?(?:([A-Za-z][\w\-]{0,40}):)?(\d{1,4})$")


def _sniff(head: bytes) -> bool:
    return b"#SBATCH" in head and head.startswith(b"#!") and _MARK.search(sniffed(head)) is not None


@reader("slurm-script", sniff=_sniff)
def slurm_script(artifact: Artifact) -> Iterator[Fact]:
    """Slurm batch header (`#SBATCH`): nodes, tasks, time limit, GPUs."""
    for line in read_lines(artifact):
        match = _LINE.match(line.text)
        if match is None:
            continue
        source = artifact.at(LINE, line.number)
        option = match[1] or _LETTERS.get(match[2] or "", "")
        value: object = True if match[3] is None else match[3] if option == "time" else plain(match[3])
        if option:
            name = f"slurm.{option.replace('-', '_')}"
            yield Setting("setting", name, scalar(name, value), source, Standing.INTENDED)
        if option in {"gres", "gpus", "gpus-per-node"}:
            yield from _boards(str(match[3]), source)


def _boards(text: str, source: Source) -> Iterator[Setting]:
    match = _BOARDS.match(text)
    if match is not None:
        if match[1] and match[1].lower() != "gpu":
            yield from hardware("gpu", match[1], source, Standing.INTENDED)
        yield from hardware("gpu_count", int(match[2]), source, Standing.INTENDED)
