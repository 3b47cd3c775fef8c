"""What `nvidia-smi`, `nvidia-smi -L` and `nvcc --version` print.

    | NVIDIA-SMI 550.90.12              Driver Version: 550.90.12      CUDA Version: 12.4     |
    |   0  NVIDIA A100 80GB PCIe          Off |   00000000:01:00.0 Off |                    0 |
    | N/A   32C    P0             61W /  300W |     437MiB /  81920MiB |      0%      Default |

    GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-...)
    Cuda compilation tools, release 12.4, V12.4.131

The CUDA version in the header is the newest that the driver supports, not the one torch was built with.
"""

from collections.abc import Iterator

from forensics.deferred.patterns import expression
from forensics.model import Artifact, Fact, Source
from forensics.plugin import reader
from forensics.readers._environment import LINE, hardware, read_lines, sniffed, too_long

_HEADER = expression(
    r"NVIDIA-SMI\s{1,8}[\d.]{1,20}\s{1,40}(?:KMD Version|Driver Version):\s{0,8}([\d.]{1,20})\s{1,40}"
    r"CUDA(?: UMD)? Version:\s{0,8}([\d.]{1,10}|N/A|ERR!)"
)
_ROW = expression(
    r"^\|\s{1,6}\d{1,3}\s{1,4}(\S.{0,60}?)\s{1,40}(?:On|Off|N/A|TCC|WDDM)\s{0,6}\|\s{0,6}[0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:"
)
_LISTED = expression(r"^GPU \d{1,3}: (.{1,120}?) \(UUID: ")
_COMPILER = expression(r"^Cuda compilation tools, release ([\d.]{1,10})")


def _sniff(head: bytes) -> bool:
    if not any(mark in head for mark in (b"NVIDIA-SMI ", b"(UUID: GPU-", b"Cuda compilation tools")):
        return False
    text = sniffed(head)
    listed = (_LISTED.match(line) or _COMPILER.match(line) for line in text.split("\n"))
    return _HEADER.search(text) is not None or any(listed)


@reader("nvidia-smi", sniff=_sniff)
def nvidia_smi(artifact: Artifact) -> Iterator[Fact]:
    """`nvidia-smi` and `nvcc --version` output: driver, GPUs, CUDA of driver and compiler."""
    yield from too_long(artifact, "`nvidia-smi` output")
    boards: list[tuple[str, Source]] = []
    listed: list[tuple[str, Source]] = []
    headers = 0
    for line in read_lines(artifact):
        source = artifact.at(LINE, line.number)
        if header := _HEADER.search(line.text):
            headers += 1
            yield from hardware("driver", header[1], source)
            if header[2] != "ERR!":
                yield from hardware("driver_cuda", header[2], source)
        elif (row := _ROW.match(line.text)) and headers <= 1:
            # Later tables of a watch loop, or of another node, repeat the boards.
            boards.append((row[1], source))
        elif row := _LISTED.match(line.text):
            listed.append((row[1], source))
        elif row := _COMPILER.match(line.text):
            yield from hardware("nvcc", row[1], source)
    found = boards or listed
    if found:
        yield from hardware("gpu", found[0][0], found[0][1])
        yield from hardware("gpu_count", len(found), found[0][1])
