"""What `npu-smi info`, `rocm-smi`, `amd-smi`, `rocminfo`, `hl-smi` and `xpu-smi` print of the boards.

| npu-smi 24.1.rc2                 Version: 24.1.rc2        |
| 0     910B3               | OK            | 93.7    50    |

GPU[0]          : Card Series:          AMD Instinct MI300X

| HL-SMI Version:                     hl-1.16.0-fw-50.1.2.0 |
|   0  HL-225              N/A  | 0000:33:00.0     N/A |
"""

import re
from collections.abc import Iterator

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.model import Artifact, Fact, Source
from forensics.plugin import reader
from forensics.readers._environment import LINE, hardware, read_lines, sniffed, too_long


@dataclass(frozen=True, slots=True)
class _Tool:
    """How one tool heads its output, names its driver and lists a board (index, then name); `maker` goes before it."""

    head: re.Pattern[str]
    driver: re.Pattern[str] | None
    board: re.Pattern[str]
    maker: str = ""


_TOOLS = (
    _Tool(
        expression(r"^\|\s{1,8}npu-smi \S{1,20}\s{1,40}Version:"),
        expression(r"npu-smi (\S{1,20})\s{1,40}Version:"),
        expression(
            r"^\|\s{1,4}(\d{1,3})\s{1,8}((?:Ascend)?\d{3}[A-Z]?\w{0,8})\s{1,40}\|"
            r"\s{0,8}(?:OK|Warning|Alarm|Critical|UNKNOWN)"
        ),
        "Ascend",
    ),
    _Tool(
        expression(r"ROCm System Management Interface|ROCm-SMI|AMD-SMI|^ROCk module|^GPU\[\d+\]\s{0,8}:"),
        expression(r"(?:amdgpu version|Driver version): (\d[\w.]{1,30})"),
        expression(
            r"^(?:GPU\[(\d{1,3})\]\s{0,8}:\s{1,8}Card [Ss]eries:\s{1,8}"
            r"|\s{1,12}(?:MARKET_NAME|Marketing Name):\s{1,24})"
            r"((?!AMD (?:EPYC|Ryzen))(?:AMD |Radeon|Instinct|MI)\S.{0,60}?)\s{0,20}$"
        ),
    ),
    _Tool(
        expression(r"HL-SMI Version:"),
        expression(r"Driver Version:\s{1,60}(\d[\w.\-]{1,30})"),
        expression(r"^\|\s{1,6}(\d{1,3})\s{1,4}(HL-\w{2,12})\s{1,24}\S{1,8}\s{0,8}\|"),
        "Gaudi ",
    ),
    _Tool(
        expression(r"^\|\s{0,4}Device ID\s{1,8}\|\s{0,4}Device Information"),
        None,
        expression(r"^\|\s{0,4}(\d{1,3})\s{1,12}\|\s{0,4}Device Name: (\S.{0,60}?)\s{1,40}\|"),
    ),
)


def _sniff(head: bytes) -> bool:
    if not any(mark in head for mark in (b"npu-smi", b"ROCm", b"AMD-SMI", b"ROCk", b"HL-SMI", b"Card ", b"Device ID")):
        return False
    return any(tool.head.search(line) for line in sniffed(head).split("\n") for tool in _TOOLS)


@reader("device-smi", sniff=_sniff, tested="built from what is known of the tools; no real capture was at hand")
def device_smi(artifact: Artifact) -> Iterator[Fact]:
    """`npu-smi info`, `rocm-smi`, `amd-smi`, `rocminfo`, `hl-smi`, `xpu-smi` output: driver and boards."""
    yield from too_long(artifact, "the boards")
    boards: dict[str, tuple[str, Source]] = {}
    drivers: set[str] = set()
    lines = list(read_lines(artifact))
    tools = [tool for tool in _TOOLS if any(tool.head.search(line.text) for line in lines)]
    for line in lines:
        source = artifact.at(LINE, line.number)
        for tool in tools:
            board, driver = tool.board.match(line.text), tool.driver and tool.driver.search(line.text)
            if board is not None:
                name = board[2] if board[2].startswith(tool.maker) else f"{tool.maker}{board[2]}"
                boards.setdefault(board[1] or str(line.number), (f"{name}".strip(), source))
            if driver and driver[1] not in drivers:
                drivers.add(driver[1])
                yield from hardware("driver", driver[1], source)
    if boards:
        name, source = next(iter(boards.values()))
        yield from hardware("gpu", name, source)
        yield from hardware("gpu_count", len(boards), source)
