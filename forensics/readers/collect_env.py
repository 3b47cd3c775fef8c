"""What `python -m torch.utils.collect_env` prints.

PyTorch version: 2.5.1+cu124
Is debug build: False
CUDA used to build PyTorch: 12.4

OS: Ubuntu 22.04.4 LTS (x86_64)
Python version: 3.10.15 | packaged by conda-forge | (main, Oct 16 2024, 01:24:24) [GCC 13.3.0] (64-bit runtime)
Python platform: Linux-5.15.0-1064-azure-x86_64-with-glibc2.35
GPU models and configuration:
GPU 0: NVIDIA A100-SXM4-80GB
GPU 1: NVIDIA A100-SXM4-80GB
Nvidia driver version: 550.90.07

Versions of relevant libraries:
[pip3] torch==2.5.1
[conda] torch                     2.5.1                    pypi_0    pypi
"""

import re
from collections.abc import Iterator

from forensics.model import Artifact, Fact, Setting, Source, Standing
from forensics.plugin import reader
from forensics.readers._environment import LINE, hardware, package, read_lines, sniffed, too_long

_MARK = re.compile(r"^[\s>]{0,4}(?:CUDA used to build PyTorch|Is debug build): ", re.MULTILINE)
_KEY = re.compile(
    r"^[\s>]{0,4}(PyTorch version|CUDA used to build PyTorch|CUDA runtime version|OS|Python version"
    r"|Python platform|Nvidia driver version|GPU models and configuration): ?(.{0,400})$"
)
_GPU = re.compile(r"^(?:GPU models and configuration: )?GPU (\d{1,3}): ((?!.{1,200}\(UUID: ).{1,200})$")
_LIBRARY = re.compile(r"^\[(?:pip\d?|conda)\] ([\w.\-]{1,100})(?:==| {1,80})(\d[\w.!+\-]{0,80})")
_HARDWARE = {
    "CUDA used to build PyTorch": "cuda",
    "CUDA runtime version": "nvcc",
    "Nvidia driver version": "driver",
}


def _sniff(head: bytes) -> bool:
    return b"PyTorch version:" in head and _MARK.search(sniffed(head)) is not None


@reader("collect-env", sniff=_sniff)
def collect_env(artifact: Artifact) -> Iterator[Fact]:
    """`torch.utils.collect_env` output: torch, CUDA, driver, GPUs, platform, libraries."""
    yield from too_long(artifact, "`collect_env` output")
    boards: list[tuple[str, Source]] = []
    for line in read_lines(artifact):
        source = artifact.at(LINE, line.number)
        board = _GPU.match(line.text)
        if board is not None:
            boards.append((board[2], source))
        else:
            yield from _read_line(line.text, source)
    if boards:
        yield from hardware("gpu", boards[0][0], boards[0][1])
        yield from hardware("gpu_count", len(boards), boards[0][1])


def _read_line(text: str, source: Source) -> Iterator[Setting]:
    library = _LIBRARY.match(text)
    if library is not None:
        yield from package(library[1], library[2], source, Standing.CONFIGURED)
        return
    keyed = _KEY.match(text)
    if keyed is None:
        return
    key, value = keyed[1], keyed[2].strip()
    if key == "PyTorch version":
        yield from package("torch", value, source, Standing.CONFIGURED)
    elif key == "Python version":
        yield from package("python", value.split(" ")[0], source, Standing.CONFIGURED)
    elif key in {"Python platform", "OS"}:
        yield from hardware("os" if key == "OS" else "platform", value, source)
    elif key in _HARDWARE:
        yield from hardware(_HARDWARE[key], value, source)
