"""A short log whose loss leaves its level and climbs on is a divergence; noise and recovery are not."""

import pytest

from forensics.detectors.loss_divergence import loss_divergence
from forensics.testing import make_run

KERNEL = [2.6, 2.2, 2.0, 1.9, 1.85, 1.82, 1.8, 3.9, 5.2, 6.1, 6.6, 6.9, 7.0, 7.1]
OPTIMIZER = [1.91, 1.84, 1.83, 1.86, 2.2, 3.3, 5.1, 9.3, 17.0, 31.0, 52.0, 61.0]


@pytest.mark.parametrize(("loss", "step"), [(KERNEL, 80), (OPTIMIZER, 60)])
def test_a_climb_is_dated_to_the_first_entry_above_all_before(loss: list[float], step: int) -> None:
    found = list(loss_divergence.find(make_run(loss=loss, logging_steps=10)))

    assert [(f.severity, f.step, f.step_range) for f in found] == [("error", step, (step - 10, step))]


@pytest.mark.parametrize(
    "loss",
    [
        [2.6, 2.2, 2.0, 1.9, 1.85, 1.82, 1.8, 1.79, 1.78, 1.77],
        [2.6, 2.2, 2.0, 1.9, 1.85, 3.9, 4.2, 2.1, 1.9, 1.85],
        [1.4, 1.2, 1.1, 1.6, 1.5, 1.7, 1.6, 1.8],
        [0.2, 0.1, 0.05, 0.04, 0.2, 0.25, 0.3, 0.31],
        [1.0, 3.0, 3.5, 4.0, 4.2, 4.3],
    ],
    ids=["falling", "comes back", "drifts", "small", "too few before"],
)
def test_other_short_logs_are_left_alone(loss: list[float]) -> None:
    assert [f for f in loss_divergence.find(make_run(loss=loss)) if f.severity == "error"] == []


EARLY = [1.05, 1.3, 260.0, 506.0, *(400.0 - 8 * i for i in range(20))]


def test_a_leap_in_the_first_steps_of_a_long_log_is_a_divergence() -> None:
    """A learning rate beyond all bounds leaves two good entries, too few for a level."""
    found = list(loss_divergence.find(make_run(loss=EARLY)))

    assert [(f.severity, f.step, f.step_range) for f in found] == [("error", 3, (2, 3))]


@pytest.mark.parametrize(
    "loss",
    [[*EARLY, 1.2], [value / 2000 for value in EARLY], [0.5, 0.6, *([0.64] * 22)], [1.0] * 22 + [9.0] * 2],
    ids=["comes back", "below a fifth", "less than a third", "two entries after"],
)
def test_other_early_rises_are_left_alone(loss: list[float]) -> None:
    assert list(loss_divergence.find(make_run(loss=loss))) == []


@pytest.mark.parametrize(
    ("loss", "step"),
    [([1.0, *EARLY[2:]], 2), ([0.5, 0.6, *([4.0] * 22)], 3), ([1.4, *[37.0 - i for i in range(9)]], 2)],
    ids=["one entry before", "less than tenfold", "ten entries"],
)
def test_a_level_that_is_left_for_good_was_reached_before_any_bin(loss: list[float], step: int) -> None:
    found = list(loss_divergence.find(make_run(loss=loss)))

    assert [f.step for f in found] == [step]


UNLEARNT = [0.694, 0.696, 0.695, 0.669, 0.521, 0.183, 0.842, 0.758, *([0.747, 0.715, 0.771, 0.702] * 8)]
"""A rate of 0.1 without clipping: two labels are told apart, and then never again."""


def test_what_two_entries_had_learned_is_gone_for_good() -> None:
    found = list(loss_divergence.find(make_run(loss=UNLEARNT)))

    assert [(f.severity, f.step, f.step_range) for f in found] == [("error", 7, (6, 7))]


@pytest.mark.parametrize(
    "loss",
    [
        [*UNLEARNT[:4], 0.694, *UNLEARNT[5:]],
        [*UNLEARNT, 0.6],
        [*UNLEARNT[:5], 0.4, *UNLEARNT[6:]],
        UNLEARNT[4:],
        [*([0.7] * 20), *UNLEARNT],
        [0.9, 0.3, 0.69, 0.31, 0.4, 0.183, 0.642, 0.458, *([0.747, 0.315, 0.771, 0.302] * 8)],
    ],
    ids=[
        "a single low entry",
        "below it again",
        "not half of it",
        "no first level",
        "too late",
        "restless from the first",
    ],
)
def test_other_low_entries_are_left_alone(loss: list[float]) -> None:
    assert list(loss_divergence.find(make_run(loss=loss))) == []
