"""A loss that stands still, guesses, or is a multiple of its evaluation: each as it was met in public."""

from typing import Any

import numpy as np
import pytest

from detectors.detecting import find, severities
from forensics.analysis.epochs import epoch_at, last_epoch
from forensics.model import Precision
from forensics.testing import make_run

COLLAPSED = [11.090190887, 11.090194702, 11.090197802, 11.090206146, 11.090209961, 11.090211868]


def test_a_loss_that_moves_in_its_sixth_digit_alone_stands_still() -> None:
    """A DINO training, 11 epochs long: ln 65,536 is what guessing among its prototypes gives."""
    found = find("loss-constant", make_run(loss=COLLAPSED))

    assert [(f.severity, f.step) for f in found] == [("warning", 1)]
    assert found[0].statement == (
        "the loss is 11.09 in 6 entries from step 1 to the end, within 2.098e-05 of each other: "
        "ln(65,536), what guessing among so many gives"
    )


@pytest.mark.parametrize(
    "loss",
    [COLLAPSED[:4], [0.0497, 0.0497, 0.0498, 0.0497, 0.0497], [11.0902, 11.0902, 11.0919, 11.0902, 11.0902]],
    ids=["four entries", "digits too few to tell", "moves"],
)
def test_other_losses_are_not_still(loss: list[float]) -> None:
    assert find("loss-constant", make_run(loss=loss)) == []


def test_a_log_of_four_digits_does_not_tell_that_a_loss_stands_still() -> None:
    rounded = [11.0902, 11.0902, 11.0902, 11.0903, 11.0902]

    assert find("loss-constant", make_run(loss=rounded, precision=Precision.FOUR_DIGITS)) == []
    assert severities("loss-constant", make_run(loss=rounded, precision=Precision.FOUR_DECIMALS)) == ["warning"]


def around(level: float, size: int = 50, noise: float = 0.016) -> list[float]:
    return [float(x) for x in level * (1 + np.random.default_rng(3).normal(0, noise, size))]


@pytest.mark.parametrize(
    ("level", "more", "expected"),
    [
        (1.11, {"eval_accuracy": [0.33, 0.332]}, "warning"),
        (1.11, {"accuracy": [33.1, 33.4]}, "warning"),
        (1.11, {"eval_accuracy": [0.52, 0.55]}, "notice"),
        (1.11, {"eval_accuracy": [0.33, 0.33, 0.9]}, "notice"),
        (1.11, {"eval_accuracy": [0.33]}, "warning"),
        (1.25, {"eval_accuracy": [0.33, 0.332]}, "warning"),
        (0.3, {"eval_accuracy": [0.99, 0.99]}, "notice"),
        (1.11, {}, "warning"),
    ],
)
def test_a_plateau_whose_accuracy_is_that_of_guessing_is_a_warning(
    level: float, more: dict[str, Any], expected: str
) -> None:
    """Three classes, a loss of 1.11 and an accuracy of a third after 500 steps at a rate of 1e-3.

    A model from scratch that stands so from its first entry on is one without any accuracy as well.
    """
    assert severities("loss-plateau", make_run(loss=around(level), **more)) == [expected]


def test_the_classes_are_named() -> None:
    found = find("loss-plateau", make_run(loss=around(1.1), eval_accuracy=[0.33, 0.332]))

    assert "and eval_accuracy is 0.331: both are those of guessing among 3 classes" in found[0].statement


def test_an_erratic_loss_that_falls_is_left_alone() -> None:
    """A regression of enzyme rates from 25 to 14."""
    scatter = np.random.default_rng(4).normal(1.0, 0.25, 120)
    level = np.linspace(25.0, 12.0, 120)

    assert find("loss-erratic", make_run(loss=[float(x) for x in level * scatter])) == []
    assert severities("loss-erratic", make_run(loss=[float(x) for x in 18.0 * scatter])) == ["warning"]


def test_a_multiple_of_the_evaluation_shows_once_the_curve_is_flat() -> None:
    """Before, the two are means over different steps of a curve that falls steeply."""
    train = [284.8732, 161.2467, 9.9001, 5.3872, 5.1796, 5.0244]
    evals = [15.438684, 2.383721, 0.346761, 0.318510, 0.307745, 0.303802]
    found = find("loss-scale-wrong", make_run(loss=train, eval_loss=evals, logging_steps=100))

    assert [f.severity for f in found] == ["warning"]
    assert found[0].statement.startswith(
        "the training loss is about 16 times the evaluation loss at each of the last 3"
    )
    assert find("loss-scale-wrong", make_run(loss=train[:5], eval_loss=evals[:5], logging_steps=100)) == []


def test_epochs_are_a_metric_or_stand_beside_the_loss() -> None:
    told = make_run(loss=[1.0, 0.9], epoch=[0.5, 1.0])

    assert (epoch_at(told, 2), epoch_at(told, 3), last_epoch(told)) == (1.0, None, 1.0)
    assert (epoch_at(make_run(loss=[1.0]), 1), last_epoch(make_run(loss=[1.0]))) == (None, None)
