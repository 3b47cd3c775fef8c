"""One run has one answer: which cause leads and where it began."""

import json
import re
from dataclasses import replace

import pytest
from click.testing import CliRunner

from forensics.cli import main
from forensics.diagnosis.judgement import leading_cause, onset_of
from forensics.fleet.row import row_of
from forensics.investigate import investigate
from forensics.model import Evidence, Finding, Hypothesis, Source
from runs import BROKEN, HEALTHY, Case

ERROR = Finding("loss-to-zero", "error", "", Source("log"), 20, (15, 20))


def cause(name: str, points: int = 9, **changed: object) -> Hypothesis:
    made = Hypothesis(name, name.upper(), name, ("loss-to-zero",), (name, "loss-to-zero"), (Evidence(points, "x"),))
    return replace(made, **changed)  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize(
    ("hypotheses", "expected"),
    [
        ([], None),
        ([cause("a")], "a"),
        ([cause("benign", benign=True), cause("a")], "a"),
        ([cause("unknown", 0, code="UNKNOWN"), cause("a", 1)], None),
        ([cause("a", -3)], None),
    ],
)
def test_the_leading_cause(hypotheses: list[Hypothesis], expected: str | None) -> None:
    found = leading_cause(hypotheses)

    assert (None if found is None else found.cause) == expected


@pytest.mark.parametrize(
    ("others", "causes", "expected"),
    [
        ([], [], (15, 20)),
        # What the leading cause explains began earlier, and narrows the bracket.
        ([replace(ERROR, symptom="grad-norm-nan", step=18, step_range=(17, 18))], ["grad-norm-nan"], (17, 18)),
        ([replace(ERROR, symptom="weights-nan", step=24, step_range=(17, 24))], ["weights-nan"], (17, 20)),
        # Something that has to do with nothing of it moves no onset; nor does a warning, or a finding without a place.
        ([replace(ERROR, symptom="eval-gap", step=3, step_range=(2, 3))], [], (15, 20)),
        ([replace(ERROR, symptom="grad-norm-nan", severity="warning", step=3)], ["grad-norm-nan"], (15, 20)),
        ([replace(ERROR, symptom="grad-norm-nan", step=None, step_range=(None, None))], ["grad-norm-nan"], (15, 20)),
        # Another axis is another ruler.
        ([replace(ERROR, symptom="grad-norm-nan", step=3, axis="entry")], ["grad-norm-nan"], (15, 20)),
        # An exact onset: the bad step is not the fine one.
        ([replace(ERROR, symptom="grad-norm-nan", step=1, step_range=(1, 1))], ["grad-norm-nan"], (None, 1)),
    ],
)
def test_the_onset(others: list[Finding], causes: list[str], expected: tuple[int | None, int]) -> None:
    found = onset_of([ERROR, *others], [cause("a", explains=("loss-to-zero", *causes))])

    assert found is not None
    assert found.step_range == expected


def test_a_run_that_crashed_was_broken_from_its_first_error_on() -> None:
    crash = replace(ERROR, symptom="crash-nccl", step=200, step_range=(200, 200))
    found = onset_of([crash, ERROR], [cause("collective-timeout", explains=("crash-nccl",))])

    assert found is not None
    assert found.step_range == (15, 20)


def test_nothing_grave_has_no_onset() -> None:
    assert onset_of([replace(ERROR, severity="notice")], []) is None


@pytest.mark.parametrize("case", [*BROKEN, *HEALTHY], ids=str)
def test_every_command_tells_the_same(case: Case) -> None:
    """The row of triage, SARIF and the text name the cause that leads in the JSON report, and the same onset."""
    report = investigate(case.run, weights="quick")
    first = leading_cause(report.hypotheses)
    row = row_of("run", report, "")
    sarif = CliRunner().invoke(main, ["analyze", str(case.run), "--weights", "quick", "-f", "sarif"]).stdout

    if report.findings and row.severity in {"error", "warning"}:
        assert row.cause == ("unknown" if first is None else first.cause)
        codes = {r["id"] for r in json.loads(sarif)["runs"][0]["tool"]["driver"]["rules"]}
        assert first is None or first.code in codes
        assert first is not None or not re.search(r"(?:Possible|Likely|Established) cause:", sarif)
    began = onset_of(report.findings, report.hypotheses)
    assert (row.fine, row.onset) == ((None, None) if began is None else began.step_range)
    assert began is None or began.step_range[0] is None or began.step_range[0] < (began.onset or 0)
