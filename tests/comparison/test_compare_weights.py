"""Checkpoints of two runs after the same step, summed up."""

from forensics.comparison import compare_weights
from forensics.comparison.weights import common_step
from forensics.testing import make_checkpoint, make_run, make_table


def test_the_newest_common_step_is_compared() -> None:
    good = make_run(checkpoints=[make_checkpoint(10), make_checkpoint(20), make_checkpoint(40)])
    bad = make_run(checkpoints=[make_checkpoint(10), make_checkpoint(20), make_checkpoint(30)])
    pair = common_step(good, bad)

    assert pair is not None
    assert [c.step for c in pair] == [20, 20]


def test_without_a_common_step_nothing_is_compared() -> None:
    good, bad = (make_run(checkpoints=[make_checkpoint(step)]) for step in (10, 20))

    assert common_step(good, bad) is None


def test_differing_and_poisoned_tensors_are_counted() -> None:
    names = ["a.weight", "b.weight", "c.weight"]
    table = make_table(names, nan={"b.weight": 3}, same={"a.weight": 64})
    found = compare_weights(make_checkpoint(20), make_checkpoint(20, table))

    assert (found.tensors, found.differ, found.poisoned) == (3, 2, 1)
    assert found.largest == "b.weight"
    assert found.relative_change > 0


def test_equal_checkpoints_have_no_largest_difference() -> None:
    found = compare_weights(make_checkpoint(20), make_checkpoint(20, make_table(same=64)))

    assert (found.differ, found.largest) == (0, None)
