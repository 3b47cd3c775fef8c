"""Archives, standard input and single files are runs too; no member gets out of the temporary folder."""

import gzip
import io
import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from forensics.discovery.unpack import opened
from forensics.errors import LimitError, MalformedError
from forensics.investigate import investigate
from forensics.limits import Limits
from runs import FOUNDING

LOG = b"{'loss': 1.5, 'learning_rate': 1e-05, 'epoch': 0.1}\n{'loss': 1.4, 'learning_rate': 9e-06, 'epoch': 0.2}\n"


@pytest.mark.parametrize("ending", ["zip", "tar.gz"])
def test_an_archive_of_the_founding_case_is_judged_as_the_folder(ending: str, tmp_path: Path) -> None:
    target = tmp_path / f"run.{ending}"
    files = [p for p in sorted(FOUNDING.run.rglob("*")) if p.is_file()]
    if ending == "zip":
        with zipfile.ZipFile(target, "w") as archive:
            for file in files:
                archive.write(file, file.relative_to(FOUNDING.run))
    else:
        with tarfile.open(target, "w:gz") as tar:
            tar.add(FOUNDING.run, "run")
    report = investigate(target)

    assert report.hypotheses[0].cause == FOUNDING.truth["cause"]
    assert report.run.last_good_checkpoint is not None
    assert report.run.last_good_checkpoint.path == FOUNDING.truth["last_good_checkpoint"]


def test_a_packed_log_is_read(tmp_path: Path) -> None:
    (tmp_path / "train.log.gz").write_bytes(gzip.compress(LOG))

    assert investigate(tmp_path / "train.log.gz").run.timeline["loss"].values.tolist() == [1.5, 1.4]


def test_a_log_on_standard_input_is_read() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "forensics", "analyze", "-", "--json"], input=LOG, capture_output=True, check=True
    )

    assert json.loads(done.stdout)["verdict"] == "healthy"


def test_no_member_leaves_the_folder(tmp_path: Path) -> None:
    target = tmp_path / "evil.tar"
    with tarfile.open(target, "w") as tar:
        for name in ("../../outside.log", "/absolute.log"):
            info = tarfile.TarInfo(name)
            info.size = len(LOG)
            tar.addfile(info, io.BytesIO(LOG))
        link = tarfile.TarInfo("link.log")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with opened(target) as place:
        held = sorted(p.name for p in place.rglob("*"))

    assert held == ["absolute.log", "outside.log"]
    assert not (tmp_path.parent / "outside.log").exists()


def test_a_bomb_is_stopped(tmp_path: Path) -> None:
    target = tmp_path / "bomb.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train.log", b"0" * 100_000)

    with pytest.raises(LimitError), opened(target, Limits(archive_bytes=1000)):
        pass


def test_a_broken_archive_is_told(tmp_path: Path) -> None:
    (tmp_path / "run.zip").write_bytes(b"PK\x03\x04 nothing")

    with pytest.raises(MalformedError), opened(tmp_path / "run.zip"):
        pass
