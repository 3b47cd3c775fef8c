"""The command line: exit codes, where output goes, what a mistake says."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from forensics import catalog
from forensics.cli import main
from forensics.model import Finding, Run
from runs import FOUNDING, HEALTHY, ROOT

BROKEN = str(FOUNDING.run)
FINE = str(next(case for case in HEALTHY if case.name == "converging").run)


def call(*words: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, words, env=env)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration of the checkout has a say."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((FINE,), 0),
        ((BROKEN,), 1),
        ((BROKEN, "--exit-zero"), 0),
        ((BROKEN, "--fail-on", "never"), 0),
        ((FINE, "--fail-on", "notice"), 0),
        ((BROKEN, "--fail-on", "sometimes"), 2),
        (("no/such/run",), 3),
        ((BROKEN, "--template", "trl"), 2),
    ],
)
def test_exit_codes_of_analyze(words: tuple[str, ...], code: int) -> None:
    assert call("analyze", *words).exit_code == code


def test_strict_fails_for_what_was_not_examined(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    state = {"global_step": 2, "log_history": [{"step": 1, "loss": 1.0}, {"step": 2, "loss": 0.9}]}
    (run / "trainer_state.json").write_text(json.dumps(state))

    assert call("analyze", str(run)).exit_code == 0
    (run / "optimizer.pt").write_bytes(b"")
    assert call("analyze", str(run)).exit_code == 0
    assert call("analyze", str(run), "--strict").exit_code == 1


def test_an_error_is_one_line_on_stderr() -> None:
    done = call("analyze", "no/such/run")

    assert done.stdout == ""
    assert done.stderr.startswith("medforensics: ")
    assert done.stderr.count("\n") == 1


def test_an_error_of_ours_is_told_and_the_report_still_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector that fails costs its symptom and the exit code 4, not the report."""
    from dataclasses import replace

    from forensics import catalog

    def fail(run: Run) -> Iterator[Finding]:
        raise RuntimeError("made to fail")

    broken = tuple(replace(d, find=fail) if d.name == "eval-nan" else d for d in catalog.detectors())
    monkeypatch.setattr(catalog, "detectors", lambda: broken)
    done = call("analyze", BROKEN)

    assert done.exit_code == 4
    assert done.stdout.startswith("BROKEN")
    assert "detector eval-nan failed" in done.stdout


@pytest.mark.parametrize("form", ["markdown", "html", "json", "sarif", "terminal"])
def test_output_goes_to_the_file(form: str, tmp_path: Path) -> None:
    target = tmp_path / "report"
    done = call("analyze", BROKEN, "-f", form, "-o", str(target))

    assert done.exit_code == 1
    assert done.output == ""
    assert "ds-zero12-comm-corruption" in target.read_text(encoding="utf-8")


def test_json_on_the_screen_keeps_paths_and_in_a_file_masks_them(tmp_path: Path) -> None:
    """What stays with you is whole; what is written to be passed on is masked, unless lifted."""
    target = tmp_path / "report.json"
    screen = json.loads(call("analyze", BROKEN, "--json").stdout)
    call("analyze", BROKEN, "--json", "-o", str(target))
    masked = json.loads(target.read_text())
    call("analyze", BROKEN, "--json", "--no-redact", "-o", str(target))
    lifted = json.loads(target.read_text())

    assert screen["run"]["path"] == BROKEN
    assert masked["run"]["path"] == "RUN"
    assert lifted["run"]["path"] == BROKEN
    assert "node01" in json.dumps(screen)
    assert "node01" not in json.dumps(masked)


def test_quiet_is_two_lines() -> None:
    assert len(call("analyze", BROKEN, "-q").stdout.splitlines()) == 2


@pytest.mark.parametrize(
    ("env", "colored"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, False),
    ],
)
def test_colour_follows_the_environment(env: dict[str, str], colored: bool) -> None:
    """Off in a pipe, on when forced, and NO_COLOR wins (no-color.org: when not empty)."""
    clean = {"NO_COLOR": "", "FORCE_COLOR": "", **env}

    assert ("\x1b[" in call("analyze", BROKEN, env=clean).stdout) is colored


def subprocess_output(*words: str, folder: Path | None = None, **variables: str) -> subprocess.CompletedProcess[bytes]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, "-m", "forensics", *words]
    return subprocess.run(command, capture_output=True, env=env, cwd=folder, check=False)


def test_an_ascii_terminal_gets_ascii() -> None:
    done = subprocess_output("analyze", BROKEN, PYTHONIOENCODING="ascii", PYTHONUTF8="0")

    assert done.returncode == 1
    assert done.stdout.isascii()
    assert b"^ step 18" in done.stdout


def test_a_utf8_terminal_gets_the_drawing() -> None:
    assert "┊".encode() in subprocess_output("analyze", BROKEN, PYTHONIOENCODING="utf-8").stdout


def test_a_module_in_the_run_is_not_imported(tmp_path: Path) -> None:
    """`python -m forensics` inside a stranger's folder takes none of its files for a library."""
    for name in ("json", "signal", "typing", "pathlib", "enum", "click"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('taken')")
    done = subprocess_output("--version", folder=tmp_path)

    assert (done.returncode, done.stderr) == (0, b"")


def test_settings_are_read_from_the_project_and_never_from_the_run(tmp_path: Path) -> None:
    (tmp_path / "medforensics.toml").write_text('fail-on = "never"\n')
    assert call("analyze", BROKEN).exit_code == 0

    run = tmp_path / "run"
    run.mkdir()
    (run / "medforensics.toml").write_text('fail-on = "sometimes"\n')
    (run / "trainer_state.json").write_bytes((FOUNDING.run / "trainer_state.json").read_bytes())
    assert call("analyze", str(run), "--fail-on", "error").exit_code == 1


def test_settings_of_a_pyproject_and_their_mistakes(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.medforensics]\nignore = ["DIST"]\n')
    shown = json.loads(call("analyze", BROKEN, "--json").stdout)
    assert [h["code"] for h in shown["hypotheses"] if h["code"].startswith("DIST")] == []

    (tmp_path / "pyproject.toml").write_text('[tool.medforensics]\nignored = ["DIST"]\n')
    done = call("analyze", BROKEN)
    assert done.exit_code == 2
    assert "'ignored' is not known" in done.stderr


def test_an_ignored_symptom_does_not_fail() -> None:
    findings = json.loads(call("analyze", BROKEN, "--json").stdout)["findings"]
    names = ",".join(f["symptom"] for f in findings)

    assert call("analyze", BROKEN, "--ignore", names).exit_code == 0
    assert call("analyze", BROKEN, "--select", "loss-to-zero").exit_code == 1
    assert call("analyze", BROKEN, "--select", "loss-spike").exit_code == 0


def test_a_bundle_holds_what_a_maintainer_needs_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "evidence.zip"
    done = call("bundle", BROKEN, "-o", str(target))
    with zipfile.ZipFile(target) as archive:
        names = archive.namelist()
        texts = {name: archive.read(name).decode() for name in names}

    assert done.exit_code == 0
    assert names[:4] == ["report.md", "report.txt", "report.json", "report.html"]
    assert {"timeline.csv", "tensors.csv", "environment.json", "README.txt"} <= set(names)
    assert [name for name in names if name.startswith("logs/")] == ["logs/01-train.log.log"]
    assert "deepspeed" in texts["logs/01-train.log.log"]
    accepted = (".md", ".txt", ".json", ".html", ".csv", ".log")  # docs.github.com, "Attaching files"
    assert [name for name in names if not name.endswith(accepted)] == []
    assert target.stat().st_size < 25 << 20


def test_the_same_run_gives_the_same_bundle(tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        call("bundle", BROKEN, "-q", "-o", str(tmp_path / name))

    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_a_bundle_is_not_written_into_the_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    done = call("bundle", str(run), "-o", str(run / "evidence.zip"))

    assert done.exit_code == 2
    assert list(run.iterdir()) == []


def test_shell_completion_is_there() -> None:
    done = subprocess_output(_MEDFORENSICS_COMPLETE="bash_source")

    assert done.returncode == 0
    assert b"_MEDFORENSICS_COMPLETE" in done.stdout


@pytest.mark.parametrize("name", sorted(main.commands))
def test_help_shows_each_example_on_a_line_of_its_own(name: str) -> None:
    """What stands behind `Example:` can be copied line by line."""
    told = CliRunner().invoke(main, [name, "--help"]).output

    assert "\\b" not in told
    for line in told.splitlines():
        assert line.count("medforensics ") <= 1
        assert "Example:" not in line or line.strip() == "Example:"


def test_the_table_of_rules_covers_every_symptom() -> None:
    """Each symptom has a row with what can stand behind it; a rule without a symptom would be missing."""
    told = call("rules", "--table").output

    for detector in catalog.detectors():
        assert f"\n{detector.name} " in told
    for rule in catalog.rules():
        assert rule.name in told
    assert f"{len(catalog.detectors())} symptoms" in told
