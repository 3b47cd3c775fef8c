"""Steps and time spent after a run broke."""

from dataclasses import replace

import numpy as np
import pytest

from forensics.diagnosis.cost import cost_of
from forensics.model import Cost, Finding, Run, Segment, Source
from forensics.testing import make_run


def finding(bad: int, symptom: str = "loss-to-zero", *, severity: str = "error", until: int | None = None) -> Finding:
    return Finding(symptom, severity, "", Source("log"), bad, (None, bad), until)  # type: ignore[arg-type]  # text


def timed(length: int, seconds: float = 10.0, first: int = 1) -> Run:
    run = make_run(loss=[1.0] * length, first_step=first)
    series = replace(run.timeline["loss"], wall_times=np.linspace(0.0, seconds * (length - 1), length))
    return replace(run, timeline=replace(run.timeline, series={"loss": series}))


def test_steps_from_the_onset_on_are_lost() -> None:
    assert Cost(61, 100) == cost_of(make_run(loss=[1.0] * 100), [finding(40)])


def test_a_resumed_run_counts_from_its_first_logged_step() -> None:
    assert Cost(61, 90) == cost_of(make_run(loss=[1.0] * 90, first_step=11), [finding(40)])


def test_the_first_lasting_error_counts() -> None:
    findings = [finding(90), finding(40, "weights-nan"), finding(5, severity="warning"), finding(7, until=9)]

    assert Cost(61, 100) == cost_of(make_run(loss=[1.0] * 100), findings)


@pytest.mark.parametrize("symptom", ["crash-oom", "checkpoint-damaged"])
def test_nothing_is_spent_after_a_crash(symptom: str) -> None:
    assert cost_of(make_run(loss=[1.0] * 100), [finding(100, symptom)]) is None


def test_time_runs_from_the_end_of_the_step_before() -> None:
    """Steps 41 to 100 at ten seconds each."""
    assert Cost(60, 100, 600.0) == cost_of(timed(100), [finding(41)])


def test_the_night_between_two_attempts_is_not_counted() -> None:
    run = timed(100)
    times = run.timeline["loss"].wall_times.copy()
    times[70:] += 36_000
    series = replace(run.timeline["loss"], wall_times=times)
    segments = (Segment(1, 70), Segment(71, 100))
    run = replace(run, timeline=replace(run.timeline, series={"loss": series}, segments=segments))

    assert Cost(60, 100, 590.0) == cost_of(run, [finding(41)])


def test_without_wall_times_only_steps_are_told() -> None:
    found = cost_of(make_run(loss=[1.0] * 100), [finding(41)])

    assert found is not None
    assert found.seconds is None


def test_a_healthy_run_cost_nothing() -> None:
    assert cost_of(make_run(loss=[1.0] * 100), []) is None
