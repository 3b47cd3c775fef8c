"""Several accounts of one run become one timeline."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.assemble import assemble
from forensics.model import UNKNOWN_STEP, Precision, Run, Samples, Segment, Setting, Source, Standing
from forensics.names import Kind


def block(  # noqa: PLR0913  (the columns of a block)
    steps: list[int],
    values: list[float],
    path: str = "trainer_state.json",
    *,
    name: str = "loss",
    place: str = "log_history[{}]",
    precision: Precision = Precision.DOUBLE,
    epochs: list[float] | None = None,
) -> Samples:
    return Samples(
        name,
        np.array(steps, dtype=np.int64),
        np.array(values, dtype=np.float64),
        np.arange(len(steps), dtype=np.int64),
        path,
        place,
        precision,
        epochs=None if epochs is None else np.array(epochs),
    )


def setting(name: str, value: float, standing: Standing = Standing.RECORDED, path: str = "args") -> Setting:
    return Setting("setting", name, value, Source(path, name), standing)


def run_of(*facts: Samples | Setting) -> Run:
    return assemble(Path("run"), (), facts)


def logged(
    steps: list[int], values: list[float], path: str = "train.log", *, epochs: list[float] | None = None
) -> Samples:
    """Return a block as the console of transformers 4 gives it."""
    return block(steps, values, path, place="line {}", precision=Precision.FOUR_DECIMALS, epochs=epochs)


def test_the_more_exact_source_wins() -> None:
    """A value rounded by the console gives way to the trainer state's, and is no disagreement."""
    run = run_of(logged([1, 2], [0.5, 0.25]), block([1], [0.500049]))

    assert run.timeline["loss"].values.tolist() == [0.500049, 0.25]
    assert [run.timeline["loss"].source_at(i).path for i in (0, 1)] == ["trainer_state.json", "train.log"]
    assert run.timeline.disagreements == ()


def test_a_disagreement_is_kept() -> None:
    """Two sources that differ by more than their rounding are both on record."""
    run = run_of(logged([1, 2], [0.5, 0.25]), block([1, 2], [0.5, 0.26]))

    (found,) = run.timeline.disagreements
    assert (found.step, found.kept, found.other, str(found.other_source)) == (2, 0.26, 0.25, "train.log:line 1")


def test_nan_in_both_sources_agrees_and_nan_in_one_does_not() -> None:
    both = run_of(logged([1], [np.nan]), block([1], [np.nan]))
    one = run_of(logged([1], [np.nan]), block([1], [0.0]))

    assert (len(both.timeline.disagreements), len(one.timeline.disagreements)) == (0, 1)


def test_nested_histories_of_checkpoints_are_one_history() -> None:
    """Each checkpoint's trainer state repeats the history before it; that is no restart."""
    run = run_of(
        block([1, 2, 3], [3.0, 2.0, 1.0], "checkpoint-3/trainer_state.json"),
        block([1], [3.0], "checkpoint-1/trainer_state.json"),
        block([1, 2], [3.0, 2.0], "checkpoint-2/trainer_state.json"),
    )

    assert run.timeline["loss"].steps.tolist() == [1, 2, 3]
    assert run.timeline.segments == (Segment(1, 3),)


def test_a_restart_overwrites_the_branch_that_was_lost() -> None:
    """After a resume from step 2, the old entries from there on do not count, and the rewind is an event."""
    run = run_of(logged([1, 2, 3, 4, 3, 4, 5], [9, 8, 7, 6, 5, 4, 3]))

    (rewind,) = run.timeline.events_of(Kind.STEP_REWIND)
    assert run.timeline["loss"].values.tolist() == [9, 8, 5, 4, 3]
    assert run.timeline.segments == (Segment(1, 2), Segment(3, 5))
    assert (rewind.steps.tolist(), rewind.values.tolist(), rewind.source_at(0).place) == ([3], [4.0], "line 4")


def test_a_second_log_that_continues_starts_a_segment() -> None:
    run = run_of(logged([1, 2], [2.0, 1.0]), logged([3, 4], [0.9, 0.8], "resumed.log"))

    assert run.timeline.segments == (Segment(1, 2), Segment(3, 4))


def test_a_line_printed_twice_counts_once() -> None:
    run = run_of(logged([1, 1, 2, 2], [2.0, 2.0, 1.0, 1.0]))

    assert run.timeline["loss"].steps.tolist() == [1, 2]
    assert len(run.timeline.segments) == 1


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ([setting("max_steps", 40), setting("num_train_epochs", 4)], [5, 10]),
        ([setting("logging_steps", 7)], [7, 14]),
    ],
    ids=["epochs", "logging_steps"],
)
def test_missing_steps_are_derived(facts: list[Setting], expected: list[int]) -> None:
    """A dict line without a step gets one from its epoch, else from logging_steps where the epochs begin at 0."""
    run = run_of(logged([UNKNOWN_STEP] * 2, [2.0, 1.0], epochs=[0.5, 1.0]), *facts)

    assert (run.timeline["loss"].axis, run.timeline["loss"].steps.tolist()) == ("step", expected)
    assert run.skips == ()


@pytest.mark.parametrize(
    ("facts", "epochs"),
    [([], None), ([setting("logging_steps", 7)], None), ([setting("logging_steps", 7)], [3.5, 3.6])],
    ids=["nothing", "only logging_steps", "an excerpt"],
)
def test_what_is_only_counted_is_an_entry(facts: list[Setting], epochs: list[float] | None) -> None:
    """Nothing tells that the log begins with the run, so that the second entry is no step 14."""
    run = run_of(logged([UNKNOWN_STEP] * 2, [2.0, 1.0], epochs=epochs), *facts)

    assert (run.timeline["loss"].axis, run.timeline["loss"].steps.tolist()) == ("entry", [1, 2])
    assert (run.timeline.first_step, run.timeline.last_step, run.timeline.last) == (None, None, 2)
    assert [skip.reason for skip in run.skips] == ["no step is written; entries are counted instead"]


def test_samples_seen_become_steps_by_the_recorded_batch_size_only() -> None:
    """DeepSpeed's monitor counts samples; a common divisor may be the batch size times how often it logs."""
    seen = Samples(
        "loss", np.array([8, 16, 24]), np.ones(3), np.arange(3), "Train_Samples_loss.csv", "row {}", axis="samples"
    )

    assert run_of(seen, setting("train_batch_size", 8)).timeline["loss"].steps.tolist() == [1, 2, 3]
    alone = run_of(seen).timeline["loss"]
    assert (alone.axis, alone.steps.tolist()) == ("samples", [8, 16, 24])
    assert run_of(seen, setting("train_batch_size", 16)).timeline["loss"].axis == "samples"


def test_the_best_witness_of_a_setting_wins_and_the_other_is_a_conflict() -> None:
    run = run_of(
        setting("learning_rate", 1e-4, Standing.CONFIGURED),
        setting("learning_rate", 2e-6, Standing.EFFECTIVE),
        setting("seed", 1, path="checkpoint-9/x"),
        setting("seed", 2, path="checkpoint-10/x"),
    )

    assert run.environment.number("learning_rate") == 2e-6
    assert [s.value for s in run.environment.conflicts("learning_rate")] == [1e-4]
    assert run.environment.value("seed") == 2


def test_what_a_file_says_again_and_again_is_one_witness() -> None:
    """A list of packages that every rank printed; a value that changed and came back is told twice, not thrice."""
    again = [setting("seed", value, path="env.txt") for value in (1, 1, 2, 1, 1)]
    found = run_of(*again, setting("seed", 1, path="args")).environment.entries["setting", "seed"]

    assert [(one.value, one.source.path) for one in found] == [(1, "env.txt"), (2, "env.txt"), (1, "args")]
    # True equals 1, and is another answer.
    assert len(run_of(setting("seed", 1), setting("seed", True)).environment.entries["setting", "seed"]) == 2


@given(st.permutations(range(4)))
def test_the_order_of_reading_does_not_matter(order: list[int]) -> None:
    facts = [
        block([1, 2, 3], [3.0, 2.0, 1.0], "checkpoint-3/trainer_state.json"),
        block([1], [3.0], "checkpoint-1/trainer_state.json"),
        logged([1, 2], [3.0, 2.5]),
        block([2, 3], [2.0, 1.0], "events", place="event {}", precision=Precision.SINGLE),
    ]
    expected, given_order = run_of(*facts), run_of(*(facts[i] for i in order))

    assert given_order.timeline["loss"].values.tolist() == expected.timeline["loss"].values.tolist()
    assert given_order.timeline.disagreements == expected.timeline.disagreements


@given(st.lists(st.integers(0, 30), max_size=40), st.lists(st.floats(), min_size=40, max_size=40))
def test_any_steps_give_a_rising_series(steps: list[int], values: list[float]) -> None:
    run = run_of(logged(steps, values[: len(steps)]))

    if steps:
        merged = run.timeline["loss"].steps
        assert bool(np.all(np.diff(merged) > 0))
        assert int(merged[-1]) == int(run.timeline.segments[-1].last)
