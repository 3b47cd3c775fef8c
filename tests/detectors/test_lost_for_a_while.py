"""What was lost for a good part of a run though it came back, and what only looks lost."""

from dataclasses import replace

import numpy as np
import pytest

from detectors.detecting import alarms, find, severities
from forensics.model import Run
from forensics.testing import make_run


def jumping(level: float, count: int, width: float, seed: int = 3) -> list[float]:
    """Return entries that jump about a level by a share of it."""
    noise = np.random.default_rng(seed).normal(0.0, width, count)
    return [float(level * np.exp(n)) for n in noise]


def falling(start: float, end: float, size: int, width: float = 0.01) -> list[float]:
    noise = np.random.default_rng(5).normal(1.0, width, size)
    return [float(x) for x in np.geomspace(start, end, size) * noise]


HOT = [8.9, 3.4, *jumping(5.6, 24, 0.05), *falling(5.0, 2.2, 24)]
"""A level that one entry shows; the rate that lost it is small again at the end."""
BLOWN_UP = [*falling(10.4, 5.2, 30), *jumping(38.0, 60, 0.4), *falling(20.0, 4.1, 60)]


def test_a_level_that_is_lost_for_half_the_run_is_told_though_it_comes_back() -> None:
    found = find("loss-divergence", make_run(loss=BLOWN_UP, logging_steps=10))

    assert [(f.severity, f.step) for f in found] == [("error", 310)]
    assert "stays there for a good part of the run" in found[0].statement


def test_an_evaluation_confirms_a_level_that_one_entry_shows() -> None:
    alone, confirmed = make_run(loss=HOT), make_run(loss=HOT, eval_loss=[x * 1.01 for x in HOT])

    assert find("loss-divergence", alone) == []
    assert [(f.severity, f.step_range) for f in find("loss-divergence", confirmed)] == [("warning", (2, 3))]


@pytest.mark.parametrize("times", [2.2, 3.0])
def test_a_tenth_of_the_run_is_enough_where_the_loss_doubles(times: float) -> None:
    lost = [*falling(6.0, 2.0, 60), *jumping(2.0 * times, 14, 0.03), *falling(1.9, 1.6, 40)]

    assert severities("loss-divergence", make_run(loss=lost)) == ["warning"]


@pytest.mark.parametrize(
    "loss",
    [
        [*falling(6.0, 2.0, 60), *jumping(4.4, 8, 0.03), *falling(1.9, 1.6, 40)],  # not for long
        [*falling(6.0, 2.0, 30), *falling(5.0, 1.9, 40), *falling(1.9, 1.6, 10)],  # another task, learned at once
        [*falling(0.6, 0.2, 30), *jumping(0.38, 40, 0.03), *falling(0.2, 0.1, 30)],  # less than half of what was won
        [*falling(6.0, 3.0, 30), *jumping(3.9, 40, 0.03), *falling(3.0, 2.5, 30)],  # a third more
        jumping(2.0, 100, 0.5),
        [*falling(6.0, 2.0, 8), *jumping(8.0, 5, 0.03), *falling(2.0, 1.6, 8)],  # five entries
    ],
    ids=["short", "other data", "less than half", "a third", "noise", "few"],
)
def test_what_is_lost_for_a_moment_or_by_little_is_none(loss: list[float]) -> None:
    assert find("loss-divergence", make_run(loss=loss, eval_loss=loss[:1])) == []


def test_of_two_adversaries_one_may_lose_for_long() -> None:
    assert find("loss-divergence", make_run(loss=BLOWN_UP, d_loss=[0.5] * 150)) == []


@pytest.mark.parametrize("losses", [[7e29, 3e29, 2e29, 2e29, 1e29], [4e21] * 3, jumping(1e25, 40, 0.5)])
def test_losses_beyond_all_units_from_the_first_entry_on_are_an_error(losses: list[float]) -> None:
    found = find("loss-divergence", make_run(loss=losses))

    assert [(f.severity, f.step) for f in found] == [("error", 1)]


@pytest.mark.parametrize("losses", [[7e14, 3e14, 2e14], [7e29, 3e29], [4e21, 3e12, 2e5, 1e3]])
def test_large_units_are_no_divergence(losses: list[float]) -> None:
    assert find("loss-divergence", make_run(loss=losses)) == []


def summed(parts: list[float]) -> list[float]:
    return [float(x) for x in np.cumsum(parts)]


@pytest.mark.parametrize(
    "parts",
    [
        [2e5 / (1 + 0.3 * i) for i in range(15)],
        [900.0 * 0.9**i for i in range(6)],
        [5e4 * (0.4 + 0.6 * float(np.exp(-i / 4))) for i in range(60)],
    ],
)
def test_a_sum_since_the_beginning_does_not_diverge(parts: list[float]) -> None:
    assert alarms(make_run(loss=summed(parts))) == []


@pytest.mark.parametrize(
    "loss",
    [
        summed([200.0 * 1.3**i for i in range(10)]),  # the parts grow
        summed([2.0, 1.5, 1.2, 1.0, 0.9, 0.8, 0.7, 0.7, 0.6, 0.6]),  # no sum of many examples
        [500.0, 900.0, 850.0, 1200.0, 1500.0, 1800.0, 2100.0, 2500.0, 2900.0, 3300.0],  # it falls once
        summed([500.0, *([400.0 * 0.5**i for i in range(14)])]),  # it comes to rest
    ],
)
def test_a_loss_that_rises_otherwise_diverges(loss: list[float]) -> None:
    assert severities("loss-divergence", make_run(loss=loss)) != []


def test_the_scale_of_a_loss_is_no_loss() -> None:
    scale = [1.0, 2.0, 4.0, *([64.0] * 40)]
    run = make_run(loss=falling(9.0, 3.0, 43), loss_scale=scale)
    spelled = {name.replace("_", "/") if name == "loss_scale" else name: s for name, s in run.timeline.series.items()}
    spelled["loss/scale"] = replace(spelled["loss/scale"], name="loss/scale")

    assert find("loss-divergence", run) == []
    assert find("loss-divergence", replace(run, timeline=replace(run.timeline, series=spelled))) == []


def again(faster: float, first: float = 1.0) -> Run:
    """Return a curve that begins again after 40 entries, at a share of its first level, and falls faster then."""
    once = [float(2.0 + 3.0 * np.exp(-3 * i / 40)) for i in range(40)]
    twice = [float(2.0 + 3.0 * np.exp(-3 * faster * i / 40)) * first for i in range(40)]
    return make_run(loss=[*once, *twice], logging_steps=10)


def test_a_second_beginning_may_fall_faster_than_the_first() -> None:
    found = find("resume-jump", again(1.6))

    assert [(f.severity, f.step_range) for f in found] == [("warning", (400, 410))]


@pytest.mark.parametrize("run", [again(12.0), again(1.6, 1.35)], ids=["back at once", "higher than at first"])
def test_a_leap_that_is_back_at_once_is_no_second_beginning(run: Run) -> None:
    assert find("resume-jump", run) == []


TINY = [0.0042, 0.0031, 0.0022, 0.0017, 0.0014]


@pytest.mark.parametrize("after", [[0.0018, 0.0042, 0.0028, 0.0081, 0.044], [0.003, 0.02, 0.05], [0.9, 1.0, 1.2, 1.1]])
def test_evaluations_that_were_next_to_nothing_and_end_at_a_multiple_are_a_warning(after: list[float]) -> None:
    run = make_run(loss=falling(0.03, 0.001, 15), eval_loss=[*TINY, *after])

    assert severities("eval-gap", run) == ["warning"]


@pytest.mark.parametrize(
    "after",
    [[0.0018, 0.0042, 0.0028, 0.0081], [0.0016, 0.0018, 0.044], [0.05, 0.06], [0.003, 0.004, 0.0015, 0.0016]],
    ids=["still small", "only the last", "two", "back"],
)
def test_a_small_evaluation_loss_that_wobbles_is_none(after: list[float]) -> None:
    assert find("eval-gap", make_run(loss=falling(0.03, 0.001, 15), eval_loss=[*TINY, *after])) == []


def creeping(end: float, training: float, size: int = 22) -> Run:
    evaluated = [1.12, 1.10, 1.08, *np.linspace(1.075, end, size - 3)]
    return make_run(loss=falling(1.13, training, size, 0.0), eval_loss=[float(x) for x in evaluated], logging_steps=50)


def test_evaluations_that_creep_far_up_are_overfit_before_the_training_loss_is_halved() -> None:
    assert severities("eval-gap", creeping(1.29, 0.62)) == ["warning"]


@pytest.mark.parametrize(("end", "training"), [(1.29, 0.95), (1.12, 0.62), (1.06, 0.5)])
def test_evaluations_that_creep_little_are_no_warning(end: float, training: float) -> None:
    assert "warning" not in severities("eval-gap", creeping(end, training))


def test_a_few_batches_of_a_text_that_repeats_itself_are_no_level() -> None:
    """`log.txt` of a GPT, an entry a step: 11.2 to 3.8, five steps in between at 1 (held-out set of contact)."""
    loss = 3.7 + 7.0 * np.exp(-np.arange(20000) / 900) + np.random.default_rng(5).normal(0, 0.2, 20000)
    loss[11000:11006] = 1.0

    assert find("loss-divergence", make_run(loss=loss.tolist())) == []
    loss[6000:9000] = 1.5
    assert [f.severity for f in find("loss-divergence", make_run(loss=loss.tolist()))] != []
