"""A run without steps in every output: entries are called entries, and no output invents a step."""

import csv
import io
import json
import re
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

import forensics
from counted import ENTRIES, LOST, counted_log
from forensics.cli import main

STEP = re.compile(r"\bsteps? \d|\d steps?\b")
SCHEMA = Path(__file__).parents[2] / "docs" / "report.schema.json"


def shown(*arguments: str) -> str:
    result = CliRunner().invoke(main, [*arguments])
    assert result.exit_code in {0, 1}, result.output
    return result.stdout


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(counted_log(tmp_path_factory.mktemp("counted") / "run"))


@pytest.mark.parametrize("form", ["terminal", "markdown", "html"])
def test_no_step_is_told_to_people(run: str, form: str) -> None:
    """Findings, arguments, the onset, the curves and what was lost after it speak of entries."""
    text = shown("analyze", run, "-f", form)
    visible = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)

    assert f"entry {LOST}" in visible
    assert STEP.findall(visible) == []


def test_json_has_entries_where_it_has_no_steps(run: str) -> None:
    report = json.loads(shown("analyze", run, "-f", "json"))

    jsonschema.validate(report, json.loads(SCHEMA.read_text()))
    gone = next(f for f in report["findings"] if f["symptom"] == "loss-to-zero")
    assert (gone["step"], gone["step_range"], gone["axis"], gone["entry"]) == (None, [None, None], "entry", LOST)
    assert gone["entry_range"][1] == LOST
    assert report["run"]["steps"]["first"] is report["run"]["steps"]["last"] is None
    assert report["run"]["segments"] == [
        {"first": None, "last": None, "axis": "entry", "first_entry": 1, "last_entry": ENTRIES}
    ]
    assert (report["cost"]["steps"], report["cost"]["entries"]) == (None, ENTRIES - LOST + 1)
    assert "-1" not in re.findall(r"-?\d+", json.dumps([report["findings"], report["understood"], report["run"]]))


def test_what_was_understood_tells_the_axis(run: str) -> None:
    report = json.loads(shown("analyze", run, "-f", "json"))

    loss = next(s for s in report["understood"] if s["series"] == "loss")
    assert (loss["entries"], loss["axis"], loss["first_step"], loss["first_entry"]) == (ENTRIES, "entry", None, 1)
    assert (loss["source"]["path"], loss["source"]["place"]) == ("train.log", "line 1")


def test_sarif_places_results_on_their_axis(run: str) -> None:
    results = json.loads(shown("analyze", run, "-f", "sarif"))["runs"][0]["results"]

    found = next(r["properties"] for r in results if r["ruleId"] == "loss-to-zero")
    assert (found["step"], found["axis"], found["entry"]) == (None, "entry", LOST)


def test_the_timeline_has_a_column_for_entries(run: str) -> None:
    rows = list(csv.DictReader(io.StringIO(shown("timeline", run, "-f", "csv", "--metric", "loss"))))

    assert [row["entry"] for row in rows] == [str(n) for n in range(1, ENTRIES + 1)]
    assert {row["step"] for row in rows} == {""}


@pytest.mark.parametrize("samples", [False, True], ids=["merged", "every sample"])
def test_the_timeline_as_json(run: str, samples: bool) -> None:
    text = shown("timeline", run, "-f", "json", *(["--samples"] if samples else []))
    found = json.loads(text)

    if samples:
        assert set(found["step"]) == {None}
        assert max(found["entry"]) == ENTRIES
    else:
        assert (found["loss"]["steps"], found["loss"]["axis"]) == (None, "entry")
        assert found["loss"]["entries"] == list(range(1, ENTRIES + 1))


def test_tables_and_plots_are_headed_by_the_axis(run: str) -> None:
    assert shown("timeline", run).split()[0] == "entry"
    assert shown("timeline", run, "--plot", "--metric", "loss").splitlines()[-1].split()[0] == "entry"


def test_a_table_for_each_axis(tmp_path: Path) -> None:
    """Steps of a table and entries of a log stand in one run, and are never rows of one table."""
    counted_log(tmp_path, lost=None)
    (tmp_path / "metrics.csv").write_text("step,reward\n10,0.5\n20,0.75\n")

    first, second = shown("timeline", str(tmp_path)).split("\n\n")
    assert (first.split()[:2], second.split()[0]) == (["step", "reward"], "entry")
    frame = forensics.read(tmp_path).frame()
    assert set(frame[frame.metric == "reward"].step) == {10, 20}


def test_triage_and_a_healthy_headline_count_entries(tmp_path: Path, run: str) -> None:
    counted_log(tmp_path / "fine", lost=None)
    counted_log(tmp_path / "lost")

    assert f"over {ENTRIES} entries" in shown("analyze", str(tmp_path / "fine"), "-q")
    assert f"entry {LOST}" in shown("triage", str(tmp_path), "-j", "1")
    row = next(r for r in json.loads(shown("triage", str(tmp_path), "-j", "1", "-f", "json"))["runs"] if r["onset"])
    assert (row["axis"], row["onset"], row["steps_after"]) == ("entry", LOST, None)


def test_runs_are_compared_by_their_entries(tmp_path: Path, run: str) -> None:
    fine = str(counted_log(tmp_path / "fine", lost=None))
    text = shown("compare", fine, run)
    (loss,) = [d for d in json.loads(shown("compare", fine, run, "-f", "json"))["metrics"] if d["metric"] == "loss"]

    assert f"entry {LOST}" in text
    assert STEP.findall(text) == []
    assert (loss["step"], loss["axis"], loss["parts_from_entry"]) == (None, "entry", LOST)


def test_a_crash_lies_behind_the_last_entry(tmp_path: Path) -> None:
    """The line of the error is no entry; the last one is told, as an entry."""
    folder = counted_log(tmp_path / "run", lost=None)
    with (folder / "train.log").open("a") as log:
        log.write("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.\n")
    report = json.loads(shown("analyze", str(folder), "-f", "json"))

    (crash,) = [f for f in report["findings"] if f["symptom"] == "crash-oom"]
    assert (crash["step"], crash["axis"], crash["entry"]) == (None, "entry", ENTRIES)


def test_a_norm_that_is_logged_once_is_no_end(tmp_path: Path) -> None:
    """Sound losses follow the one entry with a norm: nothing is NaN to the end."""
    rows = [f"{{'loss': {2.5 - n / 10:.2f}, 'learning_rate': 2e-05}}\n" for n in range(8)]
    rows[5] = "{'loss': 2.0, 'grad_norm': nan, 'learning_rate': 2e-05}\n"
    (tmp_path / "train.log").write_text("".join(rows))
    findings = {f["symptom"]: f for f in json.loads(shown("analyze", str(tmp_path), "-f", "json"))["findings"]}

    assert "grad-norm-nan" not in findings
    assert findings["grad-norm-nan-isolated"]["entry"] == 6
    assert "logged in no other entry" in findings["grad-norm-nan-isolated"]["statement"]


def test_tensorboard_is_told_what_its_steps_are(tmp_path: Path, run: str) -> None:
    """TensorBoard knows steps only, so the tag says what is counted."""
    shown("timeline", run, "-f", "tensorboard", "-o", str(tmp_path))

    (file,) = tmp_path.glob("events.*")
    assert b"loss over entries" in file.read_bytes()
