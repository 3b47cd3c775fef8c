"""The count of false alarms: which runs a list names, what counts as wrong, what the table adds up."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmark_modules import loaded
from forensics.model import Finding, Severity, Source

if TYPE_CHECKING:
    import false_alarms
else:
    false_alarms = loaded("false_alarms")

HERE = Path()


def heard(verdict: str, *found: tuple[str, Severity]) -> false_alarms.Heard:
    findings = tuple(Finding(symptom, severity, "", Source("a", "")) for symptom, severity in found)
    return false_alarms.Heard(verdict, findings)


def faulty(*symptoms: str) -> false_alarms.Labelled:
    return false_alarms.Labelled("f", HERE, healthy=False, symptoms=symptoms)


FINE = false_alarms.Labelled("h", HERE, healthy=True)


@pytest.mark.parametrize(
    ("run", "answer", "expected"),
    [
        (FINE, heard("healthy", ("loss-spike", "notice")), ""),
        (FINE, heard("unknown"), ""),
        (FINE, heard("suspicious", ("eval-gap", "warning")), "alarm on a healthy run: eval-gap"),
        (faulty("loss-nan"), heard("healthy", ("loss-nan", "notice")), "called healthy"),
        (faulty("loss-nan"), heard("unknown"), ""),
        (faulty("loss-nan"), heard("broken", ("loss-nan", "error"), ("lr-zero", "warning")), ""),
        (faulty("loss-nan"), heard("broken", ("lr-zero", "error")), "names lr-zero in place of loss-nan"),
        (faulty(), heard("broken", ("lr-zero", "error")), ""),
    ],
)
def test_what_is_wrong(run: false_alarms.Labelled, answer: false_alarms.Heard, expected: str) -> None:
    assert false_alarms.wrong(run, answer) == expected


def test_the_table_counts() -> None:
    answers = [
        (FINE, heard("healthy")),
        (FINE, heard("suspicious", ("eval-gap", "warning"))),
        (FINE, heard("broken", ("loss-nan", "error"))),
        (faulty("loss-nan"), heard("healthy", ("loss-nan", "notice"))),
        (faulty("loss-nan"), heard("broken", ("loss-nan", "error"))),
        (faulty(), heard("unread")),
    ]
    told = false_alarms.table(answers)

    assert "`healthy` is right 1 of 2 times" in told
    assert "symptoms named: 1 of 2 faulty runs that have one" in told
    assert "healthy runs with a warning or an error: 2 of 3, with an error: 1" in told
    assert false_alarms.said("loss-nan", answers).splitlines() == [
        "loss-nan, healthy: 1 error, 0 warning, 0 notice, 3 runs",
        "loss-nan, faulty: 1 error, 0 warning, 1 notice, 3 runs",
    ]


@pytest.mark.parametrize("lines", [False, True])
def test_a_list_names_the_runs_whose_material_is_there(tmp_path: Path, *, lines: bool) -> None:
    entries = [
        {"id": "a", "verdict": "healthy", "symptoms": [], "material": "a.log"},
        {"id": "b", "verdict": "broken", "symptoms": ["loss-nan"], "material": "b"},
        {"id": "c", "verdict": "broken", "symptoms": [], "material": "absent"},
        {"record": "answer", "id": "a"},
    ]
    (tmp_path / "a.log").write_text("iter 1: loss 2.0\n")
    (tmp_path / "b").mkdir()
    told = tmp_path / "labels"
    told.write_text("\n".join(json.dumps(e) for e in entries) if lines else json.dumps(entries[:3]))
    found = [(run.name, run.healthy, run.symptoms) for run in false_alarms.listed(told, tmp_path)]

    assert found == [("a", True, ()), ("b", False, ("loss-nan",))]
    assert false_alarms.hear(tmp_path / "b").verdict == "unread"


def test_no_healthy_fixture_raises_an_alarm(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    some = [run for run in false_alarms.fixtures() if run.healthy][:3]
    monkeypatch.setattr(false_alarms, "fixtures", lambda: iter(some))

    assert false_alarms.main(["--symptom", "loss-nan"]) == 0
    assert "healthy runs with a warning or an error: 0 of 3, with an error: 0" in capsys.readouterr().out
