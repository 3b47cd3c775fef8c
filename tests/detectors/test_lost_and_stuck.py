"""What was learned and is lost, what never moves, and what begins again without a word."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from detectors.detecting import find, severities
from forensics.model import Run, Segment
from forensics.testing import make_run


def line(start: float, end: float, size: int = 40, noise: float = 0.0) -> list[float]:
    scatter = np.random.default_rng(2).normal(0, noise, size)
    return [float(x) for x in np.linspace(start, end, size) * (1 + scatter)]


def falling(start: float, end: float, size: int) -> list[float]:
    return [float(end + (start - end) * np.exp(-3 * i / size)) for i in range(size)]


def named(name: str, values: list[float], **more: Any) -> Run:
    """Return a run with a metric whose name is no Python one."""
    run = make_run(metric=values, **more)
    series = {name if key == "metric" else key: s for key, s in run.timeline.series.items()}
    series[name] = replace(series[name], name=name)
    return replace(run, timeline=replace(run.timeline, series=series))


def test_a_curve_that_begins_again_without_a_word() -> None:
    found = find("resume-jump", make_run(loss=[*falling(6.0, 2.1, 70), *falling(6.0, 2.1, 70)]))

    assert [(f.severity, f.step, f.step_range) for f in found] == [("warning", 71, (70, 71))]


@pytest.mark.parametrize(
    "loss",
    [
        [*falling(6.0, 2.1, 70), *falling(5.0, 2.0, 70)],  # a harder stage
        [*falling(6.0, 2.1, 70), *line(6.0, 5.9, 70)],  # a divergence: it does not fall again
        [*falling(6.0, 4.9, 70), *falling(6.0, 4.9, 70)],  # nothing was gained
        [*falling(6.0, 2.1, 15), *falling(6.0, 2.1, 15)],
        [*falling(6.0, -0.5, 70), *falling(6.0, -0.5, 70)],
        [*falling(6.0, 2.1, 70), 6.0, *falling(2.1, 1.9, 70)],  # a spike
    ],
)
def test_other_leaps_are_no_second_beginning(loss: list[float]) -> None:
    assert find("resume-jump", make_run(loss=loss)) == []


def test_a_second_segment_is_a_restart_that_is_told() -> None:
    twice = [*falling(6.0, 2.1, 70), *falling(6.0, 2.1, 70)]
    told = make_run(loss=twice)
    told = replace(told, timeline=replace(told.timeline, segments=(Segment(1, 70), Segment(71, 140))))

    assert ["is back at" in f.statement for f in find("resume-jump", told)] == [True]


def test_a_perplexity_stands_in_for_the_evaluation_loss() -> None:
    perplexity = [*falling(380.0, 92.0, 8), *line(95.0, 410.0, 17)]

    assert severities("eval-gap", named("valid ppl", perplexity)) == ["warning"]
    assert severities("eval-gap", named("valid ppl", perplexity, eval_loss=line(2.0, 1.0, 25))) == []
    assert severities("eval-gap", named("train ppl", perplexity)) == []
    adversaries = {"d_loss": line(1.3, 1.3), "g_loss": line(0.7, 0.7)}
    assert severities("eval-gap", named("valid ppl", perplexity, **adversaries)) == []


def test_an_accuracy_that_is_lost_again() -> None:
    back = [*line(0.6, 0.91, 15), *line(0.9, 0.52, 15)]
    found = find("eval-gap", named("val_accuracy", back))

    assert [f.severity for f in found] == ["warning"]
    assert "val_accuracy was best with 0.91 at step 15" in found[0].statement
    for name, values in (
        ("val_accuracy", [*line(0.6, 0.91, 15), *line(0.9, 0.85, 15)]),
        ("val_accuracy_of_class_7", back),
        ("accuracy", back),
        ("val_accuracy", [0.6, 0.9, 0.5, 0.52, 0.5]),
        ("val_accuracy", [*line(0.6, 0.8, 28), 0.91, 0.4]),  # the last ones may be noise
    ):
        assert find("eval-gap", named(name, values)) == []


@pytest.mark.parametrize(
    ("name", "value", "count", "expected"),
    [
        ("wer", 100.0, 12, ["warning"]),
        ("dev wer", 1.0, 12, ["warning"]),
        ("wer", 0.5, 12, []),
        ("wer", 1.0, 9, []),
        ("val_f1", 0.0, 12, ["warning"]),
        ("eval_macro_f1", 0.0, 12, ["warning"]),
        ("eval_class7_f1", 0.0, 12, []),
        ("val_f1", 0.3, 12, []),
        ("train_f1", 0.0, 12, []),
    ],
)
def test_a_metric_that_is_at_its_worst_throughout(name: str, value: float, count: int, expected: list[str]) -> None:
    assert severities("loss-plateau", named(name, [value] * count, loss=line(3.0, 1.0))) == expected


def test_the_same_losses_over_and_over() -> None:
    """Weights that do not move, and batches that come again."""
    cycle = [2.113, 2.301, 1.954, 2.207, 2.19, 2.05, 2.33, 2.118]

    assert severities("loss-plateau", make_run(loss=cycle * 4)) == ["warning"]
    assert "warning" not in severities("loss-plateau", make_run(loss=cycle * 2))
    assert "warning" not in severities("loss-plateau", make_run(loss=[*cycle * 3, *(x - 0.001 for x in cycle)]))
    assert "warning" not in severities("loss-plateau", make_run(loss=[*cycle[:2] * 16, 2.5]))


def test_one_evaluation_beside_a_flat_loss_that_is_a_multiple() -> None:
    loss = [19.0, 17.5, 16.0, 14.5, 13.5, 12.9, *line(11.9, 11.8, 14)]
    found = find("loss-scale-wrong", make_run(loss=loss, eval_loss=[1.48], steps={"eval_loss": [20]}))

    assert [f.severity for f in found] == ["warning"]
    for other, evaluation in ((loss, 2.1), (loss, 5.9), ([x / 4 for x in loss], 0.37), (line(19.0, 11.8, 20), 1.48)):
        assert find("loss-scale-wrong", make_run(loss=other, eval_loss=[evaluation], steps={"eval_loss": [20]})) == []


def test_one_expert_has_all_the_work() -> None:
    falls = line(9.5, 6.6, 60)

    assert severities("loss-divergence", make_run(loss=falls, load_balancing_loss=line(1.01, 7.9, 60))) == ["warning"]
    assert severities("loss-divergence", make_run(loss=falls, load_balancing_loss=line(1.01, 1.3, 60))) == []
    assert severities("loss-divergence", make_run(loss=falls, kl_loss=line(1.01, 7.9, 60))) == []


def test_a_policy_that_no_update_moves() -> None:
    still, stands = [0.0] * 50, line(-140.0, -140.0, 50, 0.03)

    assert severities("reward-collapse", make_run(approx_kl=still, ep_rew_mean=stands)) == ["warning"]
    assert severities("reward-collapse", make_run(approx_kl=still, ep_rew_mean=line(-140.0, -20.0, 50))) == []
    assert severities("reward-collapse", make_run(approx_kl=[*still, 0.01], ep_rew_mean=stands)) == []
    assert severities("reward-collapse", make_run(approx_kl=still, policy_loss=still)) == []


def test_spikes_that_come_again_and_again() -> None:
    """Adam at a rate of 3: 2.5 between 50 and 220."""
    level = line(2.5, 2.5, 40, 0.03)
    spiked = [*level[:20], 104.0, 224.0, 130.0, *level[:6], 83.0, *level[:10]]

    assert severities("loss-spike", make_run(loss=spiked)) == ["warning"]
    assert severities("loss-spike", make_run(loss=[x / 1000 for x in spiked])) == ["notice"]
    assert severities("loss-spike", make_run(loss=[*level[:20], 104.0, *level[:20]])) == ["notice"]


def test_an_evaluation_that_is_one_number_while_the_training_loss_falls() -> None:
    """Another copy of the model is evaluated than the one that is trained."""
    same, falls = [2.3457] * 10, line(2.5, 0.6, 50)

    assert severities("loss-plateau", make_run(loss=falls, eval_loss=same)) == ["warning"]
    assert severities("loss-plateau", make_run(loss=falls, eval_loss=same[:4])) == []
    assert severities("loss-plateau", make_run(loss=falls, eval_loss=[*same, 2.3458])) == []
    beside = find("loss-plateau", make_run(loss=line(2.5, 2.45, 50, 0.05), eval_loss=same))
    assert [f.statement.partition(":")[0] for f in beside] == ["nothing is learned"]


def test_a_word_error_rate_that_rises() -> None:
    rates = [*line(60.0, 22.0, 6), *line(24.0, 79.0, 14)]

    assert severities("eval-gap", named("dev wer", rates, loss=line(2.0, 0.1, 20))) == ["warning"]
    assert severities("eval-gap", named("dev wer", rates, eval_loss=line(2.0, 1.0, 20))) == ["warning"]
    assert severities("eval-gap", named("dev wer", line(60.0, 22.0, 20), loss=line(2.0, 0.1, 20))) == []


def test_an_accuracy_that_stands_while_the_training_loss_is_gone() -> None:
    chance, gone = line(0.1, 0.1, 30, 0.05), line(2.3, 0.1, 30)
    found = find("eval-gap", named("val_acc", chance, loss=gone))

    assert [f.severity for f in found] == ["warning"]
    assert found[0].statement.startswith("val_acc stands at 0.1001 in 30 evaluations")
    for values, loss in (
        (chance, line(2.3, 1.0, 30)),
        (line(0.94, 0.94, 30, 0.01), gone),  # at its ceiling
        (line(0.1, 0.3, 30), gone),
        (chance[:7], gone),
        (chance, gone[:7]),
    ):
        assert find("eval-gap", named("val_acc", values, loss=loss)) == []


def test_a_rate_below_nothing() -> None:
    found = find("lr-zero", make_run(loss=line(3.0, 1.0, 30), learning_rate=line(1e-3, -5e-4, 30)))

    assert [(f.severity, f.step) for f in found] == [("warning", 21)]


def test_one_task_of_two_is_lost_while_the_sum_falls() -> None:
    sums, lost = line(9.0, 4.5, 80), [*line(1.0, 0.5, 30), *line(0.5, 4.1, 50)]

    assert severities("loss-divergence", make_run(loss=sums, depth_loss=lost)) == ["warning"]
    assert severities("loss-divergence", make_run(loss=sums, kl_loss=lost)) == []
    assert severities("loss-divergence", make_run(loss=sums, val_depth_loss=lost)) == []
    assert severities("loss-divergence", make_run(loss=sums, depth_loss=[*lost[:30], *line(0.5, 0.9, 50)])) == []
    assert severities("loss-divergence", make_run(loss=sums, depth_loss=lost, d_loss=lost)) == []


def test_the_scores_of_a_detector_of_objects() -> None:
    assert severities("loss-plateau", named("metrics/mAP50(B)", [0.0] * 12)) == ["warning"]
    assert severities("loss-plateau", named("metrics/mAP50(B)", [*[0.0] * 11, 0.1])) == []
    not_evaluated = named("metrics/mAP50(B)", [0.0] * 12, val_box_loss=[0.0] * 12)
    assert severities("loss-plateau", not_evaluated) == []
