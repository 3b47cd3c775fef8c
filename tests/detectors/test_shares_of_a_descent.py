"""What a curve shows of its own descent: given back, never made, made by training alone. Small runs on a CPU."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from detectors.detecting import alarms, find, severities
from forensics.analysis.learning import came_down, learned, rose, running_sum
from forensics.diagnosis.checked import too_little
from forensics.model import Run
from forensics.names import NO_LOSS, loss_rank
from forensics.testing import make_events, make_run

SECOND_STAGE = [
    *(0.11, 0.0218, -0.1488, -0.2871, -0.4253, -0.5751, -0.7249, -0.961, -1.197, -0.74, -0.7102, -0.7285, -0.7469),
    *(-0.744, -0.741, -0.782, -0.8232, -0.8353, -0.8474, -0.8966, -0.9458, -0.95, 1385.0, 1623.0, 651.1, 185.7, 13.54),
    *(6.619, 5.375, 5.084, 4.838, 4.712, 4.577, 4.507, 4.361, 4.318, 4.363, 4.302, 4.251, 4.186, 4.192, 4.151),
]
"""A density fitted by its likelihood: its loss is below 0 until a second stage begins at fifty times the rate."""
LABELS_LATE = [0.6713, 0.6334, 0.5754, 0.5612, 0.5527, 0.7294, 0.7489, 0.7297, 0.734, 0.7241, 0.7391, 0.7206, 0.7342]
"""A regression whose labels are shuffled from its sixth epoch on."""
AFTER_EPOCH_2 = [8.416, 5.233, 26.91, 37.48, 17.2, 4.451]
"""Factors of a table at 36 times the rate from the second epoch on: it comes back, as its evaluation does."""
NO_STEP = [2.338, 2.34, 2.341, 2.336, 2.342, 2.335, 2.34, 2.337]


def noisy(level: float, size: int, share: float, seed: int = 4) -> list[float]:
    return [float(x) for x in level * (1 + np.random.default_rng(seed).normal(0, share, size))]


def line(start: float, end: float, size: int) -> list[float]:
    return [float(x) for x in np.linspace(start, end, size)]


def quality(run: Run, name: str, values: list[float]) -> Run:
    """Return the run with one more metric, under a name that is no identifier."""
    beside = make_run(more=values).timeline["more"]
    series = {**run.timeline.series, name: replace(beside, name=name)}
    return replace(run, timeline=replace(run.timeline, series=series))


def without_loss(**metrics: Any) -> Run:
    return make_run(**metrics)


def test_what_a_loss_below_zero_had_gained_is_given_back() -> None:
    found = find("loss-divergence", make_run(loss=SECOND_STAGE))

    assert [(f.severity, f.step_range) for f in found] == [("warning", (22, 23))]
    assert find("loss-divergence", make_run(loss=[-3 * x for x in line(0.1, 1.0, 40)])) == []


def test_half_of_a_short_descent_is_given_back_for_good() -> None:
    found = find("loss-divergence", make_run(loss=LABELS_LATE))

    assert [(f.severity, f.step_range) for f in found] == [("warning", (5, 6))]


@pytest.mark.parametrize(
    "loss",
    [
        LABELS_LATE[:7],  # too few
        [*LABELS_LATE[:5], *noisy(0.6, 8, 0.005)],  # less than half
        [*LABELS_LATE[:9], *line(0.7, 0.56, 4)],  # it comes back
        [x / 10 for x in LABELS_LATE],  # a wobble of a small loss
        [x + 3 for x in LABELS_LATE],  # a twentieth of the level
        noisy(0.7, 13, 0.1),
    ],
    ids=["few", "less", "back", "small", "little", "noise"],
)
def test_other_short_rises_are_no_descent_given_back(loss: list[float]) -> None:
    assert find("loss-divergence", make_run(loss=loss)) == []


def test_entries_above_twice_all_before_are_a_burst_wherever_a_short_log_ends() -> None:
    found = find("loss-divergence", make_run(loss=AFTER_EPOCH_2))

    assert [(f.severity, f.step_range) for f in found] == [("warning", (2, 3))]
    assert find("loss-divergence", make_run(loss=[8.416, 5.233, 26.91, 5.0, 4.6, 4.451])) == []
    assert find("loss-divergence", make_run(loss=[8.416, 26.91, 37.48, 17.2, 4.451])) == []
    assert find("loss-divergence", make_run(loss=[8.416, 5.233, 12.0, 14.0, 8.2, 4.451])) == []
    assert find("loss-divergence", make_run(loss=[x / 400 for x in AFTER_EPOCH_2])) == []


@pytest.mark.parametrize("level", [2.338, 1.2, 0.105])
def test_a_run_from_scratch_of_which_nothing_moves_learns_nothing(level: float) -> None:
    """A warm-up a hundred times as long as the run, weights of another model in the optimizer, a clip at 1e-7."""
    found = find("loss-plateau", make_run(loss=[x * level / 2.338 for x in NO_STEP]))

    assert [(f.severity, f.step_range) for f in found] == [("warning", (None, 1))]
    assert "nothing is learned" in found[0].statement


def test_an_evaluation_that_stands_still_tells_what_the_noise_of_training_hides() -> None:
    run = make_run(loss=noisy(1.64, 8, 0.05), eval_loss=[1.66] * 7 + [1.6601])

    assert "the evaluation loss stays at 1.66 in 8 entries" in find("loss-plateau", run)[0].statement
    assert severities("loss-plateau", make_run(loss=noisy(1.64, 8, 0.05))) == []
    below = make_run(loss=noisy(-0.43, 20, 0.05), eval_loss=[-0.4805] * 20)
    assert severities("loss-plateau", below) == ["warning"]


@pytest.mark.parametrize(
    "run",
    [
        make_run(loss=NO_STEP, frameworks=("transformers",)),
        make_run(loss=NO_STEP, first_step=9000),
        make_run(loss=NO_STEP, events=[make_events("resumed")]),
        make_run(loss=NO_STEP, learning_rate=line(1e-6, 1e-5, 8)),
        make_run(loss=NO_STEP, reward=NO_STEP),
        make_run(loss=[x / 200 for x in NO_STEP]),
        make_run(loss=[2.9, *NO_STEP]),
        make_run(loss=NO_STEP[:4]),
        make_run(loss=[x - 0.004 * i for i, x in enumerate(NO_STEP)]),
        make_run(loss=NO_STEP, eval_loss=line(2.3, 2.0, 4)),
        make_run(loss=NO_STEP, eval_accuracy=[0.95, 0.95]),
        make_run(loss=NO_STEP, eval_accuracy=line(0.1, 0.3, 6)),
    ],
    ids=["known", "excerpt", "resumed", "warming", "policy", "low", "came down", "few", "falls", "eval", "knows", "up"],
)
def test_what_may_rest_is_no_alarm(run: Run) -> None:
    assert "warning" not in severities("loss-plateau", run)


def test_qualities_that_are_one_number_without_any_loss() -> None:
    still: dict[str, Any] = {"eval_psnr": [10.05] * 6, "train_psnr": [10.11] * 6}

    assert "as is all else that was logged" in find("loss-plateau", without_loss(**still))[0].statement
    assert find("loss-plateau", without_loss(**{**still, "eval_psnr": [10.05] * 4, "train_psnr": [10.11] * 4})) == []
    assert find("loss-plateau", without_loss(**{**still, "eval_psnr": [10.05] * 5 + [10.06]})) == []
    assert find("loss-plateau", without_loss(eval_accuracy=[0.98] * 6)) == []


EARLY_WEIGHTS = [11.11, 11.08, 11.03, 10.95, 10.85, 10.74, 10.62, 10.49, 10.37, 10.24]
TRAINED = [10.09, 8.831, 7.387, 6.12, 5.018, 4.141, 3.52, 3.139, 3.009, 2.917]


def test_an_average_of_weights_that_is_too_slow_stays_where_training_began() -> None:
    found = find("eval-gap", make_run(loss=TRAINED, eval_loss=EARLY_WEIGHTS))

    assert [f.severity for f in found] == ["warning"]
    assert "what is evaluated does not learn" in found[0].statement


@pytest.mark.parametrize(
    ("loss", "evaluated"),
    [
        (TRAINED, [x / 2 for x in EARLY_WEIGHTS]),
        (TRAINED, [*EARLY_WEIGHTS[:5], 10.9, 10.95, 11.0, 10.9, 11.0]),
        (line(10.09, 8.0, 10), EARLY_WEIGHTS),
        (TRAINED, line(11.11, 9.7, 10)),
        (TRAINED[:4], EARLY_WEIGHTS[:4]),
    ],
    ids=["lower", "turns", "slow", "follows", "few"],
)
def test_other_evaluations_follow_or_overfit(loss: list[float], evaluated: list[float]) -> None:
    assert "warning" not in severities("eval-gap", make_run(loss=loss, eval_loss=evaluated))


def test_a_quality_that_is_ruined_in_the_last_two_of_a_few_evaluations() -> None:
    """One sample in five is NaN from the sixth epoch on; nothing but the overlap was read of the log."""
    dice = [0.755, 0.808, 0.813, 0.821, 0.823, 0.0, 0.0]

    assert severities("eval-gap", quality(make_run(loss=line(1.0, 0.4, 7)), "eval_dice", dice)) == ["warning"]
    assert severities("eval-gap", quality(make_run(loss=line(1.0, 0.4, 7)), "eval_dice", dice[:6])) == []
    lasting = [0.0156, 0.2422, 0.4297, 0.5391, 0.6172, 0.6094, 0.6562, *([0.0078] * 9)]
    assert severities("eval-gap", quality(make_run(loss=line(1.0, 0.4, 16)), "test recall@1", lasting)) == ["warning"]


def test_an_error_of_small_batches_that_came_down_at_once_is_not_erratic() -> None:
    late = noisy(5.2, 42, 0.3)

    assert severities("loss-erratic", make_run(loss=[6.0, *late])) == ["warning"]
    assert severities("loss-erratic", make_run(loss=[321.7, 139.3, *late])) == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (line(2.0, 1.0, 30), True),
        ([2.0, *noisy(1.0, 30, 0.05)], True),
        ([x - 0.03 * i for i, x in enumerate(noisy(2.0, 12, 0.05))], True),
        (noisy(2.0, 500, 0.05, 1), False),
        (line(1.0, 2.0, 30), False),
        ([1.0], False),
        ([float(x) for x in np.cumsum(line(2e5, 5e4, 15))], True),
    ],
    ids=["falls", "within an entry", "by ranks", "noise", "rises", "one", "a sum"],
)
def test_what_shows_that_a_curve_came_down(values: list[float], expected: bool) -> None:
    assert came_down(np.array(values)) is expected


def test_healthy_needs_a_curve_that_shows_it() -> None:
    restless = make_run(loss=noisy(2.0, 45, 0.3))

    assert too_little(restless, []) == "nothing that was logged gets better by more than its own noise"
    assert not learned(restless)
    assert alarms(restless) == []
    assert too_little(make_run(loss=noisy(2.0, 45, 0.3), frameworks=("peft",)), []) == ""
    assert too_little(make_run(loss=noisy(2.0, 45, 0.3), eval_accuracy=line(0.2, 0.6, 6)), []) == ""
    assert not running_sum(np.array([float("nan")] * 6))
    assert not rose(np.array([0.4]))


OTHER_WORDS = [
    *(
        3.297,
        3.19,
        3.075,
        2.964,
        2.881,
        2.85,
        2.692,
        2.622,
        2.56,
        2.505,
        2.366,
        2.393,
        2.273,
        3.221,
        3.212,
        3.215,
        3.107,
    ),
    *(3.106, 3.125, 3.118, 3.053, 3.015, 2.958, 2.952, 2.867, 2.836, 2.916, 2.852, 2.875, 2.872, 2.876, 2.863, 2.884),
]
"""The words have other numbers from step 14 on; what is learned anew is half of what was lost."""


def test_half_of_the_way_down_is_a_level_however_small_the_ratio() -> None:
    found = find("loss-divergence", make_run(loss=OTHER_WORDS))

    assert [(f.severity, f.step_range) for f in found] == [("warning", (13, 14))]
    assert find("loss-divergence", make_run(loss=[*OTHER_WORDS[:14], *OTHER_WORDS[12:0:-1], *([2.3] * 7)])) == []


def test_a_rate_that_was_too_high_may_end_at_a_loss_of_nothing() -> None:
    hot = [2.2, 0.9, 1.4, 0.8, 0.9, 1.0, *noisy(9.0, 40, 0.2), 3.5, 0.4, *([0.0] * 12)]

    assert severities("loss-divergence", make_run(loss=hot)) == ["error"]


def test_evaluations_that_never_come_near_the_first_again_however_they_jump() -> None:
    evaluated = [1.564, 15.98, 44.38, 39.14, 14.39, 18.3, 35.31, 13.2, 25.9, 13.03, 9.495, 11.66, 10.12, 9.401]
    loss = [11.36, 29.3, 23.96, 21.14, 27.88, 31.13, 18.57, 25.71, 19.13, 20.5, 10.11, 10.79, 11.01, 9.714]

    assert severities("eval-gap", make_run(loss=loss, eval_loss=evaluated)) == ["warning"]
    assert severities("eval-gap", make_run(loss=loss, eval_loss=[4.0, *evaluated[1:]])) == []
    assert severities("eval-gap", make_run(loss=loss[:5], eval_loss=[*evaluated[:4], 14.0])) == []


def test_an_evaluation_that_came_down_and_rose_again_learned() -> None:
    """Words of a small text, 4.04 to 3.73 and slowly up to 3.83: overfit, and no plateau."""
    evaluated = [4.041, 3.886, 3.792, 3.747, 3.731, 3.73, 3.732, 3.743, 3.755, 3.767, 3.78, 3.793, 3.802, 3.811, 3.82]

    assert "warning" not in severities("loss-plateau", make_run(loss=line(4.1, 2.9, 15), eval_loss=evaluated))


def test_a_curve_under_a_name_of_its_own_that_stands_still() -> None:
    still = [633.9, 633.9, 633.9, 633.8, 633.8, 633.8, 633.8, 633.7]
    restless = noisy(730.0, 8, 0.03)

    told = quality(quality(make_run(), "te_loss", still), "tr_loss", restless)
    assert "te_loss stays at 633.8 in 8 entries" in find("loss-plateau", told)[0].statement


def test_a_model_that_knew_its_task_may_rest_where_it_is() -> None:
    """Fine-tuned gently from a good start: all rests, at an accuracy that guessing does not give."""
    rests: dict[str, Any] = {"loss": line(0.3375, 0.3367, 15), "eval_loss": line(0.4308, 0.4302, 15)}

    assert alarms(make_run(**rests, eval_accuracy=[0.81, 0.811, 0.812] * 5)) == []
    assert alarms(make_run(**rests, eval_accuracy=[0.25, 0.251, 0.252] * 5)) != []


def test_an_evaluation_of_one_number_learns_nothing_whatever_its_name() -> None:
    """Another model is evaluated than the one that is trained, or one whose units are dead."""
    still = quality(make_run(loss=noisy(2.0, 45, 0.3)), "te_loss", [0.7831] * 8)

    assert "te_loss is 0.7831 in all of 8 evaluations" in find("loss-plateau", still)[0].statement
    for fine in ([0.7831] * 7, [0.7831] * 7 + [0.7832], [0.0] * 8):
        run = quality(make_run(loss=np.linspace(2.0, 1.0, 45).tolist()), "te_loss", fine)
        assert find("loss-plateau", run) == []
    assert loss_rank("te_loss") == loss_rank("va_loss") == NO_LOSS > loss_rank("tr_loss")
