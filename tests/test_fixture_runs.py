"""Every real run is judged as its truth file says."""

import functools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from forensics.investigate import investigate
from forensics.model import Checkpoint, Finding, Report
from forensics.report import json as json_report
from forensics.report import markdown
from runs import BROKEN, FOUNDING, HEALTHY, ROOT, Case

KNOWN_MISSES: dict[tuple[str, str], str] = {}
"""What the tool gets wrong today, and why; a run leaves this table when it is judged right (see `still_missed`)."""


def still_missed(kind: str, case: Case, *, right: bool) -> bool:
    """Tell whether a known miss is one still; fails when the run is judged right, so that the table stays true."""
    if (kind, case.name) not in KNOWN_MISSES:
        return False
    assert not right, f"{case.name} is judged right now: take it out of KNOWN_MISSES"
    return True


@functools.cache
def judged(path: Path) -> Report:
    return investigate(path, weights="full")


def finding_of(report: Report, symptom: str) -> Finding:
    found = [f for f in report.findings if f.symptom == symptom]
    assert found, f"{symptom} was not found; there are {[f.symptom for f in report.findings]}"
    return found[0]


def assert_onset(finding: Finding, truth: dict[str, Any], window: int) -> None:
    """The onset is exact, or a bracket that holds the true step and is no wider than one logging window."""
    fine, bad = finding.step_range
    true_step = truth["first_bad_step"]
    if true_step is None:
        return
    assert bad is not None
    assert fine is None or fine <= true_step
    assert true_step <= bad
    if truth["first_bad_entry"] is not None and fine is not None:
        assert bad - fine <= window


@pytest.mark.parametrize("case", BROKEN, ids=str)
def test_a_broken_run_is_called_broken(case: Case) -> None:
    report = judged(case.run)

    accepted = {case.truth["verdict"], *(case.truth.get("verdict_also_accepted") or ())}
    right = report.verdict in accepted

    assert right or still_missed("verdict", case, right=right)
    assert report.failures == ()


@pytest.mark.parametrize("case", BROKEN, ids=str)
def test_the_symptoms_have_their_true_onset(case: Case) -> None:
    report = judged(case.run)
    window = case.truth["logging_steps"]

    for symptom, truth in case.truth["symptoms"].items():
        assert_onset(finding_of(report, symptom), truth, window)


@pytest.mark.parametrize("case", BROKEN, ids=str)
def test_the_true_cause_is_at_rank_1(case: Case) -> None:
    report = judged(case.run)
    accepted = [case.truth["cause"], *case.truth["cause_also_accepted"]]

    right = bool(report.hypotheses) and report.hypotheses[0].cause in accepted

    assert right or still_missed("cause", case, right=right)


@pytest.mark.parametrize("case", HEALTHY, ids=str)
def test_a_healthy_run_stays_silent(case: Case) -> None:
    """No error, no warning, and the exit code that goes with it."""
    report = judged(case.run)

    assert [f for f in report.findings if f.severity != "notice"] == []
    assert (report.verdict, report.failures) == ("healthy", ())


@pytest.mark.parametrize("case", [*BROKEN, *HEALTHY], ids=str)
def test_checkpoints_equal_what_torch_measured(case: Case) -> None:
    """Status and the sets of NaN, Inf, zero and unchanged tensors are those of the truth file."""
    report = judged(case.run)
    found = {c.path: c for c in report.run.checkpoints}

    for path, truth in case.truth["checkpoints"].items():
        assert found[path].status == truth["status"], path
        assert found[path].step == truth["step"]
        if truth.get("tensors", {}).get("nan") is not None:
            assert_tensors(found[path], truth["tensors"])


def assert_tensors(checkpoint: Checkpoint, truth: dict[str, Any]) -> None:
    table = checkpoint.table
    assert table is not None
    weight = np.array([role == "weight" for role in table.roles])

    def names(mask: NDArray[np.bool_]) -> list[str]:
        return sorted(table.named(mask & weight))

    expected = {key: sorted(truth[key]) for key in ("nan", "inf", "zero", "unchanged")}
    actual = {
        "nan": names(table.nan > 0),
        "inf": names(table.infinite > 0),
        "zero": names(table.all_zero),
        "unchanged": names(table.unchanged),
    }
    assert actual == expected
    assert int(weight.sum()) == truth["total"]
    if checkpoint.optimizer is not None:
        # Without an optimizer nothing on file tells what was meant to move.
        assert set(truth["frozen"]) <= set(names(table.frozen))


@pytest.mark.parametrize("case", [*BROKEN, *HEALTHY], ids=str)
def test_last_good_and_first_poisoned_checkpoint(case: Case) -> None:
    run = judged(case.run).run
    good, bad = run.last_good_checkpoint, run.first_bad_checkpoint

    assert (good and good.path) == case.truth["last_good_checkpoint"]
    expected_bad = case.truth["first_bad_checkpoint"]
    if expected_bad is None or case.truth["checkpoints"][expected_bad]["status"] == "poisoned":
        assert (bad and bad.path) == expected_bad


READ_ALOUD = (
    "ds-zero12-comm-corruption",
    "all-labels-masked",
    "nan-weight-filter-on",
    "fp16-overflow",
    "truncated-write",
)


@pytest.mark.parametrize("case", [case for case in BROKEN if case.name in READ_ALOUD], ids=str)
def test_the_reports_read_as_accepted(case: Case, golden: Callable[[Path, str], None]) -> None:
    golden(case.folder / "report.md", markdown.render(judged(case.run)).replace(str(case.run), "run"))


def test_the_founding_case_is_explained_as_a_chain() -> None:
    """The founding case names the cause, the mechanisms between, and every cure with its reason."""
    report = judged(FOUNDING.run)
    top = report.hypotheses[0]
    changes = [dict(fix.change) for fix in top.fixes if fix.change is not None]

    assert top.chain == tuple(FOUNDING.truth["chain"])
    assert "0.12.5" in str(report)
    assert top.verdict in {"established", "likely"}
    assert {"deepspeed": "0.11.1"} in changes
    assert {"zero_optimization.overlap_comm": False} in changes
    assert all(fix.reference.startswith("https://") for fix in top.fixes)
    assert len(top.experiments) >= 4


SINGLE = {
    "trainer_state.json": "trainer_state.json",
    "train.log": "train.log",
    "event file": "runs/events*",
}


@pytest.mark.parametrize("pattern", SINGLE.values(), ids=SINGLE.keys())
@pytest.mark.parametrize("case", [c for c in BROKEN if "loss-to-zero" in c.truth["symptoms"]], ids=str)
def test_one_file_alone_gives_the_same_onset(case: Case, pattern: str, tmp_path: Path) -> None:
    """A single source finds the same onset as all together, if need be with a wider bracket."""
    files = sorted(case.run.glob(pattern))
    if not files:
        pytest.skip(f"the run has no {pattern}")
    shutil.copy(files[-1], tmp_path / files[-1].name)
    alone = finding_of(judged(tmp_path / files[-1].name), "loss-to-zero")
    together = finding_of(judged(case.run), "loss-to-zero")
    fine, bad = alone.step_range

    assert bad is not None
    assert together.step_range[1] is not None
    assert bad >= together.step_range[1]
    assert fine is None or fine <= (together.step_range[0] or 0)
    assert_onset(alone, {**case.truth["symptoms"]["loss-to-zero"], "first_bad_entry": None}, 0)


@pytest.mark.parametrize("case", [*BROKEN, *HEALTHY], ids=str)
def test_the_json_report_is_strict_and_follows_its_schema(case: Case) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((ROOT / "docs" / "report.schema.json").read_text())

    def refuse(literal: str) -> None:
        raise AssertionError(f"bare {literal}")

    tree = json.loads(json_report.render(judged(case.run)), parse_constant=refuse)

    jsonschema.validate(tree, schema)
    assert tree["verdict"] == judged(case.run).verdict
