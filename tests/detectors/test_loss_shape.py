"""loss-spike, loss-divergence, loss-plateau, loss-constant, loss-uniform, loss-scale-wrong, eval-gap, eval-nan."""

import math

import numpy as np
import pytest

from detectors.detecting import INF, NAN, alarms, falling, find, linear, norms, severities
from forensics.model import Precision, Run
from forensics.testing import make_checkpoint, make_events, make_run, make_table

GOOD = falling(60)


def flat(size: int, level: float = 2.0, noise: float = 0.02) -> list[float]:
    return [float(value) for value in level + np.random.default_rng(5).normal(0, noise, size)]


def test_a_first_0_is_no_level_of_a_loss() -> None:
    """A meter or a bar shows it before anything was counted; what was learned and lost to a 0 is told as before."""
    assert find("loss-divergence", make_run(loss=[0.0, *GOOD])) == []
    assert find("loss-divergence", make_run(loss=[0.0, 2.0, 1.9])) == []
    rises = [0.0, *GOOD, *[9.0] * 20]
    assert severities("loss-divergence", make_run(loss=rises)) == ["error"]


def test_a_spike_that_recovers_is_a_notice() -> None:
    loss = list(GOOD)
    loss[40] = 6.0
    found = find("loss-spike", make_run(loss=loss, logging_steps=10))

    assert [(f.severity, f.step, f.step_range, f.until) for f in found] == [("notice", 410, (400, 410), 410)]
    assert "highest one 6 at step 410" in found[0].statement


def test_an_extreme_spike_and_the_share_of_spikes_are_named() -> None:
    loss = falling(400)
    loss[300] = 60.0
    statement = find("loss-spike", make_run(loss=loss))[0].statement

    assert "extreme one 60" in statement
    assert "OLMo's spike score is 0.37 %" in statement


@pytest.mark.parametrize(
    "run",
    [
        make_run(loss=GOOD),
        make_run(loss=[2.0] * 10 + [9.0]),
        make_run(loss=GOOD, reward=GOOD),
        make_run(loss=[0.001] * 30 + [0.03] + [0.001] * 30),
    ],
    ids=["healthy", "too short", "policy gradient", "small"],
)
def test_other_losses_have_no_spike(run: Run) -> None:
    assert find("loss-spike", run) == []


def test_a_loss_that_loses_all_it_learned_diverges() -> None:
    found = find("loss-divergence", make_run(loss=GOOD[:40] + flat(20, 6.0), logging_steps=5))

    assert [(f.severity, f.step, f.step_range) for f in found] == [("error", 205, (200, 205))]


def test_a_slow_divergence_is_dated_to_where_it_leaves_the_level() -> None:
    """AdamW at a rate that warms up to 3, logged every 2 steps."""
    level = [1.17, 1.29, 1.58, 1.74, 1.82, 1.84, 1.86, 1.57, 1.51, 1.87]
    rise = [2.16, 2.99, 2.72, 2.56, 3.16, 3.03, 3.9, 3.79, 4.07, 5.03, 5.4, 6.05, 5.7, 5.16, 4.7, 4.85, 4.94]
    found = find("loss-divergence", make_run(loss=level + rise, logging_steps=2))

    assert [(f.severity, f.step, f.step_range) for f in found] == [("error", 22, (20, 22))]


def test_half_of_the_progress_lost_is_a_warning() -> None:
    assert severities("loss-divergence", make_run(loss=GOOD[:40] + flat(20, 1.8))) == ["warning"]


def test_a_rise_of_a_small_loss_is_a_notice() -> None:
    loss = [value / 60 for value in GOOD[:40]] + [value / 60 for value in flat(20, 6.0)]

    assert severities("loss-divergence", make_run(loss=loss)) == ["notice"]


def test_a_divergence_that_ends_in_nan_is_dated_before_it() -> None:
    found = find("loss-divergence", make_run(loss=GOOD[:40] + flat(15, 6.0) + [NAN] * 5))

    assert [(f.severity, f.step) for f in found] == [("error", 41)]


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ([1.93, 11.4175], [("warning", 2)]),
        ([1.9, 1.8, 1.7, 9.0, 9.1], [("error", 4)]),
        ([1.9, 1.8, 1.7, 9.0], [("warning", 4)]),
        ([1.9, 9.0, 1.8, 1.7], []),
        ([0.1, 0.2, 0.9, 0.8], []),
        ([1.2366, 2.028, 2.157, 1.9848, 1.7866], [("warning", 2)]),
        ([15.5, 13.0, 3.8, 2.39, 1.43, 5.82, 7.05, 10.03], [("error", 6)]),
        ([2.0, 2.6, 2.4, 2.9], []),
        ([1.0], []),
    ],
)
def test_short_logs_need_a_leap_to_three_times_all_before(loss: list[float], expected: list[tuple[str, int]]) -> None:
    """The first is gpt-neox with a master copy that was never loaded (DeepSpeed #3742).

    The two long ones were met in public: a Whisper training at a rate of 3e-3, a loop whose rate was too high.
    """
    assert [(f.severity, f.step) for f in find("loss-divergence", make_run(loss=loss))] == expected


@pytest.mark.parametrize(
    "run",
    [
        make_run(loss=GOOD),
        make_run(loss=[*GOOD[:59], 9.0]),
        make_run(loss=[1.2 + 0.003 * i for i in range(60)]),
        make_run(loss=GOOD[:40] + flat(20, 6.0), reward=GOOD),
        make_run(loss=[-value for value in GOOD]),
        make_run(loss=GOOD[:30] + flat(5, 6.0) + GOOD[35:]),
    ],
    ids=["healthy", "the last point alone", "slightly rising", "policy gradient", "negative", "recovers"],
)
def test_other_losses_do_not_diverge(run: Run) -> None:
    assert find("loss-divergence", run) == []


def test_a_loss_that_never_moves_is_a_notice_where_the_model_may_know_its_task() -> None:
    assert severities("loss-plateau", make_run(loss=flat(40), frameworks=("peft",))) == ["notice"]
    assert severities("loss-plateau", make_run(loss=flat(40))) == ["warning"]


@pytest.mark.parametrize(
    "run",
    [
        make_run(loss=GOOD),
        make_run(loss=flat(19)),
        make_run(loss=flat(40), events=[make_events("resumed")]),
        make_run(loss=flat(40, 0.05)),
        make_run(loss=flat(40) + [NAN] * 3),
        make_run(loss=[2.0] * 40),
    ],
    ids=["healthy", "short", "resumed", "small", "dead", "constant"],
)
def test_other_losses_are_no_plateau(run: Run) -> None:
    assert find("loss-plateau", run) == []


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (make_run(loss=[2.1, 1.123456789, *[1.9123456789] * 5]), ["error"]),
        (make_run(loss=[2.1, 1.123456789, *[1.9123456789] * 4]), []),
        (make_run(loss=[0.6931] * 10), ["warning"]),
        (make_run(loss=[0.6931] * 9), []),
        (make_run(loss=[11.93] * 5, grad_norm=[0.0] * 5), ["error"]),
        (make_run(loss=[1.912] * 9, precision=Precision.FOUR_DIGITS), []),
        (make_run(loss=[0.6931] * 20, learning_rate=[1e-7 * i for i in range(20)]), []),
        (make_run(loss=[0.0001] * 30), []),
        (make_run(loss=[0.5] * 30, reward=[0.5] * 30), []),
        (make_run(loss=[NAN] * 30), []),
        (make_run(loss=GOOD), []),
    ],
)
def test_a_loss_that_repeats_one_number(run: Run, expected: list[str]) -> None:
    assert severities("loss-constant", run) == expected


@pytest.mark.parametrize(
    ("level", "tail", "expected"),
    [(0.2821, [], "notice"), (0.6931, [], "warning"), (0.2821, [0.31], "warning"), (2.0, [], "warning")],
    ids=["converged", "guesses", "all at once", "learned nothing"],
)
def test_a_loss_that_comes_to_rest_within_its_digits_is_a_notice(
    level: float, tail: list[float], expected: str
) -> None:
    fallen = [round(level + 0.4 * 0.85**n, 4) for n in range(50)]

    assert severities("loss-constant", make_run(loss=[*fallen, *tail, *[level] * 12])) == [expected]


def test_results_of_other_models_between_the_evaluations_are_no_gap() -> None:
    """A search of architectures prints a table of them after each epoch: the same four losses, of four data sets."""
    tables = [[0.473, 0.307, 1.261, 2.303]] * 52 + [[0.9, 0.8, 1.5, 2.7]] * 8
    mixed = [value for n, table in enumerate(tables) for value in (0.5 + 0.8 * 0.9**n, *table)]
    own = [0.5 + 0.8 * 0.9**n if n < 150 else 0.5 + 0.01 * (n - 150) for n in range(250)]

    assert severities("eval-gap", make_run(loss=falling(300), eval_loss=mixed)) == []
    assert severities("eval-gap", make_run(loss=falling(250), eval_loss=own)) == ["warning"]


UNIFORM = math.log(256)


def test_a_loss_that_collapses_to_uniform_guessing_is_an_error() -> None:
    loss = [*falling(20, 4.0, 2.0), *[UNIFORM] * 5]
    found = find("loss-uniform", make_run(loss=loss, settings={"model.vocab_size": 256}))

    assert [(f.severity, f.step, f.step_range) for f in found] == [("error", 21, (20, 21))]


def test_uniform_guessing_without_a_gradient_is_an_error() -> None:
    run = make_run(loss=[11.93] * 3, grad_norm=[0.0] * 3, settings={"model.vocab_size": 151936})

    assert severities("loss-uniform", run) == ["error"]


def test_a_loss_that_never_leaves_uniform_guessing_is_an_error() -> None:
    """The base model was not loaded; the loss is (T-1)/T of the logarithm for short sequences."""
    settings = {"model.vocab_size": 64}
    stuck = make_run(loss=flat(40, 4.0, 0.004), settings=settings)
    warming = make_run(loss=flat(40, 4.0, 0.004), learning_rate=[1e-7 * i for i in range(40)], settings=settings)

    assert [(f.severity, f.step, f.step_range) for f in find("loss-uniform", stuck)] == [("error", 1, (0, 1))]
    assert find("loss-uniform", warming) == []
    assert find("loss-uniform", make_run(loss=flat(19, 4.0, 0.004), settings=settings)) == []
    assert find("loss-uniform", make_run(loss=[4.02 - 0.001 * i for i in range(40)], settings=settings)) == []


def test_training_from_scratch_begins_there() -> None:
    settings = {"model.vocab_size": 256}

    assert severities("loss-uniform", make_run(loss=[5.55, 5.54, 5.53, 5.51], settings=settings)) == ["notice"]
    assert severities("loss-uniform", make_run(loss=[5.55, 5.2, 4.9, 4.4], settings=settings)) == []
    assert severities("loss-uniform", make_run(loss=[5.55] * 4)) == []
    assert severities("loss-uniform", make_run(loss=[5.55] * 4, settings={"model.vocab_size": 2})) == []


@pytest.mark.parametrize(
    ("accumulation", "ratio", "evaluations", "expected"),
    [
        (8, 8.2, 2, ["error"]),
        (8, 8.2, 1, []),
        (8, 6.0, 3, []),
        (8, 1.0, 3, []),
        (2, 2.05, 3, ["warning"]),
        (2, 2.05, 2, []),
        (2, 2.2, 3, []),
        (1, 1.0, 3, []),
    ],
)
def test_a_loss_that_is_a_sum_over_micro_steps(
    accumulation: int, ratio: float, evaluations: int, expected: list[str]
) -> None:
    evals = falling(evaluations)
    run = make_run(
        loss=[ratio * value for value in evals],
        eval_loss=evals,
        settings={"gradient_accumulation_steps": accumulation},
    )

    assert severities("loss-scale-wrong", run) == expected


def test_an_unrecorded_accumulation_is_guessed_from_three_evaluations() -> None:
    """The training loss since the evaluation before counts, not its last entry alone."""
    loss, evals = [9.3, 9.0, 7.6, 8.8, 7.9, 7.6, 9.9, 7.8, 7.6], [1.1, 1.12, 1.1]
    steps = {"eval_loss": [3, 6, 9]}

    assert severities("loss-scale-wrong", make_run(loss=loss, eval_loss=evals, steps=steps)) == ["warning"]
    assert severities("loss-scale-wrong", make_run(loss=loss, eval_loss=evals[:2], steps={"eval_loss": [3, 9]})) == []
    assert severities("loss-scale-wrong", make_run(loss=GOOD[:9], eval_loss=evals, steps=steps)) == []
    assert severities("loss-scale-wrong", make_run(loss=[1e-300] * 9, eval_loss=[1e30] * 3, steps=steps)) == []
    assert severities("loss-scale-wrong", make_run(loss=loss, eval_loss=[1.1, NAN, 1.1], steps=steps)) == []


def test_a_first_loss_far_above_uniform_guessing_is_a_sum() -> None:
    """transformers #37197: gemma3 with an accumulation of 4."""
    settings = {"gradient_accumulation_steps": 8, "model.vocab_size": 32000}

    assert severities("loss-scale-wrong", make_run(loss=[20.1, 18.0], settings=settings)) == ["warning"]
    assert severities("loss-scale-wrong", make_run(loss=[10.1, 9.0], settings=settings)) == []
    assert severities("loss-scale-wrong", make_run(loss=[NAN, 9.0], settings=settings)) == []


@pytest.mark.parametrize(
    ("evals", "expected"),
    [
        ([1.0, 0.8, 0.9, 1.0, 1.1, 1.2], [("warning", 3, (2, 3))]),
        ([1.0, 0.8, 0.9, 0.97, 0.98, 0.99], [("notice", 3, (2, 3))]),
        ([0.2547, 0.2882, 0.3755], [("warning", 2, (1, 2))]),
        ([0.3075, 0.38, 0.452, 0.451, 0.4679], [("warning", 2, (1, 2))]),
        ([0.5, 1.1], [("warning", 2, (1, 2))]),
        ([1.4, 1.6, 2.0, 2.9, 3.1, 3.2], [("warning", 2, (1, 2))]),
        ([0.014, 0.016, 0.02, 0.029, 0.031, 0.032], [("notice", 2, (1, 2))]),
    ],
    ids=["by half", "by a quarter", "three of them", "a third more", "the second one", "twice", "small"],
)
def test_an_evaluation_that_gets_worse_and_worse(evals: list[float], expected: list[tuple[str, int, object]]) -> None:
    """The third and the fourth were met in public: a classifier of three epochs, a Whisper training."""
    found = find("eval-gap", make_run(loss=GOOD, eval_loss=evals))

    assert [(f.severity, f.step, f.step_range) for f in found] == expected


def test_batches_of_an_evaluation_are_no_evaluations() -> None:
    """A loop that prints each tenth batch of its test set: the entries scatter, their level falls."""
    scatter = [1.0 + 3.0 * (i % 5 == 0) for i in range(200)]

    assert find("eval-gap", make_run(loss=GOOD, eval_loss=scatter)) == []
    assert severities("eval-gap", make_run(loss=GOOD, eval_loss=[x * (1 + i / 100) for i, x in enumerate(scatter)]))


@pytest.mark.parametrize(
    "evals",
    [[1.0, 0.9, 0.8, 0.7], [1.0, 0.8, 1.2], [1.0, 0.8, 1.2, 0.9, 1.2], [0.5, 0.9], [0.009, 0.02, 0.05], [NAN] * 5],
)
def test_other_evaluations_show_no_gap(evals: list[float]) -> None:
    assert find("eval-gap", make_run(loss=GOOD, eval_loss=evals)) == []


def test_a_nan_evaluation_is_judged_by_the_training_loss() -> None:
    steps = {"eval_loss": [20, 40, 60]}
    beside = make_run(loss=GOOD, eval_loss=[1.0, NAN, NAN], steps=steps)
    with_it = make_run(loss=GOOD[:35] + [0.0] * 25, eval_loss=[1.0, INF, NAN], steps=steps)
    healed = make_run(loss=GOOD, eval_loss=[1.0, NAN, 1.0], steps=steps)
    found = find("eval-nan", with_it)

    assert severities("eval-nan", beside) == ["warning"]
    assert [(f.severity, f.step, f.step_range) for f in found] == [("error", 40, (34, 36))]
    assert [(f.severity, f.until) for f in find("eval-nan", healed)] == [("notice", 40)]
    assert find("eval-nan", make_run(loss=GOOD, eval_loss=[1.0])) == []


def test_every_evaluation_set_is_looked_at() -> None:
    run = make_run(loss=GOOD, eval_wiki_loss=[NAN], eval_code_loss=[1.0])

    assert ["eval_wiki_loss" in f.statement for f in find("eval-nan", run)] == [True]


HEALTHY = {
    "fine-tuning": make_run(loss=GOOD, grad_norm=norms(60), learning_rate=linear(60)),
    "printed with four digits": make_run(
        loss=GOOD, grad_norm=norms(60), learning_rate=linear(60), precision=Precision.FOUR_DIGITS
    ),
    "old versions": make_run(loss=GOOD, learning_rate=linear(60), logging_steps=500),
    "two entries": make_run(loss=[1.4, 1.2], grad_norm=[1.0, 2.0], learning_rate=[0.0, 1e-5]),
    "evaluations only": make_run(eval_loss=[0.7, 0.6, 0.65]),
    "noisy": make_run(loss=falling(25, noise=0.5), grad_norm=norms(25), learning_rate=linear(25)),
    "cosine restarts": make_run(
        loss=GOOD, learning_rate=[1e-5 * (1 + math.cos(math.pi * (i % 20) / 20)) for i in range(60)]
    ),
    "constant rate": make_run(loss=GOOD, grad_norm=norms(60), learning_rate=[1e-5] * 60),
    "DPO": make_run(loss=[0.6931, 0.6931, 0.69, *falling(20, 0.6, 0.1)], grad_norm=norms(23)),
    "GRPO": make_run(loss=[0.0, 0.0001, 0.0, -0.0002] * 5, grad_norm=[0.2, 0.0, 0.1, 0.3] * 5, reward=[0.5] * 20),
    "converging to nothing": make_run(
        loss=[2 * math.exp(-i / 6) for i in range(60)],
        grad_norm=[math.exp(-i / 6) * (30 if i == 50 else 1) for i in range(60)],
        learning_rate=linear(60),
    ),
    "norm is not reported": make_run(loss=GOOD, grad_norm=[0.0] * 60, learning_rate=linear(60)),
    "norm after clipping": make_run(loss=GOOD, grad_norm=[1.0] * 60, learning_rate=linear(60)),
    "skipped fp16 steps": make_run(
        loss=GOOD,
        grad_norm=[NAN if i in {0, 1, 33} else 0.5 + i / 100 for i in range(60)],
        events=[make_events("overflow", [1, 2, 34], [65536.0, 32768.0, 16384.0])],
    ),
    "first overflow skips": make_run(
        loss=GOOD, events=[make_events("overflow", list(range(1, 17)), [2.0 ** (16 - i) for i in range(16)])]
    ),
    "summary beside": make_run(loss=GOOD, train_loss=[1.1], steps={"train_loss": [60]}),
    "auxiliary losses": make_run(loss=GOOD, aux_loss=[0.0] * 60, router_z_loss=[NAN] * 60),
    "checkpoints": make_run(loss=GOOD, checkpoints=[make_checkpoint(s, make_table(same=8)) for s in (20, 40)]),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_run_raises_no_alarm(name: str) -> None:
    assert alarms(HEALTHY[name]) == []
