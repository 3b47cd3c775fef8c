"""What schedulers, clusters and boards told in public: each witness from three repositories (data/witnesses.txt)."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from forensics.investigate import investigate

HERE = Path(__file__).parent
STEPS = "".join(f"step {n} | loss {2.4 - n / 100:.3f}\n" for n in range(1, 41))
DIAGNOSIS = """Successfully ran diagnostic for group.
+---------------------------+------------------------------------------------+
| Diagnostic                | Result                                         |
+===========================+================================================+
|-----  Metadata  ----------+------------------------------------------------|
| DCGM Version              | {version}                                          |
| Driver Version Detected   | 555.42.02                                      |
| GPU Device IDs Detected   | 20b5,20b5                                      |
|-----  Deployment  --------+------------------------------------------------|
{deployment}
+-----  Hardware  ----------+------------------------------------------------+
| {name:<25} | Fail - GPUs: 1                                 |
| Warning                   | GPU 1 {warning:<40} |
+---------------------------+------------------------------------------------+
"""


def _witnesses() -> Iterator[tuple[str, str, str, str, str, str]]:
    """Yield each witness: its name, where it stands, its file, the ending and what is said of it; its text."""
    for part in (HERE / "data/witnesses.txt").read_text().split("\n=== ")[1:]:
        line, _, text = part.partition("\n")
        name, source, file, kind, says = (cell.strip() for cell in f"{line} ".split(" | "))
        yield name, source, file, kind, says, text + "\n"


WITNESSES = {witness[0]: witness[1:] for witness in _witnesses()}
FORMS = (
    "sacct",
    "scontrol",
    "seff",
    "Xid|fell",
    "kubectl describe",
    "pod as YAML",
    "pod as JSON",
    "events",
    "nvidia-smi -q",
    "bug report",
    "dcgmi",
)


def test_each_form_stands_in_three_repositories() -> None:
    found = {
        form: {w[0].split("#")[0].split(":")[0] for n, w in WITNESSES.items() if re.search(form, n)} for form in FORMS
    }
    found["dcgmi"] |= {"NVIDIA/go-dcgm", "NVIDIA/DCGM"}  # the diagnoses below

    assert {form: len(repositories) for form, repositories in found.items() if len(repositories) < 3} == {}


@pytest.mark.parametrize("name", WITNESSES)
def test_a_witness_of_a_public_thread_tells_how_the_run_ended(tmp_path: Path, name: str) -> None:
    source, file, kind, says, text = WITNESSES[name]
    (tmp_path / file).write_text(text if file != "train.log" else STEPS + text)
    if file != "train.log":
        (tmp_path / "train.log").write_text(STEPS)
    report = investigate(tmp_path)
    ending = report.run.ending
    told = [f.statement for f in report.findings] + [
        each for events in report.run.timeline.events if events.path == file for each in (events.text, *events.texts)
    ]

    assert re.fullmatch(r"[\w.-]+/[\w.-]+(?:#\d+|:\S+)", source)
    assert ("unknown" if ending is None else ending.kind) == kind
    if says:
        assert any(re.search(says, each) for each in told), told
    else:
        assert [f.symptom for f in report.findings if f.severity != "notice"] == []
        assert not report.run.has("event gpu-health")


@pytest.mark.parametrize(
    ("source", "version", "deployment", "name", "warning"),
    [
        ("NVIDIA/go-dcgm#52", "3.3.1", "| Denylist                  | Pass      |", "GPU Memory", "had bad memory"),
        (
            "NVIDIA/DCGM#253",
            "4.2.3",
            "| software                  | Pass      |",
            "memory",
            "has 1 uncorrectable error",
        ),
        ("NVIDIA/DCGM#198", "3.3.7", "| NVML Library              | Pass      |", "PCIe", "link is too slow"),
    ],
)
def test_a_failed_diagnosis_is_told(  # noqa: PLR0913, PLR0917  (the parts of a report)
    tmp_path: Path, source: str, version: str, deployment: str, name: str, warning: str
) -> None:
    text = DIAGNOSIS.format(version=version, deployment=deployment, name=name, warning=warning)
    (tmp_path / "dcgm.txt").write_text(text)
    (tmp_path / "train.log").write_text(STEPS)

    assert "#" in source
    assert investigate(tmp_path).run.has("event gpu-health")


def test_containers_alone_tell_how_one_of_them_ended(tmp_path: Path) -> None:
    text = WITNESSES["pod as JSON, its containers alone, which run"][-1]
    ended = '"lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}'
    (tmp_path / "containers.json").write_text(text.replace('"lastState": {}', ended))
    (tmp_path / "train.log").write_text(STEPS)
    ending = investigate(tmp_path).run.ending

    assert ending is not None
    assert (ending.kind, ending.quoted) == ("killed", "Reason: OOMKilled")


def test_the_log_of_another_system_tells_of_no_crash(tmp_path: Path) -> None:
    """Lines of a machine whose nodes could not load a program, as logpai/loghub has them of BlueGene/L."""
    line = "- 1117838570 2005.06.03 R02-M1-N0 RAS APP FATAL ciod: Error loading /g/x: bad image, Exec format error\n"
    (tmp_path / "system.log").write_text(line * 40)
    (tmp_path / "train.log").write_text(STEPS)

    assert [f.symptom for f in investigate(tmp_path).findings if f.severity != "notice"] == []
