"""What looked healthy and was not: losses beyond guessing, quantities that are NaN, rates that are not in force."""

from typing import Any

import numpy as np
import pytest

from detectors.detecting import NAN, falling, find
from forensics.model import Run
from forensics.testing import make_events, make_run

VOCABULARY: dict[str, Any] = {"model.vocab_size": 32000}
CLASSES: dict[str, Any] = {"model.vocab_size": 32000, "model.architectures": "BertForSequenceClassification"}


def jumping(level: float, width: float, count: int = 60) -> list[float]:
    """Return entries that jump about a level, the same in every test."""
    noise = np.random.default_rng(7).uniform(-width, width, count)
    return [float(level + n) for n in noise]


def severities(name: str, run: Run) -> list[str]:
    return [f.severity for f in find(name, run)]


def test_a_loss_that_jumps_about_is_erratic() -> None:
    found = find("loss-erratic", make_run(loss=jumping(9.0, 4.0)))

    assert [(f.severity, f.step) for f in found] == [("warning", 1)]
    assert "jumps about between" in found[0].statement


@pytest.mark.parametrize(
    "facts",
    [
        {"loss": jumping(9.0, 0.5)},
        {"loss": jumping(2.0, 1.0)},
        {"loss": jumping(9.0, 4.0, 19)},
        {"loss": falling(60)},
        {"loss": jumping(9.0, 4.0), "reward": [1.0] * 60},
        {"loss": [-5.0, *jumping(9.0, 4.0)]},
        {"loss": [*jumping(30.0, 8.0, 12), *[4.0 + 0.01 * i for i in range(48)]]},
    ],
    ids=["steady", "low", "short", "falling", "rewards", "negative", "only at the start"],
)
def test_other_losses_are_not_erratic(facts: dict[str, Any]) -> None:
    assert find("loss-erratic", make_run(**facts)) == []


@pytest.mark.parametrize(
    ("loss", "settings"),
    [
        ([45.0, 44.0, 43.0, 42.0, 41.0], VOCABULARY),
        ([2.0, *([20.0] * 6), 2.0, 2.0], VOCABULARY),
        ([15.0, 12.0, 9.0, 8.0, 7.0], {"model.architectures": "['LlamaForCausalLM']"}),
    ],
    ids=["first and last", "half of them", "without a vocabulary"],
)
def test_a_token_loss_far_above_guessing_is_a_warning(loss: list[float], settings: dict[str, Any]) -> None:
    assert severities("loss-above-uniform", make_run(loss=loss, settings=settings)) == ["warning"]


@pytest.mark.parametrize(
    "facts",
    [
        {"loss": [45.0, 44.0, 43.0, 42.0, 41.0]},
        {"loss": [11.0, 10.0, 9.0, 8.0, 7.0], "settings": VOCABULARY},
        {"loss": [14.0, 12.0, 9.0, 6.0, 4.0], "settings": VOCABULARY},
        {"loss": [45.0, 44.0, 43.0, 42.0], "settings": VOCABULARY},
        {"loss": [45.0] * 6, "settings": VOCABULARY, "rewards/chosen": [1.0] * 6},
        {
            "loss": [45.0] * 6,
            "settings": {"model.vocab_size": 32000, "model.architectures": "['BertForSequenceClassification']"},
        },
        {"loss": [45.0, -1.0, 45.0, 45.0, 45.0], "settings": VOCABULARY},
    ],
    ids=["no language model", "guessing", "comes down", "too short", "pairs", "classes", "negative"],
)
def test_other_losses_are_not_above_guessing(facts: dict[str, Any]) -> None:
    assert find("loss-above-uniform", make_run(**facts)) == []


def test_a_high_plateau_is_a_warning_and_a_low_one_a_notice() -> None:
    known = ("transformers",)
    assert severities("loss-plateau", make_run(loss=[7.0, 7.01] * 15, frameworks=known)) == ["warning"]
    assert severities("loss-plateau", make_run(loss=[2.0, 2.01] * 15, frameworks=known)) == ["notice"]


def test_a_quantity_that_is_nan_is_told_from_its_first_entry() -> None:
    rows: dict[str, Any] = {
        "reward": [1.0] * 6,
        "kl": [0.1, NAN, 0.1, NAN, NAN, 0.2],
        "objective/entropy": [NAN] * 6,
    }
    found = find("metric-nan", make_run(loss=[0.1] * 6, **rows))

    assert [(f.severity, f.step, f.until) for f in found] == [("warning", 1, None)]
    assert "objective/entropy is NaN or infinite in 6 entries of 6" in found[0].statement
    assert found[0].statement.endswith("so are kl")


def test_a_quantity_that_comes_back_has_an_end() -> None:
    found = find("metric-nan", make_run(loss=[0.1] * 6, kl=[0.1, NAN, 0.1, NAN, 0.1, 0.2]))

    assert [(f.step, f.step_range, f.until) for f in found] == [(2, (2, 2), 4)]


@pytest.mark.parametrize("rows", [{"kl": [0.1, NAN, 0.2]}, {"value_head_lr": [NAN] * 3}, {"klingon": [NAN] * 3}])
def test_single_entries_and_other_names_are_left_alone(rows: dict[str, Any]) -> None:
    assert find("metric-nan", make_run(loss=[0.1] * 3, **rows)) == []


def test_log_probabilities_of_zero_are_an_error() -> None:
    def logged(chosen: list[float], rejected: list[float]) -> Run:
        rows: dict[str, Any] = {"logps/chosen": chosen, "logps/rejected": rejected}
        return make_run(loss=[0.6931] * len(chosen), **rows)

    zero, alive = logged([0.0] * 3, [0.0] * 3), logged([-9.0, 0.0, -8.0], [-9.0] * 3)
    one, half = logged([0.0], [0.0]), logged([0.0] * 2, [-9.0] * 2)

    assert [(f.severity, f.step) for f in find("logps-zero", zero)] == [("error", 1)]
    assert [f.severity for f in find("logps-zero", one)] == ["error"]
    assert find("logps-zero", alive) == find("logps-zero", half) == []


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("val_msle", [0.1, 0.2, 0.3, NAN, NAN], ["warning"]),
        ("eval/rmse", [0.1, 0.2, 0.3, NAN], ["warning"]),
        ("val_msle", [0.1, 0.2, 0.3, NAN, 0.2], []),
        ("val_msle", [NAN, NAN, NAN, NAN], []),
        ("val_precision", [0.1, 0.2, 0.3, NAN, NAN], []),
        ("eval_loss", [0.1, 0.2, 0.3, NAN, NAN], []),
        ("val_msle", [], []),
        ("train_mse_of_ema", [0.1, 0.2, 0.3, NAN, NAN], ["warning"]),
    ],
)
def test_a_metric_that_breaks(name: str, values: list[float], expected: list[str]) -> None:
    """Errors are numbers as long as predictions are; a score may be none where no sample is positive."""
    metrics: dict[str, Any] = {"loss": [0.5] * 5, name: values}

    assert severities("metric-nan", make_run(**metrics)) == expected


@pytest.mark.parametrize(
    ("settings", "rates", "expected"),
    [
        ({"warmup_steps": 20000, "max_steps": 60}, [1e-8 * i for i in range(1, 7)], ["warning"]),
        ({"warmup_steps": 6, "max_steps": 6}, [1e-8 * i for i in range(1, 7)], ["warning"]),
        ({"learning_rate": 1e-4, "max_steps": 6}, [1e-6 * i for i in range(1, 7)], ["warning"]),
        ({"learning_rate": 1e-4, "max_steps": 600}, [1e-6 * i for i in range(1, 7)], []),
        ({"learning_rate": 1e-5, "max_steps": 6}, [1e-6 * i for i in range(1, 7)], []),
        ({"learning_rate": 1e-4, "max_steps": 6}, [1e-6, 2e-6, 3e-6, 2e-6, 1e-6, 0.0], []),
        ({"warmup_steps": 2, "max_steps": 6}, [1e-6 * i for i in range(1, 7)], []),
        ({"warmup_steps": 20000}, [1e-6 * i for i in range(1, 7)], []),
        ({"max_steps": 12}, [1e-8 * i for i in range(1, 13)], ["warning"]),
        ({"max_steps": 12}, [1e-8 * i for i in range(12)], ["warning"]),
        ({"max_steps": 8}, [1e-8 * i for i in range(1, 9)], []),
        ({"max_steps": 40}, [1e-8 * i for i in range(1, 13)], []),
        ({"max_steps": 12}, [1e-8 * 2**i for i in range(12)], []),
        ({"max_steps": 12}, [1e-4 + 1e-8 * i for i in range(1, 13)], []),
        ({"max_steps": 12}, [1e-8 * i for i in range(1, 12)] + [1e-8], []),
    ],
)
def test_a_warmup_that_never_ends(settings: dict[str, Any], rates: list[float], expected: list[str]) -> None:
    assert severities("warmup-never-ends", make_run(learning_rate=rates, settings=settings)) == expected


def test_a_warm_up_at_which_the_loss_fell_all_the_same_is_a_notice() -> None:
    rates, falls = [1e-8 * i for i in range(1, 13)], [0.73 - 0.03 * i for i in range(12)]
    one, asked = {"max_steps": 12}, {"max_steps": 12, "learning_rate": 1e-3}

    assert severities("warmup-never-ends", make_run(learning_rate=rates, loss=falls, settings=one)) == ["notice"]
    assert severities("warmup-never-ends", make_run(learning_rate=rates, loss=[0.73] * 12, settings=one)) == ["warning"]
    assert severities("warmup-never-ends", make_run(learning_rate=rates, loss=falls, settings=asked)) == ["warning"]


@pytest.mark.parametrize(
    ("asked", "rates", "expected"),
    [
        (1e-4, [1.77e-3] * 5, ["warning"]),
        (1e-4, [1e-4] * 5, []),
        (1e-4, [1.4e-4] * 5, []),
        (1e-4, [1e-4, 1.77e-3, 1.77e-3], []),
        (None, [1.77e-3] * 5, []),
    ],
)
def test_a_rate_above_the_configured_one_is_not_in_force(
    asked: float | None, rates: list[float], expected: list[str]
) -> None:
    settings = {} if asked is None else {"learning_rate": asked}

    assert severities("setting-not-in-force", make_run(learning_rate=rates, settings=settings)) == expected


def test_the_lr_of_megatron_is_the_rate_itself() -> None:
    """Others scale what they call `lr` by the batch."""
    rates = [3e-4] * 5

    assert severities("setting-not-in-force", make_run(learning_rate=rates, settings={"lr": 1e-5})) == []
    megatron: dict[str, Any] = {"lr": 1e-5, "lr_decay_style": "constant"}
    assert severities("setting-not-in-force", make_run(learning_rate=rates, settings=megatron)) == ["warning"]


def test_a_rate_of_zero_for_a_third_of_the_run_is_a_warning() -> None:
    found = find("lr-zero", make_run(learning_rate=[0.0] * 39 + [3e-4] * 21))

    assert [(f.severity, f.step, f.until) for f in found] == [("warning", 1, 39)]
    assert find("lr-zero", make_run(learning_rate=[0.0] * 5 + [3e-4] * 55)) == []
    assert find("lr-zero", make_run(learning_rate=[0.0] * 8 + [3e-4] * 8)) == []


def test_three_decimals_print_a_small_rate_as_zero() -> None:
    """verl's console: the norm beside it has no more decimals either."""
    rows: dict[str, Any] = {"learning_rate": [0.0] * 6, "actor/pg_loss": [0.1] * 6}

    assert find("lr-zero", make_run(grad_norm=[0.21, 0.22, 0.2, 0.23, 0.21, 0.2], **rows)) == []
    assert severities("lr-zero", make_run(grad_norm=[0.21345, 0.2, 0.2, 0.2, 0.2, 0.2], **rows)) == ["warning"]


def test_a_term_that_is_nan_between_is_dated_to_its_first_entry() -> None:
    term = [0.1, 0.1, NAN, 0.1, NAN, 0.1]
    found = find("loss-term-nan", make_run(loss=[1.0] * 6, ptx_loss=term))
    lasting = find("loss-term-nan", make_run(loss=[1.0] * 6, ptx_loss=[0.1, NAN, 0.1, 0.1, NAN, NAN]))

    assert [(f.severity, f.step, f.until) for f in found] == [("warning", 3, 5)]
    assert [(f.severity, f.step, f.until) for f in lasting] == [("error", 2, None)]
    assert "from step 2 on, in 3 entries of 6" in lasting[0].statement


def test_a_constant_root_without_a_loss_needs_deepspeed() -> None:
    norms = [1.5, 1.6, *([2.0**0.5] * 6)]
    found = find("grad-norm-sentinel", make_run(grad_norm=norms, settings={"zero_optimization.stage": 2}))

    assert [(f.severity, f.step, f.step_range) for f in found] == [("error", 3, (2, 3))]
    assert find("grad-norm-sentinel", make_run(grad_norm=norms)) == []
    for other in ([1.5, *([1.0] * 6)], [2.0**0.5] * 8, [1.5, *([2.0**0.5] * 4)]):
        assert find("grad-norm-sentinel", make_run(grad_norm=other, packages={"deepspeed": "0.14.0"})) == []


def test_steps_skipped_without_a_scale_are_no_settling() -> None:
    lines = [make_events("nonfinite-gradients-skipped", [1, 2, 3, 4])]

    assert severities("steps-skipped", make_run(loss=[1.0] * 4, events=lines)) == ["warning"]
    assert severities("steps-skipped", make_run(loss=[1.0] * 40, events=lines)) == ["notice"]


def test_a_sum_over_micro_steps_is_known_by_the_release() -> None:
    """202 over an accumulation of 128 is 1.6; no vocabulary gives that."""
    settings = {"gradient_accumulation_steps": 128}

    def judged(release: str) -> list[str]:
        run = make_run(loss=[202.0, 204.0], settings=settings, packages={"transformers": release})
        return severities("loss-scale-wrong", run)

    assert (judged("4.47.1"), judged("4.48.0"), judged("4.45.2"), judged("4.48.1")) == (
        ["warning"],
        ["warning"],
        [],
        [],
    )


def test_rewards_of_the_other_sign_have_a_reference() -> None:
    """Without a reference a reward is a positive multiple of a log-probability."""
    logs: dict[str, Any] = {"logps/chosen": [-222.0] * 3, "logps/rejected": [-129.0] * 3}
    rewards: dict[str, Any] = {"rewards/chosen": [9.77] * 3, "rewards/rejected": [5.69] * 3}
    same: dict[str, Any] = {"rewards/chosen": [-22.2] * 3, "rewards/rejected": [-12.9] * 3}

    assert severities("dpo-first-loss", make_run(loss=[0.3271, 1.3, 0.6], **logs, **rewards)) == ["warning"]
    assert find("dpo-first-loss", make_run(loss=[0.3271, 1.3, 0.6], **logs, **same)) == []
    assert severities("dpo-first-loss", make_run(loss=[0.3271, 1.3, 0.6], **rewards)) == ["warning"]
    assert find("dpo-first-loss", make_run(loss=[0.3271, 1.3, 0.6], **same)) == []


def test_an_evaluation_that_rises_with_the_training_loss_is_no_overfitting() -> None:
    evals: dict[str, Any] = {
        "eval_loss": [7.2, 7.0, 6.96, 9.3, 9.4, 9.37],
        "steps": {"eval_loss": [5, 10, 15, 20, 25, 30]},
    }
    both = find("eval-gap", make_run(loss=[7.1, 7.0, 6.9] * 5 + [9.4, 9.3, 9.5] * 5, **evals))
    alone = find("eval-gap", make_run(loss=[7.1, 7.0, 6.9] * 5 + [6.8, 6.7, 6.6] * 5, **evals))

    assert [f.severity for f in both] == ["warning"]
    assert both[0].statement.endswith("the training loss rises with it")
    assert [f.severity for f in alone] == ["warning"]
    assert alone[0].statement.endswith("later steps only fit the training data")


@pytest.mark.parametrize(("level", "told"), [(0.275, ["notice"]), (0.39, ["warning"])])
def test_one_answer_to_every_input_has_its_price(level: float, told: list[str]) -> None:
    """To be right in 0.872 of the cases by one answer costs 0.383 at least: who pays less knows more."""
    falling = [level * (1 - 0.001 * n) for n in range(10)]
    run = make_run(loss=falling, eval_accuracy=[0.872] * 10)

    assert severities("loss-plateau", run) == told
