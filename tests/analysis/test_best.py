"""The checkpoint with the best evaluation, by the metric of the run, and the noise of one evaluation."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.analysis.best import best_checkpoint, noise
from forensics.model import Checkpoint, Run, Scalar
from forensics.testing import make_checkpoint, make_run, make_table

STEPS = [10, 20, 30, 40]


def run(*checkpoints: Checkpoint, settings: dict[str, Scalar] | None = None, **metrics: Any) -> Run:
    return make_run(
        loss=[1.0] * 40, checkpoints=checkpoints, settings=settings, steps=dict.fromkeys(metrics, STEPS), **metrics
    )


def saved(*steps: int) -> list[Checkpoint]:
    return [make_checkpoint(step) for step in steps]


def test_the_lowest_loss_that_was_saved() -> None:
    best = best_checkpoint(run(*saved(20, 40), eval_loss=[1.9, 1.5, 1.2, 1.6]))

    assert best is not None
    assert (best.path, best.step, best.value) == ("checkpoint-20", 20, 1.5)
    assert (best.best_step, best.best_value, best.noise) == (30, 1.2, None)


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"metric_for_best_model": "accuracy"}, "checkpoint-40"),
        ({"metric_for_best_model": "eval_accuracy", "greater_is_better": True}, "checkpoint-40"),
        ({"metric_for_best_model": "accuracy", "greater_is_better": False}, "checkpoint-20"),
        ({"metric_for_best_model": "absent"}, "checkpoint-20"),
        ({}, "checkpoint-20"),
    ],
)
def test_the_metric_is_that_of_the_run(settings: dict[str, Scalar], path: str) -> None:
    best = best_checkpoint(
        run(*saved(20, 40), settings=settings, eval_loss=[1.9, 1.5, 1.2, 1.6], eval_accuracy=[0.1, 0.5, 0.7, 0.6])
    )

    assert best is not None
    assert best.path == path


def test_a_poisoned_checkpoint_is_never_the_best() -> None:
    bad = make_checkpoint(20, make_table(nan={"model.norm.weight": 1}))
    best = best_checkpoint(run(bad, make_checkpoint(40), eval_loss=[1.9, 1.5, 1.2, 1.6]))

    assert best is not None
    assert best.path == "checkpoint-40"


@pytest.mark.parametrize(
    "nothing",
    [
        run(*saved(20)),
        run(eval_loss=[1.0, 1.0, 1.0, 1.0]),
        run(*saved(15), eval_loss=[1.0] * 4),
        run(*saved(20), eval_loss=[float("nan")] * 4),
    ],
    ids=["no evaluation", "nothing saved", "saved elsewhere", "NaN"],
)
def test_nothing_is_said_where_nothing_tells(nothing: Run) -> None:
    assert best_checkpoint(nothing) is None


def test_noise_is_that_of_one_evaluation() -> None:
    """Within a fifth for 400 evaluations around a line, whatever its slope; one leap does not move it."""
    draws = np.random.default_rng(3).normal(0.0, 0.02, 400)
    line = 3.0 - 0.004 * np.arange(400)
    leap = np.where(np.arange(400) == 200, 5.0, 0.0)

    for values in (line + draws, line + draws + leap):
        found = noise(values)
        assert found is not None
        assert 0.016 < found < 0.024


@given(st.lists(st.floats(0.1, 10.0), min_size=6, max_size=40), st.floats(-1.0, 1.0))
def test_a_trend_is_no_noise(values: list[float], slope: float) -> None:
    tilted = np.array(values) + slope * np.arange(len(values))

    assert noise(tilted) == pytest.approx(noise(np.array(values)), abs=1e-9)


def test_few_evaluations_have_no_noise() -> None:
    assert noise(np.array([1.0, 2.0, np.nan, 1.5, 1.2, 1.1])) is None
