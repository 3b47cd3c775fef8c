"""What a command writes is whole, or what stood there before is untouched; signals leave nothing behind."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from forensics.cli import main
from forensics.commands import output
from forensics.errors import UsageError

LOG = "{'loss': 2.5, 'epoch': 0.1}\n{'loss': 2.4, 'epoch': 0.2}\n"
COMMAND = [sys.executable, "-m", "forensics"]
FROM_HERE = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    made = tmp_path / "run"
    made.mkdir()
    (made / "train.log").write_text(LOG)
    return made / "train.log"


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "report.md"
    target.write_text("old")
    target.chmod(0o640)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(UsageError, match=r"report\.md cannot be written: No space left on device"):
            output.write_whole(target, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["report.md"]
    assert target.read_text() == "old"

    output.write_whole(target, b"new")
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o640


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "there.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("there.txt")
    output.write_whole(tmp_path / "link.txt", b"new")

    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "there.txt").read_text() == "new"


def test_a_device_is_written_as_it_is() -> None:
    output.check_writable(Path(os.devnull))
    output.write_whole(Path(os.devnull), b"gone")


@pytest.mark.parametrize("words", [["analyze"], ["env"], ["bundle"], ["timeline"]])
def test_a_missing_folder_is_told_before_any_work(
    words: list[str], log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forensics.discovery.discover.discover", None)  # whoever looks fails
    done = CliRunner().invoke(main, [*words, str(log.parent), "-o", str(tmp_path / "no" / "report.md")])

    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert "there is no folder" in done.stderr


def test_a_folder_is_no_file_to_write(log: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["analyze", str(log), "-o", str(tmp_path)])

    assert done.exit_code == 2
    assert "it is a folder" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a disk that is always full")
def test_a_full_disk_behind_standard_output_is_one_line(log: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "analyze", str(log)], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )

    assert done.returncode == 2
    assert done.stderr == "medforensics: standard output cannot be written: No space left on device\n"


def shell(line: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    told = line.replace("TOOL", f"{sys.executable} -m forensics")
    return subprocess.run(["bash", "-c", told], cwd=cwd, capture_output=True, text=True, check=False)


PLAIN_USER = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
"""What takes from root the right to pass over permissions; whoever else runs the tests never had it."""


@pytest.mark.skipif(bool(PLAIN_USER) and shutil.which("setpriv") is None, reason="root may write everywhere")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["analyze", "run", "-f", "json", "-o", "closed/x.json"], "closed/x.json cannot be written: no permission"),
        (["bundle", "run", "-q", "-o", "closed/x.zip"], "closed/x.zip cannot be written: no permission"),
        (["analyze", "shut"], "shut cannot be listed: Permission denied"),
        (["analyze", "run/shut.log"], "shut.log cannot be opened: Permission denied"),
    ],
)
def test_what_a_user_may_not_do_is_one_line(words: list[str], told: str, log: Path, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(0o555)
    (tmp_path / "shut").mkdir(0)
    (log.parent / "shut.log").write_text(LOG)
    (log.parent / "shut.log").chmod(0)
    command = [*PLAIN_USER, *COMMAND, *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=FROM_HERE)

    assert done.returncode == (2 if "-o" in words else 3)
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert told in done.stderr
    assert list((tmp_path / "closed").iterdir()) == []


def test_closed_streams(log: Path) -> None:
    closed = shell("TOOL analyze train.log >&-", log.parent)
    assert (closed.returncode, closed.stderr) == (
        2,
        "medforensics: standard output is closed; name a file with -o\n",
    )
    silent = shell("TOOL analyze train.log 2>&-", log.parent)
    assert silent.returncode == 0
    assert silent.stdout


def test_a_deleted_current_folder(log: Path) -> None:
    gone = log.parent.parent / "gone"
    gone.mkdir()
    done = shell(f"cd {gone} && rmdir {gone} && TOOL analyze {log}", log.parent)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_dumb_terminal_is_not_coloured(log: Path) -> None:
    done = CliRunner().invoke(main, ["analyze", str(log)], env={"TERM": "dumb", "FORCE_COLOR": "1"}, color=True)
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_a_signal_leaves_nothing(number: signal.Signals, code: int, tmp_path: Path) -> None:
    """The tool reads standard input into a temporary folder: a pipe that stays open holds it there."""
    work = tmp_path / "tmp"
    work.mkdir()
    with subprocess.Popen(
        [*COMMAND, "analyze", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(work)},
        restore_signals=True,
    ) as process:
        while not list(work.glob("medforensics-*")):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        _, said = process.communicate()

    assert process.returncode == code
    assert said.count("\n") == 1
    assert list(work.iterdir()) == []


ASKED = """
import os, signal, sys
class Now:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Now())
from forensics.__main__ import start
sys.argv = ["medforensics", "analyze", {log!r}]
start()
"""


@pytest.mark.parametrize("module", ["forensics.cli", "numpy", "numpy.linalg", "forensics.report.terminal"])
def test_ctrl_c_while_modules_are_imported(module: str, log: Path) -> None:
    """Those of the program, and those of a command that is at work: half a numpy cannot be imported again."""
    code = ASKED.format(module=module, log=str(log))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "medforensics: interrupted\n")


def test_ctrl_c_before_the_work_begins(log: Path) -> None:
    code = (
        "import os, signal, sys\nfrom forensics import cli\nfrom forensics.__main__ import start\n"
        "cli.main.make_context = lambda *given, **more: os.kill(os.getpid(), signal.SIGINT)\n"
        f"sys.argv = ['medforensics', 'analyze', {str(log)!r}]\nstart()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "medforensics: interrupted\n")
