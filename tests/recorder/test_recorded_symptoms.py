"""What the analyzer says of real records: the fault that was planted, and nothing where none was."""

import shutil
from pathlib import Path

import pytest

from forensics.investigate import investigate
from forensics.model import Finding, Report

GRAVE = ("error", "warning")


def report_of(folder: Path) -> Report:
    report = investigate(folder / "blackbox")
    assert report.failures == ()
    return report


def found(report: Report, symptom: str) -> Finding:
    return next(f for f in report.findings if f.symptom == symptom)


@pytest.mark.parametrize(
    "name", ["none-ddp-1", "none-ddp-2", "none-fsdp2-1", "none-fsdp2-2", "same-batch", "not-repeated", "compare-bf16"]
)
def test_a_healthy_record_is_silent(cases: Path, name: str) -> None:
    report = report_of(cases / name)

    assert [f for f in report.findings if f.severity in GRAVE] == []
    assert report.verdict in {"healthy", "unknown"}  # tokens drawn by chance teach nothing


@pytest.mark.parametrize("name", ["nan-single", "nan-ddp", "nan-ddp-reentrant", "nan-ddp-3", "nan-fsdp2"])
def test_tensor_rank_and_step_are_named(cases: Path, name: str) -> None:
    report = report_of(cases / name)
    finding = found(report, "local-gradient-nonfinite")

    assert report.findings[0] is finding
    assert (finding.step, finding.step_range, finding.until) == (7, (6, 7), None)
    assert "1 of 26 tensors, layers.1.up.weight" in finding.statement
    assert ("on rank 1 before the reduction" in finding.statement) == (name != "nan-single")
    assert "capsule.safetensors" in finding.statement
    assert "reduction-made-nan" not in {m.cause for m in report.mechanisms if m.holds}


def test_the_exact_step_replaces_the_bracket_of_a_log(cases: Path, tmp_path: Path) -> None:
    """A log of every fourth step brackets the NaN between 4 and 8; the record says 7."""
    import json

    shutil.copytree(cases / "nan-ddp" / "blackbox", tmp_path / "run" / "blackbox")
    logged = [{"step": step, "loss": 4.0, "grad_norm": 1.0} for step in (4,)]
    logged += [{"step": step, "loss": float("nan"), "grad_norm": float("nan")} for step in (8, 12)]
    lines = "".join(json.dumps(entry) + "\n" for entry in logged)
    (tmp_path / "run" / "log.jsonl").write_text(lines)
    report = investigate(tmp_path / "run")

    assert found(report, "grad-norm-nan").step_range == (6, 7)
    assert found(report, "loss-nan").step_range[1] == 8


@pytest.mark.parametrize("name", ["reduction-ddp", "reduction-fsdp2"])
def test_a_bad_reduction_establishes_the_mechanism(cases: Path, name: str) -> None:
    report = report_of(cases / name)
    finding = found(report, "reduced-gradient-nonfinite")
    mechanism = next(m for m in report.mechanisms if m.cause == "reduction-made-nan")

    assert "every rank's were finite before it and are not after it: 1 of 26" in finding.statement
    assert finding.step == 7
    assert mechanism.verdict == "established"
    assert "ds-zero12-comm-corruption" not in {h.cause for h in report.hypotheses if h.holds}


def test_a_missing_rank_proves_no_reduction(cases: Path, tmp_path: Path) -> None:
    for file in (cases / "reduction-ddp" / "blackbox").glob("rank00000-*"):
        shutil.copy(file, tmp_path)
    report = investigate(tmp_path)

    assert "1 of 2 ranks left a record" in found(report, "reduced-gradient-nonfinite").statement
    assert "reduction-made-nan" not in {m.cause for m in report.mechanisms if m.holds}


def test_a_gradient_spoiled_after_the_backward_pass_of_one_process(cases: Path) -> None:
    report = report_of(cases / "nan-single")

    assert "reduced-gradient-nonfinite" not in {f.symptom for f in report.findings}


def test_drift_names_its_first_step_and_its_cause(cases: Path) -> None:
    report = report_of(cases / "drift")

    assert found(report, "rank-drift").step == 7
    assert "until then they were equal to the last bit" in found(report, "rank-drift").statement
    assert report.hypotheses[0].cause == "ranks-not-synchronised"


def test_a_loop_without_a_reduction(cases: Path) -> None:
    report = report_of(cases / "unreduced")

    assert "at every step" in found(report, "reduction-did-nothing").statement
    assert report.hypotheses[0].cause == "ranks-not-synchronised"


def test_a_stall_is_told_and_a_rate_that_moves_is_not(cases: Path) -> None:
    stalled = found(report_of(cases / "stall"), "update-stalled")

    assert stalled.statement.startswith("22 of 26 tensors stand still")
    assert "the weights are bfloat16; the learning rate is 2e-06" in stalled.statement
    assert "update-stalled" not in {f.symptom for f in report_of(cases / "stall-not").findings}


def test_an_optimizer_that_never_stepped(cases: Path) -> None:
    finding = found(report_of(cases / "never-stepped"), "optimizer-never-stepped")

    assert "the optimizer was not stepped in any of 20 steps" in finding.statement


def test_gradients_of_zero_are_told_from_their_step(cases: Path) -> None:
    assert found(report_of(cases / "zero"), "grad-norm-zero").step == 7


def test_ranks_in_one_folder_are_no_restart(cases: Path) -> None:
    report = report_of(cases / "none-ddp-1")

    assert len(report.run.recordings) == 2
    assert len(report.run.timeline.segments) == 1
    assert list(report.run.timeline.events_of("step-rewind")) == []


def test_rings_are_no_checkpoints(cases: Path) -> None:
    report = report_of(cases / "nan-ddp")

    assert report.run.checkpoints == ()
    assert [skip for skip in report.run.skips if not skip.what.startswith("detector ")] == []
