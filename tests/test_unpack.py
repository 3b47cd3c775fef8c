"""Archives, standard input and single files are runs too; no member gets out of the temporary folder."""

import gzip
import io
import json
import lzma
import random
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from forensics.discovery import unpack
from forensics.discovery.unpack import opened
from forensics.errors import ChangedError, LimitError, MalformedError
from forensics.investigate import investigate
from forensics.limits import Limits
from forensics.storage import packed
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
    with opened(target) as (place, _lost):
        assert isinstance(place, Path)
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


@pytest.mark.parametrize("ending", ["zip", "tar.gz"])
def test_of_very_many_files_of_a_kind_some_are_unpacked(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100,000 empty files in an archive of 10 MB took 8 s; the log behind them is read all the same."""
    monkeypatch.setattr(unpack, "OF_A_KIND", 6)
    target = tmp_path / f"run.{ending}"
    names = [*(f"run/{number:02}.txt" for number in range(20)), "run/train.log"]
    if ending == "zip":
        with zipfile.ZipFile(target, "w") as archive:
            for name in names:
                archive.writestr(name, LOG)
    else:
        with tarfile.open(target, "w:gz") as tar:
            for name in names:
                info = tarfile.TarInfo(name)
                info.size = len(LOG)
                tar.addfile(info, io.BytesIO(LOG))
    with opened(target) as (place, lost):
        assert isinstance(place, Path)
        held = sorted(path.name for path in place.iterdir())

    last = [17, 18, 19] if ending == "zip" else [3, 4, 5]
    assert held == [*(f"{number:02}.txt" for number in (0, 1, 2, *last)), "train.log"]
    looked = (
        "6 of them were looked at, the first and the last" if ending == "zip" else "the first 6 of them were looked at"
    )
    assert [(skip.what, skip.reason) for skip in lost] == [("run/*.txt", f"20 files of a kind; {looked}")]


def test_a_tar_of_endless_members_is_looked_through_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "FREE_MEMBERS", 5)
    with tarfile.open(tmp_path / "run.tar.gz", "w:gz") as tar:
        for number in range(20):
            tar.addfile(tarfile.TarInfo(f"{number:02}.log"))
    with opened(tmp_path / "run.tar.gz") as (place, lost):
        assert isinstance(place, Path)
        assert len(list(place.iterdir())) == 5

    assert [skip.reason for skip in lost] == ["what follows its first 5 files was not looked at"]


def packed_log(name: str, content: bytes) -> bytes:
    return lzma.compress(content) if name.endswith(".xz") else gzip.compress(content)


LONG = b"".join(b"{'loss': %.4f, 'epoch': %.3f}\n" % (2 - n / 9000, n / 100) for n in range(9000))


@pytest.mark.parametrize("name", ["train.log.gz", "train.log.xz"])
def test_a_packed_log_is_read_without_being_written(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / name).write_bytes(packed_log(name, LONG))
    monkeypatch.setattr("tempfile.TemporaryDirectory", lambda **_: pytest.fail("a folder was made"))

    run = investigate(tmp_path / name).run

    assert len(run.timeline["loss"]) == 9000
    assert run.skips == () or all(name not in skip.what for skip in run.skips)
    assert run.timeline["loss"].source_at(0).path == "train.log"


@pytest.mark.parametrize("name", ["train.log.gz", "train.log.xz"])
@pytest.mark.parametrize("damage", ["cut", "overwritten"])
def test_a_cut_log_gives_what_it_holds(name: str, damage: str, tmp_path: Path) -> None:
    whole = packed_log(name, LONG)
    half = len(whole) // 2
    spoilt = whole[:half] if damage == "cut" else whole[:half] + b"\xff" * 40 + whole[half + 40 :]
    (tmp_path / name).write_bytes(spoilt)

    report = investigate(tmp_path / name)
    run = report.run
    told = next(skip for skip in run.skips if skip.what == name)

    assert report.headline.startswith("Nothing is wrong before the cut: the loss went from")
    assert f"What follows in {name} is missing" in report.headline
    assert len(report.headline) <= 160

    assert 1000 < len(run.timeline["loss"]) < 9000
    assert run.timeline["loss"].values.tolist() == pytest.approx(
        [2 - n / 9000 for n in range(len(run.timeline["loss"]))], abs=1e-4
    )
    assert "bytes of it were unpacked, what follows is missing" in told.reason


def test_files_packed_one_after_another_are_one(tmp_path: Path) -> None:
    head, tail = LONG[: len(LONG) // 2], LONG[len(LONG) // 2 :]
    (tmp_path / "a.log.gz").write_bytes(gzip.compress(head) + bytes(700) + gzip.compress(tail) + bytes(100_000))

    assert len(investigate(tmp_path / "a.log.gz").run.timeline["loss"]) == 9000


@pytest.mark.parametrize("name", ["a.gz", "a.xz"])
def test_any_place_of_a_packed_file_is_what_it_was(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Marks and blocks are small here, so that every way to a place is taken."""
    monkeypatch.setattr(packed, "MARK_BYTES", 9_000)
    monkeypatch.setattr(packed, "READ_BYTES", 4_000)
    chance = random.Random(5)
    content = chance.randbytes(60_000) + bytes(60_000)
    (tmp_path / name).write_bytes(packed_log(name, content))
    file = packed.PackedFile(tmp_path / name, lambda _: 1 << 30)

    assert (file.size, file.fault) == (len(content), "")
    for _ in range(60):
        first = chance.randrange(len(content))
        buffer = bytearray(chance.randrange(min(30_000, len(content) - first)))
        file.read_into(first, memoryview(buffer))
        assert buffer == content[first : first + len(buffer)]


def test_a_log_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.log.gz").write_bytes(gzip.compress(bytes(100_000)))

    with pytest.raises(LimitError, match="unpacks to more"), opened(tmp_path / "train.log.gz", Limits(archive_bytes=9)):
        pass


def test_a_packed_file_without_a_byte_to_read_is_malformed(tmp_path: Path) -> None:
    (tmp_path / "train.log.gz").write_bytes(gzip.compress(LONG)[:9])

    with pytest.raises(MalformedError, match=r"train.log.gz cannot be unpacked: it ends"):
        investigate(tmp_path / "train.log.gz")


def test_a_packed_file_that_changes_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "READ_BYTES", 4_000)
    path = tmp_path / "train.log.gz"
    path.write_bytes(gzip.compress(LONG))
    file = packed.PackedFile(path, lambda _: 1 << 30)
    path.write_bytes(gzip.compress(random.Random(1).randbytes(len(LONG))))

    with pytest.raises(ChangedError, match="changed while it was read"):
        file.read_into(0, memoryview(bytearray(file.size)))


def test_a_cut_archive_gives_the_members_before_the_cut(tmp_path: Path) -> None:
    chance = random.Random(2)
    with tarfile.open(tmp_path / "run.tar.gz", "w:gz") as tar:
        for name, content in (("run/train.log", LONG), ("run/noise.txt", chance.randbytes(400_000))):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    whole = (tmp_path / "run.tar.gz").read_bytes()
    (tmp_path / "run.tar.gz").write_bytes(whole[: len(whole) // 2])

    run = investigate(tmp_path / "run.tar.gz").run

    assert len(run.timeline["loss"]) == 9000
    assert any(skip.what == "run.tar.gz" and "what follows is missing" in skip.reason for skip in run.skips)
