"""A loss that never moved: what tells a model that guesses from one that has nothing left to learn."""

from dataclasses import replace

import numpy as np
import pytest

from detectors.detecting import find, severities
from forensics.diagnosis.headline import verdict_of
from forensics.model import Finding, Run, Scalar, Segment
from forensics.testing import make_events, make_run


def around(level: float, size: int = 12, noise: float = 0.002) -> list[float]:
    """Return a curve without a trend that scatters by a share of its level."""
    return [float(x) for x in level * (1 + np.random.default_rng(5).normal(0, noise, size))]


def plateau(run: Run) -> list[str]:
    return severities("loss-plateau", run)


@pytest.mark.parametrize("choices", [2, 3, 4, 6, 10, 16, 32, 4096])
def test_a_quiet_loss_at_the_logarithm_of_a_number_of_choices_guesses(choices: int) -> None:
    found = find("loss-plateau", make_run(loss=around(float(np.log(choices)))))

    assert [f.severity for f in found] == ["warning"]
    assert f"ln({choices:,})" in found[0].statement


@pytest.mark.parametrize(
    "loss",
    [
        around(0.693, noise=0.015),  # noisier than guessing
        around(0.693)[:4],
        [float(x) for x in np.linspace(0.693, 0.684, 12)],  # moves, however slowly
    ],
    ids=["noisy", "few", "moves"],
)
def test_other_quiet_losses_are_no_alarm(loss: list[float]) -> None:
    assert "warning" not in plateau(make_run(loss=loss))


def test_pairs_and_losses_in_balance_begin_at_the_logarithm_of_two() -> None:
    still = around(0.693)
    paired = make_run(loss=still, margins=around(0.01))
    series = {**paired.timeline.series, "rewards/margins": paired.timeline["margins"]}
    paired = replace(paired, timeline=replace(paired.timeline, series=series))

    assert "warning" not in plateau(paired)
    assert "warning" not in plateau(make_run(loss=still, d_loss=still, g_loss=still))


def test_a_warm_up_that_goes_on_has_yet_to_show_something() -> None:
    rising = [1e-6 * (i + 1) for i in range(12)]

    assert plateau(make_run(loss=around(0.693), learning_rate=rising)) == ["notice"]
    assert plateau(make_run(loss=around(0.693), learning_rate=rising[::-1])) == ["warning"]
    assert plateau(make_run(loss=around(4.01), learning_rate=rising)) == ["notice"]


def test_an_excerpt_must_stand_at_the_very_logarithm() -> None:
    """1.3863 in 30 entries that begin at step 5000; a little away from it the drop may lie before."""
    assert plateau(make_run(loss=around(1.38629, 30, 1e-4), first_step=5000)) == ["warning"]
    assert plateau(make_run(loss=around(1.392, 30, 1e-4), first_step=5000)) == ["notice"]


def test_quiet_and_high_is_no_model_that_knows_a_language() -> None:
    """A clip of 1e-6 under SGD: 4.009 to 4.026 in 16 entries, gradient norms of 1.4."""
    assert plateau(make_run(loss=around(4.02, 16))) == ["warning"]
    assert plateau(make_run(loss=[x - 0.004 * i for i, x in enumerate(around(4.02, 16))])) == ["notice"]  # it falls
    assert plateau(make_run(loss=around(4.02, 16, 0.02))) == []
    assert plateau(make_run(loss=around(2.35, 16), frameworks=("peft",))) == ["notice"]


def test_a_model_that_knew_nothing_and_learned_nothing() -> None:
    """The optimizer had the parameters of another model: 2.33 in 40 entries, from the first one on."""
    still = around(2.33, 40, 0.004)

    assert plateau(make_run(loss=still)) == ["warning"]
    assert plateau(make_run(loss=[x * (1 - 0.0004 * i) for i, x in enumerate(still)])) == ["notice"]  # it falls
    assert plateau(make_run(loss=around(2.33, 40, 0.02))) == ["notice"]
    assert plateau(make_run(loss=[2.6, 2.5, *still])) == ["notice"]  # it came down, and that may be all
    assert plateau(make_run(loss=still, frameworks=("transformers",))) == ["notice"]
    assert plateau(make_run(loss=still, first_step=9000)) == ["notice"]
    assert plateau(make_run(loss=still, eval_accuracy=[0.1, 0.4])) == ["notice"]
    assert plateau(make_run(loss=still, d_loss=still, g_loss=still)) == ["notice"]


def test_an_evaluation_that_stands_at_guessing_while_the_training_loss_falls() -> None:
    """Shuffled labels of six classes: 1.82 to 1.70 in training, 1.79 in every evaluation."""
    run = make_run(loss=[float(x) for x in np.linspace(1.82, 1.70, 30)], eval_loss=around(1.79, 30, 0.001))
    found = find("loss-plateau", run)

    assert [f.severity for f in found] == ["warning"]
    assert found[0].statement.startswith("the evaluation loss does not learn")
    assert plateau(make_run(loss=[float(x) for x in np.linspace(1.82, 1.70, 30)], eval_loss=around(1.3, 30))) == []


def test_a_second_attempt_in_one_log_is_no_resume() -> None:
    resumed = make_run(loss=around(0.6931, 28), events=[make_events("resumed")])
    twice = replace(resumed, timeline=replace(resumed.timeline, segments=(Segment(1, 14), Segment(15, 28))))

    assert plateau(resumed) == []
    assert plateau(twice) == ["warning"]


def test_a_regression_head_has_no_logarithm_of_a_vocabulary() -> None:
    """A protein model of 33 tokens whose head was replaced by one number: a mean square error of 25."""
    settings: dict[str, Scalar] = {"model.architectures": "EsmForMaskedLM", "model.vocab_size": 33}
    loss = around(25.0, 20, 0.2)
    one: dict[str, Scalar] = {"model.id2label.0": "LABEL_0"}
    three: dict[str, Scalar] = {f"model.id2label.{i}": f"LABEL_{i}" for i in range(3)}

    assert severities("loss-above-uniform", make_run(loss=loss, settings=settings | one)) == []
    assert severities("loss-above-uniform", make_run(loss=loss, settings=settings | three)) == ["warning"]


def test_a_quiet_loss_that_never_moved_is_not_healthy_whatever_framework_ran() -> None:
    """At 2.35 it may be one that had little left to learn: neither healthy nor an alarm."""
    run = make_run(loss=around(2.35, 16), frameworks=("transformers",))
    found: list[Finding] = find("loss-plateau", run)

    assert verdict_of(run, found) == "unknown"
    noisy = make_run(loss=around(2.35, 20, 0.012), frameworks=("transformers",))
    assert verdict_of(noisy, find("loss-plateau", noisy)) == "healthy"
