"""What collapses, stalls, slows down or creeps: simulated curves, as programs name them, and their healthy likes."""

from typing import Any

import numpy as np
import pytest

from detectors.detecting import alarms, falling, find, severities
from forensics.investigate import judge
from forensics.model import Run
from forensics.testing import make_run


def named(series: dict[str, Any]) -> Run:
    return make_run(**series)


def jitter(values: Any, share: float = 0.02, seed: int = 3) -> list[float]:
    return [float(x) for x in np.asarray(values) * (1 + np.random.default_rng(seed).normal(0, share, len(values)))]


def then(first: Any, second: Any) -> list[float]:
    return [float(x) for x in np.concatenate([np.asarray(first, float), np.asarray(second, float)])]


LOSS = falling(60)
SPENT = then(np.linspace(2.0, 0.2, 20), np.full(40, 0.004))
FULL = then(np.linspace(0.15, 0.9, 20), np.full(40, 0.99))


@pytest.mark.parametrize(
    ("series", "told"),
    [
        ({"perplexity": then(np.linspace(300, 4, 20), np.full(40, 1.01)), "commit_loss": LOSS}, "one code"),
        ({"router_entropy": SPENT}, "one choice"),
        ({"moe/gate_entropy": SPENT}, "one choice"),
        ({"attn_entropy": SPENT}, "one choice"),
        ({"max_load": FULL}, "one expert"),
        ({"max_expert_share": FULL}, "one expert"),
        ({"feature_std": then([0.03, 0.01], np.full(58, 1e-5))}, "the same place"),
    ],
    ids=lambda each: next(iter(each)) if isinstance(each, dict) else "",
)
def test_what_uses_one_thing_for_everything_has_collapsed(series: dict[str, Any], told: str) -> None:
    found = find("diversity-collapse", named({"loss": LOSS, **series}))

    assert [f.severity for f in found] == ["warning"]
    assert told in found[0].statement
    assert found[0].step_range == ((20, 21) if "feature_std" not in series else (2, 3))


@pytest.mark.parametrize(
    "series",
    [
        {"perplexity": then(np.linspace(300, 4, 20), np.full(40, 1.01))},
        {"perplexity": jitter(np.linspace(20, 380, 60)), "commit_loss": LOSS},
        {"router_entropy": jitter(np.full(60, 2.0))},
        {"router_entropy": then(SPENT[:50], np.full(10, 0.9))},
        {"router_entropy": np.full(60, 0.001).tolist()},
        {"entropy": SPENT},
        {"max_load": [100 * v for v in FULL]},
        {"max_load": jitter(np.full(60, 0.2))},
        {"loss_std": SPENT},
        {"router_entropy": [*SPENT[:2], *SPENT[-3:]]},
    ],
    ids=["language", "codes", "spread", "comes back", "never", "policy", "counts", "balanced", "of the loss", "short"],
)
def test_what_is_spread_or_not_measured_has_not(series: dict[str, Any]) -> None:
    assert find("diversity-collapse", named({"loss": LOSS, **series})) == []


SLOW = then(jitter(np.full(30, 50_000.0)), jitter(np.full(30, 9_000.0)))


@pytest.mark.parametrize("name", ["tokens_per_sec", "tokens/s", "samples_per_second", "throughput", "it/s"])
def test_a_speed_that_the_program_logs_tells_that_the_run_became_slower(name: str) -> None:
    found = find("throughput-drop", named({"loss": LOSS, name: SLOW}))

    assert [(f.severity, f.step) for f in found] == [("warning", 31)]
    assert "5.5 times as long" in found[0].statement


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("step_time", then(jitter(np.full(30, 0.2)), jitter(np.full(30, 1.4))), ["warning"]),
        ("elapsed_time", then(np.arange(30), np.arange(30, 60)), []),
        ("step_time", then(jitter(np.full(30, 0.2)), jitter(np.full(30, 0.5))), []),
        ("step_time", [0.2, 0.2, 1.4] * 20, []),
        ("step_time", then(np.full(30, 0.2), [1.4] * 29 + [0.2]), []),
        ("eval_samples_per_second", SLOW, []),
        ("tokens_per_sec", SLOW[::4], []),
    ],
    ids=["duration", "clock", "2.5 times", "each third", "back at the end", "evaluation", "short"],
)
def test_only_a_step_that_stays_three_times_as_long_does(name: str, values: list[float], expected: list[str]) -> None:
    assert severities("throughput-drop", named({"loss": LOSS, name: values})) == expected


def test_completions_that_grow_longer_make_no_run_slow() -> None:
    assert find("throughput-drop", named({"loss": LOSS, "reward": LOSS, "tokens_per_sec": SLOW})) == []


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("update_norm", [0.0] * 60, ["warning"]),
        ("optim/param_update_norm", [0.1] * 40 + [0.0] * 20, ["warning"]),
        ("update_ratio", [0.1] * 57 + [0.0] * 3, []),
        ("update_norm", [0.001] * 60, []),
        ("norm", [0.0] * 60, []),
    ],
)
def test_updates_of_nothing_stall(name: str, values: list[float], expected: list[str]) -> None:
    assert severities("update-stalled", named({"loss": LOSS, name: values})) == expected


def test_a_norm_that_never_was_anything_has_vanished() -> None:
    level = jitter(np.full(40, 2.9))
    tiny = jitter(np.full(40, 3e-9), 0.3)

    assert severities("grad-norm-zero", make_run(loss=level, grad_norm=tiny)) == ["warning"]
    assert find("grad-norm-zero", make_run(loss=level, grad_norm=[1e3 * v for v in tiny])) == []
    assert find("grad-norm-zero", make_run(loss=falling(40), grad_norm=tiny)) == []


def test_a_regression_that_answers_the_mean_learns_nothing() -> None:
    level = jitter(np.full(40, 1.0))
    chance = [float(x) for x in np.random.default_rng(1).normal(0, 0.01, 40)]

    found = find("loss-plateau", named({"loss": level, "r2": chance}))

    assert [f.severity for f in found] == ["warning"]
    assert "the mean answers as well" in found[0].statement
    assert severities("loss-plateau", named({"loss": level, "r2": [v + 0.6 for v in chance]})) == ["notice"]
    assert severities("loss-plateau", named({"loss": level, "r2": np.linspace(-0.01, 0.6, 40).tolist()})) == ["notice"]


def test_a_language_model_that_unlearns_steadily_diverges() -> None:
    down = 3.2 + 5.8 * np.exp(-5 * np.arange(40) / 40)
    up = jitter(then(down, np.linspace(3.2, 4.6, 40)), 0.003)

    assert severities("loss-divergence", make_run(loss=up)) == ["warning"]
    assert find("loss-divergence", make_run(loss=jitter(then(down, np.linspace(3.2, 3.9, 40)), 0.003))) == []


TRAINING = jitter(0.3 + 5 * np.exp(-8 * np.arange(200) / 200))
BEST = 1.9 + 2.7 * np.exp(-np.arange(40) / 6)


def test_an_evaluation_that_creeps_up_while_training_halves_is_overfit() -> None:
    creeps = jitter(then(BEST, np.linspace(1.9, 2.15, 160)), 0.005)

    found = find("eval-gap", make_run(loss=TRAINING, eval_loss=creeps))

    assert [f.severity for f in found] == ["warning"]
    assert find("eval-gap", make_run(loss=jitter(np.full(200, 1.9)), eval_loss=creeps)) == []
    assert find("eval-gap", make_run(loss=TRAINING, eval_loss=jitter(then(BEST, np.full(160, 1.95)), 0.005))) == []
    assert (
        find("eval-gap", named({"loss": TRAINING, "eval_loss": creeps, "eval_acc": np.linspace(0.1, 0.6, 200)})) == []
    )


JUMPY = [91, 89, 85, 87, 84, 112, 70, 73, 136, 89, 112, 174, 175, 106, 89, 170, 137]


def test_an_evaluation_that_jumps_about_above_what_it_had_reached_is_overfit() -> None:
    """Validation of a public regression: its rank correlation goes from 0.68 to 0.22 meanwhile."""
    training = then([123, 74, 61], np.linspace(55, 37, 14))
    quiet = [80 + (v - 80) / 6 for v in JUMPY]

    found = find("eval-gap", make_run(loss=training, eval_loss=JUMPY))

    assert [(f.severity, f.step_range) for f in found] == [("warning", (7, 9))]
    assert find("eval-gap", make_run(loss=training, eval_loss=quiet)) == []
    assert find("eval-gap", make_run(loss=training, eval_loss=sorted(JUMPY, reverse=True))) == []
    assert find("eval-gap", make_run(loss=[50.0] * 17, eval_loss=JUMPY)) == []
    assert find("eval-gap", named({"loss": training, "eval_loss": JUMPY, "eval_f1": np.linspace(0.1, 0.6, 17)})) == []


@pytest.mark.parametrize("name", ["Validate Loss", "Loss/Val_Epoch", "loss_val"])
def test_what_is_called_a_loss_of_evaluation_in_another_way_is_judged_as_one(name: str) -> None:
    rises = then(np.linspace(3, 1, 10), np.linspace(1.2, 2.4, 10))

    assert severities("eval-gap", named({"loss": falling(20, end=0.1), name: rises})) == ["warning"]
    assert find("eval-gap", named({"loss": falling(20, end=0.1), name: rises[:10]})) == []


def test_an_evaluation_loss_that_no_share_of_wrong_answers_explains_is_told() -> None:
    """Running statistics that never follow: surer of what is wrong than training ever was."""
    evaluated = jitter(np.full(25, 8.0), 0.2)
    run = {"loss": falling(25, 1.2, 0.15), "eval_loss": evaluated, "eval_acc": jitter(np.full(25, 0.75))}

    found = find("eval-gap", named(run))

    assert [f.severity for f in found] == ["warning"]
    assert "for each wrong answer" in found[0].statement
    assert find("eval-gap", named(run | {"eval_loss": [v / 2 for v in evaluated]})) == []
    assert find("eval-gap", named(run | {"loss": [v / 3 for v in evaluated]})) == []
    assert find("eval-gap", named({k: v for k, v in run.items() if k != "eval_acc"})) == []
    assert [f.severity for f in find("eval-gap", named(run | {"eval_acc": jitter(np.full(25, 75.0))}))] == ["warning"]


def test_an_accuracy_of_guessing_beside_the_loss_of_guessing_learns_nothing_whatever_came_before() -> None:
    losses = then([1e24, 3.0, 1e9], jitter(np.full(17, 2.55)))
    accuracy = jitter(np.full(20, 0.1), 0.1)

    found = find("loss-plateau", named({"loss": losses, "val_acc": accuracy}))

    assert [f.severity for f in found] == ["warning"]
    assert "guessing among 10 classes" in found[0].statement
    assert find("eval-gap", named({"loss": losses, "val_acc": accuracy})) == []
    falls = np.linspace(3.5, 2.4, 20).tolist()
    for healthy in (
        {"loss": falls, "val_acc": accuracy},
        {"loss": losses, "val_acc": np.linspace(0.05, 0.2, 20)},
        {"loss": [v + 1 for v in losses], "val_acc": accuracy},
        {"loss": losses, "train_acc": accuracy},
    ):
        assert "warning" not in severities("loss-plateau", named(healthy))


def test_a_loss_that_no_skill_explains_is_a_warning() -> None:
    low = then(4.1 * np.exp(-np.arange(20) / 2.2), jitter(np.full(60, 3e-5)))
    known = {"loss": low, "vocab_size": [60.0] * 80}

    assert severities("suspiciously-low-loss", named(known)) == ["warning"]
    assert severities("suspiciously-low-loss", make_run(loss=low)) == ["notice"]
    assert severities("suspiciously-low-loss", make_run(loss=low, eval_loss=[0.1, 2e-5])) == ["notice"]
    assert severities("suspiciously-low-loss", named({k: v[:50] for k, v in known.items()})) == ["notice"]
    assert severities("suspiciously-low-loss", named(known | {"loss": [v / 50 for v in low]})) == ["notice"]


def test_a_loss_that_no_skill_explains_is_not_explained_away_by_what_fades() -> None:
    """That data are known by heart is a guess here: the input may as well give the labels away."""
    low = then(4.1 * np.exp(-np.arange(20) / 2.2), jitter(np.full(60, 3e-5)))

    told = judge(named({"loss": low, "vocab_size": [60.0] * 80}))
    calm = judge(make_run(loss=low))

    assert told.verdict == "suspicious"
    assert {h.verdict for h in told.hypotheses if h.cause == "memorised"} == {"possible"}
    assert calm.verdict == "unknown"
    assert {h.verdict for h in calm.hypotheses if h.cause == "memorised"} == {"established"}


def test_a_divergence_of_an_autoencoder_may_grow() -> None:
    grows = np.geomspace(0.01, 400, 50).tolist()

    assert severities("kl-explosion", named({"loss": falling(50), "kl": grows})) == ["warning"]
    assert find("kl-explosion", named({"loss": falling(50), "kl": grows, "recon_loss": falling(50)})) == []
    assert severities("kl-explosion", named({"train_reward": falling(50), "train_kl": grows})) == ["warning"]


def test_healthy_likes_are_silent() -> None:
    likes = {
        "loss": LOSS,
        "router_entropy": jitter(np.full(60, 2.0)),
        "tokens_per_sec": jitter(np.full(60, 5e4), 0.08),
        "update_norm": jitter(np.full(60, 0.01)),
        "grad_norm": jitter(np.full(60, 0.4), 0.2),
    }

    assert alarms(named(likes)) == []


@pytest.mark.parametrize(
    ("name", "values", "told"),
    [
        ("eval_dice", jitter(np.full(20, 0.0005), 0.5), "in all of 20 evaluations"),
        ("eval_mAP", [0.0] * 20, "is 0 in all"),
        ("eval_wer", jitter(np.full(20, 0.99), 0.003), "in all of 20 evaluations"),
        ("wer", jitter(np.full(20, 99.0), 0.003), "in all of 20 evaluations"),
        ("eval_r2", jitter(np.full(20, -3.4), 0.1), "the mean answers better"),
    ],
)
def test_a_score_that_is_next_to_its_worst_throughout_tells_that_nothing_is_learned(
    name: str, values: list[float], told: str
) -> None:
    found = find("loss-plateau", named({"loss": falling(20), name: values}))

    assert [f.severity for f in found] == ["warning"]
    assert told in found[0].statement


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("eval_dice", np.linspace(0.0001, 0.009, 20)),
        ("eval_dice", then(np.full(19, 0.0005), [0.2])),
        ("eval_wer", then(np.full(10, 1.0), np.linspace(1, 0.9, 10))),
        ("eval_wer", np.full(20, 1.4)),
        ("eval_r2", np.linspace(-3, 0.5, 20)),
        ("r2", np.full(20, -3.4)),
        ("eval_dice", jitter(np.full(8, 0.0005), 0.5)),
    ],
    ids=["rises", "once", "falls", "above one", "gets there", "of training", "few"],
)
def test_one_that_gets_better_or_was_seen_seldom_does_not(name: str, values: Any) -> None:
    assert find("loss-plateau", named({"loss": falling(20), name: [float(v) for v in values]})) == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([-200.0] * 40, ["warning"]),
        ([0.0] * 40, ["warning"]),
        ([1.0] * 40, []),
        ([-200.0] * 39 + [-190.0], []),
        ([-200.0] * 7, []),
    ],
    ids=["the least", "nothing", "all of it", "once more", "few"],
)
def test_a_reward_that_is_never_earned_is_told(values: list[float], expected: list[str]) -> None:
    assert severities("reward-collapse", named({"reward": values})) == expected


def pairs(loss: Any, margins: Any, **others: Any) -> Run:
    return named({"loss": [float(v) for v in loss], "rewards/margins": [float(v) for v in margins], **others})


def test_pairs_that_never_part_learn_nothing() -> None:
    chance = np.random.default_rng(4)
    stands, nothing = 0.6931 + chance.normal(0, 0.0003, 60), chance.normal(0, 0.0004, 60)

    found = find("loss-plateau", pairs(stands, nothing))

    assert [f.severity for f in found] == ["warning"]
    assert "the loss ln 2" in found[0].statement
    for run in (
        pairs(stands, nothing + np.linspace(0, 0.2, 60)),
        pairs(stands, nothing + np.linspace(0, 0.008, 60)),
        pairs(stands - np.linspace(0, 0.2, 60), nothing),
        pairs(stands, nothing, learning_rate=np.linspace(1e-8, 1e-6, 60).tolist()),
        pairs(stands[:15], nothing[:15]),
    ):
        assert "warning" not in severities("loss-plateau", run)


def test_a_loss_without_a_floor_falls_without_end() -> None:
    found = find("loss-divergence", make_run(loss=(-np.geomspace(1, 1e6, 60)).tolist()))

    assert [f.severity for f in found] == ["error"]
    assert "nothing bounds it from below" in found[0].statement
    assert found[0].step is not None
    assert found[0].step < 10
    for healthy in (
        np.linspace(3, -4.5, 60),
        -8000 + 9000 * np.exp(-np.arange(60) / 10),
        -np.geomspace(1, 9, 60),
        -np.linspace(1000, 4000, 60),
        -np.linspace(1, 100, 60),
        -60 + 65 * np.exp(-np.arange(60) / 20),
    ):
        assert find("loss-divergence", make_run(loss=healthy.tolist())) == []
    for sooner in (-np.geomspace(1, 900, 60), -3.8 - np.arange(12.0) ** 2):
        assert severities("loss-divergence", make_run(loss=sooner.tolist())) == ["warning"]
    assert find("loss-divergence", make_run(loss=(-3.8 - 2 * np.arange(9.0) ** 2).tolist())) == []
    assert find("loss-divergence", named({"loss": (-np.geomspace(1, 1e6, 60)).tolist(), "reward": [0.5] * 60})) == []


def test_an_error_in_units_of_its_own_may_rest_where_it_came_to_in_its_first_epoch() -> None:
    """Square errors of a regression whose targets lie in the tens; a loss of tokens there has learned nothing."""
    rests = then([122.0], jitter(np.full(49, 106.0), 0.004))
    tokens = [v / 10 for v in rests]

    assert "warning" not in severities("loss-plateau", make_run(loss=falling(50, 170, 94), eval_loss=rests))
    assert severities("loss-plateau", make_run(loss=falling(50, 170, 94), eval_loss=rests[1:])) == ["warning"]
    assert severities("loss-plateau", make_run(loss=falling(50, 17, 9.4), eval_loss=tokens)) == ["warning"]


def test_a_ratio_that_grew_to_a_power_of_two_is_no_sum_over_micro_steps() -> None:
    """Dropout and smoothing act on what training learns: its loss ends above that of the evaluation."""
    loss = [1.6, 1.2, 0.82, 0.7, 0.66, 0.65, 0.65, 0.65]
    grew = [1.3, 0.73, 0.33, 0.17, 0.165, 0.162, 0.16, 0.16]

    assert find("loss-scale-wrong", make_run(loss=loss, eval_loss=grew)) == []
    assert severities("loss-scale-wrong", make_run(loss=loss, eval_loss=[0.35, 0.28, 0.2, *grew[3:]])) == ["warning"]
