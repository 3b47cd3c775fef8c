"""Whatever fails unexpectedly costs its own part: the report is still there and has one line about it."""

import errno
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from forensics import catalog, investigate, render
from forensics.diagnosis.headline import headline_of
from forensics.discovery import unpack
from forensics.errors import InternalError, LimitError, MalformedError, contained
from forensics.investigate import investigate as investigated
from forensics.limits import Limits
from forensics.model import Counts, Finding, Report, Run
from forensics.plugin import Detector, Document, Reader
from forensics.report import _html_view, _markdown_sections, _terminal_parts, markdown
from forensics.storage import packed as packed_files
from forensics.weights import find
from forensics.weights.folders import Folder, Folders
from forensics.weights.found import Found

LOG = "{'loss': 2.5, 'epoch': 0.1}\n{'loss': 2.4, 'epoch': 0.2}\n"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    made = tmp_path / "run"
    (made / "checkpoint-5").mkdir(parents=True)
    save_file({"w": np.ones(4, np.float32)}, made / "checkpoint-5" / "model.safetensors")
    (made / "train.log").write_text(LOG)
    return made


def fail() -> None:
    raise ZeroDivisionError("boom")


def boom(*_: object) -> Iterator[Any]:
    fail()
    yield from ()


def told(report: Report) -> list[str]:
    return [failure for failure in report.failures if "ZeroDivisionError: boom" in failure]


def test_a_layout_that_fails_costs_itself(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def recognise(folder: Folder, folders: Folders) -> Iterator[Found]:
        raise ZeroDivisionError("boom")

    monkeypatch.setattr(find, "LAYOUTS", (recognise, *find.LAYOUTS))
    report = investigated(run)

    assert told(report)
    assert [c.status for c in report.run.checkpoints] == ["clean"]


def test_a_reader_that_fails_costs_its_file(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Reader("broken", boom, (), lambda head: head.startswith(b"{'loss'"), "")
    readers = (*catalog.readers(), broken)
    monkeypatch.setattr(catalog, "readers", lambda: readers)

    assert told(investigated(run))


def test_a_sniffer_that_fails_costs_its_file(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def sniff(head: bytes) -> bool:
        raise ZeroDivisionError("boom")

    readers = (Reader("broken", boom, (), sniff, ""),)
    monkeypatch.setattr(catalog, "readers", lambda: readers)

    assert told(investigated(run))


def test_a_detector_that_fails_costs_its_symptom(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def find_nothing(run: Run) -> Iterator[Finding]:
        fail()
        yield from ()

    detectors = (Detector("broken", find_nothing, (), (), ""), *catalog.detectors())
    monkeypatch.setattr(catalog, "detectors", lambda: detectors)

    assert told(investigated(run))


def test_the_judgement_of_a_checkpoint_that_fails_costs_itself(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "judge_files", boom)
    report = investigated(run)

    assert told(report)
    assert len(report.run.checkpoints) == 1


def test_an_unpacker_that_fails_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "run.zip"
    archive.write_bytes(b"PK\x03\x04")
    monkeypatch.setattr(unpack, "_unpacked", boom_now)

    with pytest.raises(MalformedError, match=r"run\.zip cannot be unpacked: boom"), unpack.opened(archive):
        pass


def boom_now(*_: object) -> Path:
    raise ZeroDivisionError("boom")


def test_what_fails_inside_an_opened_archive_is_not_its_fault(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "run.zip", "w") as made:
        made.writestr("run/train.log", LOG)
    with pytest.raises(OSError, match="mine"), unpack.opened(tmp_path / "run.zip"):
        raise OSError("mine")


def test_a_file_that_unpacks_too_far_is_refused_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import gzip

    monkeypatch.setattr(unpack, "FREE_BYTES", 1 << 20)
    packed = tmp_path / "train.log.gz"
    packed.write_bytes(gzip.compress(bytes(16 << 20)))

    with pytest.raises(LimitError, match="unpacks to more"), unpack.opened(packed, Limits()):
        pass


def test_what_is_packed_too_far_is_unpacked_no_further(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It shows after some of the packed bytes: the others, of which the file has enough to allow for it, are left."""
    import gzip
    import random

    monkeypatch.setattr(unpack, "FREE_BYTES", 1 << 20)
    path = tmp_path / "train.log.gz"
    path.write_bytes(gzip.compress(bytes(16 << 20)) + gzip.compress(random.Random(1).randbytes(1 << 18)))
    taken: list[int] = []
    real = packed_files._Cursor.next

    def watched(cursor: packed_files._Cursor) -> bytes:
        made = real(cursor)
        taken.append(len(made))
        return made

    monkeypatch.setattr(packed_files._Cursor, "next", watched)

    with pytest.raises(LimitError, match="unpacks to more"), unpack.opened(path, Limits()):
        pass
    assert sum(taken) < 4 << 20


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
def test_a_disk_that_fails_costs_one_file(run: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    (run / "broken.log").write_text(LOG)
    broken = (run / "broken.log").stat().st_ino
    real = os.pread

    def pread(descriptor: int, size: int, offset: int) -> bytes:
        if os.fstat(descriptor).st_ino == broken:
            raise OSError(number, os.strerror(number))
        return real(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", pread)
    report = investigated(run)

    assert [s.reason for s in report.run.skips if s.what == "broken.log"] == [
        f"broken.log cannot be read: {os.strerror(number)}"
    ]
    assert not report.failures


def test_memory_that_runs_out_is_a_limit() -> None:
    with pytest.raises(LimitError, match="MemoryError"), contained("the thing"):
        raise MemoryError
    with pytest.raises(InternalError, match=r"the thing failed.*KeyError"), contained("the thing"):
        raise KeyError("x")


def test_a_checkpoint_that_was_not_read_is_not_clean(run: Path) -> None:
    report = investigated(run)
    (checkpoint,) = report.run.checkpoints
    assert checkpoint.table is not None
    table = replace(checkpoint.table, nan=Counts.none(1), positive_infinity=Counts.none(1))
    unread = replace(checkpoint, table=table)

    assert checkpoint.status == "clean"
    assert unread.status == "not examined"
    assert table.infinite.tolist() == [None]
    run_of = replace(report.run, checkpoints=(unread,))
    assert "Not examined: 1 tensor of checkpoint-5" in headline_of(run_of, "healthy", (), ())
    assert "Not examined" not in headline_of(report.run, "healthy", (), ())


@pytest.mark.parametrize("section", ["causes", "remedies", "experiments", "checkpoints", "findings"])
def test_a_section_of_the_screen_that_fails_costs_itself(
    run: Path, section: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = investigated(run)
    monkeypatch.setattr(_terminal_parts, section, boom)
    text = render(report)

    assert text.count("failed: ZeroDivisionError: boom") == 1
    assert "Nothing is wrong" in text


@pytest.mark.parametrize("template", [None, "deepspeed"])
def test_a_section_of_the_markdown_that_fails_costs_itself(
    run: Path, template: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = investigated(run)
    monkeypatch.setattr(_markdown_sections, "STORY", (boom, *_markdown_sections.STORY))
    monkeypatch.setattr(_markdown_sections, "PARTS", {**_markdown_sections.PARTS, "boom": boom})
    text = markdown.render(report, template=template)

    assert text.count("failed: ZeroDivisionError: boom") == 1
    assert "checkpoint-5" in text


@pytest.mark.parametrize("section", ["_checkpoints", "_first", "_resume", "_skips", "_environment"])
def test_a_section_of_the_page_that_fails_costs_itself(
    run: Path, section: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = investigated(run)
    monkeypatch.setattr(_html_view, section, boom_now)
    page = render(report, "html")

    assert page.count("failed: ZeroDivisionError: boom") == 1
    assert "Nothing is wrong" in page


@pytest.mark.parametrize("part", ["coincidences", "cost_of", "best_checkpoint"])
def test_what_is_told_beside_the_judgement_costs_itself(run: Path, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (run / "train.log").write_text(f"{LOG}torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.\n")
    monkeypatch.setattr(investigate, part, boom_now)
    report = investigated(run)

    assert len(told(report)) == 1
    assert "memory ran out" in report.headline


def test_a_rule_that_fails_costs_its_cause(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (run / "train.log").write_text(f"{LOG}torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.\n")
    rules = tuple(replace(rule, reason=boom) for rule in catalog.rules() if "crash-oom" in rule.explains)
    others = tuple(rule for rule in catalog.rules() if "crash-oom" not in rule.explains)
    monkeypatch.setattr(catalog, "rules", lambda _explaining: (*rules, *others))
    report = investigated(run)

    assert rules
    assert told(report)
    assert "memory ran out" in report.headline
    assert all(failure.startswith("rule ") for failure in told(report))


def test_a_document_that_fails_costs_its_file(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (run / "notes.md").write_text(LOG)
    broken = Document("broken", boom, (re.compile(r"\.md$"),), lambda _head: True, "")
    monkeypatch.setattr(catalog, "documents", lambda: (broken,))
    report = investigated(run)

    assert len(told(report)) == 1
    assert report.run.timeline.get("loss") is not None


def test_settings_beyond_all_measure_are_told_and_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """100,000 packages took 13 s, as each is masked by its name and by all secrets that are known."""
    monkeypatch.setattr("forensics.investigate.MOST_SETTINGS", 7)
    (tmp_path / "requirements.txt").write_text("".join(f"package-{number}==1.{number}\n" for number in range(30)))
    (tmp_path / "train.log").write_text("{'loss': 2.5, 'epoch': 0.1}\n")
    run = investigated(tmp_path).run

    assert sum(group == "package" for group, _ in run.environment.entries) == 7
    assert "23 of its 30 settings were passed over" in {skip.reason for skip in run.skips}
