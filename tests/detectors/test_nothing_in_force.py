"""Rates that are never in force, policies that no update moves, and models that do no better than a coin."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from detectors.detecting import NAN, find, severities
from forensics.model import Run, Samples
from forensics.names import LOSS
from forensics.testing import make_events, make_run

FINISHED = [make_events("training-finished")]


def stairs(count: int, height: float, width: int = 6) -> list[float]:
    """Return a rate that rises once an epoch of so many entries."""
    return [height * (1 + i // width) for i in range(count)]


@pytest.mark.parametrize(("count", "height", "width"), [(90, 5e-7, 6), (40, 1e-5, 4), (12, 2e-6, 1)])
def test_a_warm_up_that_is_stepped_once_an_epoch_never_ends(count: int, height: float, width: int) -> None:
    rates = stairs(count, height, width)
    run = make_run(learning_rate=rates, settings={"learning_rate": 1e-3}, events=FINISHED, logging_steps=8)

    assert severities("warmup-never-ends", run) == ["warning"]


@pytest.mark.parametrize(
    "facts",
    [
        {"events": []},  # it may still end
        {"settings": {"learning_rate": 1e-5}},  # it is at three quarters
        {"settings": {}},
        {"learning_rate": [*stairs(60, 5e-7), *stairs(30, 5e-7)]},  # it falls once
        {"learning_rate": [1e-6] * 90},
        {"settings": {"learning_rate": 1e-3, "max_steps": 10_000}},
    ],
    ids=["runs on", "nearly there", "not configured", "cycles", "constant", "far from its plan"],
)
def test_a_rate_that_rises_otherwise_may_be_meant(facts: dict[str, Any]) -> None:
    usual: dict[str, Any] = {"learning_rate": stairs(90, 5e-7), "settings": {"learning_rate": 1e-3}, "events": FINISHED}

    assert find("warmup-never-ends", make_run(**{**usual, **facts})) == []


def policy(kl: list[float], reward: list[float]) -> Run:
    """Return a policy whose first reward is that before its first update."""
    return make_run(
        approx_kl=kl,
        ep_rew_mean=reward,
        steps={"approx_kl": range(2, len(kl) + 2), "ep_rew_mean": range(1, len(reward) + 1)},
    )


@pytest.mark.parametrize(
    ("kl", "reward", "step"),
    [
        ([78.1, *([0.0] * 12)], [19.7, *([9.3] * 13)], 2),
        ([0.01, 0.02, 4.5, *([1e-9] * 9)], [-200.0, -150.0, -120.0, *([-390.0] * 9)], 4),
        ([0.3, *([0.0] * 8)], [5.0, 1.0, 2.0, *([1.5] * 6)], 2),
    ],
)
def test_a_policy_that_no_update_moves_any_more_and_that_is_worse(
    kl: list[float], reward: list[float], step: int
) -> None:
    found = find("reward-collapse", policy(kl, reward))

    assert [(f.severity, f.step) for f in found] == [("warning", step)]


@pytest.mark.parametrize(
    ("kl", "reward"),
    [
        ([78.1, *([0.0] * 12)], [19.7, *([21.0] * 13)]),  # it is better
        ([78.1, *([0.0] * 12)], [19.7, *([9.3] * 12), 19.0]),  # it comes back
        ([78.1, *([0.0] * 7)], [19.7, *([9.3] * 8)]),  # not for long
        ([0.02] * 10 + [0.0] * 8, [9.0 + i for i in range(10)] + [4.0] * 9),  # the smaller part
        ([78.1, *([0.01] * 12)], [19.7, *([9.3] * 13)]),  # it moves
        ([0.1, NAN, *([0.0] * 12)], [19.7, *([9.3] * 14)]),
        ([0.1, *([0.0] * 12)], [NAN, *([9.3] * 13)]),
    ],
)
def test_a_policy_that_rests_otherwise_is_none(kl: list[float], reward: list[float]) -> None:
    assert find("reward-collapse", policy(kl, reward)) == []


def test_of_two_signs_of_a_policy_the_first_is_told() -> None:
    entropy, moved = [1.2, 0.9, 0.5, 0.3, 0.2, *([0.0] * 25)], [0.1, 0.1, *([0.0] * 28)]
    both = make_run(entropy=entropy, clip_frac=moved, reward=[1.0, *([0.0] * 29)])
    alone = make_run(entropy=entropy, reward=[1.0, *([0.0] * 29)])

    assert [f.step for f in find("reward-collapse", both)] == [2]
    assert [f.step for f in find("reward-collapse", alone)] == [6]


def named(name: str, values: list[float]) -> dict[str, Any]:
    return {name: values}


COIN = [0.49875, 0.50125, 0.49875, 0.49875, 0.50125]


@pytest.mark.parametrize("name", ["accuracy", "val_acc", "eval_accuracy"])
def test_an_accuracy_of_a_coin_is_a_plateau_whatever_the_loss_does(name: str) -> None:
    found = find(
        "loss-plateau",
        make_run(loss=[2.7, 5.3, 4.1, 2.4, 1.3], eval_loss=[7.9, 4.5, 0.75, 0.71, 0.6933], **named(name, COIN)),
    )

    assert [(f.severity, "a coin" in f.statement) for f in found] == [("warning", True)]


@pytest.mark.parametrize(
    "metrics",
    [
        {"accuracy": [*COIN[:-1], 0.52]},
        {"accuracy": COIN[:-1]},
        {"accuracy": COIN, "loss": [2.7, 1.3, 0.6, 0.5, 0.4]},
        {"accuracy": COIN, "logps/chosen": [-9.0] * 5},
        {"accuracy": COIN, "loss": [NAN] * 5},
    ],
)
def test_an_accuracy_near_a_half_is_not_always_that_of_a_coin(metrics: dict[str, Any]) -> None:
    run = make_run(**{"loss": [2.7, 5.3, 4.1, 2.4, 1.3], **metrics})

    assert not [f for f in find("loss-plateau", run) if "a coin" in f.statement]


@pytest.mark.parametrize(
    ("name", "values"), [("eval_psnr", [5.394375, 5.394372]), ("val_loss", [0.473235, 0.473236, 0.473234])]
)
def test_a_measure_that_many_steps_change_in_its_sixth_digit_tells_that_nothing_is_learned(
    name: str, values: list[float]
) -> None:
    found = find("loss-plateau", make_run(loss=[0.475, 0.472], logging_steps=9000, **named(name, values)))

    assert [(f.severity, name in f.statement) for f in found] == [("warning", True)]


@pytest.mark.parametrize(
    ("values", "apart"),
    [([5.3944, 5.3944], 9000), ([5.394375, 5.39], 9000), ([5.394375, 5.394372], 100), ([5.394375, NAN], 9000)],
    ids=["the very same", "the third digit", "few steps", "one of them"],
)
def test_a_measure_that_stands_otherwise_is_none(values: list[float], apart: int) -> None:
    assert find("loss-plateau", make_run(loss=[0.475, 0.472], eval_psnr=values, logging_steps=apart)) == []


def searched(bad: int, name: str = LOSS) -> Run:
    """Return the last training of a log in which an earlier one was NaN in so many entries in a row."""
    last = [2.0, 1.5, 1.2, 1.1]
    values = np.array([2.0, 1.9, *([NAN] * bad), *last])
    block = Samples(name, np.arange(len(values)), values, np.arange(1, len(values) + 1), "search.log", "line {}")
    run = make_run(loss=last)
    return replace(run, timeline=replace(run.timeline, samples=(block,)))


@pytest.mark.parametrize("bad", [5, 40])
def test_a_training_that_was_nan_is_told_though_another_one_follows(bad: int) -> None:
    found = find("loss-nan", searched(bad))

    assert [(f.severity, f.step, str(f.source)) for f in found] == [("warning", None, "search.log:line 3")]
    assert f"{bad} entries of an earlier training" in found[0].statement


@pytest.mark.parametrize("run", [searched(4), searched(9, "eval_loss"), make_run(loss=[2.0, NAN, 1.5])])
def test_a_few_entries_or_another_metric_are_none(run: Run) -> None:
    assert find("loss-nan", run) == []


ROUNDING = [2e-4 * float(x) for x in np.sin(np.arange(40) * 2.0) - 0.5]


@pytest.mark.parametrize("start", [0.31, 4.0])
def test_a_loss_that_is_nothing_but_rounding_about_0_is_a_warning(start: float) -> None:
    run = make_run(loss=[start, start / 2, 0.1, 0.05, 0.01, *ROUNDING])

    assert severities("suspiciously-low-loss", run) == ["warning"]


@pytest.mark.parametrize("loss", [[0.2, 0.1, 0.05, *ROUNDING], [0.4, 0.2, 0.1, *[abs(x) for x in ROUNDING]]])
def test_a_loss_that_ends_near_0_otherwise_is_a_notice(loss: list[float]) -> None:
    assert severities("suspiciously-low-loss", make_run(loss=loss)) == ["notice"]


@pytest.mark.parametrize(("before", "leap"), [([2.9, 1.9], 6309.0), ([0.7, 0.6, 0.55, 0.5], 40.0)])
def test_a_leap_among_the_first_entries_is_dated_to_it_though_worse_follows(before: list[float], leap: float) -> None:
    run = make_run(loss=[*before, leap, *np.geomspace(leap * 1e6, leap * 1e9, 30).tolist()], logging_steps=10)
    found = find("loss-divergence", run)

    step = 10 * (len(before) + 1)
    assert [(f.severity, f.step_range) for f in found] == [("error", (step - 10, step))]
