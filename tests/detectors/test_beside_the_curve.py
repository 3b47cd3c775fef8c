"""What stands beside a curve decides what it means: spellings, a counter, means of epochs, terms, a second start."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from detectors.detecting import alarms, falling, find, severities
from forensics.analysis.context import adversarial, policy_gradient
from forensics.diagnosis.checked import checked, too_little
from forensics.model import Run
from forensics.names import is_loss
from forensics.testing import make_run

CHANCE = np.random.default_rng(5)


def named(series: dict[str, Any]) -> Run:
    metrics: dict[str, Any] = {name: [float(value) for value in values] for name, values in series.items()}
    return make_run(**metrics)


def counted(series: dict[str, Any]) -> Run:
    """Return the run of a log that names no step: its entries are counted."""
    run = named(series)
    entries = {name: replace(s, axis="entry") for name, s in run.timeline.series.items()}
    return replace(run, timeline=replace(run.timeline, series=entries))


@pytest.mark.parametrize(
    "name",
    [
        "policy loss",
        "Value Loss",
        "Loss/pi",
        "loss/vf",
        "Mean 100 episode reward",
        "Episode Reward",
        "Rewards/mean_reward",
        "train_actor_loss",
    ],
)
def test_a_policy_is_one_in_any_spelling(name: str) -> None:
    """A loss of two terms that play against each other jumps about by design (GAIL: 0.03 to 67)."""
    erratic = 10.0 ** CHANCE.uniform(-1, 1.5, 60) + 4

    assert alarms(named({"loss": erratic, name: erratic})) == []
    assert severities("loss-erratic", named({"loss": erratic})) == ["warning"]


@pytest.mark.parametrize("name", ["loss", "policy_kl", "reward_model_loss", "value", "rewards/chosen", "val_loss"])
def test_other_names_make_no_policy(name: str) -> None:
    assert not policy_gradient(named({"loss": falling(30), name: falling(30)}))


def test_a_reward_model_is_no_policy() -> None:
    """TRL's RewardTrainer logs the mean reward of both answers, which may fall while their margin grows."""
    falls = np.concatenate((np.linspace(0.0, 0.5, 20), np.full(20, -0.7)))

    assert severities("reward-collapse", named({"mean_reward": falls})) == ["warning"]
    assert severities("reward-collapse", named({"mean_reward": falls, "margin": np.linspace(0, 1.3, 40)})) == []
    assert not policy_gradient(named({"mean_reward": falls, "margin": falls}))


def test_a_share_of_random_actions_that_leaps_up_begins_another_training() -> None:
    reward = np.concatenate((np.linspace(5, 200, 40), np.linspace(5, 60, 40)))
    decays = np.concatenate((np.linspace(1, 0.01, 40), np.full(40, 0.01)))

    assert severities("reward-collapse", counted({"Episode Reward": reward, "Epsilon": decays})) == ["warning"]
    assert severities("reward-collapse", counted({"Episode Reward": reward, "Epsilon": np.tile(decays[:40], 2)})) == []
    assert severities("reward-collapse", counted({"Episode Reward": reward, "Epsilon": decays[:30]})) == ["warning"]


def begun(times: int, first: float = 7.0) -> list[float]:
    """Return curves of 24 entries that fall to a seventh, one after the other."""
    return [first * 0.92**i for _ in range(times) for i in range(24)]


@pytest.mark.parametrize(("times", "expected"), [(2, ["warning"]), (3, ["warning"]), (4, []), (9, [])])
def test_a_log_of_many_trainings_lost_nothing(times: int, expected: list[str]) -> None:
    """One edit of a model for each fact, one trial for each set of arguments: entries that nothing counts."""
    assert severities("resume-jump", counted({"loss": begun(times)})) == expected
    assert severities("resume-jump", named({"loss": begun(times)})) == ["warning"]  # a step that goes on is one run


def test_a_count_that_falls_back_tells_the_restart() -> None:
    loss = begun(2)
    percent = np.tile(np.linspace(4, 96, 24), 2)

    assert severities("resume-jump", counted({"loss": loss, "progress_percent": percent})) == []
    assert severities("resume-jump", counted({"loss": loss, "progress_percent": np.arange(48)})) == ["warning"]
    assert severities("resume-jump", counted({"loss": loss, "accuracy": percent})) == ["warning"]
    assert severities("resume-jump", counted({"loss": loss, "elapsed": CHANCE.uniform(0, 1, 48)})) == ["warning"]


def test_an_explosion_is_no_new_beginning() -> None:
    """What leaps to a thousand times its first level is not back at it."""
    assert severities("resume-jump", counted({"loss": [*begun(1), *begun(1, 7e4)]})) == []


def test_the_means_of_epochs_fall_where_single_batches_hide_it() -> None:
    """A cosine distance in per cent: 92 to 87 in ten epochs, batches between 79 and 98."""
    batches = 89 + 5 * np.sin(np.arange(130) ** 1.5)
    means, level = np.linspace(91.7, 87.2, 10), np.full(10, 89.5)

    assert severities("loss-plateau", named({"loss": batches})) == ["warning"]
    assert severities("loss-plateau", named({"loss": batches, "epoch_loss": means})) == ["notice"]
    assert severities("loss-plateau", named({"loss": batches, "epoch_loss": level})) == ["warning"]
    assert severities("loss-plateau", named({"loss": batches, "epoch_loss": means[:3]})) == ["warning"]


def test_nothing_is_asked_of_a_loss_while_the_rate_still_rises() -> None:
    """18 entries of a warm-up over thousands of steps, at rates of 1e-10 (MUGS)."""
    loss = np.linspace(11.15, 11.21, 18)

    assert severities("loss-plateau", named({"loss": loss, "learning_rate": np.linspace(1e-11, 5e-9, 18)})) == [
        "notice"
    ]
    assert severities("loss-plateau", named({"loss": loss, "learning_rate": np.full(18, 1e-4)})) == ["warning"]


RISING = np.concatenate(([3.5], np.linspace(0.05, 0.03, 9), np.linspace(0.03, 0.45, 70)))


@pytest.mark.parametrize("name", ["loss_recon", "recon_loss", "Loss/reconstruction", "loss vae"])
def test_a_term_that_rises_for_good_is_told_wherever_the_noun_stands(name: str) -> None:
    run = named({name: RISING, "loss_kl": np.linspace(200, 280, 80)})

    assert severities("loss-divergence", run) == ["warning"]


@pytest.mark.parametrize(("end", "expected"), [(12.0, []), (68.0, ["warning"])])
def test_a_term_that_rises_is_paid_for_by_one_that_falls_further(end: float, expected: list[str]) -> None:
    """The residual of a differential equation is 0 for a network that answers 0: it rises while the data is learned."""
    residual = np.concatenate((np.linspace(1.2, 0.6, 10), np.full(70, 3.0)))
    data = np.linspace(68, end, 80)

    assert severities("loss-divergence", named({"Loss_PDE": residual, "Loss_DATA": data})) == expected


@pytest.mark.parametrize("name", ["D_A", "G_B", "cycle_A", "idt_B", "G_GAN", "G_L1", "D_real"])
def test_terms_of_a_translation_of_images_are_losses(name: str) -> None:
    assert is_loss(name)
    assert adversarial(named({name: [0.1]})) == name.startswith(("D", "G"))


@pytest.mark.parametrize("name", ["d_a", "G_X", "A_B", "cycle", "idt", "G_GAN_B"])
def test_likes_of_them_are_none(name: str) -> None:
    assert not is_loss(name)


def test_two_adversaries_of_such_names_are_weighed() -> None:
    lost = np.concatenate((np.linspace(0.3, 0.31, 10), np.linspace(0.31, 3.0, 50)))
    won = np.concatenate((np.linspace(0.5, 0.01, 20), np.full(40, 1e-4)))

    assert severities("loss-divergence", named({"D_A": won, "G_A": lost})) == ["warning"]
    assert alarms(named({"D_A": np.full(60, 0.2), "G_A": np.full(60, 0.5), "cycle_A": falling(60)})) == []


EVALUATED = np.full(12, 1.39) + CHANCE.normal(0, 0.008, 12)
TRAINED = np.geomspace(1.2, 0.09, 12)


@pytest.mark.parametrize("name", ["ema_eval/loss", "eval_loss", "val/loss"])
def test_an_evaluation_that_never_follows_is_told(name: str) -> None:
    """An average of weights that stays at its start (a decay of 1), or another model, is evaluated."""
    (found,) = find("eval-gap", named({"loss": TRAINED, name: EVALUATED}))

    assert (found.severity, found.step_range) == ("warning", (None, 1))
    assert found.statement.endswith("what is evaluated does not learn")


@pytest.mark.parametrize(
    "more",
    [
        {"loss": np.geomspace(1.2, 0.4, 12)},  # a third of the training loss is left
        {"ema_eval/loss": EVALUATED[:7]},
        {"ema_eval/loss": np.linspace(1.42, 1.39, 12)},  # it gets better, if slowly
        {"ema_eval/loss": np.concatenate(([1.6], EVALUATED[1:]))},  # it did at first
        {"ema_eval/loss": np.linspace(1.3, 1.5, 12)},
        {"ema_eval/loss": EVALUATED / 20},
        {"eval_accuracy": np.linspace(0.5, 0.8, 12)},
        {"loss": TRAINED[:5]},
    ],
    ids=["training stands", "few", "better", "gained", "rises", "small", "accuracy", "short"],
)
def test_others_that_stand_are_left_alone(more: dict[str, Any]) -> None:
    found = find("eval-gap", named({"loss": TRAINED, "ema_eval/loss": EVALUATED, **more}))

    assert not any(f.statement.endswith("does not learn") for f in found)


OVERFIT = np.concatenate((np.linspace(3.2, 2.77, 20), np.linspace(2.8, 3.55, 60)))


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, ["warning"]),
        ({"eval_accuracy": np.linspace(6.6, 10.8, 80)}, ["notice"]),
        ({"eval_accuracy": np.linspace(6.6, 10.8, 80), "Train accuracy": np.linspace(5.6, 43.9, 80)}, ["warning"]),
        ({"eval_accuracy": np.linspace(6.6, 10.8, 80), "Train accuracy": np.linspace(5.6, 19.9, 80)}, ["notice"]),
        ({"eval_accuracy": np.linspace(6.6, 10.8, 80), "Train accuracy": np.linspace(30, 43.9, 80)}, ["notice"]),
        ({"eval_accuracy": np.linspace(6.6, 10.8, 80), "Train recall": np.linspace(5.6, 43.9, 80)}, ["notice"]),
        ({"eval_accuracy": np.linspace(6.6, 10.8, 80), "Train accuracy": np.linspace(5.6, 43.9, 40)}, ["notice"]),
    ],
    ids=["no accuracy", "it rises", "left behind", "beside", "apart from the start", "another", "half"],
)
def test_an_accuracy_that_is_left_behind_excuses_nothing(more: dict[str, Any], expected: list[str]) -> None:
    """Training from 6 to 44 %, validation from 7 to 11 %: what is learned is learned by heart."""
    run = named({"loss": np.linspace(3.39, 1.71, 80), "eval_loss": OVERFIT, **more})

    assert severities("eval-gap", run) == expected


@pytest.mark.parametrize(("to", "expected"), [(0.23, []), (0.98, ["warning"])])
def test_an_accuracy_that_stands_says_nothing_beside_an_evaluation_loss_that_falls(
    to: float, expected: list[str]
) -> None:
    loss, evaluated = np.geomspace(1, 0.05, 30), np.geomspace(1, to, 30)
    run = named({"loss": loss, "eval_loss": evaluated, "val_acc": np.full(30, 0.6)})

    assert severities("eval-gap", run) == expected


def test_an_evaluation_that_leaps_with_the_training_and_comes_down_again() -> None:
    """A second start in one log: both are back at their first level and fall as they did at first."""
    loss, evaluated = (
        [*np.geomspace(28, 12, 9), 25.3, 23.0, 22.0, 21.0, 20.0],
        [*np.linspace(37, 14, 9), 25.7, 23.0, 22.0, 21.5, 19.8],
    )

    assert severities("eval-gap", counted({"loss": loss, "mini_val_loss": evaluated})) == []
    assert severities(
        "eval-gap", counted({"loss": loss, "mini_val_loss": [*evaluated[:9], 25.7, 23, 22, 21.5, 22]})
    ) == ["warning"]
    terms = {"mini_val_loss": evaluated, "mini_val_loss_ce": [*evaluated[:9], 25.7, 23, 22, 21.5, 22]}
    assert severities("eval-gap", counted({"loss": loss, **terms})) == []  # a term of it is not asked


@pytest.mark.parametrize("name", ["Training Accuracy", "Win Rate", "avg return", "train/acc"])
def test_a_quality_that_rises_shows_that_a_run_went_well(name: str) -> None:
    rose, stood = named({name: np.linspace(0.2, 0.9, 30)}), named({name: np.full(30, 0.2)})

    assert "quality" in checked(rose).judged
    assert too_little(rose, []) == ""
    assert "quality" not in {what for what, _ in checked(stood).not_judged}
    assert too_little(stood, []) != ""
    assert too_little(named({name: [0.2, 0.9, 0.9]}), []) != ""
    assert too_little(named({"acceleration": np.linspace(0.2, 0.9, 30)}), []) != ""


def scattered(values: Any, share: float, seed: int = 6) -> Any:
    return np.asarray(values) * (1 + np.random.default_rng(seed).normal(0, share, len(values)))


LEARNT = np.concatenate((np.linspace(4.46, 3.4, 10), np.full(22, 3.4)))


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (scattered([*LEARNT, *np.full(68, 4.0)], 0.005), ["warning"]),
        (scattered([*LEARNT, *np.full(68, 4.0)], 0.06), []),
        (scattered([*LEARNT, *np.full(68, 3.7)], 0.001), []),
        (scattered([*LEARNT, *np.full(48, 3.4), *np.full(20, 3.8)], 0.005), []),
        (scattered([*LEARNT, *np.full(20, 4.0), *np.full(48, 3.45)], 0.005), []),
    ],
    ids=["lost for good", "noise", "less than half of what was learned", "late and less than half", "won back"],
)
def test_a_level_that_is_lost_early_for_good_is_told_however_small_the_ratio(loss: Any, expected: list[str]) -> None:
    """A rate that is too high: 4.46 to 3.4 in thirty epochs, then above 4; validation says the same."""
    found = find("loss-divergence", named({"loss": loss}))

    assert [f.severity for f in found] == expected
    assert all(f.step_range == (32, 33) for f in found)


AWAY = np.concatenate((np.linspace(0.002, 0.03, 4), np.linspace(0.5, 2.5, 10), np.full(40, 2.5)))


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, ["warning"]),
        ({"reward": np.linspace(0.6, 0.9, 54)}, []),
        ({"reward": np.full(15, 0.65)}, []),
        ({"kl": AWAY * 0.3}, []),
        ({"kl": AWAY + 0.5}, []),
        ({"completion_length": []}, []),
    ],
    ids=["for nothing", "the reward rises", "few rewards", "near", "from the start on", "a sum over answers"],
)
def test_a_policy_that_left_its_reference_for_nothing(more: dict[str, Any], expected: list[str]) -> None:
    """2.5 nats a token after a third of the run, where healthy runs of GRPO end at 0.36 at most."""
    series = {"kl": AWAY, "reward": scattered(np.full(54, 0.68), 0.03), "completion_length": np.full(54, 110.0), **more}
    found = find("kl-explosion", named({name: values for name, values in series.items() if len(values)}))

    assert [f.severity for f in found] == expected
    assert all(f.step_range == (8, 9) for f in found)
