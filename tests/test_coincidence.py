"""What happened at the onset is told only where it could have had to do with it, and not by chance."""

from dataclasses import replace

import numpy as np
import pytest

from forensics.diagnosis.coincidence import coincidences
from forensics.model import Finding, Run, Segment, Source
from forensics.names import Kind
from forensics.testing import make_checkpoint, make_events, make_run

LOSS = [2.0 - 0.01 * i for i in range(100)]


def finding(fine: int | None, bad: int, symptom: str = "grad-norm-nan") -> Finding:
    return Finding(symptom, "error", "", Source("log"), bad, (fine, bad))


def found(run: Run, fine: int | None, bad: int, symptom: str = "grad-norm-nan") -> list[tuple[str, int]]:
    return [(c.kind, c.step) for c in coincidences(run, finding(fine, bad, symptom))]


SAVED = make_run(loss=LOSS, checkpoints=[make_checkpoint(step) for step in (20, 40, 60)])


@pytest.mark.parametrize(
    ("fine", "bad", "expected"),
    [
        (40, 41, [("checkpoint-saved", 40)]),
        (39, 40, []),
        (41, 42, []),
        (38, 44, [("checkpoint-saved", 40)]),
        (20, 60, []),
    ],
    ids=["right after a save", "the save came after it", "a step later", "a short bracket", "always one near"],
)
def test_a_save_counts_when_the_step_after_it_is_bad(fine: int, bad: int, expected: list[tuple[str, int]]) -> None:
    assert expected == found(SAVED, fine, bad)


def test_a_loss_shows_the_update_before_it() -> None:
    """The loss of step 42 is bad when update 41 was, the first after the save."""
    assert found(SAVED, 41, 42, "loss-to-zero") == [("checkpoint-saved", 40)]


def test_the_save_that_shows_bad_weights_is_a_witness() -> None:
    assert found(SAVED, 40, 60, "weights-nan") == []
    assert found(SAVED, 40, 41, "weights-nan") == []


def test_an_evaluation() -> None:
    run = make_run(loss=LOSS, eval_loss=[1.9, 1.8, 1.7], steps={"eval_loss": [25, 50, 75]})

    assert found(run, 50, 51) == [("evaluation", 50)]
    assert found(run, 60, 61) == []


def test_the_end_of_warmup() -> None:
    by_steps = make_run(loss=LOSS, settings={"warmup_steps": 30})
    by_share = make_run(loss=LOSS, settings={"warmup_ratio": 0.03, "max_steps": 1000, "warmup_steps": 0})

    assert found(by_steps, 30, 31) == [("warmup-ended", 30)]
    assert found(by_share, 29, 31) == [("warmup-ended", 30)]
    assert found(by_steps, 50, 51) == []


def test_the_peak_of_the_rate() -> None:
    rates = [*np.linspace(0, 1e-4, 50), *np.linspace(1e-4, 0, 50)]
    run = make_run(loss=LOSS, learning_rate=rates)

    assert found(run, 49, 51) == [("lr-peak", 50)]
    assert found(run, 80, 81) == []


def test_a_falling_rate_has_no_peak() -> None:
    run = make_run(loss=LOSS, learning_rate=np.linspace(1e-4, 0, 100).tolist())

    assert found(run, 0, 1) == []


@pytest.mark.parametrize("first", [0, 1])
def test_a_counter_of_epochs_ends_one_where_it_rises(first: int) -> None:
    """Steps 1 to 40 are one epoch, whether it is called 0 or 1; its share would put the end elsewhere."""
    run = make_run(loss=LOSS, epoch=[float(first + (i - 1) // 40) for i in range(1, 101)])

    assert found(run, 40, 41) == [("epoch-ended", 40)]
    assert not [each for step in (33, 50, 60) for each in found(run, step, step + 1) if each[0] == "epoch-ended"]


def test_entries_at_the_end_of_each_epoch_tell_it() -> None:
    """`logging_strategy="epoch"`: 1.0 at step 40, 2.0 at step 80."""
    series = make_run(loss=LOSS, epoch=[i / 40 for i in range(1, 101)]).timeline["epoch"]
    run = make_run(loss=LOSS)
    thin = replace(series, **{name: getattr(series, name)[39::40] for name in ("steps", "values", "wall_times")})
    run = replace(run, timeline=replace(run.timeline, series={**run.timeline.series, "epoch": thin}))

    assert found(run, 40, 41) == [("epoch-ended", 40)]
    assert found(run, 80, 81) == [("epoch-ended", 80)]


def test_a_counter_that_is_logged_now_and_then_tells_no_end() -> None:
    series = make_run(loss=LOSS, epoch=[float((i - 1) // 40) for i in range(1, 101)]).timeline["epoch"]
    run = make_run(loss=LOSS)
    thin = replace(series, **{name: getattr(series, name)[::10] for name in ("steps", "values", "wall_times")})
    run = replace(run, timeline=replace(run.timeline, series={**run.timeline.series, "epoch": thin}))

    assert not [each for step in range(30, 60) for each in found(run, step, step + 10) if each[0] == "epoch-ended"]


def test_the_end_of_an_epoch() -> None:
    run = make_run(loss=LOSS, epoch=[i / 40 for i in range(1, 101)])

    assert found(run, 40, 41) == [("epoch-ended", 40)]
    assert found(run, 50, 51) == []


def test_a_resume() -> None:
    run = make_run(loss=LOSS)
    run = replace(run, timeline=replace(run.timeline, segments=(Segment(1, 49), Segment(50, 100))))

    assert found(run, 49, 50) == [("resumed", 50)]
    assert found(run, 70, 71) == []


def test_a_skipped_step() -> None:
    run = make_run(loss=LOSS, events=[make_events(Kind.OVERFLOW, [5, 60])])

    assert found(run, 60, 61) == [("step-skipped", 60)]


def test_steps_that_are_skipped_all_the_time_are_no_coincidence() -> None:
    run = make_run(loss=LOSS, events=[make_events(Kind.OVERFLOW, list(range(1, 100)))])

    assert found(run, 60, 61) == []


def test_what_was_due_where_a_run_crashed() -> None:
    """The step was logged, the save that follows it was not: that is where memory or disk ran out."""
    run = make_run(loss=LOSS, settings={"save_steps": 50, "eval_steps": 30})

    assert found(run, None, 100, "crash-oom") == [("checkpoint-saved", 100)]
    assert found(run, None, 99, "crash-oom") == []


def test_an_onset_at_an_unknown_step_coincides_with_nothing() -> None:
    unknown = Finding("crash-killed", "error", "", Source("log"))

    assert coincidences(SAVED, unknown) == ()
