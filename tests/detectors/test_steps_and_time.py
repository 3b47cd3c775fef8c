"""step-gap, step-rewind, resume-jump, throughput-drop, crash-*, tokenization-mismatch-warnings."""

from dataclasses import replace

import numpy as np
import pytest

from detectors.detecting import NAN, falling, find, severities
from forensics.model import Events, Run, Segment
from forensics.testing import make_events, make_run

GOOD = falling(60)


def test_a_hole_in_the_log_is_a_notice() -> None:
    steps = [10 * i for i in [*range(1, 21), *range(41, 61)]]
    found = find("step-gap", make_run(loss=falling(40), steps={"loss": steps}))

    assert [(f.severity, f.step, f.step_range) for f in found] == [("notice", 410, (200, 410))]
    assert find("step-gap", make_run(loss=GOOD)) == []
    assert find("step-gap", make_run(loss=[1.0, 1.0], steps={"loss": [1, 500]})) == []


def segmented(run: Run, *segments: tuple[int, int]) -> Run:
    return replace(run, timeline=replace(run.timeline, segments=tuple(Segment(*s) for s in segments)))


def test_a_step_that_goes_back_is_a_notice() -> None:
    overlapping = segmented(make_run(loss=GOOD), (1, 25), (21, 60))
    told = make_run(loss=GOOD, events=[make_events("step-rewind", [21], [25.0])])

    assert [(f.severity, f.step) for f in find("step-rewind", overlapping)] == [("notice", 21)]
    assert "from step 25 to 21" in find("step-rewind", told)[0].statement
    assert find("step-rewind", segmented(make_run(loss=GOOD), (1, 25), (26, 60))) == []


@pytest.mark.parametrize(("after", "expected"), [(2.5, ["warning"]), (0.3, ["notice"]), (1.0, [])])
def test_a_change_of_level_at_a_resume(after: float, expected: list[str]) -> None:
    loss = [1.0 + 0.01 * (i % 3) for i in range(30)] + [after + 0.01 * (i % 3) for i in range(30)]
    run = segmented(make_run(loss=loss), (1, 30), (31, 60))
    found = find("resume-jump", run)

    assert [f.severity for f in found] == expected
    assert all((f.step, f.step_range) == (31, (30, 31)) for f in found)


def test_a_resume_told_by_the_log_counts_once_with_its_segment() -> None:
    loss = [1.0 + 0.01 * (i % 3) for i in range(30)] + [2.5] * 30
    run = segmented(make_run(loss=loss, events=[make_events("resumed", [31])]), (1, 30), (31, 60))

    assert severities("resume-jump", run) == ["warning"]
    assert severities("resume-jump", make_run(loss=loss)) == []
    assert severities("resume-jump", segmented(make_run(loss=loss, reward=loss), (1, 30), (31, 60))) == []


def timed(seconds: list[float], **metrics: list[float]) -> Run:
    run = make_run(loss=falling(len(seconds)), **metrics)  # type: ignore[arg-type]  # names of metrics, as make_run takes them
    series = replace(run.timeline["loss"], wall_times=np.cumsum(seconds) + 1.7e9)
    return replace(run, timeline=replace(run.timeline, series={**run.timeline.series, "loss": series}))


@pytest.mark.parametrize(("times", "expected"), [(1.2, []), (2.0, ["notice"]), (4.0, ["warning"])])
def test_slower_steps_are_told_by_how_much(times: float, expected: list[str]) -> None:
    found = find("throughput-drop", timed([1.0] * 45 + [times] * 15))

    assert [f.severity for f in found] == expected
    assert all(f.step == 46 for f in found)


def test_pauses_between_two_entries_are_no_slower_steps() -> None:
    assert find("throughput-drop", timed([60.0 if i % 10 == 0 else 1.0 for i in range(60)])) == []
    assert find("throughput-drop", timed([1.0] * 10 + [9.0] * 5)) == []
    assert find("throughput-drop", make_run(loss=GOOD)) == []


def test_entries_that_no_step_counts_may_lie_any_number_of_steps_apart() -> None:
    run = timed([1.0] * 45 + [40.0] * 15)
    counted = replace(run.timeline["loss"], axis="entry")
    run = replace(run, timeline=replace(run.timeline, series={**run.timeline.series, "loss": counted}))

    assert [f.severity for f in find("throughput-drop", run)] == ["notice"]


def test_steps_of_milliseconds_measure_what_else_the_machine_does() -> None:
    assert [f.severity for f in find("throughput-drop", timed([0.02] * 45 + [0.09] * 15))] == ["notice"]
    assert [f.severity for f in find("throughput-drop", timed([0.2] * 45 + [0.9] * 15))] == ["warning"]


def test_longer_completions_of_a_policy_are_a_notice() -> None:
    assert [f.severity for f in find("throughput-drop", timed([1.0] * 45 + [4.0] * 15, reward=GOOD))] == ["notice"]


CRASHES = [
    ("crash-oom", "out-of-memory"),
    ("crash-nccl", "nccl-timeout"),
    ("crash-nccl", "nccl-error"),
    ("crash-killed", "killed"),
    ("crash-killed", "oom-kill-record"),
    ("crash-disk", "disk-full"),
    ("crash-exception", "traceback"),
    ("crash-exception", "nan-assertion"),
]


@pytest.mark.parametrize(("symptom", "kind"), CRASHES)
def test_a_crash_is_an_error_unless_the_run_went_on(symptom: str, kind: str) -> None:
    died = make_run(loss=GOOD, events=[make_events(kind, [60], text="RuntimeError: out of luck")])
    unknown = make_run(loss=GOOD, events=[make_events(kind)])
    went_on = make_run(loss=GOOD, events=[make_events(kind, [10])])
    finished = make_run(loss=GOOD, events=[make_events(kind), make_events("training-finished", [-1, -1])])

    assert [(f.severity, f.step) for f in find(symptom, died)] == [("error", 60)]
    assert ("out of luck" in find(symptom, died)[0].statement) == (kind != "killed")
    assert [(f.severity, f.step) for f in find(symptom, unknown)] == [("error", 60)]
    assert severities(symptom, went_on) == ["notice"]
    assert severities(symptom, finished) == ["notice"]
    assert find(symptom, make_run(loss=GOOD)) == []


def test_a_crash_after_the_end_of_training_is_a_warning() -> None:
    events = [make_events("training-finished"), make_events("disk-full", [-1, -1, -1])]
    found = find("crash-disk", make_run(loss=GOOD, events=events))

    assert [f.severity for f in found] == ["warning"]
    assert found[0].statement.startswith("training finished, then")


def test_the_end_of_the_granted_time_is_a_warning() -> None:
    assert severities("crash-killed", make_run(loss=GOOD, events=[make_events("time-limit", [60])])) == ["warning"]


def test_only_a_record_of_the_kernel_confirms_a_host_kill() -> None:
    bare = find("crash-killed", make_run(events=[make_events("killed")]))
    confirmed = find("crash-killed", make_run(events=[make_events("killed"), make_events("oom-kill-record")]))
    late = find("crash-killed", make_run(events=[make_events("time-limit")]))

    assert "killed from outside" in bare[0].statement
    assert "memory ran out, of the host or at a limit" in confirmed[0].statement
    assert "time limit" in late[0].statement


@pytest.mark.parametrize(
    ("code", "symptom"),
    [(-9.0, "crash-killed"), (137.0, "crash-killed"), (NAN, "crash-killed"), (1.0, "crash-exception"), (0.0, "")],
)
def test_a_signal_is_told_from_an_exit_code(code: float, symptom: str) -> None:
    run = make_run(events=[make_events("signal", [-1], [code])])

    assert [name for name in ("crash-killed", "crash-exception") if find(name, run)] == ([symptom] if symptom else [])


def test_an_interrupt_by_the_user_is_a_notice() -> None:
    run = make_run(events=[make_events("traceback", text="KeyboardInterrupt")])

    assert severities("crash-exception", run) == ["notice"]


def mismatches(count: int, values: list[float] | None = None) -> Events:
    return make_events("tokenization-mismatch", [-1] * count, values)


@pytest.mark.parametrize(("count", "severity"), [(1, "notice"), (9, "notice"), (10, "warning")])
def test_mismatch_warnings_are_told_by_their_count(count: int, severity: str) -> None:
    assert severities("tokenization-mismatch-warnings", make_run(events=[mismatches(count)])) == [severity]


def test_a_constant_mismatch_is_named() -> None:
    constant = find("tokenization-mismatch-warnings", make_run(events=[mismatches(3, [1.0, 1.0, 1.0])]))
    mixed = find("tokenization-mismatch-warnings", make_run(events=[mismatches(3, [1.0, -2.0, 1.0])]))

    assert "always by 1" in constant[0].statement
    assert "always by" not in mixed[0].statement
