"""`medforensics triage` as a user calls it."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fleet.run_folders import DIED, write_run
from forensics.cli import main
from forensics.fleet.pool import run_here
from forensics.fleet.row import Row
from forensics.fleet.work import Task


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs that died alike, one that died otherwise, one healthy, one that cannot be read."""
    folder = tmp_path_factory.mktemp("root")
    write_run(folder / "a", DIED)
    write_run(folder / "b", [*DIED, 0.0, 0.0])
    write_run(folder / "masked", DIED, dead=0.0)
    write_run(folder / "fine")
    (folder / "empty").mkdir()
    (folder / "empty" / "train.log").write_bytes(b"\0" * 64)
    return folder


def triage(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["triage", *map(str, arguments), "--jobs", "1"])


def test_json_holds_a_row_a_run_and_groups_by_fingerprint(root: Path) -> None:
    done = triage(root, "--format", "json")
    tree = json.loads(done.stdout)
    verdicts = {run["path"]: run["verdict"] for run in tree["runs"]}

    expected = {"a": "broken", "b": "broken", "masked": "broken", "fine": "healthy", "empty": "unreadable"}
    assert verdicts == expected
    assert [group["runs"] for group in tree["groups"] if group["verdict"] == "broken"] == [["a", "b"], ["masked"]]
    assert done.exit_code == 1


def test_the_table_leads_with_the_largest_group(root: Path) -> None:
    lines = triage(root).stdout.splitlines()

    assert lines[0] == "5 runs: 3 broken, 1 unreadable, 1 healthy."
    assert lines[2].startswith("BROKEN  2 runs  loss-to-zero <- ")
    assert "22 steps spent after the onset" in lines[2]


def test_csv_has_a_line_a_run_and_no_formula(root: Path, tmp_path: Path) -> None:
    write_run(tmp_path / "=cmd()", DIED)
    rows = list(csv.DictReader(io.StringIO(triage(tmp_path, "--format", "csv").stdout)))

    assert [row["path"] for row in rows] == ["'=cmd()"]
    assert (rows[0]["verdict"], rows[0]["onset"], rows[0]["steps_after"]) == ("broken", "11", "10")


def test_markdown_has_a_table_a_group(root: Path) -> None:
    text = triage(root, "--format", "markdown").stdout

    assert text.startswith("## medforensics triage\n\n5 runs: 3 broken")
    assert "| `a` |" in text


@pytest.mark.parametrize(("arguments", "code"), [((), 1), (("--fail-on", "never"), 0), (("--fail-on", "warning"), 1)])
def test_exit_codes_are_those_of_analyze(root: Path, arguments: tuple[str, ...], code: int) -> None:
    assert triage(root, *arguments).exit_code == code


def test_healthy_runs_exit_with_0(tmp_path: Path) -> None:
    write_run(tmp_path / "fine")

    assert triage(tmp_path).exit_code == 0


def test_no_run_is_exit_code_3(tmp_path: Path) -> None:
    done = triage(tmp_path)

    assert done.exit_code == 3
    assert "no run under" in done.stderr


def test_a_resumed_triage_reads_only_what_changed(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time only the run that changed is analysed; the rows are those of a fresh triage."""
    from forensics.fleet import pool

    write_run(tmp_path / "runs" / "a", DIED)
    write_run(tmp_path / "runs" / "b")
    state = tmp_path / "state.jsonl"
    triage(tmp_path / "runs", "--resume", state)
    write_run(tmp_path / "runs" / "b", DIED)
    worked: list[str] = []

    def noted(tasks: list[Task], workers: int) -> Iterator[Row]:
        worked.extend(task.path for task in tasks)
        return run_here(tasks, workers)

    monkeypatch.setattr(pool, "run_here", noted)
    again = triage(tmp_path / "runs", "--resume", state, "--format", "json")

    assert worked == ["b"]
    assert again.stdout == triage(tmp_path / "runs", "--format", "json").stdout


def test_a_torn_last_line_is_passed_over(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "a", DIED)
    state = tmp_path / "state.jsonl"
    triage(tmp_path / "runs", "--resume", state)
    state.write_text(state.read_text() + '{"path": "b", "verd')
    done = triage(tmp_path / "runs", "--resume", state)

    assert done.exit_code == 1
    assert len(state.read_text().splitlines()) == 2


def test_rows_of_another_version_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(tmp_path / "runs" / "a", DIED)
    state = tmp_path / "state.jsonl"
    head, row = json.dumps({"medforensics triage": 1, "version": "0.0.0"}), {"path": "a", "verdict": "healthy"}
    state.write_text(f"{head}\n{json.dumps(row)}\n")

    assert "1 broken" in triage(tmp_path / "runs", "--resume", state).stdout


def test_nothing_is_written_among_the_runs(root: Path) -> None:
    done = triage(root, "--resume", root / "state.jsonl")

    assert done.exit_code == 2
    assert not (root / "state.jsonl").exists()


def test_a_file_of_something_else_is_not_overwritten(root: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.jsonl"
    notes.write_text('{"mine": 1}\n')

    assert triage(root, "--resume", notes).exit_code == 2
    assert notes.read_text() == '{"mine": 1}\n'
