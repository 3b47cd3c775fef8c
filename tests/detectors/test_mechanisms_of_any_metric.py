"""What shows in curves of any name: twins over held-out data, one leap, what is steered, what agrees with guessing."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detectors.detecting import find, severities
from forensics.analysis import context
from forensics.analysis.held_out import falls_when_better, kept_apart, twin
from forensics.analysis.steered import steered
from forensics.detectors._leap import leap, lost_at_once
from forensics.detectors.reward_collapse import _sank
from forensics.investigate import investigate, judge
from forensics.model import Run
from forensics.testing import make_run

DICE = np.random.default_rng(11)


def noisy(values: Any, share: float = 0.01) -> list[float]:
    values = np.asarray(values, dtype=float)
    return [float(x) for x in values * (1 + share * DICE.standard_normal(len(values)))]


def named(series: dict[str, Any]) -> Run:
    curves: dict[str, Any] = {name: [float(v) for v in values] for name, values in series.items()}
    return make_run(**curves)


FITTED = np.geomspace(0.56, 0.008, 30)
OVERFIT = np.concatenate([np.linspace(0.66, 0.64, 5), np.linspace(0.65, 0.87, 25)])
GENERAL = np.geomspace(0.66, 0.3, 30)
PAIRS = [
    ("fit-logloss", "hold-logloss"),
    ("training's l2", "valid_0's l2"),
    ("train-mlogloss", "oof-mlogloss"),
    ("learn", "test"),
    ("trainDeviation", "unseenDeviation"),
]


@pytest.mark.parametrize(("fitted", "kept"), PAIRS)
def test_a_measure_of_any_name_is_judged_beside_its_twin_over_training_data(fitted: str, kept: str) -> None:
    run = named({fitted: FITTED, kept: OVERFIT})

    assert twin(run, run.timeline[kept]) is run.timeline[fitted]
    assert falls_when_better(run, run.timeline[kept])
    assert severities("eval-gap", run) == ["warning"]
    assert severities("eval-gap", named({fitted: FITTED, kept: GENERAL})) == []


def test_a_measure_that_is_not_fitted_makes_none_of_its_twin() -> None:
    assert severities("eval-gap", named({"fit-logloss": np.full(30, 0.5), "hold-logloss": OVERFIT})) == []


def test_what_is_better_shows_in_the_measure_of_training_where_no_name_tells_it() -> None:
    up = named({"train quux": np.linspace(0.2, 0.9, 12), "dev quux": np.linspace(0.2, 0.6, 12)})
    jumps = named({"train quux": [0.2, 0.9] * 6, "dev quux": np.linspace(0.2, 0.6, 12)})

    assert falls_when_better(up, up.timeline["dev quux"]) is False
    assert falls_when_better(jumps, jumps.timeline["dev quux"]) is None
    assert not kept_apart("val_time")
    assert not kept_apart("train loss on the test set")


def test_evaluations_that_are_never_better_than_the_first_one_are_learned_by_heart() -> None:
    falls = noisy(np.linspace(2.35, 2.1, 20))
    never = noisy(np.linspace(2.30, 2.6, 20), 0.003)

    assert severities("eval-gap", named({"loss": falls, "eval_loss": never})) == ["warning"]
    assert severities("eval-gap", named({"loss": [2.3] * 20, "eval_loss": never})) == []
    better = [2.5, *never[1:]]
    assert severities("eval-gap", named({"loss": falls, "eval_loss": better})) == []


LEAPT = [*noisy(np.linspace(1, 77, 40) ** 0.5 * 8.8, 0.002), *noisy(np.linspace(54, 65, 20), 0.002)]
LOSS = [*noisy(np.linspace(6.9, 4.5, 40), 0.002), *noisy(np.linspace(4.9, 4.7, 20), 0.002)]


def test_one_leap_that_is_never_made_good_is_told_where_two_curves_agree() -> None:
    found = lost_at_once(named({"test_384_acc1": LEAPT, "loss": LOSS}))

    assert found is not None
    assert found.step_range == (40, 41)
    assert "never what it was again" in found.statement
    assert lost_at_once(named({"test_384_acc1": LEAPT})) is None
    deep = [*LEAPT[:40], *noisy(np.linspace(42, 50, 20), 0.002)]
    assert lost_at_once(named({"test_384_acc1": deep})) is not None


@pytest.mark.parametrize(
    "after",
    [
        np.linspace(54, 80, 20),
        [70, 40, 71, 42, 70, 40, 71, 42, 70, 40, 71, 42],
        [54, 60, 30],
    ],
    ids=["it comes back", "it leaps again and again", "too few"],
)
def test_a_leap_that_is_made_good_or_is_not_the_only_one_says_nothing(after: Any) -> None:
    assert (
        lost_at_once(named({"eval_acc": [*LEAPT[:40], *after], "loss": [*LOSS[:40], *LOSS[40 : 40 + len(after)]]}))
        is None
    )


def test_a_policy_may_lose_its_reward_as_it_likes() -> None:
    assert lost_at_once(named({"eval_reward": LEAPT, "loss": LOSS, "policy_loss": LOSS})) is None
    assert lost_at_once(named({"eval_score": LEAPT, "loss": LOSS})) is None


def test_a_leap_is_measured_against_what_had_been_gained() -> None:
    down = -np.asarray(LEAPT)
    index, share = leap(down) or (0, 0.0)

    assert index == 40
    assert 0.2 < share < 0.4
    assert leap(np.asarray(noisy(np.linspace(5, 1, 60)))) is None


RISES = [*np.geomspace(40, 5, 15), *np.linspace(5, 9, 45)]
WEIGHTS = {
    "kl_weight": np.minimum(1, np.arange(60) / 50),
    "teacher_forcing_ratio": np.maximum(0, 1 - np.arange(60) / 50),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_loss_that_rises_while_its_program_steers_it_is_no_alarm(name: str) -> None:
    assert "warning" in severities("loss-divergence", named({"loss": RISES}))
    run = named({"loss": RISES, name: WEIGHTS[name]})
    (found,) = find("loss-divergence", run)

    assert found.severity == "notice"
    assert f"{name} goes from " in found.statement


def test_the_weight_of_a_term_follows_from_the_whole_and_its_terms() -> None:
    kl, recon = np.full(60, 4.0), np.geomspace(36, 3, 60)
    weight = 0.1 + 2.5 * np.arange(60) / 60
    run = named({"loss": recon + weight * kl, "recon": recon, "kl": kl})

    assert "kl weighs 0.1 times at first" in steered(run, run.timeline["loss"], 30)
    plain = named({"loss": recon + kl + np.asarray(RISES), "recon": recon, "kl": kl})
    assert steered(plain, plain.timeline["loss"], 30) == ""


def test_a_loss_that_leaps_after_a_slow_descent_gives_no_term_more_weight() -> None:
    """Each step back may be small and all of them large; a perplexity is the loss in other units."""
    loss = np.concatenate([np.linspace(6.7, 4.2, 29), np.full(29, 9.8)])
    run = named({"loss": loss, "xent": np.full(58, 1.0), "nll": np.full(58, 100.0)})
    assert steered(run, run.timeline["loss"], 30) == ""
    rising = np.concatenate([np.full(29, 4.2), np.linspace(4.3, 9.8, 29)])
    other = named({"loss": rising, "perplexity": np.full(58, 4.0), "nll": np.full(58, 0.1)})
    assert steered(other, other.timeline["loss"], 30) == ""


@pytest.mark.parametrize(
    "more",
    [
        {"kl_weight": [1.0] * 60},
        {"kl_weight": [float(x) for x in DICE.random(60)]},
        {"kl_weight": [*np.linspace(0, 1, 10), *[1.0] * 50]},
        {"epoch": range(60)},
        {"kl_weight": np.linspace(0, 1, 30)},
        {"weight_decay": np.linspace(0, 1, 60)},
    ],
    ids=["constant", "noise", "long before", "a counter", "half of the entries", "decay"],
)
def test_what_does_not_move_with_the_loss_steers_nothing(more: dict[str, Any]) -> None:
    run = named({"loss": RISES, **more})

    assert steered(run, run.timeline["loss"], 30) == ""
    assert "warning" in severities("loss-divergence", run)


COIN = noisy(np.full(40, 1.3863), 0.003), noisy(np.full(40, 0.6931), 0.003)


def test_adversaries_of_whom_neither_learns_stand_at_a_coin_from_the_start_on() -> None:
    for names in (("d_loss", "g_loss"), ("Loss_D", "Loss_G"), ("errD", "errG"), ("disc_loss", "gen_loss")):
        (found,) = find("loss-plateau", named(dict(zip(names, COIN, strict=True))))
        assert found.severity == "warning"
        assert "a coin tells real from made as well" in found.statement
    balanced = [*np.linspace(0.3, 1.38, 15), *COIN[0][:25]]
    assert "warning" not in severities("loss-plateau", named({"d_loss": balanced, "g_loss": COIN[1]}))
    assert "warning" not in severities("loss-plateau", named({"d_loss": COIN[0], "g_loss": noisy(COIN[1], 0.2)}))
    assert "warning" not in severities("loss-plateau", named({"d_loss": COIN[0][:10], "g_loss": COIN[1][:10]}))


def test_an_accuracy_and_a_loss_that_agree_on_the_choices_are_those_of_guessing() -> None:
    loss, accuracy = noisy([5.2, 4.1, *[3.466] * 40], 0.01), noisy(np.full(42, 1 / 32), 0.3)

    (found,) = find("loss-plateau", named({"loss": loss, "tr_acc": accuracy}))
    assert "guessing among" in found.statement
    known = noisy(np.full(42, 0.3), 0.1)
    assert "warning" not in severities("loss-plateau", named({"loss": loss, "tr_acc": known}))


def test_a_term_that_is_a_logarithm_throughout_only_guesses() -> None:
    falls = np.geomspace(0.8, 0.08, 40)
    run = named({"box_loss": falls, "cls_loss": np.full(40, np.log(5))})

    (found,) = find("loss-plateau", run)
    assert found.statement == "nothing is learned: cls_loss is ln(5), 1.609, in all of 40 entries: it guesses"
    assert find("loss-plateau", named({"box_loss": falls, "cls_loss": np.full(40, 1.7)})) == []
    assert find("loss-plateau", named({"box_loss": falls, "d_loss": np.full(40, np.log(5))})) == []


def test_a_score_of_one_answer_to_every_input_is_no_score() -> None:
    flat = noisy(np.full(20, 2.0), 0.1)
    (found,) = find("loss-plateau", named({"loss": flat, "kappa": noisy(np.full(20, 0.005))}))

    assert "kappa is" in found.statement
    assert find("loss-plateau", named({"loss": np.geomspace(2, 1, 20), "kappa": np.full(20, 0.005)})) == []


def test_entries_that_repeat_themselves_in_all_measures_mean_that_nothing_goes_on() -> None:
    curves = {name: noisy(np.linspace(1, 2, 30)) for name in ("return", "value_loss", "entropy")}
    still = {name: [*values, *[values[-1]] * 20] for name, values in curves.items()}

    (found,) = find("update-stalled", named({**still, "frames": range(50)}))
    assert (found.severity, found.step) == ("warning", 30)
    assert find("update-stalled", named({**still, "kl": noisy(np.full(50, 0.1))})) == []
    assert find("update-stalled", named({name: values[:36] for name, values in still.items()})) == []


def test_an_accuracy_over_training_data_excuses_no_evaluation_loss() -> None:
    falls, never = noisy(np.linspace(3.93, 3.6, 30), 0.003), noisy(np.linspace(3.916, 4.1, 30), 0.0005)
    rising = np.linspace(0.02, 0.07, 30)

    for name in ("Train Acc", "tr_acc"):
        assert severities("eval-gap", named({"loss": falls, "eval_loss": never, name: rising})) == ["warning"]
    assert severities("eval-gap", named({"loss": falls, "eval_loss": never, "acc": rising})) == []
    both = {"loss": falls, "eval_loss": never, "acc": rising, "val_acc": np.full(30, 0.02)}
    assert severities("eval-gap", named(both)) == ["warning"]


def test_a_policy_whose_entropy_stays_at_that_of_a_lot_learns_nothing_though_its_reward_is_noisy() -> None:
    reward = [*noisy(np.full(15, 0.2), 0.2), *noisy(np.full(15, 0.22), 0.2)]
    lot = {"reward": reward, "loss_pi": noisy(np.full(30, 0.001)), "policy_entropy": [0.6931] * 28 + [0.6928, 0.693]}

    assert [f.statement for f in find("loss-plateau", named(lot))] == [
        "nothing is learned: policy_entropy is that of a choice by lot among 2 in all of 30 entries"
    ]
    assert judge(named(lot)).verdict == "suspicious"
    assert find("loss-plateau", named({**lot, "reward": np.linspace(0.2, 0.9, 30)})) == []


def test_returns_that_sink_and_never_rose_are_a_collapse() -> None:
    sinks = noisy(np.linspace(-37, -60, 40), 0.02)

    (found,) = find("reward-collapse", named({"rew": sinks, "epsilon": np.linspace(1, 0.05, 40)}))
    assert "no return ever rose" in found.statement
    assert find("reward-collapse", named({"rew": sinks, "eval_return": np.linspace(0, 1, 40)})) == []
    early = [5, 60, 120, *noisy(np.linspace(176, 135, 60), 0.02)]
    assert [*_sank(named({"rew": early}))] == []
    assert [*_sank(named({"rew": early[3:]}))] != []
    anew = [*np.linspace(1, 0.1, 20), *np.linspace(1, 0.1, 20)]
    assert find("reward-collapse", named({"rew": sinks, "epsilon": anew})) == []
    assert find("reward-collapse", named({"rew": noisy(np.full(40, -37.0), 0.3)})) == []
    assert find("reward-collapse", named({"rew": noisy(np.linspace(-37, -40, 40), 0.001)})) == []


def test_a_contrastive_loss_at_the_logarithm_of_its_batch_tells_no_example_from_another() -> None:
    rests = [7.0, 5.2, 5.0, *noisy(np.full(40, 4.86), 0.02)]
    run = make_run(nce_loss=rests, settings={"batch_size": 128})
    loss = replace(run.timeline["nce_loss"], name="loss", logged_as="nce_loss")
    timeline = replace(run.timeline, series={"loss": loss})

    (found,) = find("loss-plateau", replace(run, timeline=timeline))
    assert "ln(128), of batch_size" in found.statement
    other = make_run(loss=rests, settings={"batch_size": 128})
    assert "ln(128)" not in str(find("loss-plateau", other))


def test_a_model_that_knows_its_data_may_rest_on_a_high_evaluation_loss() -> None:
    rests = noisy(np.full(10, 4.28), 0.0005)

    assert severities("loss-plateau", named({"eval_loss": rests})) == ["warning"]
    assert "warning" not in severities(
        "loss-plateau", named({"eval_loss": rests, "acc": noisy(np.full(10, 0.98), 0.001)})
    )


def test_adversaries_are_known_by_what_their_losses_were_logged_as() -> None:
    """`Loss_D` becomes the loss of the run where the other one is no loss by its name."""
    run = named({"loss": np.linspace(0.06, 0.25, 60), "errG": np.linspace(0.23, 0.12, 60)})
    assert context.adversarial(run)
    series = dict(run.timeline.series)
    series["loss"] = replace(series["loss"], logged_as="D_loss")
    balanced = replace(run, timeline=replace(run.timeline, series=series))
    assert severities("loss-divergence", balanced) == []
    won = {"loss": np.geomspace(1.36, 0.003, 60), "errG": np.linspace(0.7, 7, 60)}
    run = named(won)
    series = {**run.timeline.series, "loss": replace(run.timeline["loss"], logged_as="D_loss")}
    assert severities("loss-divergence", replace(run, timeline=replace(run.timeline, series=series))) == ["warning"]


def test_a_step_that_stands_while_entries_are_written_is_told_from_what_was_read(tmp_path: Path) -> None:
    lines = [
        {"total_timesteps": 500 * min(n, 20), "reward": 0.1 + min(n, 20) / 50, "policy_loss": 0.01 / min(n, 20)}
        for n in range(1, 61)
    ]
    for entry, noise in zip(lines, noisy(np.ones(20)), strict=False):
        entry["value_loss"] = noise
    for entry in lines[20:]:
        entry["value_loss"] = lines[19]["value_loss"]
    (tmp_path / "progress.jsonl").write_text("".join(f"{json.dumps(entry)}\n" for entry in lines))
    report = investigate(tmp_path)

    assert [f.symptom for f in report.findings if f.severity == "warning"] == ["update-stalled"]
    assert "the step stands at 10,000 in the last 41 of 60 entries" in report.findings[0].statement


def test_a_column_that_tells_of_a_stage_explains_a_leap_of_the_loss_and_of_its_evaluation() -> None:
    falls = np.geomspace(1.2, 0.02, 25)
    loss = noisy(np.concatenate([falls, falls * 1.05]), 0.002)
    evaluated = [*np.geomspace(0.7, 0.1, 25), *np.geomspace(2.5, 0.6, 25)]
    run = {"loss": loss, "eval_loss": evaluated}
    stage = [1] * 25 + [2] * 25

    assert "warning" in severities("resume-jump", named(run))
    assert "warning" in severities("eval-gap", named(run))
    assert severities("resume-jump", named({**run, "seq_len": stage})) == []
    assert set(severities("eval-gap", named({**run, "seq_len": stage}))) <= {"notice"}


def test_an_entropy_that_never_leaves_that_of_a_lot_needs_no_return() -> None:
    lot = [float(x) for x in np.log(2) - 0.0008 * DICE.random(40)]

    (found,) = find("loss-plateau", named({"policy_entropy": lot, "LossPi": noisy(np.full(40, 0.001))}))
    assert "a choice by lot among 2 in all of 40 entries" in found.statement
    sinks = np.linspace(np.log(2), np.log(2) - 0.0012, 40)
    assert find("loss-plateau", named({"policy_entropy": sinks, "LossPi": noisy(np.full(40, 0.001))})) == []
    assert find("loss-plateau", named({"policy_entropy": lot[:20], "LossPi": noisy(np.full(20, 0.001))})) == []


def test_a_score_of_no_right_answer_needs_no_name_of_evaluation() -> None:
    falls = np.geomspace(0.6, 0.19, 12)
    for name in ("f1", "macro_f1", "f1-score", "mIoU"):
        (found,) = find("loss-plateau", named({"loss": falls, name: np.zeros(12)}))
        assert found.statement == f"nothing is learned: {name} is 0 in all of 12 evaluations"
    assert find("loss-plateau", named({"loss": falls, "f1": [0.0] * 11 + [0.1]})) == []
    assert find("loss-plateau", named({"loss": falls, "f1": np.zeros(8)})) == []
