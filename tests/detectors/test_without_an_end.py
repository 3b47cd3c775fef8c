"""Runs that go on to the end and learn nothing that counts: by heart, at rest, one of two, one answer to everything."""

from typing import Any

import numpy as np
import pytest

from detectors.detecting import find, severities
from forensics.diagnosis.headline import verdict_of
from forensics.testing import make_run

BY_HEART = [3.74, 3.622, 3.539, 3.544, 3.602, 3.746, 3.758, 3.752, 3.813, 3.83]
"""Eight samples over and over: the training loss goes from 3.5 to 0.6 meanwhile."""


def line(start: float, end: float, size: int = 40, noise: float = 0.0) -> list[float]:
    scatter = np.random.default_rng(2).normal(0, noise, size)
    return [float(x) for x in np.linspace(start, end, size) * (1 + scatter)]


def power(start: float, end: float, size: int = 40) -> list[float]:
    return [float(x) for x in np.geomspace(start, end, size)]


def test_what_is_learned_by_heart() -> None:
    found = find("eval-gap", make_run(loss=power(3.5, 0.6, 10), eval_loss=BY_HEART))

    assert [(f.severity, f.step_range) for f in found] == [("warning", (3, 10))]


@pytest.mark.parametrize(
    "more",
    [
        {"loss": power(3.5, 2.0, 10), "eval_loss": BY_HEART},  # the training loss is no half of it
        {"loss": power(3.5, 0.6, 10), "eval_loss": BY_HEART[:4]},
        {"loss": power(3.5, 0.6, 10), "eval_loss": [5.0, *BY_HEART[1:]]},  # it gained
        {"loss": power(3.5, 0.6, 10), "eval_loss": BY_HEART, "eval_accuracy": line(0.2, 0.3, 10)},
        {"loss": power(3.5, 0.6, 10), "eval_loss": line(3.6, 3.3, 10)},
        {"loss": power(3.5, 0.6, 3), "eval_loss": BY_HEART},
    ],
)
def test_what_is_not_learned_by_heart(more: dict[str, Any]) -> None:
    assert severities("eval-gap", make_run(**more)) == []


GIVEN_BACK = [0.296, 0.252, 0.242, 0.234, 0.233, 0.232, 0.28, 0.285, 0.29, 0.287]
"""A third epoch over 22,000 questions: the training loss leaps down from 0.25 to 0.07 with it."""


@pytest.mark.parametrize(
    ("more", "severity"),
    [
        ({"loss": power(0.3, 0.07, 60)}, "warning"),
        ({"loss": power(0.3, 0.2, 60)}, "notice"),
        ({"loss": power(0.3, 0.07, 60), "eval_accuracy": line(0.2, 0.3, 10)}, "notice"),
        ({"loss": power(0.3, 0.07, 60), "eval_loss": [0.4, *GIVEN_BACK[1:]]}, "notice"),
        ({"loss": power(0.3, 0.002, 60), "eval_loss": [value / 4 for value in GIVEN_BACK]}, "notice"),
    ],
    ids=["by heart", "the training loss hardly falls", "an accuracy rises", "most is kept", "small"],
)
def test_an_evaluation_that_gives_back_what_it_gained(more: dict[str, Any], severity: str) -> None:
    assert severities("eval-gap", make_run(**{"eval_loss": GIVEN_BACK, **more})) == [severity]


def test_an_evaluation_that_is_all_noise_has_no_gap() -> None:
    """Fifteen epochs of a small test set; the training loss is as restless, and higher at the end than at the best."""
    noisy = [0.15, 0.13, 0.14, 0.13, 0.10, 0.12, 0.07, 0.08, 0.11, 0.19, 0.17, 0.15, 0.17, 0.21, 0.10]
    loss = [0.28, 0.18, 0.32, 0.27, 0.10, 0.09, 0.08, 0.19, 0.20, 0.38, 0.14, 0.35, 0.12, 0.29, 0.25]

    assert severities("eval-gap", make_run(loss=loss, eval_loss=noisy)) == []


@pytest.mark.parametrize(
    ("level", "said"),
    [(0.25, "a quarter"), (float(np.log(2)), "ln(2)"), (float(np.log(10)), "ln(10)"), (0.3, ""), (0.252, "")],
)
def test_a_loss_that_falls_to_the_level_of_one_answer_and_rests_there(level: float, said: str) -> None:
    """A small recurrent network answers 0.5 for zeros and ones after 4,000 steps."""
    loss = [level + 0.4 * float(np.exp(-i / 8)) for i in range(80)]
    found = find("loss-plateau", make_run(loss=loss))

    assert [f.severity for f in found] == (["warning"] if said else [])
    assert all(said in f.statement for f in found)


def test_one_of_two_adversaries_has_won() -> None:
    won, lost = power(1.1, 0.0004), line(0.7, 8.0)
    found = find("loss-divergence", make_run(d_loss=won, g_loss=lost))

    assert [f.severity for f in found] == ["warning"]
    assert found[0].statement.startswith("g_loss rises from")
    for first, second in (
        (won, line(0.7, 1.5)),
        (line(1.1, 0.2), lost),
        (line(1.386, 1.386, noise=0.05), line(0.693, 0.72, noise=0.05)),
        (line(-0.5, -9.0), lost),
        (won[:15], lost[:15]),
        ([*won[:-1], 0.03], lost),  # it loses again
    ):
        assert find("loss-divergence", make_run(d_loss=first, g_loss=second)) == []


def test_an_adversary_that_wins_slowly_has_won_in_the_middle_of_the_last_third() -> None:
    assert severities("loss-divergence", make_run(d_loss=power(0.6, 0.0008, 80), g_loss=line(1.2, 21, 80))) == [
        "warning"
    ]


@pytest.mark.parametrize(("norm", "expected"), [(0.3, ["warning"]), (0.03, ["notice"])])
def test_a_small_loss_that_rises_is_grave_where_the_norm_rises_with_it(norm: float, expected: list[str]) -> None:
    """0.002 to 0.02 in the second half of a run, while the learning rate falls to 0."""
    loss = [*power(0.028, 0.002, 60), *power(0.002, 0.02, 60)]
    norms = [*line(0.03, 0.03, 60), *power(0.03, norm, 60)]

    assert severities("loss-divergence", make_run(loss=loss, grad_norm=norms)) == expected
    assert severities("loss-divergence", make_run(loss=loss)) == ["notice"]


def test_a_metric_that_never_was_a_number() -> None:
    never = [float("nan")] * 20

    assert severities("metric-nan", make_run(avg_val_projected_errors=never)) == ["warning"]
    assert severities("metric-nan", make_run(avg_val_projected_errors=never[:4])) == []
    assert severities("metric-nan", make_run(completions_std=never)) == []
    assert severities("metric-nan", make_run(avg_projected_errors=[*never, 0.5])) == []
    assert severities("metric-nan", make_run(eval_loss=never)) == []


def test_norms_in_the_thousands_beside_a_loss_that_does_not_fall() -> None:
    loss = [13.6, 15.6, 16.0, 14.9, 14.2, 16.9, 13.7, 12.8, 15.2]
    norms = [4764.0, 4216.0, 4287.0, 4543.0, 4898.0, 5067.0, 4019.0, 4552.0, 3418.0]

    assert severities("grad-norm-explosion", make_run(loss=loss, grad_norm=norms)) == ["warning"]
    assert severities("grad-norm-explosion", make_run(loss=power(13.6, 5.0, 9), grad_norm=norms)) == []
    assert severities("grad-norm-explosion", make_run(loss=loss, grad_norm=[n / 10 for n in norms])) == []
    assert severities("grad-norm-explosion", make_run(grad_norm=norms)) == []


def test_a_saddle_that_is_left_has_small_norms_before() -> None:
    """A reward model stands at ln 2 with norms of 0.005 for a while; they are 3 where it learns."""
    loss = [*line(0.6932, 0.6922, 60), *line(0.68, 0.43, 60)]
    norms = [*line(0.004, 0.006, 60, noise=0.2), *line(2.0, 3.0, 60, noise=0.2)]
    worse = [*line(0.6932, 0.6922, 60), *line(0.69, 0.75, 60)]

    assert "warning" not in severities("grad-norm-explosion", make_run(loss=loss, grad_norm=norms))
    assert severities("grad-norm-explosion", make_run(loss=worse, grad_norm=norms)) == ["warning"]
    assert severities("grad-norm-explosion", make_run(grad_norm=norms)) == ["warning"]


def test_a_policy_that_gives_one_answer_to_everything() -> None:
    """Advantage actor-critic in Doom: entropy 0 from the third episode on, the return stands at -116."""
    entropy = [1.95, 1.2, *([0.0] * 58)]
    found = find("reward-collapse", make_run(entropy=entropy, policy_loss=[0.0] * 60, returns=[-67.0] + [-116.0] * 59))

    assert [(f.severity, f.step) for f in found] == [("warning", 3)]
    for other, returns in (
        (entropy, line(-116, 20, 60)),
        (line(1.9, 0.02, 60), [-116.0] * 60),
        ([0.0] * 60, [-116.0] * 60),
        (entropy, []),
    ):
        found = find("reward-collapse", make_run(policy_loss=[0.0] * 60, entropy=other, returns=returns))
        assert [f for f in found if "nothing was ever" not in f.statement] == []  # a return of one number is told so


def test_a_negated_cosine_at_its_floor() -> None:
    """Similarity without negatives and without a stopped gradient: -0.98 at once, -0.9998 at the end."""
    assert severities("suspiciously-low-loss", make_run(loss=[-0.98, *line(-0.9961, -0.9998)])) == ["warning"]
    assert severities("suspiciously-low-loss", make_run(loss=line(-0.2, -0.93))) == []
    assert severities("suspiciously-low-loss", make_run(loss=line(-0.2, -3.0))) == []


def test_one_term_of_several_that_fell_shows_no_course() -> None:
    """Two entries of a detector: the loss doubles, one box term falls."""
    run = make_run(loss=[119.6, 259.7], grad_norm=[776.0, 2044.0], bbox_loss=[0.0153, 0.0116])

    assert verdict_of(run, []) == "unknown"
    assert verdict_of(make_run(loss=[119.6, 90.0]), []) == "healthy"
