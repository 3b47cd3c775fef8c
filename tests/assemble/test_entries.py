"""Entries without a step: counted by line, called entries, and never in the way of those that have one."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from counted import lines
from forensics.assemble import assemble
from forensics.model import UNKNOWN_STEP, Run, Samples


def run_of(*blocks: Samples) -> Run:
    return assemble(Path("run"), (), blocks)


def test_all_metrics_of_a_line_share_its_number() -> None:
    """The norm is there in the fourth line only: it is that of entry 4, not the first norm."""
    run = run_of(lines("loss", [10, 20, 30, 40, 50]), lines("grad_norm", [40]), lines("learning_rate", [20, 50]))

    assert {name: s.steps.tolist() for name, s in run.timeline.series.items()} == {
        "loss": [1, 2, 3, 4, 5],
        "grad_norm": [4],
        "learning_rate": [2, 5],
    }


def test_an_evaluation_takes_the_number_of_the_entry_that_it_follows() -> None:
    run = run_of(lines("loss", [1, 2, 4, 5]), lines("eval_loss", [3, 6]), lines("eval_accuracy", [3, 6]))

    assert run.timeline["loss"].steps.tolist() == [1, 2, 3, 4]
    assert run.timeline["eval_loss"].steps.tolist() == run.timeline["eval_accuracy"].steps.tolist() == [2, 4]


def test_lines_of_another_kind_that_come_more_often_are_counted_alone() -> None:
    """Two of them follow one entry of the loss: they cannot both bear its number."""
    run = run_of(lines("loss", [3, 6]), lines("throughput", [1, 2, 4, 5]))

    assert run.timeline["loss"].steps.tolist() == [1, 2]
    assert run.timeline["throughput"].steps.tolist() == [1, 2, 3, 4]


def test_lines_in_turn_share_their_numbers() -> None:
    """A line of rates before each line of losses: the n-th belongs to the n-th."""
    run = run_of(lines("loss", [2, 4, 6]), lines("learning_rate", [1, 3, 5]))

    assert run.timeline["learning_rate"].steps.tolist() == [1, 2, 3]


def test_the_epoch_joins_no_lines() -> None:
    """It stands beside the evaluations as well, which are no entries of the loss for that."""
    run = run_of(lines("loss", [1, 2, 4]), lines("eval_loss", [3, 5]), lines("epoch", [1, 2, 3, 4, 5]))

    assert run.timeline["loss"].steps.tolist() == [1, 2, 3]
    assert run.timeline["epoch"].values.tolist() == [1, 2, 4]


def test_an_epoch_for_each_entry_is_the_axis() -> None:
    """Keras prints a line an epoch: entry 6 of a run that counts from 0 is epoch 5."""
    run = run_of(lines("loss", [0, 1, 2, 3], epochs=True), lines("eval_loss", [1, 3], epochs=True))

    assert {s.axis for s in run.timeline.series.values()} == {"epoch"}
    assert run.timeline["loss"].steps.tolist() == [0, 1, 2, 3]
    assert run.timeline["eval_loss"].steps.tolist() == [1, 3]


def test_one_line_without_a_step_erases_nothing() -> None:
    """It is left out and told; it is no restart, and no -1 stands in the curve."""
    run = run_of(lines("loss", [1, 2, 3, 4], steps=[5, 10, 15, UNKNOWN_STEP]))

    assert run.timeline["loss"].steps.tolist() == [5, 10, 15]
    assert [str(event.kind) for event in run.timeline.events] == []
    assert [(skip.what, skip.reason) for skip in run.skips] == [
        ("1 entry of loss in train.log", "no step is known for them, and the others have one")
    ]
    frame = run.frame()
    assert frame["step"].tolist()[:3] == [5, 10, 15]
    assert frame["step"].isna().tolist() == [False, False, False, True]
    assert frame["entry"].isna().all()


def test_one_line_with_a_step_does_not_erase_those_without() -> None:
    run = run_of(lines("loss", [1, 2, 3, 4], steps=[UNKNOWN_STEP, 10, UNKNOWN_STEP, UNKNOWN_STEP]))

    assert (run.timeline["loss"].axis, run.timeline["loss"].steps.tolist()) == ("entry", [1, 2, 3, 4])


def test_an_evaluation_has_the_step_of_the_entry_that_it_follows() -> None:
    """So does not what may belong to a step to come, nor two evaluations behind one entry."""
    told = lines("loss", [1, 3], steps=[10, 20])
    evaluated = run_of(told, lines("eval_loss", [2, 4]), lines("eval_accuracy", [2, 4]))
    others = run_of(told, lines("loss_scale", [2, 4]))
    twice = run_of(told, lines("eval_loss", [4, 5]))

    assert evaluated.timeline["eval_loss"].steps.tolist() == [10, 20]
    assert evaluated.timeline["eval_accuracy"].axis == "step"
    assert (others.timeline["loss_scale"].axis, twice.timeline["eval_loss"].axis) == ("entry", "entry")


def test_metrics_of_one_run_may_have_steps_and_others_not() -> None:
    """What only counts is not compared with what has steps."""
    run = run_of(lines("loss", [1, 3], steps=[10, 20]), lines("eval_loss", [2, 4], "other.log"))

    assert (run.timeline["loss"].axis, run.timeline["eval_loss"].axis, run.timeline.axis) == ("step", "entry", "step")
    assert run.timeline.beside(run.timeline["loss"], "eval_loss") is None
    assert run.timeline.last_step == 20


@given(
    st.lists(st.sets(st.sampled_from(["loss", "grad_norm", "learning_rate", "kl"])).map(lambda s: s | {"loss"})).filter(
        bool
    )
)
def test_whatever_a_line_lacks_its_number_stays(rows: list[set[str]]) -> None:
    names = sorted(set().union(*rows))
    blocks = [lines(name, [7 * i + 3 for i, row in enumerate(rows) if name in row]) for name in names]
    run = run_of(*blocks)

    for name, series in run.timeline.series.items():
        assert series.steps.tolist() == [i + 1 for i, row in enumerate(rows) if name in row]


@pytest.mark.parametrize("times", [2, 4, 64])
def test_a_line_of_every_host_counts_once(times: int) -> None:
    """pdsh joins the consoles of all hosts: five entries, printed by each, in whatever order."""
    losses = [1.8673, 0.7744, 0.6309, 0.5807, 0.5302]
    values = np.repeat(losses, times)
    values[2 * times - 1], values[2 * times] = values[2 * times], values[2 * times - 1]
    records = np.arange(len(values), dtype=np.int64)
    copies = Samples("loss", np.full(len(values), UNKNOWN_STEP), values, records, "train.log", "line {}")
    run = run_of(copies)

    assert run.timeline["loss"].values.tolist() == losses
    assert next(skip.reason for skip in run.skips) == f"each entry was printed {times} times, it counts once"


def test_the_end_of_a_dead_run_is_no_copy() -> None:
    """Its lines differ by nothing; those before do."""
    values = np.array([2.0, 1.5, 1.25, 1.0, 0.0, 0.0, 0.0, 0.0])
    block = Samples("loss", np.full(8, UNKNOWN_STEP), values, np.arange(8), "train.log", "line {}")

    assert len(run_of(block).timeline["loss"]) == 8
