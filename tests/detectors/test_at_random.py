"""A policy that acts at random from first to last, and returns that never rise: simulated runs."""

from typing import Any

import numpy as np
import pytest

from detectors.detecting import find
from forensics.analysis.returns import never_rose, returns
from forensics.diagnosis.doubts import doubt
from forensics.model import Run
from forensics.testing import make_run

DICE = np.random.default_rng(7)
FLAT = [float(x) for x in 0.2 + 0.02 * DICE.standard_normal(30)]
NOISY = [float(x) for x in 0.2 + 0.3 * DICE.standard_normal(30)]
RISES = [float(x) for x in np.linspace(0.1, 0.9, 30) + 0.02 * DICE.standard_normal(30)]
BY_LOT = [float(np.log(5) - 0.004 * abs(x)) for x in DICE.standard_normal(30)]


def named(**series: Any) -> Run:
    return make_run(**{name.replace("__", "/"): values for name, values in series.items()})


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("train__entropy", BY_LOT, "train/entropy is that of a choice by lot among 5 in all of 30 entries"),
        ("entropy_mean", [-x for x in BY_LOT], "entropy_mean is that of a choice by lot among 5 in all of 30 entries"),
        ("epsilon", [1.0] * 30, "epsilon is 1 in all of 30 entries"),
        ("exploration_rate", [0.95] * 30, "exploration_rate is 0.95 in all of 30 entries"),
    ],
)
def test_a_policy_that_acts_at_random(name: str, values: list[float], said: str) -> None:
    (found,) = find("loss-plateau", named(episode_return=FLAT, **{name: values}))

    assert (found.severity, found.step) == ("warning", 1)
    assert found.statement == f"nothing is learned: {said}"


@pytest.mark.parametrize(
    "series",
    [
        {"episode_return": RISES, "entropy": BY_LOT},
        {"entropy": BY_LOT, "policy_loss": FLAT},
        {"episode_return": FLAT, "entropy": [x - 0.2 for x in BY_LOT]},
        {"episode_return": FLAT, "entropy": [*BY_LOT[:29], 1.2]},
        {"episode_return": FLAT[:12], "entropy": BY_LOT[:12]},
        {"episode_return": FLAT, "epsilon": [0.1] * 30},
        {"episode_return": FLAT, "epsilon": [float(x) for x in np.linspace(1.0, 0.9, 30)]},
        {"episode_return": [500.0] * 30, "entropy": BY_LOT},
    ],
    ids=["rises", "no return", "of no number", "falls", "short", "greedy", "sinks", "solved"],
)
def test_a_policy_of_which_that_is_not_known(series: dict[str, Any]) -> None:
    assert find("loss-plateau", named(**series)) == []


@pytest.mark.parametrize(
    "name",
    [
        *("rollout__ep_rew_mean", "charts__episodic_return", "episode_reward_mean", "AverageEpRet", "test__reward"),
        *("test__success_rate", "critic__score__mean", "mean reward", "avg score", "win_rate", "R", "eval_return"),
    ],
)
def test_what_tells_how_well_a_policy_does(name: str) -> None:
    assert [series.name for series in returns(named(**{name: FLAT}))] == [name.replace("__", "/")]


@pytest.mark.parametrize("name", ["reward_std", "rewards__format", "value_loss", "return_loss", "scored", "rate"])
def test_what_does_not(name: str) -> None:
    assert returns(named(**{name: FLAT})) == []


def test_a_model_of_rewards_has_no_returns() -> None:
    assert returns(make_run(reward=FLAT, margin=RISES)) == []


@pytest.mark.parametrize(
    ("values", "never"),
    [
        (FLAT, True),
        (RISES, False),
        ([0.1, *[1.0] * 29], False),
        (FLAT[:9], False),
        (NOISY, False),
        ([-x for x in RISES], True),
    ],
    ids=["level", "rises", "solved at once", "too few", "noise would hide it", "sinks"],
)
def test_returns_that_never_rise(values: list[float], never: bool) -> None:
    assert (never_rose(make_run(episode_return=values)) is not None) == never


def test_a_policy_that_does_no_better_is_not_called_healthy() -> None:
    told = doubt(make_run(policy_loss=RISES, episode_return=FLAT))

    assert told.startswith("episode_return is 0.")
    assert told.endswith("at the end, and none rises")
    assert doubt(make_run(policy_loss=FLAT, episode_return=RISES)) == ""


AT_MARGIN = [0.3, 0.26, 0.23, 0.215, *[0.2 + 0.001 * (n % 3) for n in range(16)]]


@pytest.mark.parametrize(
    ("values", "margin", "found"),
    [
        (AT_MARGIN, 0.2, 1),
        (AT_MARGIN, 0.5, 0),
        (AT_MARGIN, None, 0),
        (AT_MARGIN, 0.0, 0),
        ([*AT_MARGIN[:15], 0.1, 0.05, 0.04, 0.03, 0.03], 0.2, 0),
        (AT_MARGIN[:5], 0.2, 0),
        ([0.2] * 20, 0.2, 0),
    ],
    ids=["at its margin", "below", "none is set", "nothing", "goes on", "short", "from the start on"],
)
def test_a_loss_that_rests_at_its_margin(values: list[float], margin: float | None, found: int) -> None:
    run = make_run(loss=values, settings={} if margin is None else {"margin": margin})

    assert len(find("diversity-collapse", run)) == found
