"""What nvidia-smi -q and dcgmi diag tell of boards; excerpts after public captures (see the readers), other numbers."""

import json
from pathlib import Path

import pytest

from forensics.investigate import investigate
from forensics.model import Report

STEPS = "".join(f"step {n} | loss {2.4 - n / 100:.3f}\n" for n in range(1, 41))
CRASH = "RuntimeError: CUDA error: an illegal memory access was encountered\n"
QUERY = """
==============NVSMI LOG==============

Timestamp                                 : Tue Mar  3 12:06:50 2026
Driver Version                            : 550.90.12
CUDA Version                              : 12.4

Attached GPUs                             : 2
GPU 00000000:06:00.0
    Product Name                          : NVIDIA H100 80GB HBM3
    ECC Errors
        Volatile
            SRAM Correctable              : 12
            SRAM Uncorrectable Parity     : 0
            DRAM Uncorrectable            : {volatile}
        Aggregate
            DRAM Uncorrectable            : 3
    Retired Pages
        Pending Page Blacklist            : {retired}
    Remapped Rows
        Correctable Error                 : 0
        Uncorrectable Error               : 2
        Pending                           : {pending}
        Remapping Failure Occurred        : {failed}
GPU 00000000:07:00.0
    Product Name                          : NVIDIA H100 80GB HBM3
    ECC Errors
        Volatile
            DRAM Uncorrectable            : 0
"""
WELL = {"volatile": "0", "retired": "N/A", "pending": "No", "failed": "No"}
TABLE_3 = """Successfully ran diagnostic for group.
+---------------------------+------------------------------------------------+
| Diagnostic                | Result                                         |
+===========================+================================================+
|-----  Metadata  ----------+------------------------------------------------|
| DCGM Version              | 3.3.1                                          |
| Persistence Mode          | Pass                                           |
| Memory                    | Fail - GPU: 2                                  |
| Warning                   | GPU 2 Pending Page Blacklist                   |
"""
TABLE_4 = """Successfully ran diagnostic for group.
+---------------------------+------------------------------------------------+
| Diagnostic                | Result                                         |
| memory                    | Fail                                           |
|                           | GPU1: Pass                                     |
|                           | GPU2: Fail                                     |
| pcie                      | Pass                                           |
| nvbandwidth               | Fail                                           |
"""


def judged(folder: Path, files: dict[str, str]) -> Report:
    for name, text in files.items():
        (folder / name).write_text(text)
    return investigate(folder)


def told(report: Report) -> list[str]:
    events = [events for events in report.run.timeline.events if events.kind == "gpu-health"]
    return [each.text_at(index).partition(": ")[2] for each in events for index in range(len(each))]


@pytest.mark.parametrize(
    ("ill", "said"),
    [
        ({"volatile": "7"}, "00000000:06:00.0, Volatile, DRAM Uncorrectable: 7"),
        ({"retired": "Yes"}, "00000000:06:00.0, Retired Pages, Pending Page Blacklist: Yes"),
        ({"pending": "Yes"}, "00000000:06:00.0, Remapped Rows, Pending: Yes"),
        ({"failed": "Yes"}, "00000000:06:00.0, Remapped Rows, Remapping Failure Occurred: Yes"),
    ],
    ids=["uncorrectable", "retired", "pending", "remap failed"],
)
def test_a_board_that_is_not_well_is_named_and_alone_no_fault(tmp_path: Path, ill: dict[str, str], said: str) -> None:
    report = judged(tmp_path, {"train.log": STEPS, "smi.txt": QUERY.format(**WELL | ill)})

    assert told(report) == [said]
    assert report.verdict == "healthy"
    found = {name: report.run.environment.best(name, "hardware") for name in ("gpu_count", "driver")}
    assert {name: best.value for name, best in found.items() if best} == {"gpu_count": 2, "driver": "550.90.12"}


def test_a_board_that_is_well_is_silent(tmp_path: Path) -> None:
    assert told(judged(tmp_path, {"train.log": STEPS, "smi.txt": QUERY.format(**WELL)})) == []


def test_beside_a_crash_it_is_the_first_suspect(tmp_path: Path) -> None:
    report = judged(tmp_path, {"train.log": STEPS + CRASH, "smi.txt": QUERY.format(**WELL | {"failed": "Yes"})})

    assert "gpu-hardware-fault" in [h.cause for h in report.hypotheses[:2]]


def test_a_bug_report_holds_the_kernel_lines_as_well(tmp_path: Path) -> None:
    kernel = "[12.3] NVRM: Xid (PCI:0000:06:00): 79, pid=4242, name=python, GPU has fallen off the bus.\n"
    head = "____________________________________________\n\nStart of NVIDIA bug report log file.\n\n"
    report = judged(tmp_path, {"nvidia-bug-report.log": head + kernel + QUERY.format(**WELL | {"pending": "Yes"})})

    assert {"gpu-hardware", "gpu-health"} <= {events.kind for events in report.run.timeline.events}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TABLE_3, ["dcgmi diag, Memory failed on GPU 2"]),
        (TABLE_4, ["dcgmi diag, memory failed on GPU2", "dcgmi diag, nvbandwidth failed"]),
        (TABLE_4.replace("Fail", "Pass"), []),
    ],
    ids=["DCGM 3", "DCGM 4", "passed"],
)
def test_the_failed_tests_of_a_table_are_told(tmp_path: Path, text: str, said: list[str]) -> None:
    report = judged(tmp_path, {"train.log": STEPS, "dcgm.txt": text})

    assert told(report) == said
    assert report.verdict == "healthy"


@pytest.mark.parametrize("key", ["entity_id", "gpu_id", "gpu_ids"])
def test_the_failed_tests_of_the_json_form_are_told(tmp_path: Path, key: str) -> None:
    results = [{key: "2", "status": "Fail", "warnings": [{"warning": "x"}]}, {key: "3", "status": "Pass"}, None]
    tests = [{"name": "memory", "results": results}, None, {"name": "pcie", "results": [{"status": "Fail"}]}]
    tree = {"DCGM Diagnostic": {"test_categories": [{"category": "Hardware", "tests": tests}], "version": "4.2.3"}}
    report = judged(tmp_path, {"train.log": STEPS, "diag.json": json.dumps(tree)})

    assert told(report) == ["dcgmi diag, memory failed on GPU 2", "dcgmi diag, pcie failed"]
