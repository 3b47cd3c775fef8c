"""A log that begins in the middle of its run, and trainings that were appended to one table."""

from pathlib import Path

import numpy as np
import pytest

from forensics.assemble import assemble
from forensics.model import UNKNOWN_STEP, Run, Samples, Segment


def block(steps: list[int], epochs: list[float] | None, path: str = "train.log", name: str = "loss") -> Samples:
    size = max(len(steps), len(epochs or ()))
    places = np.array(steps or [UNKNOWN_STEP] * size, dtype=np.int64)
    values = np.array([2.0 - 0.013 * n for n in range(size)])
    told = None if epochs is None else np.array(epochs, dtype=np.float64)
    return Samples(name, places, values, np.arange(size, dtype=np.int64), path, "line {}", epochs=told)


def run_of(*blocks: Samples) -> Run:
    return assemble(Path("run"), (), blocks)


@pytest.mark.parametrize(
    ("steps", "epochs", "expected"),
    [
        ([], [0.54, 0.55, 0.56], True),
        ([], [0.01, 0.02, 0.03], False),
        ([], [0.02, 0.05, 0.07], False),
        ([], [0.05], True),
        ([], [0.01], False),
        ([], [0.0, 0.0, 0.0, 0.01], False),
        ([], None, False),
        ([10450, 10460, 10470], None, True),
        ([10, 20, 30], None, False),
        ([1, 100, 200], None, False),
        ([500, 1000, 1500], None, False),
        ([500], None, False),
        ([], [4, 5, 6, 7], True),
        ([], [0, 1, 2], False),
    ],
)
def test_an_excerpt_begins_in_the_middle(steps: list[int], epochs: list[float] | None, expected: bool) -> None:
    assert run_of(block(steps, epochs)).timeline.excerpt is expected


def test_a_log_beside_the_whole_history_is_none() -> None:
    """The last attempt's console, and the state of the whole run."""
    late, whole = block([500, 510, 520], None), block([10, 20, 30], None, "trainer_state.json")

    assert run_of(late).timeline.excerpt
    assert not run_of(late, whole).timeline.excerpt


def test_without_a_loss_the_longest_metric_tells() -> None:
    assert run_of(block([500, 510, 520], None, name="grad_norm")).timeline.excerpt
    assert not run_of().timeline.excerpt


def test_trainings_appended_to_one_table_are_attempts() -> None:
    """`CSVLogger(append=True)`: the epochs begin again; the curve is that of the last training."""
    run = run_of(block([], [*range(6), *range(4)]))

    assert run.timeline["loss"].steps.tolist() == [0, 1, 2, 3]
    assert run.timeline.segments == (Segment(0, 5), Segment(0, 3))
    assert run.frame().segment.fillna(9).tolist() == [1, 1, 1, 1, 9, 9, 1, 1, 1, 1]


def test_an_attempt_that_was_overwritten_in_part_is_none_of_its_own() -> None:
    run = run_of(block([1, 2, 3, 4, 3, 4, 5, 1, 2], None))

    assert run.timeline.segments == (Segment(1, 5), Segment(1, 2))
