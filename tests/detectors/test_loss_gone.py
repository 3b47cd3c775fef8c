"""loss-to-zero, loss-zero-transient, loss-nan, loss-nan-transient, loss-absurd-entry, suspiciously-low-loss."""

from collections.abc import Sequence
from typing import Any

import pytest

from detectors.detecting import INF, NAN, ROOT_OF_TWO, alarms, falling, find, linear, norms, severities
from forensics.model import Run
from forensics.testing import make_checkpoint, make_run, make_table

GOOD = falling(30)


def zeros(count: int) -> list[float]:
    return [0.0] * count


@pytest.mark.parametrize(
    ("count", "norm", "severity"),
    [
        (1, NAN, "error"),
        (5, NAN, "error"),
        (5, INF, "error"),
        (5, ROOT_OF_TWO, "error"),
        (5, 0.0, "error"),
        (1, 0.0, "warning"),
    ],
)
def test_zeros_beside_a_broken_norm_are_an_error(count: int, norm: float, severity: str) -> None:
    run = make_run(loss=GOOD + zeros(count), grad_norm=norms(30) + [norm] * count)
    found = find("loss-to-zero", run)

    assert [(f.severity, f.step, f.step_range, f.until) for f in found] == [(severity, 31, (31, 31), None)]


@pytest.mark.parametrize(("count", "severity"), [(1, "warning"), (2, "error"), (3, "error"), (40, "error")])
def test_sudden_zeros_alone_are_told_by_how_many_they_are(count: int, severity: str) -> None:
    assert severities("loss-to-zero", make_run(loss=GOOD + zeros(count))) == [severity]


@pytest.mark.parametrize(("count", "severity"), [(1, "warning"), (2, "warning"), (3, "error")])
def test_zeros_from_the_first_entry_on(count: int, severity: str) -> None:
    found = find("loss-to-zero", make_run(loss=zeros(count), logging_steps=10, settings={"logging_steps": 10}))

    assert [(f.severity, f.step, f.step_range) for f in found] == [(severity, 10, (0, 10))]


@pytest.mark.parametrize(("norm", "severity"), [(0.4, "notice"), (0.0, "error"), (NAN, "error")])
def test_norms_of_parts_tell_a_column_that_nobody_filled(norm: float, severity: str) -> None:
    """A table of gradients may carry a loss of 0.0 in every row while each part of the model is trained."""
    run = make_run(loss=zeros(5), embedding_grad_l2_norm=[norm] * 5)

    assert severities("loss-to-zero", run) == [severity]


def test_two_entries_are_enough() -> None:
    """LLaMA-Factory #9298: one fine step, then loss 0.0 and grad_norm nan."""
    found = find("loss-to-zero", make_run(loss=[3.5249, 0.0], grad_norm=[100.69, NAN]))

    assert [(f.severity, f.step, f.step_range) for f in found] == [("error", 2, (2, 2))]


def test_a_nan_evaluation_proves_a_single_zero() -> None:
    run = make_run(loss=[*GOOD, 0.0], eval_loss=[0.9, NAN], steps={"eval_loss": [10, 31]})

    assert severities("loss-to-zero", run) == ["error"]


def test_a_poisoned_checkpoint_proves_zeros_and_narrows_them() -> None:
    checkpoints = [make_checkpoint(155), make_checkpoint(158, make_table(nan={"model.norm.weight": 1}))]
    run = make_run(logging_steps=5, loss=[*GOOD, 0.5, *zeros(2)], checkpoints=checkpoints)
    found = find("loss-to-zero", run)

    assert [(f.severity, f.step, f.step_range) for f in found] == [("error", 156, (155, 156))]


def test_a_norm_clipped_to_one_all_along_proves_nothing() -> None:
    run = make_run(loss=[0.5, 0.2, 0.02, 0.003, 0.0004, *zeros(4)], grad_norm=[1.0] * 9)

    assert severities("loss-to-zero", run) == ["notice"]


MEMORISED = [2.1, 1.4, 0.7, 0.3, 0.09, 0.02, 0.004, 0.0009, 0.0002, 0.0001, *zeros(6)]


@pytest.mark.parametrize(
    "run",
    [
        make_run(loss=MEMORISED, grad_norm=[10.0**-i for i in range(16)], learning_rate=linear(16)),
        make_run(loss=MEMORISED),
        make_run(loss=[0.5, 0.3, 0.1, 0.03, 0.009, *zeros(5)]),
        make_run(loss=[1.84, 0.53, 0.12, 0.01, *zeros(8)]),
        make_run(loss=MEMORISED, grad_norm=[1.0] * 10 + zeros(6)),
        make_run(loss=[0.4, 0.06, *zeros(5)], eval_loss=[0.001], steps={"eval_loss": [7]}),
    ],
    ids=[
        "norms falling",
        "no norms",
        "to a hundredth",
        "in two digits",
        "norms 0 in the end",
        "evaluation is low too",
    ],
)
def test_a_loss_that_is_small_rather_than_broken_raises_no_alarm(run: Run) -> None:
    assert alarms(run) == []
    assert severities("loss-to-zero", run) == ["notice"]


def test_a_loss_that_drops_to_zero_in_one_entry_is_no_small_one_whatever_the_norms_say() -> None:
    """Two entries of a Qwen training on ROCm: 1.7328 and 0.0, norms of 2e-5 and 4e-6."""
    assert severities("loss-to-zero", make_run(loss=[1.7328, 0.0], grad_norm=[1.96e-5, 3.9e-6])) == ["warning"]
    assert severities("loss-to-zero", make_run(loss=[1.2, 0.8, *zeros(5)], grad_norm=norms(7))) == ["warning"]
    assert severities("loss-to-zero", make_run(loss=[1.2, 0.1, 0.8, *zeros(5)], grad_norm=norms(8))) == ["notice"]


def test_a_memorised_run_that_ends_in_nan_is_broken_all_the_same() -> None:
    run = make_run(loss=MEMORISED, grad_norm=[0.1] * 10 + [NAN] * 6)

    assert severities("loss-to-zero", run) == ["error"]


def test_a_policy_gradient_may_be_zero_but_not_nan() -> None:
    shown = make_run(loss=zeros(9), grad_norm=norms(9), reward=[0.1] * 9)
    broken = make_run(loss=zeros(9), grad_norm=[NAN] * 9, reward=[0.1] * 9)

    assert alarms(shown) == []
    assert severities("loss-to-zero", broken) == ["error"]


def test_a_finite_evaluation_beside_sudden_zeros_is_a_warning() -> None:
    run = make_run(loss=GOOD + zeros(9), eval_loss=[1.0], steps={"eval_loss": [39]})

    assert severities("loss-to-zero", run) == ["warning"]


def test_the_summary_alone_is_a_warning() -> None:
    assert severities("loss-to-zero", make_run(train_loss=[0.0])) == ["warning"]
    assert severities("loss-to-zero", make_run(train_loss=[0.4])) == []
    assert severities("loss-nan", make_run(train_loss=[NAN])) == ["error"]
    assert severities("loss-nan", make_run(train_loss=[0.4])) == []


def test_zeros_that_end_are_transient() -> None:
    run = make_run(loss=GOOD[:20] + zeros(4) + GOOD[20:])
    found = find("loss-zero-transient", run)

    assert [(f.severity, f.step, f.step_range, f.until) for f in found] == [("warning", 21, (20, 21), 24)]
    assert find("loss-to-zero", run) == []


def test_one_zero_amid_a_clear_loss_is_a_notice() -> None:
    assert severities("loss-zero-transient", make_run(loss=[*GOOD[:20], 0.0, *GOOD[20:]])) == ["notice"]


def test_zeros_beside_ordinary_norms_are_told_without_alarm() -> None:
    """Neither NaN nor ignored labels leave such norms; the zeros are told, and nothing is called broken."""
    run = make_run(loss=[1.0, 0.0, 0.0, 1.0] * 4, grad_norm=norms(16))

    assert severities("loss-zero-transient", run) == ["notice"]


@pytest.mark.parametrize(
    "run",
    [
        make_run(loss=[0.3, 0.01, 0.0, 0.0, 0.02, 0.0, 0.0, 0.4, 0.0]),
        make_run(loss=[1.0, 0.0, 0.0, 1.0] * 4, reward=[1.0] * 16),
        make_run(loss=GOOD),
        make_run(loss=[0.0, 1.0]),
    ],
    ids=["near zero anyway", "policy gradient", "healthy", "too short"],
)
def test_other_zeros_are_not_transient_faults(run: Run) -> None:
    assert find("loss-zero-transient", run) == []


@pytest.mark.parametrize("bad", [NAN, INF])
def test_a_loss_that_stays_nan_is_an_error(bad: float) -> None:
    found = find("loss-nan", make_run(loss=GOOD + [bad] * 3, logging_steps=10))

    assert [(f.severity, f.step, f.step_range) for f in found] == [("error", 310, (300, 310))]


@pytest.mark.parametrize(("norm", "severity"), [(0.5, "warning"), (0.0, "error"), (NAN, "error")])
def test_one_last_nan_is_judged_by_its_norm(norm: float, severity: str) -> None:
    assert severities("loss-nan", make_run(loss=[*GOOD, NAN], grad_norm=[*norms(30), norm])) == [severity]


def test_a_mixture_is_told_once_by_what_prevails() -> None:
    mostly_zero = make_run(loss=[*GOOD, NAN, 0.0, 0.0])
    mostly_nan = make_run(loss=[*GOOD, NAN, NAN, 0.0])

    assert (severities("loss-to-zero", mostly_zero), severities("loss-nan", mostly_zero)) == (["error"], [])
    assert (severities("loss-to-zero", mostly_nan), severities("loss-nan", mostly_nan)) == ([], ["error"])


def test_nan_that_ends_is_transient() -> None:
    few = make_run(loss=[*GOOD, NAN, *GOOD])
    many = make_run(loss=[1.0, NAN] * 20 + [1.0])
    found = find("loss-nan-transient", few)

    assert [(f.severity, f.step, f.step_range, f.until) for f in found] == [("notice", 31, (30, 31), 31)]
    assert severities("loss-nan-transient", many) == ["warning"]
    assert find("loss-nan-transient", make_run(loss=[*GOOD, NAN])) == []


def test_an_absurd_entry_is_decoded_with_the_recorded_settings() -> None:
    settings = {"logging_steps": 10, "gradient_accumulation_steps": 8}
    found = find("loss-absurd-entry", make_run(loss=[121486.8], logging_steps=10, settings=settings))

    assert [(f.severity, f.step) for f in found] == [("warning", 10)]
    assert "true loss of 1.451 that is NaN from step 2 on" in found[0].statement


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"logging_steps": 10}, "ways, for example with logging_steps 10, accumulation"),
        ({"logging_steps": 1, "gradient_accumulation_steps": 1}, "the weights or the forward pass were wrong"),
        ({"logging_steps": 10, "gradient_accumulation_steps": 2}, "does not explain it with the recorded"),
        ({"logging_steps": 1}, "no common logging_steps and accumulation"),
    ],
)
def test_an_absurd_entry_that_cannot_be_decoded_says_so(settings: dict[str, int], words: str) -> None:
    found = find("loss-absurd-entry", make_run(loss=[121486.8], logging_steps=10, settings=dict(settings)))

    assert [f.severity for f in found] == ["notice"]
    assert words in found[0].statement


def test_several_readings_are_told_as_a_range() -> None:
    settings = {"logging_steps": 10, "gradient_accumulation_steps": 4}
    found = find("loss-absurd-entry", make_run(loss=[150.0, 0.0, 0.0], logging_steps=10, settings=settings))

    assert [f.severity for f in found] == ["warning"]
    assert "when 1 to 2 steps of its window were finite" in found[0].statement


@pytest.mark.parametrize(
    "loss", [[3e5, 2e5, 1e5], [0.9] * 20 + [1100.0] * 20, GOOD, [*GOOD, 7.0], zeros(3), [INF, 2.0], [3.0, NAN]]
)
def test_large_losses_of_other_tasks_are_not_absurd(loss: list[float]) -> None:
    assert find("loss-absurd-entry", make_run(loss=loss)) == []


def test_an_entry_beyond_all_units_is_absurd_in_a_term_too() -> None:
    """A CTC loss of -5.7e35, of outputs that are longer than their input; an error of prices may be 1e14."""
    terms: dict[str, Any] = {"main/ctc_loss": [2.0, 1.5, -5.7e35, 1.2], "norm": [1e16] * 4}
    run = make_run(loss=GOOD, **terms)
    found = find("loss-absurd-entry", run)

    assert [(f.severity, f.step, f.step_range) for f in found] == [("warning", 3, (2, 3))]
    assert found[0].statement == "main/ctc_loss is -5.7e+35 at step 3, beyond all units"
    assert [f.step_range for f in find("loss-absurd-entry", make_run(loss=[1e29, 2e29, 1e29]))] == [(None, 1)]
    assert find("loss-absurd-entry", make_run(loss=[9e14, 2e14, 1e14])) == []


def test_a_loss_below_a_thousandth_is_a_notice() -> None:
    found = find("suspiciously-low-loss", make_run(loss=MEMORISED))

    assert [(f.severity, f.step, f.step_range) for f in found] == [("notice", 8, (7, 8))]


@pytest.mark.parametrize(
    "run",
    [
        make_run(loss=GOOD),
        make_run(loss=GOOD + zeros(9)),
        make_run(loss=[0.0001] * 20),
        make_run(loss=[-0.1, 0.5, 0.3, 0.0, 0.0, 0.0, 0.0, 0.0]),
        make_run(loss=MEMORISED, reward=[1.0] * 16),
    ],
    ids=["healthy", "sudden", "always low", "negative", "policy gradient"],
)
def test_other_losses_are_not_suspiciously_low(run: Run) -> None:
    assert find("suspiciously-low-loss", run) == []


@pytest.mark.parametrize("name", ["rollout/ep_rew_mean", "value_loss", "losses/policy_loss", "actor_loss"])
def test_the_loss_of_an_agent_may_grow_and_be_zero(name: str) -> None:
    """The loss of a value function grows with the rewards; it measures no language model."""
    grown: dict[str, Sequence[float]] = {"loss": [2.0 - i / 40 for i in range(40)] + [90.0 + i for i in range(40)]}
    idle: dict[str, Sequence[float]] = {"loss": zeros(40)}

    assert alarms(make_run(**grown)) != []  # type: ignore[arg-type]  # metrics only
    for metrics in (grown, idle):
        assert alarms(make_run(**metrics, **{name: [1.0] * 80})) == []  # type: ignore[arg-type]  # metrics only
