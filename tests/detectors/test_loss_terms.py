"""loss-term-nan, short logs that only rise or end with a zero, and a gradient of 0 beside rewards that differ."""

import json
from pathlib import Path
from typing import Any

import pytest

from detectors.detecting import find, severities
from forensics.investigate import investigate
from forensics.testing import make_run

NAN = float("nan")


def test_a_critic_that_is_nan_beside_a_sound_actor_is_an_error() -> None:
    """The losses of verl's actor and critic have no common name; the critic's NaN is told with its name."""
    losses: dict[str, Any] = {"actor/pg_loss": [0.1, -0.1, 0.2], "critic/vf_loss": [0.4, NAN, NAN]}
    run = make_run(**losses)
    (found,) = find("loss-term-nan", run)

    assert (found.severity, found.step_range) == ("error", (2, 2))
    assert found.statement.startswith("critic/vf_loss is NaN")


def test_a_term_that_never_was_a_number_is_silent_beside_a_loss_that_is() -> None:
    """A term that turns NaN in mid-run is told; one that always was NaN is no part of a finite loss."""
    good = [2.0, 1.9, 1.8, 1.7]

    assert find("loss-term-nan", make_run(loss=good, router_z_loss=[NAN] * 4)) == []
    assert severities("loss-term-nan", make_run(loss=good, router_z_loss=[0.1, 0.1, NAN, NAN])) == ["error"]
    assert find("loss-term-nan", make_run(loss=good, eval_other_loss=[0.1, 0.1, NAN, NAN])) == []


def test_a_loss_that_is_nan_itself_is_not_told_twice() -> None:
    """The detector of the loss itself tells it, with everything that follows from it."""
    run = make_run(loss=[2.0, NAN, NAN], aux_loss=[0.1, NAN, NAN])

    assert find("loss-term-nan", run) == []


def test_a_term_that_was_nan_before_the_loss_is_told_with_its_own_onset() -> None:
    """The loss says that the run is dead, the term where that came from; one that follows the loss says nothing."""
    loss = [2.0, 1.9, 1.8, 1.7, NAN, NAN]
    early = make_run(loss=loss, critic_loss=[0.4, NAN, 0.3, NAN, NAN, NAN])
    late = make_run(loss=loss, critic_loss=[0.4, 0.4, 0.3, 0.3, NAN, NAN])
    (found,) = find("loss-term-nan", early)

    assert (found.severity, found.step, found.statement[:11]) == ("error", 2, "critic_loss")
    assert find("loss-term-nan", late) == []


@pytest.mark.parametrize("name", ["actor_loss", "rnnt_loss", "nll"])
def test_a_term_that_stands_for_the_loss_is_told_by_its_own_name(tmp_path: Path, name: str) -> None:
    """NaN in every second entry and in the last ones is one fault, dated to the first."""
    values = [0.5 - 0.001 * i for i in range(60)]
    values[29:51:2] = [NAN] * 11
    values[51:] = [NAN] * 9
    rows = [{"step": step, name: value} for step, value in enumerate(values, 1)]
    (tmp_path / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    findings = {f.symptom: f for f in investigate(tmp_path).findings}
    found = findings["loss-nan"]

    assert (found.severity, found.step, found.step_range) == ("error", 30, (29, 30))
    assert f"the loss ({name}) is NaN or infinite from the entry of step 52 to the end" in found.statement
    assert "20 of the 31 from step 30 on" in found.statement
    assert "loss-nan-transient" not in findings


def test_nan_long_before_the_end_stays_a_fault_of_its_own() -> None:
    """Three of a hundred entries are no part of what begins a hundred entries later."""
    loss = [1.0] * 200
    loss[20:60:20] = [NAN] * 2
    loss[197:] = [NAN] * 3
    run = make_run(loss=loss)

    assert [f.step for f in find("loss-nan", run)] == [198]
    assert [f.step for f in find("loss-nan-transient", run)] == [21]


def test_a_short_log_whose_loss_only_rises_is_a_warning() -> None:
    """Ten entries that rise by a tenth, or five that double; the same entries in disorder are noise."""
    slow = [1.52, 1.50, 1.54, 1.57, 1.56, 1.60, 1.63, 1.66, 1.68, 1.71, 1.74]
    fast = [2.0, 3.5, 3.9, 4.6, 5.2]

    assert severities("loss-divergence", make_run(loss=slow)) == ["warning"]
    assert severities("loss-divergence", make_run(loss=fast)) == ["warning"]
    assert find("loss-divergence", make_run(loss=[slow[i] for i in (3, 9, 0, 6, 1, 10, 4, 7, 2, 8, 5)])) == []
    assert find("loss-divergence", make_run(loss=[x / 40 for x in slow])) == []
    assert find("loss-divergence", make_run(loss=[2.0, 3.5, 1.9, 4.6, 4.5])) == []


def test_a_few_entries_that_end_far_above_their_start_are_a_warning() -> None:
    """1.2 times the first and 1 more, and the highest of all."""
    assert severities("loss-divergence", make_run(loss=[2.0, 3.5, 3.4, 4.6, 5.2])) == ["warning"]
    assert find("loss-divergence", make_run(loss=[2.0, 2.6, 2.4, 2.9])) == []
    assert find("loss-divergence", make_run(loss=[2.0, 3.2, 4.0])) == []


def test_no_gradient_although_rewards_differ_is_no_matter_of_equal_rewards() -> None:
    """With equal rewards in every group a gradient of 0 is right; with different ones nothing is learned."""
    zeros = [0.0] * 5

    def grpo(count: int, equal: float) -> list[str]:
        series: dict[str, Any] = {
            "reward": [0.6] * count,
            "frac_reward_zero_std": [equal] * count,
            "loss": zeros[:count],
        }
        return severities("grad-norm-zero", make_run(grad_norm=zeros[:count], **series))

    assert grpo(5, 0.4) == ["error"]
    assert grpo(3, 0.4) == ["warning"]
    assert grpo(1, 0.4) == ["warning"]
    assert grpo(5, 1.0) == ["notice"]


def test_the_spread_of_rewards_tells_the_same_where_it_alone_is_logged() -> None:
    """`reward_std` above 0 in every entry beside the zeros is a gradient that got lost."""
    zeros, reward = [0.0] * 5, [0.6] * 5
    with_spread = make_run(grad_norm=zeros, loss=zeros, reward=reward, reward_std=[0.2] * 5)
    once_without = make_run(grad_norm=zeros, loss=zeros, reward=reward, reward_std=[0.2, 0.2, 0.0, 0.2, 0.2])

    names = {
        "grad_norm": zeros,
        "critic/score/mean": reward,
        "actor/pg_loss": zeros,
        "critic/advantages/max": [1.4] * 5,
    }
    with_advantages = make_run(**names)  # type: ignore[arg-type]  # names with slashes

    assert severities("grad-norm-zero", with_spread) == ["error"]
    assert severities("grad-norm-zero", once_without) == ["notice"]
    assert severities("grad-norm-zero", with_advantages) == ["error"]


def test_a_lone_zero_right_after_an_ordinary_loss_is_a_warning() -> None:
    """Pasted logs often end with the first 0.0; an ordinary loss does not fall to exactly 0 within one entry."""
    assert severities("loss-to-zero", make_run(loss=[2.31, 2.17, 0.0])) == ["warning"]
    assert severities("loss-to-zero", make_run(loss=[0.31, 0.12, 0.0])) == ["notice"]


def test_a_preference_log_from_the_middle_of_a_run_says_nothing_of_its_start(tmp_path: Path) -> None:
    """Entries without steps are counted from 1; an epoch far above their distance shows that the start is missing."""
    line = "{{'loss': 1.3, 'rewards/chosen': {}, 'rewards/rejected': -2.0, 'logps/chosen': -30.0, 'epoch': {}}}\n"

    def found(epochs: tuple[float, ...], loss_of_kto: str = "") -> list[str]:
        text = "".join(line.format(i + 1, epoch) for i, epoch in enumerate(epochs))
        (tmp_path / "train.log").write_text(text.replace("'epoch'", f"{loss_of_kto}'logps/rejected': -60.0, 'epoch'"))
        return [each.symptom for each in investigate(tmp_path).findings]

    assert "dpo-first-loss" in found((0.01, 0.02, 0.03))
    assert "dpo-first-loss" not in found((0.41, 0.42, 0.43))
    assert "dpo-first-loss" not in found((0.01, 0.02, 0.03), loss_of_kto="'kl': 0.1, ")


def test_numbers_of_any_name_that_are_lost_together_are_the_loss_where_no_other_is_logged() -> None:
    """As CycleGAN logs them: two discriminators, two generators, no total."""
    parts: dict[str, Any] = {name: [0.3, 0.2, NAN, NAN] for name in ("D_A", "G_A", "cycle_A")}
    (found,) = find("loss-term-nan", make_run(**parts, data=[0.1] * 4))

    assert (found.severity, found.step) == ("error", 3)
    assert find("loss-term-nan", make_run(D_A=[0.3, 0.2, NAN, NAN], G_A=[0.3] * 4, cycle_A=[0.3] * 4)) == []
    assert find("loss-term-nan", make_run(D_A=[0.3, 0.2, 0.1, NAN], G_A=[0.3, 0.2, 0.1, NAN])) == []


def test_any_metric_that_was_a_number_and_is_none_to_the_end_is_told() -> None:
    fine: dict[str, Any] = {"loss": [2.0, 1.9, 1.8, 1.7, 1.6]}

    assert severities("metric-nan", make_run(**fine, iou=[0.1, 0.2, 0.2, NAN, NAN])) == ["warning"]
    assert find("metric-nan", make_run(**fine, iou=[0.1, 0.2, 0.2, 0.3, NAN])) == []
    assert find("metric-nan", make_run(**fine, iou=[0.1, 0.2, NAN, NAN, 0.3])) == []
    assert find("metric-nan", make_run(**fine, reward_std=[0.1, 0.2, 0.2, NAN, NAN])) == []
