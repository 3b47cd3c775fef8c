"""A worker that dies, hangs or fails costs its own run and no other."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from fleet.run_folders import DIED, write_run
from forensics.fleet import pool
from forensics.fleet.row import Row
from forensics.fleet.work import Task, analysed, signature_of
from runs import ROOT


def die(task: Task) -> Row:
    """Stand in for the analysis: the name of a run says what becomes of the process."""
    if task.path.startswith("dies"):
        os.kill(os.getpid(), signal.SIGKILL)
    if task.path.startswith("hangs"):
        # A loop outside of Python: no exception can end it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
        time.sleep(600)
    if task.path == "stopped":
        os.kill(os.getpid(), signal.SIGTERM)
    if task.path == "stopped unheard":
        with contextlib.suppress(KeyboardInterrupt):  # as in `__del__`, where no exception is heard
            os.kill(os.getpid(), signal.SIGTERM)
    return Row(task.path, "healthy")


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    import multiprocessing

    # Forked workers see the stand-in; a fork server would import the real one.
    monkeypatch.setattr(pool, "analysed", die)
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["fork"])
    context = multiprocessing.get_context("fork")
    monkeypatch.setattr(multiprocessing, "get_context", lambda _method: context)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("what", ["dies", "stopped", "stopped unheard"])
def test_runs_beside_one_that_ends_its_process_are_analysed(stand_in: None, what: str) -> None:
    """A worker that is asked to end does, and is waited for by nobody."""
    names = [*(f"run{i}" for i in range(6)), what, *(f"run{i}" for i in range(6, 12))]
    rows = {row.path: row for row in pool.run_here([Task(name, Path(name)) for name in names], 2)}

    assert set(names) == set(rows)
    assert [name for name, row in rows.items() if row.verdict == "failed"] == [what]
    assert rows[what].internal_errors == 1


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_several_killers_are_all_named(stand_in: None) -> None:
    names = ["dies1", "run1", "dies2", "run2", "run3", "dies3"]
    rows = {row.path: row.verdict for row in pool.run_here([Task(name, Path(name)) for name in names], 2)}

    assert {name: "failed" if name.startswith("dies") else "healthy" for name in names} == rows


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_process_that_no_exception_stops_is_ended(stand_in: None) -> None:
    tasks = [Task("hangs", Path("hangs"), seconds=0.2), Task("run", Path("run"))]
    rows = {row.path: row.verdict for row in pool.run_here(tasks, 2)}

    assert rows == {"hangs": "failed", "run": "healthy"}


def test_real_workers_judge_real_runs(tmp_path: Path) -> None:
    good, bad = write_run(tmp_path / "good"), write_run(tmp_path / "bad", DIED)
    rows = {row.path: row for row in pool.run_here([Task("good", good), Task("bad", bad)], 2)}

    assert {name: row.verdict for name, row in rows.items()} == {"good": "healthy", "bad": "broken"}
    assert (rows["bad"].symptom, rows["bad"].onset, rows["bad"].steps_after) == ("loss-to-zero", 11, 10)


def test_a_run_over_its_time_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_args: object, **_options: object) -> None:
        try:
            time.sleep(30)
        except Exception:  # noqa: BLE001  (what tolerates faults must not swallow the limit)
            pytest.fail("the time limit was caught")

    monkeypatch.setattr("forensics.investigate.investigate", slow)
    row = analysed(Task("slow", tmp_path, seconds=0.05))

    assert (row.verdict, row.note) == ("failed", "not done within 0.05 s")


def test_an_error_of_ours_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object, **_options: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("forensics.investigate.investigate", broken)
    row = analysed(Task("run", tmp_path))

    assert (row.verdict, row.note, row.internal_errors) == ("failed", "RuntimeError: a fault of ours", 1)


def test_a_folder_without_anything_readable_is_a_row(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_bytes(b"\0" * 100)

    assert analysed(Task("empty", tmp_path)).verdict == "unreadable"


def test_the_time_limit_is_taken_back(tmp_path: Path) -> None:
    """After a run that was quick enough, no alarm goes off in the next."""
    analysed(Task("run", write_run(tmp_path / "run"), seconds=5.0))

    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_the_signature_changes_with_the_files(tmp_path: Path) -> None:
    task = Task("run", write_run(tmp_path / "run"))
    before = signature_of(task)
    write_run(tmp_path / "run", DIED)

    assert before
    assert before != signature_of(task)


@pytest.mark.parametrize("from_a_file", [True, False])
def test_a_script_needs_no_guard(from_a_file: bool, tmp_path: Path) -> None:
    """The workers do not run again what called `triage`, a file that does not ask for its name or none at all."""
    for number in range(3):
        write_run(tmp_path / "runs" / str(number), DIED)
    code = f"import forensics\nprint(*(row.verdict for row in forensics.triage({str(tmp_path / 'runs')!r}, workers=2)))"
    script = tmp_path / "script.py"
    script.write_text(code)
    command = [sys.executable, str(script)] if from_a_file else [sys.executable, "-"]
    done = subprocess.run(command, input=code, capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("broken broken broken\n", "")


def test_a_temporary_folder_with_a_long_name(tmp_path: Path) -> None:
    """A fork server listens at a socket in it, whose name may not be long."""
    write_run(tmp_path / "runs" / "1", DIED)
    write_run(tmp_path / "runs" / "2", DIED)
    folder = tmp_path / ("long" * 20)
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "forensics", "triage", str(tmp_path / "runs")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)},
        cwd=tmp_path,
    )

    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("seconds", [0.5, 0.8, 1.2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_triage_that_is_stopped_says_one_line(number: signal.Signals, seconds: float, tmp_path: Path) -> None:
    """Whether its workers import, start or work: Ctrl-C reaches them all, `kill` the first process alone."""
    for name in range(40):
        write_run(tmp_path / "runs" / str(name), DIED)
    work = Path(tempfile.mkdtemp(prefix="pool-", dir="/tmp"))  # short: a fork server is what is stopped
    command = [sys.executable, "-m", "forensics", "triage", str(tmp_path / "runs")]
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(work)},
        cwd=tmp_path,
    ) as process:
        time.sleep(seconds)
        (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
        _, said = process.communicate()

    # Done already, or before a command had begun, on a machine that is quick or busy.
    assert process.returncode in {128 + number, 1, -number}
    assert said in {"medforensics: interrupted\n", "medforensics: stopped by SIGTERM\n", ""}
    assert list(work.iterdir()) == []
    work.rmdir()
