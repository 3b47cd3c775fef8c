"""Rewards that are lost again, divergences without bound, gradients that vanish, terms that rise: simulated runs."""

from typing import Any

import numpy as np
import pytest

from detectors.detecting import find, severities
from forensics.model import Run
from forensics.testing import make_run


def named(series: dict[str, Any]) -> Run:
    """Return a run whose metrics have names that are none of Python."""
    return make_run(**series)


def noisy(values: Any, scatter: float = 0.01, seed: int = 2) -> list[float]:
    return [float(x) for x in np.asarray(values) + np.random.default_rng(seed).normal(0, scatter, len(values))]


LEARNT = np.linspace(0.1, 0.62, 40)
LOST = np.concatenate([LEARNT, np.linspace(0.6, 0.02, 20), np.full(20, 0.01)])


@pytest.mark.parametrize("name", ["reward", "critic/rewards/mean", "rollout/ep_rew_mean", "critic/score/mean"])
def test_a_reward_that_falls_back_for_good_is_a_warning(name: str) -> None:
    found = find("reward-collapse", named({name: noisy(LOST)}))

    assert [f.severity for f in found] == ["warning"]
    assert found[0].step is not None
    assert 40 < found[0].step < 60
    assert found[0].statement.startswith(f"{name} reaches 0.59")


@pytest.mark.parametrize(
    "run",
    [
        make_run(reward=noisy(np.linspace(0.1, 0.7, 80))),
        make_run(reward=noisy(np.linspace(0.3, 0.6, 80), 0.1)),
        make_run(reward=noisy(np.concatenate([LEARNT, np.full(40, 0.5)]))),
        make_run(reward=noisy(np.concatenate([LEARNT, LEARNT[::-1][:15]]))),
        make_run(reward=noisy(LOST[::5])),
        named({"rewards/format": noisy(LOST), "reward_std": noisy(LOST)}),
    ],
    ids=["rises", "scatters", "a fifth lost", "half left", "short", "other rewards"],
)
def test_other_rewards_are_left_alone(run: Run) -> None:
    assert find("reward-collapse", run) == []


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("kl", np.geomspace(0.01, 400, 50), ["warning"]),
        ("actor/kl_loss", np.concatenate([np.linspace(0, 0.05, 40), np.geomspace(0.05, 30, 40)]), ["warning"]),
        ("objective/kl", np.linspace(0, 30, 50), []),
        ("kl", np.concatenate([np.full(45, 0.05), np.full(5, 1.5)]), []),
        ("kl", np.geomspace(0.01, 400, 15), []),
        ("kl_coef", np.geomspace(0.01, 400, 50), []),
    ],
    ids=["GRPO", "verl", "grows evenly", "below five nats", "short", "a coefficient"],
)
def test_a_divergence_that_runs_away_is_a_warning(name: str, values: Any, expected: list[str]) -> None:
    run = named({name: [float(x) for x in values]})

    assert severities("kl-explosion", run) == expected


def test_the_onset_of_a_divergence_follows_its_last_ordinary_entry() -> None:
    found = find("kl-explosion", make_run(kl=[0.05] * 40 + [20.0] * 10))

    assert [(f.step, f.step_range) for f in found] == [(41, (40, 41))]


@pytest.mark.parametrize("last", [0.0, 1.0])
def test_a_divergence_whose_very_last_entry_is_low_has_an_onset_too(last: float) -> None:
    """The end is a median: its own last entry may be an ordinary one."""
    found = find("kl-explosion", make_run(kl=[0.05] * 40 + [20.0] * 9 + [last]))

    assert [(f.step, f.step_range) for f in found] == [(41, (40, 41))]


def test_a_gradient_that_vanishes_beside_a_loss_that_rests_is_a_warning() -> None:
    rests, norm = noisy(np.full(50, 2.3026), 0.004), [float(x) for x in np.geomspace(1, 1e-9, 50)]
    found = find("grad-norm-zero", make_run(loss=rests, grad_norm=norm))

    assert [(f.severity, f.step_range) for f in found] == [("warning", (35, 36))]
    assert find("grad-norm-zero", make_run(loss=noisy(np.linspace(2.3, 1.0, 50)), grad_norm=norm)) == []
    assert find("grad-norm-zero", make_run(loss=noisy(np.full(50, 0.001), 0), grad_norm=norm)) == []
    assert find("grad-norm-zero", make_run(loss=rests, grad_norm=[x + 1e-5 for x in norm])) == []
    assert find("grad-norm-zero", make_run(loss=rests[:15], grad_norm=norm[::4])) == []


def test_rewards_that_never_differ_teach_nothing() -> None:
    def grpo(count: int, **more: Any) -> list[str]:
        zeros = [0.0] * count
        return severities("grad-norm-zero", make_run(reward=zeros, loss=zeros, grad_norm=zeros, **more))

    assert grpo(40, frac_reward_zero_std=[1.0] * 40) == ["warning"]
    assert grpo(40, reward_std=[0.0] * 40) == ["warning"]
    assert grpo(9, reward_std=[0.0] * 9) == ["notice"]
    assert grpo(40) == ["notice"]


@pytest.mark.parametrize(
    ("norms", "expected"),
    [
        ([1.6, 1.2, 0.0, 0.8, 0.7, 0.6, 0.0, 0.0], ["notice"]),
        ([1.6, 1.2, 0.0, 0.8, 0.7, 0.0, 0.0, 0.0], ["warning"]),
        ([1.6, 1.2, 1.1, 0.8, 0.7, 0.6, 0.0, 0.0], ["warning"]),
    ],
    ids=["it came back before", "it lasts", "it never was 0"],
)
def test_a_norm_of_a_policy_that_came_back_before_may_again(norms: list[float], expected: list[str]) -> None:
    """It is that of the last step of ten, the share of equal rewards a mean over all of them."""
    run = make_run(reward=[1.0] * 8, loss=[0.01] * 8, grad_norm=norms, frac_reward_zero_std=[0.45] * 8)

    assert severities("grad-norm-zero", run) == expected


RISING = [1.9, 1.8, 1.7, 1.6, 1.55, *([4.0] * 15), *([4.1] * 10)]


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (make_run(box_loss=RISING, cls_loss=[0.5] * 30), ["warning"]),
        (make_run(box_loss=RISING, loss=[2.0 - i / 30 for i in range(30)]), []),
        (make_run(kl_loss=RISING, cls_loss=[0.5] * 30), []),
        (make_run(eval_loss=RISING, cls_loss=[0.5] * 30), []),
        (make_run(D_loss=[0.6] * 30, G_loss=RISING), []),
        (make_run(policy_loss=RISING, value_loss=RISING), []),
    ],
    ids=["a term", "beside a sum", "a KL", "an evaluation", "two against each other", "a policy"],
)
def test_terms_are_judged_where_no_sum_was_logged(run: Run, expected: list[str]) -> None:
    assert severities("loss-divergence", run) == expected


def test_a_loss_that_creeps_up_is_a_warning() -> None:
    creeps = np.concatenate([4 * np.exp(-np.arange(100) / 140), np.linspace(1.97, 2.75, 300)])
    scatter = np.random.default_rng(3).normal(1, 0.03, 400)

    assert severities("loss-divergence", make_run(loss=[float(x) for x in creeps * scatter])) == ["warning"]
    assert severities("loss-divergence", make_run(loss=[float(x) for x in creeps[:150] * scatter[:150]])) == []


def test_a_log_that_ends_in_a_leap_is_a_warning() -> None:
    """Whether it comes back is not on file; all of the last entries lie above all before."""
    falling = noisy(5 * np.exp(-np.arange(60) / 30) + 2.3, 0.05)
    found = find("loss-divergence", make_run(loss=[*falling, 3.1, 3.4, 4.2, 5.5, 6.4, 6.9]))

    assert [(f.severity, f.step_range) for f in found] == [("warning", (62, 63))]
    assert find("loss-divergence", make_run(loss=[*falling, 3.1, 3.4, 4.2, 5.5, 6.4, 3.9])) == []
    assert find("loss-divergence", make_run(loss=[*falling, 5.5, 6.9])) == []


def test_one_low_entry_is_no_level_that_was_lost() -> None:
    """A mean over few tokens scatters by a third; an entry near 0 is the lowest ever, and nothing was learned there."""
    scatter = np.abs(np.random.default_rng(50).normal(1.3, 0.45, 200))
    scatter[171] = 0.0426

    assert severities("loss-divergence", make_run(loss=[float(x) for x in scatter])) == []
    assert severities("loss-divergence", make_run(loss=[1.6, 0.4, *([1.5, 1.9, 1.1, 1.7] * 6)])) == []
