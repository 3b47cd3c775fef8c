"""Counters that begin anew with every epoch, and counters that hardly move."""

from pathlib import Path

import numpy as np
import pytest

from forensics.assemble import assemble
from forensics.model import Run, Samples
from forensics.names import Kind


def counted(
    steps: list[int], epochs: list[float] | None, name: str = "loss", records: list[int] | None = None
) -> Samples:
    at = np.arange(len(steps), dtype=np.int64) if records is None else np.array(records, dtype=np.int64)
    values = np.array([3.0 - 0.01 * n for n in at.tolist()])
    told = None if epochs is None else np.array(epochs, dtype=np.float64)
    return Samples(name, np.array(steps, dtype=np.int64), values, at, "log.json", "line {}", epochs=told)


def run_of(*blocks: Samples) -> Run:
    return assemble(Path("run"), (), blocks)


@pytest.mark.parametrize(("first", "epoch"), [(1, 1), (1, 0), (0, 0), (0, 1)])
def test_the_iterations_of_each_epoch_follow_one_another(first: int, epoch: int) -> None:
    """Counters and epochs begin at 0 or at 1; nothing is restarted."""
    each = [first + i for i in range(4)]
    run = run_of(counted(each * 3, [e for e in range(epoch, epoch + 3) for _ in each]))

    assert run.timeline["loss"].steps.tolist() == [first + i for i in range(12)]
    assert len(run.timeline.segments) == 1
    assert list(run.timeline.events_of(Kind.STEP_REWIND)) == []
    assert [skip.reason for skip in run.skips] == ["the counter begins anew each epoch, which has 4 steps"]


def test_a_counter_with_gaps() -> None:
    """Every second iteration is logged; the third epoch breaks off."""
    run = run_of(counted([2, 4, 6, 2, 4, 6, 2], [1, 1, 1, 2, 2, 2, 3]))

    assert run.timeline["loss"].steps.tolist() == [2, 4, 6, 8, 10, 12, 14]


def test_an_evaluation_has_the_step_that_it_follows() -> None:
    """Its own counter counts batches of the evaluation."""
    loss = counted([1, 2, 3, 1, 2, 3], [1, 1, 1, 2, 2, 2], records=[0, 1, 2, 4, 5, 6])
    accuracy = counted([17, 17], [1, 2], "accuracy", [3, 7])
    run = run_of(loss, accuracy)

    assert run.timeline["accuracy"].steps.tolist() == [3, 6]


def test_a_run_that_begins_again_within_the_epochs() -> None:
    """The epoch falls as well: that is a restart from the second epoch."""
    run = run_of(counted([1, 2, 1, 2, 1, 2, 1, 2], [1, 1, 2, 2, 3, 3, 2, 2]))

    assert run.timeline["loss"].steps.tolist() == [1, 2, 3, 4]
    (rewind,) = run.timeline.events_of(Kind.STEP_REWIND)
    assert (rewind.steps.tolist(), rewind.values.tolist()) == ([3], [6.0])


@pytest.mark.parametrize(
    ("steps", "epochs"),
    [
        ([1, 2, 3, 4, 5, 6], [1, 1, 1, 2, 2, 2]),
        ([1, 2, 3, 2, 3, 4], [1, 1, 1, 1, 1, 2]),
        ([10, 20, 30, 20, 30, 40], [0.1, 0.2, 0.3, 0.2, 0.3, 0.4]),
        ([1, 2, 3, 1, 2, 3], None),
    ],
    ids=["global already", "a restart within an epoch", "epochs in fractions", "no epochs"],
)
def test_other_counters_stay_as_they_are(steps: list[int], epochs: list[float] | None) -> None:
    run = run_of(counted(steps, epochs))

    assert run.timeline.samples[0].steps.tolist() == steps


def test_a_step_that_all_entries_share_is_none() -> None:
    """The epoch was taken for the step: twelve entries of step 1 are counted, and told."""
    run = run_of(counted([1] * 12, None))

    assert (run.timeline["loss"].axis, len(run.timeline["loss"])) == ("entry", 12)
    assert ("steps in log.json", "12 entries share step 1: it does not tell them apart") in {
        (skip.what, skip.reason) for skip in run.skips
    }


def test_a_few_accounts_of_one_step_are_told() -> None:
    """Two iterations make one step; of each step the last entry counts."""
    run = run_of(counted([1, 1, 2, 2, 3, 3], None))

    assert run.timeline["loss"].steps.tolist() == [1, 2, 3]
    assert run.timeline["loss"].source_at(0).place == "line 1"
    assert [(skip.what, skip.reason) for skip in run.skips] == [
        ("3 entries of loss in log.json", "each shares its step with the entry behind it, which counts")
    ]


def test_copies_of_one_entry_are_no_crowd() -> None:
    """Each of 32 processes prints the same loss."""
    steps = np.repeat(np.arange(1, 5), 32).astype(np.int64)
    block = Samples(
        "loss", steps, np.array([3.0 - 0.1 * s for s in steps.tolist()]), np.arange(128), "log.json", "line {}"
    )
    run = run_of(block)

    assert (run.timeline["loss"].axis, run.timeline["loss"].steps.tolist(), run.skips) == ("step", [1, 2, 3, 4], ())
