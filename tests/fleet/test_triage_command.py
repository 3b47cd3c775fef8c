"""`medforensics triage` as a user calls it."""

import csv
import io
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fleet.run_folders import DIED, write_run
from forensics.cli import main
from forensics.fleet.pool import run_here
from forensics.fleet.row import Row
from forensics.fleet.work import Task
from forensics.report.triage import render


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


def test_one_table_has_a_line_a_run_and_its_group(root: Path) -> None:
    lines = triage(root).stdout.splitlines()

    assert lines[0] == "5 runs: 3 broken, 1 unreadable, 1 healthy."
    assert [line.split()[:2] for line in lines[2:7]] == [
        ["group", "run"],
        ["A", "a"],
        ["A", "b"],
        ["B", "masked"],
        ["C", "empty"],
    ]
    assert lines[-1].startswith("A  2 runs broken: ")
    assert lines[-1].endswith("22 steps ran after it began")
    assert "fine" not in " ".join(lines[2:])


def test_only_what_failed_and_only_what_is_new(root: Path, tmp_path: Path) -> None:
    old = write_run(tmp_path / "old", DIED)
    for path in (old, *old.iterdir()):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    write_run(tmp_path / "new", DIED)

    def paths(*arguments: object) -> list[str]:
        return [run["path"] for run in json.loads(triage(*arguments, "--format", "json").stdout)["runs"]]

    assert paths(root, "--failed") == ["a", "b", "empty", "masked"]
    assert paths(tmp_path, "--since", "1d") == ["new"]
    assert paths(tmp_path, "--since", "2023-01-01") == ["new", "old"]
    assert triage(old, "--since", "1d").exit_code == 0
    assert triage(old, "--since", "soon").exit_code == 2


def test_a_page_links_to_the_page_of_each_run(root: Path, tmp_path: Path) -> None:
    done = triage(root, "--format", "html", "-o", tmp_path / "fleet.html", "--pages", tmp_path / "pages")
    links = re.findall(r'<a href="([^"]+)">', (tmp_path / "fleet.html").read_text())

    assert done.exit_code == 1
    assert links == ["pages/0001.html", "pages/0002.html", "pages/0003.html"]
    assert all("<title>broken" in (tmp_path / link).read_text() for link in links)
    assert triage(root, "--pages", tmp_path / "pages").exit_code == 2
    assert triage(root, "--format", "html", "-o", tmp_path / "x.html", "--pages", root / "p").exit_code == 2


def test_csv_has_a_line_a_run_and_no_formula(root: Path, tmp_path: Path) -> None:
    write_run(tmp_path / "=cmd()", DIED)
    rows = list(csv.DictReader(io.StringIO(triage(tmp_path, "--format", "csv").stdout)))

    assert [row["path"] for row in rows] == ["'=cmd()"]
    assert (rows[0]["verdict"], rows[0]["onset"], rows[0]["steps_after"]) == ("broken", "11", "10")


def test_markdown_has_one_table(root: Path) -> None:
    text = triage(root, "--format", "markdown").stdout

    assert text.startswith("## medforensics triage\n\n5 runs: 3 broken")
    assert "| A | `a` |" in text
    assert text.count("| group | run |") == 1


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


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_narrow_table_cuts_runs_and_causes_alike(width: int) -> None:
    """Names are told apart by their ends, and how sure a cause is stays."""
    found = {"symptom": "loss-to-zero", "cause": "gradient-checkpointing-no-input-grad", "cause_verdict": "likely"}
    rows = [
        Row(f"sweeps/llama-lora-rank-8-on-the-large-set/{seed}", "broken", onset=7, axis="step", **found)  # type: ignore[arg-type]
        for seed in (1, 2)
    ]
    lines = render(rows, "table", width=width).splitlines()

    table = lines[3:5]
    assert max(map(len, table)) <= width
    for seed, line in enumerate(table, 1):
        _, run, _, cause = re.split(r" {2,}", line)
        assert run.endswith(f"set/{seed}")
        assert re.fullmatch(r"gradient-.*\(likely\)", cause)
        assert abs(len(run) - len(cause)) <= 2 or len(run) == 43
