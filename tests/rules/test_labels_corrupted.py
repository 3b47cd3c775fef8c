"""Labels that do not belong to their inputs are told from a divergence and from a rate that jumped."""

from dataclasses import replace
from typing import Any

import pytest

from forensics.diagnosis.reason import argued
from forensics.model import Evidence, Explained, Finding, Run, Source
from forensics.rules.data013_labels_corrupted import labels_corrupted
from forensics.rules.opt010_lr_too_high import lr_too_high
from forensics.testing import make_run

BEFORE = [1.0, 0.98, 0.97, 0.95, 0.94, 0.95, 0.93, 0.94, 0.92, 0.93]
LEAPT = [7.4, 7.6, 7.5, 7.3, 7.5, 7.4]
CLIMBED = [1.2, 1.9, 3.0, 4.6, 6.1, 7.5]
EXPLAINED = Explained("loss-divergence", Finding("loss-divergence", "error", "", Source("log"), 11, (10, 11)))


def points(run: Run) -> dict[str, int]:
    said = labels_corrupted.reason(run, EXPLAINED)
    return {e.key or e.statement: e.points for e in said if isinstance(e, Evidence)}


def run_of(tail: list[float], **others: Any) -> Run:
    rates = [1e-4] * 16
    return make_run(loss=[*BEFORE, *tail], **{"grad_norm": [0.5] * 16, "learning_rate": rates, **others})


def test_a_leap_onto_a_new_level_after_steady_norms_is_the_data() -> None:
    found = points(run_of(LEAPT, settings={"model.vocab_size": 256}))

    assert found == {"leap": 2, "level": 1, "uniform": 2, "grad_norm before": 1}


def test_an_evaluation_that_is_still_fine_settles_it() -> None:
    run = run_of(LEAPT, eval_loss=[1.0, 1.05], steps={"eval_loss": [10, 12]})

    assert points(run)["eval_loss"] == 4


def test_a_climb_over_several_entries_is_no_change_of_labels() -> None:
    found = points(run_of(CLIMBED))

    assert "leap" not in found
    assert found["level"] == -2
    assert argued(labels_corrupted, run_of(CLIMBED), EXPLAINED).verdict == "ruled out"


def test_norms_that_grew_speak_against_it() -> None:
    norms = [0.5] * 7 + [4.0, 9.0, 20.0] + [30.0] * 6

    assert points(run_of(LEAPT, grad_norm=norms))["grad_norm before"] == -2


def test_a_rate_that_jumped_did_it() -> None:
    rates = [1e-4] * 10 + [1e-2] * 6
    run = run_of(LEAPT, learning_rate=rates)
    high = [e for e in lr_too_high.reason(run, EXPLAINED) if isinstance(e, Evidence)]

    assert points(run)["jump of the rate"] == -2
    assert {e.key: e.points for e in high}["jump of the rate"] == 6


def test_a_rate_that_the_run_had_before_is_no_jump() -> None:
    """A schedule that begins anew after a resume returns to a rate that did no harm."""
    rates = [1e-3, 8e-4, 6e-4, 4e-4, 2e-4, 1e-4, 9e-5, 8e-5, 7e-5, 6e-5, *[1e-3] * 6]

    assert "jump of the rate" not in points(run_of(LEAPT, learning_rate=rates))


def test_a_linear_warmup_is_no_jump() -> None:
    rates = [1e-5 * (i + 1) for i in range(16)]

    assert "jump of the rate" not in points(run_of(LEAPT, learning_rate=rates))


@pytest.mark.parametrize("norm", [float("nan"), 0.0])
def test_dead_gradients_have_another_cause(norm: float) -> None:
    run = run_of(LEAPT, grad_norm=[0.5] * 10 + [norm] * 6)

    assert argued(labels_corrupted, run, EXPLAINED).verdict == "ruled out"


def test_where_nothing_was_logged_nothing_is_said() -> None:
    run = make_run()

    assert points(run) == {}
    assert points(replace(run_of(LEAPT), timeline=run.timeline)) == {}
