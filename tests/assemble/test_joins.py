"""A log without steps beside a source that has them: the same numbers are the same entries."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.assemble import assemble
from forensics.model import UNKNOWN_STEP, Precision, Run, Samples
from forensics.names import Kind


def state(steps: list[int], path: str = "trainer_state.json", **metrics: list[float]) -> list[Samples]:
    records = np.arange(len(steps), dtype=np.int64)
    places = np.array(steps, dtype=np.int64)
    return [
        Samples(name, places, np.array(values), records, path, "log_history[{}]") for name, values in metrics.items()
    ]


def log(path: str = "train.log", decimals: int = 4, **metrics: list[float]) -> list[Samples]:
    """Return the same metrics as a console prints them, one line for each entry."""
    found = []
    for name, values in metrics.items():
        records = np.arange(len(values), dtype=np.int64) + 1
        steps, written = np.full(len(values), UNKNOWN_STEP), np.round(values, decimals)
        found.append(Samples(name, steps, written, records, path, "line {}", Precision.FOUR_DECIMALS))
    return found


def run_of(*blocks: Samples) -> Run:
    return assemble(Path("run"), (), blocks)


LOSSES = [2.31456789, 2.20123456, 2.17654321, 1.98765432, 1.87654321, 1.76543219, 1.71234567, 1.69876543]
STEPS = [10_450 + 10 * i for i in range(8)]


def test_the_entries_of_a_log_are_those_of_the_state() -> None:
    run = run_of(*state(STEPS, loss=LOSSES), *log(loss=LOSSES))

    assert run.timeline["loss"].steps.tolist() == STEPS
    assert {block.axis for block in run.timeline.samples} == {"step"}
    assert run.timeline.disagreements == ()
    assert list(run.timeline.events_of(Kind.STEP_REWIND)) == []


def test_an_excerpt_is_found_and_goes_on_where_the_state_ends() -> None:
    """The state was saved at step 10490; what the log has beyond follows at the same distance."""
    run = run_of(*state(STEPS[:5], loss=LOSSES[:5]), *log(loss=LOSSES[2:]))

    assert run.timeline["loss"].steps.tolist() == STEPS
    assert run.timeline["loss"].source_at(7).path == "train.log"


def test_a_dead_loss_is_placed_by_what_stands_before_it() -> None:
    """Zeros and NaN are alike in every entry; the log shows 0.0 for what the state holds as NaN."""
    true, shown = [*LOSSES[:5], *[float("nan")] * 3], [*LOSSES[:5], 0.0, 0.0, 0.0]
    run = run_of(*state(STEPS, loss=true), *log(loss=shown))

    assert run.timeline["loss"].steps.tolist() == STEPS
    assert {block.axis for block in run.timeline.samples} == {"step"}


def test_a_source_that_logs_less_often_places_those_between() -> None:
    """A tracker keeps every second entry."""
    run = run_of(*state(STEPS[::2], loss=LOSSES[::2]), *log(loss=LOSSES))

    assert run.timeline["loss"].steps.tolist() == STEPS


def test_all_metrics_of_the_line_come_along() -> None:
    """The norm is only in the log; it has the step of the loss beside it."""
    run = run_of(*state(STEPS, loss=LOSSES), *log(loss=LOSSES, grad_norm=[float(i) for i in range(8)]))

    assert (run.timeline["grad_norm"].axis, run.timeline["grad_norm"].steps.tolist()) == ("step", STEPS)


def test_another_run_with_the_same_schedule_is_not_joined() -> None:
    """Its rates are equal, its losses are not: the loss decides."""
    rates = [1e-4 * (1 - i / 9.7) for i in range(8)]
    run = run_of(
        *state(STEPS, loss=LOSSES, learning_rate=rates), *log(loss=[x + 0.3 for x in LOSSES], learning_rate=rates)
    )

    assert {block.axis for block in run.timeline.samples if block.path == "train.log"} == {"entry"}
    assert run.timeline["loss"].steps.tolist() == STEPS
    assert any("8 entries of loss" in skip.what or "16 entries of" in skip.what for skip in run.skips)


def test_numbers_that_mean_little_join_nothing() -> None:
    """One decimal: each number stands many times on either side."""
    run = run_of(*state(STEPS, loss=[2.1, 2.0, 2.1, 2.0, 2.1, 2.0, 2.1, 2.0]), *log(loss=[2.0, 2.1] * 4))

    assert {block.axis for block in run.timeline.samples if block.path == "train.log"} == {"entry"}


def test_numbers_out_of_order_join_nothing() -> None:
    run = run_of(*state(STEPS, loss=LOSSES), *log(loss=LOSSES[::-1]))

    assert {block.axis for block in run.timeline.samples if block.path == "train.log"} == {"entry"}


@pytest.mark.parametrize(("norms", "axis"), [([0.51, 0.62], "step"), ([0.53, 0.66], "entry")])
def test_two_entries_are_recognised_by_two_metrics_each(norms: list[float], axis: str) -> None:
    known = state(STEPS, loss=LOSSES, grad_norm=[0.51, 0.62, 0.73, 0.84, 0.95, 0.46, 0.37, 0.28])
    run = run_of(*known, *log(loss=LOSSES[:2], grad_norm=norms))

    assert {block.axis for block in run.timeline.samples if block.path == "train.log"} == {axis}


def test_a_second_log_goes_on_counting_and_a_copy_does_not() -> None:
    """Two consoles of one run without steps: the second continues, the copy of the first bears its numbers."""
    first, second = LOSSES[:4], LOSSES[4:]
    run = run_of(*log("a.log", loss=first), *log("b.log", loss=second), *log("copy.log", loss=first))

    assert (run.timeline["loss"].axis, run.timeline["loss"].steps.tolist()) == ("entry", list(range(1, 9)))
    assert [(s.first, s.last) for s in run.timeline.segments] == [(1, 4), (5, 8)]
    assert list(run.timeline.events_of(Kind.STEP_REWIND)) == []


@given(
    st.lists(st.floats(0.1, 9), min_size=8, max_size=40, unique_by=lambda x: round(x, 3)),
    st.integers(0, 4),
    st.integers(1, 500),
    st.integers(1, 50),
)
def test_any_excerpt_of_a_curve_finds_its_place(losses: list[float], skipped: int, first: int, each: int) -> None:
    steps = [first + each * i for i in range(len(losses))]
    run = run_of(*state(steps, loss=losses), *log(loss=losses[skipped:]))

    (found,) = (block for block in run.timeline.samples if block.path == "train.log")
    assert found.steps.tolist() == steps[skipped:]
