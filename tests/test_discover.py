"""What lies in a directory is listed; what is no regular file inside it is named and never opened."""

import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from forensics.cli import main
from forensics.discovery import kinds
from forensics.discovery.discover import discover
from forensics.errors import UnreadableError
from forensics.limits import Limits

LOG = "\n".join(f"{{'loss': nan, 'grad_norm': nan, 'learning_rate': 1e-05, 'epoch': {i / 100}}}" for i in range(1, 9))


def test_files_are_listed_in_order_and_libraries_are_not(tmp_path: Path) -> None:
    for name in ("b.log", "a/x.json", ".git/config", "site-packages/y.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")

    assert [artifact.path for artifact in discover(tmp_path).artifacts] == ["a/x.json", "b.log"]


def test_links_pipes_and_depth_are_told_and_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside.log"
    outside.write_text("x")
    run = tmp_path / "run"
    (run / "deep" / "deeper").mkdir(parents=True)
    (run / "deep" / "deeper" / "x.log").write_text("x")
    (run / "out.log").symlink_to(outside)
    (run / "self").symlink_to(run)
    os.mkfifo(run / "pipe.log")
    (run / "round").symlink_to(run / "round")
    found = discover(run, Limits(depth=2))
    told = {skip.what: skip.reason for skip in found.skips}

    assert found.artifacts == ()
    assert "leaves the run folder" in told["out.log"]
    assert "not a regular file" in told["self"]
    assert "link loop" in told["round"]
    assert "not a regular file" in told["pipe.log"]
    assert "folders deep" in told["deep/deeper"]


def test_a_thousand_nested_folders_do_not_exhaust_the_stack(tmp_path: Path) -> None:
    """The walk is iterative; the folders are taken away by hand, as pytest's own cleaning recurses."""
    _nest(tmp_path, 1200)
    found = discover(tmp_path)
    subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)

    assert len(found.skips) == 1


def _nest(folder: Path, depth: int) -> None:
    inside = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=inside)
        deeper = os.open("d", os.O_RDONLY, dir_fd=inside)
        os.close(inside)
        inside = deeper
    os.close(inside)


def test_more_files_than_allowed_are_told(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.log").write_text("x")
    found = discover(tmp_path, Limits(files=3))

    assert [artifact.path for artifact in found.artifacts] == ["0.log", "1.log", "4.log"]
    assert [(skip.what, skip.reason) for skip in found.skips] == [
        ("*.log", "5 files of a kind; 3 of them were looked at, the first and the last")
    ]


def test_pictures_do_not_hide_the_log_behind_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of 100,000 pictures was read up to its limit, and the log, which comes later, was not."""
    (tmp_path / "save").mkdir()
    for number in range(40):
        (tmp_path / f"{number}.jpg").touch()
        (tmp_path / "save" / f"{number}.safetensors").touch()
    (tmp_path / "train.log").touch()
    monkeypatch.setattr(kinds, "MOST_SPARED", 5)
    of_a_kind = discover(tmp_path, Limits(files_of_a_kind=10))
    of_all = discover(tmp_path, Limits(files=45))

    assert "train.log" in {artifact.path for artifact in of_a_kind.artifacts}
    assert sum(artifact.path.startswith("save/") for artifact in of_a_kind.artifacts) == 40
    assert [skip.what for skip in of_a_kind.skips] == ["*.jpg"]
    assert "train.log" in {artifact.path for artifact in of_all.artifacts}
    assert len(of_all.artifacts) == 9
    assert {skip.what for skip in of_all.skips} == {"*.jpg", "save/*.safetensors"}


def test_files_that_are_not_listed_are_told(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / f"{number}.{number}").touch()
    found = discover(tmp_path, Limits(files=2))

    assert len(found.artifacts) == 2
    assert [skip.what for skip in found.skips] == ["further files", "further files"]


def test_a_missing_path_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="No such file"):
        discover(tmp_path / "missing")


@pytest.mark.parametrize(
    ("name", "content", "code", "said"),
    [
        ("nothing", {"notes.xyz": "hello"}, 3, "no reader knows what this is"),
        ("missing", None, 3, "No such file"),
        ("empty", {}, 3, "holds no files"),
        ("empty-file", {"train.log": ""}, 3, "the file is empty"),
        ("only-nan", {"train.log": LOG}, 1, "NaN or infinite from the first entry"),
    ],
)
def test_each_hopeless_input_gets_one_clear_message(
    name: str, content: dict[str, str] | None, code: int, said: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).mkdir()
        for file, text in content.items():
            (tmp_path / name / file).write_text(text)
    shown = CliRunner().invoke(main, ["analyze", str(tmp_path / name)])

    assert shown.exit_code == code
    assert said in " ".join(shown.output.split())
    assert "Traceback" not in shown.output


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_gets_one_clear_message(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_text(LOG)
    (tmp_path / "train.log").chmod(0)
    shown = CliRunner().invoke(main, ["analyze", str(tmp_path / "train.log")])

    assert (shown.exit_code, "cannot be opened: Permission denied" in shown.output) == (3, True)
