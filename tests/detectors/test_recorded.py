"""Symptoms that only a black box shows, on records made in memory."""

from pathlib import Path
from typing import Any

import pytest

from forensics.investigate import detect, investigate
from forensics.model import Finding
from forensics.testing import TENSORS, make_recording, make_run

NORM = TENSORS[1:]


def findings(*recordings: Any) -> dict[str, Finding]:
    found, _, failures = detect(make_run(recordings=recordings))
    assert not failures
    return {finding.symptom: finding for finding in found}


def two(**named: Any) -> list[Any]:
    return [make_recording(0, **named), make_recording(1, **named)]


def test_a_program_that_compares_its_ranks_is_believed(tmp_path: Path) -> None:
    lines = [f"rank {r} step {n} loss {1 / n:.3f}\n" for n in range(1, 9) for r in (0, 1)]
    told = "WARNING: parameter checksum differs between ranks: [2.41408, 2.82881]\n"
    (tmp_path / "train.log").write_text("".join([*lines[:10], told, *lines[10:]]))
    found = next(f for f in investigate(tmp_path).findings if f.symptom == "rank-drift")

    assert (found.severity, found.step_range) == ("error", (None, 5))


def test_healthy_ranks_are_silent() -> None:
    assert findings(*two(batches={1: "a", 2: "b"})) == {}


@pytest.mark.parametrize(("until", "severity"), [(None, "error"), (6, "warning")])
def test_a_gradient_that_recovers_is_a_warning(until: int | None, severity: str) -> None:
    bad = dict.fromkeys(range(5, (until or 12) + 1), NORM)
    found = findings(make_recording(0, local_bad=bad), make_recording(1))["local-gradient-nonfinite"]

    assert (found.severity, found.step, found.until) == (severity, 5, until)
    assert "on rank 0 before the reduction" in found.statement


def test_all_tensors_at_once_point_before_the_backward_pass() -> None:
    found = findings(make_recording(world=1, kind="single", local_bad={5: TENSORS}))["local-gradient-nonfinite"]

    assert "all of them at once: the loss or the weights were not finite" in found.statement
    assert "rank" not in found.statement


def test_an_overflow_that_a_scaler_skips_is_ordinary() -> None:
    assert findings(*two(local_bad={5: NORM}, skipped=[5], scale=65536.0)) == {}
    assert "local-gradient-nonfinite" in findings(*two(local_bad={5: NORM}, skipped=[5], scale=1.0))


def test_one_process_has_no_reduction_to_blame() -> None:
    found = findings(make_recording(world=1, kind="single", reduced_bad={5: NORM}))["reduced-gradient-nonfinite"]

    assert "clipping, unscaling or the code between them" in found.statement


def test_equal_norms_need_two_steps_different_batches_and_all_ranks() -> None:
    same = dict.fromkeys(range(1, 13), "a")

    assert "reduction-did-nothing" in findings(*two(unreduced=True))
    assert "reduction-did-nothing" not in findings(*two(unreduced=True, batches=same))
    assert "reduction-did-nothing" not in findings(make_recording(0, unreduced=True))
    assert "reduction-did-nothing" not in findings(*two(unreduced=True, steps=[1]))
    assert "reduction-did-nothing" not in findings(*two(unreduced=True, kind="fsdp2"))


def test_drift_needs_replicas() -> None:
    assert findings(*two(drift_from=4))["rank-drift"].step_range == (3, 4)
    assert findings(*two(drift_from=1))["rank-drift"].severity == "error"
    assert "rank-drift" not in findings(*two(drift_from=4, kind="zero3"))


def test_a_stall_needs_steps_that_count() -> None:
    assert findings(*two(still=0.9, dtype="bfloat16"))["update-stalled"].severity == "warning"
    assert findings(*two(still=1.0, dtype="bfloat16"))["update-stalled"].severity == "error"
    assert "update-stalled" not in findings(*two(still=0.9, steps=[1, 2, 3]))
    assert "update-stalled" not in findings(*two(still=0.9, skipped=range(1, 13)))


def test_an_optimizer_that_stepped_once_is_not_idle() -> None:
    idle = two(still=1.0, skipped=range(1, 13))
    once = two(still=1.0, skipped=range(1, 12))

    assert "the gradients were finite" in findings(*idle)["optimizer-never-stepped"].statement
    assert "optimizer-never-stepped" not in findings(*once)
    bad = two(still=1.0, skipped=range(1, 13), local_bad=dict.fromkeys(range(1, 13), NORM))
    assert (
        "12 of them had gradients that were not finite; a loss scaler"
        in findings(*bad)["optimizer-never-stepped"].statement
    )


def resumed(old: dict[int, str], new: dict[int, str]) -> dict[str, Finding]:
    before = make_recording(world=1, kind="single", batches=old)
    after = make_recording(world=1, kind="single", steps=sorted(new), batches=new, start=9000.0)
    return findings(before, after)


def test_batches_that_come_again_after_a_resume() -> None:
    old = {step: f"batch {step}" for step in range(1, 11)}
    found = resumed(old, {step: f"batch {step - 10}" for step in range(11, 21)})["data-repeated"]

    assert (found.step, found.until, found.severity) == (11, 20, "warning")
    assert "step 11 sees the batch of step 1, and so on; 10 batches come again" in found.statement


def test_a_right_resume_is_silent() -> None:
    old = {step: f"batch {step}" for step in range(1, 11)}

    assert resumed(old, {step: f"batch {step}" for step in range(11, 21)}) == {}
    assert resumed(old, {step: f"batch {step}" for step in range(8, 18)}) == {}  # from an older checkpoint
    epochs = {step: f"batch {step % 5}" for step in range(1, 11)}
    assert resumed(epochs, {step: f"batch {step % 5}" for step in range(11, 21)}) == {}  # it went round before
