"""What `nvidia-smi -q` tells of the boards, alone or as a part of NVIDIA's bug report.

    ==============NVSMI LOG==============
    Driver Version                            : 550.90.12
    GPU 00000000:06:00.0
        Product Name                          : NVIDIA H100 80GB HBM3
        ECC Errors
            Volatile
                DRAM Uncorrectable            : 0        (Ampere and later)
                Double Bit
                    Device Memory             : 0        (Volta and earlier)
        Remapped Rows
            Pending                           : Yes
            Remapping Failure Occurred        : No

Captures: Azure/azhpc-diagnostics `Linux/test/samples/nvidia-smi-q.out`, stas00/ml-engineering `nvidia/debug.md`,
NVIDIA/dcgm-exporter issue 16; whole reports: xi8zhu/deep_learning_framework_csi, marwank270/nvidia-bug-report. What the
fields mean: docs.nvidia.com/deploy/a100-gpu-mem-error-mgmt.
"""

from collections.abc import Iterable, Iterator

from forensics.deferred.patterns import expression
from forensics.model import Artifact, Fact, Source
from forensics.plugin import reader
from forensics.readers._environment import LINE, Line, hardware, read_lines, too_long
from forensics.readers._events.rows import events
from forensics.readers._events.scan import of_lines

HEADS = (b"==============NVSMI LOG==============", b"\nStart of NVIDIA bug report log file.", b"\nAttached GPUs    ")
_BOARD = expression(r"^GPU ([0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.\d)\s*$")
_FIELD = expression(r"^(\s*)(\S.{0,60}?)\s*: (\S.{0,120}?)\s*$")
_SECTION = expression(r"^(\s+)([A-Z].{0,60}?)\s*$")
_SETTINGS = {"Driver Version": "driver", "CUDA Version": "driver_cuda"}
_COUNTED = expression(r"(?<!\d)[1-9]\d{0,18}$")
_ILL = (
    ("Volatile", expression(r"(?:SRAM|DRAM) Uncorrectable"), _COUNTED),
    ("Volatile, Double Bit", expression(r"Total$"), _COUNTED),
    ("Remapped Rows", expression(r"Pending$|Remapping Failure Occurred"), expression(r"Yes$")),
    ("Retired Pages", expression(r"Pending Page Blacklist"), expression(r"Yes$")),
    ("", expression(r"GPU Recovery Action|Gpu Reset Status|Reset Required"), expression(r"Yes$|Reset|Reboot|Drain")),
)
"""Section, field and value of a board that is not well; aggregate counters reach back to when it was built."""


@reader(
    "nvidia-smi-query",
    sniff=lambda head: any(mark in head for mark in HEADS),
    tested="written after captures of five public repositories",
)
def nvidia_smi_query(artifact: Artifact) -> Iterator[Fact]:
    """`nvidia-smi -q`: driver, boards, what their memory tells; the kernel's lines of a bug report are a log's."""
    yield from too_long(artifact, "`nvidia-smi -q` output")
    told: list[str] = []
    boards: list[tuple[str, Source]] = []
    for line, board, section, name, value in _fields(read_lines(artifact)):
        source = artifact.at(LINE, line.number)
        if name in _SETTINGS:
            yield from hardware(_SETTINGS[name], value, source)
        elif name == "Product Name":
            boards.append((value, source))
        elif any(section.endswith(s) and field.match(name) and ill.match(value) for s, field, ill in _ILL):
            told.append(f"GPU health: {board}, {section + ', ' if section else ''}{name}: {value}")
    if boards:
        yield from hardware("gpu", boards[0][0], boards[0][1])
        yield from hardware("gpu_count", len(boards), boards[0][1])
    yield from events(of_lines("\n".join(told).encode()), artifact.path, "statement {}")


def _fields(lines: Iterable[Line]) -> Iterator[tuple[Line, str, str, str, str]]:
    """Yield each field with its board and the sections that it stands in, the outermost only where it is all."""
    board = ""
    sections: dict[int, str] = {}
    for line in lines:
        found = _BOARD.match(line.text)
        field = _FIELD.match(line.text)
        if found:
            board, sections = found[1], {}
        elif field:
            above = [name for depth, name in sections.items() if depth < len(field[1])]
            yield line, board, ", ".join(above[1:] or above), field[2], field[3]
        elif heading := _SECTION.match(line.text):
            depth = len(heading[1])
            sections = {above: name for above, name in sections.items() if above < depth} | {depth: heading[2]}
