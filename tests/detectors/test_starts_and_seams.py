"""What a run shows at its first step, at a restart, and at the same place of every epoch."""

from typing import Any

import pytest

from detectors.detecting import NAN, find
from forensics.model import Run, Segment
from forensics.names import Kind
from forensics.testing import make_events, make_run
from rules.rule_judging import preference

FALLING = [2.0 - 0.1 * i for i in range(10)]
DECAY = [1e-4 * (1 - i / 12) for i in range(10)]
AGAIN = [*DECAY, *DECAY]
RESUMED = [make_events(Kind.RESUMED, [10])]


def test_a_policy_that_is_not_its_reference_is_told_at_step_1() -> None:
    finding = find("dpo-first-loss", make_run(**preference(1.4, -5.0, -22.0)))[0]

    assert (finding.severity, finding.step, finding.step_range) == ("warning", 1, (0, 1))


QUIET: dict[str, dict[str, Any]] = {
    "equal policies": preference(0.6931, 0.0, 0.0),
    "noise of bf16": preference(0.70, 0.05, -0.04),
    "dropout": preference(0.73, 0.15, -0.1),
    "no rewards": {"loss": [1.4, 1.2, 1.0]},
    "a mean over ten steps": preference(0.5, 0.9, -0.4, logging_steps=10),
    "SimPO: a multiple of the log-probabilities": preference(1.4, -6.0, -9.0),
    "ORPO": preference(1.4, -5.0, -22.0, nll_loss=[1.0] * 3),
    "IPO": preference(25.0, -5.0, -22.0, settings={"loss_type": "ipo"}),
    "KTO": preference(0.5, 0.0, 0.0),
    "NaN": preference(NAN, -5.0, -22.0),
    "only one log-probability": {k: v for k, v in preference(1.4, -5.0, -22.0).items() if k != "logps/chosen"},
}


@pytest.mark.parametrize("facts", QUIET.values(), ids=QUIET.keys())
def test_what_need_not_start_at_ln_2_is_not_told(facts: dict[str, Any]) -> None:
    assert find("dpo-first-loss", make_run(**facts)) == []


def rates(**others: Any) -> Run:
    return make_run(**{"learning_rate": AGAIN, "events": RESUMED, **others})


def test_a_schedule_that_begins_anew_at_a_restart_is_a_warning() -> None:
    finding = find("lr-jump", rates())[0]

    assert (finding.severity, finding.step) == ("warning", 11)
    assert "the schedule began anew" in finding.statement


@pytest.mark.parametrize(
    "others",
    [
        {"events": []},
        {"events": [make_events(Kind.RESUMED, [5])]},
        {"settings": {"lr_scheduler_type": "cosine_with_restarts"}},
        {"learning_rate": [*DECAY, *[8.5e-5] * 10]},
        {"learning_rate": [*DECAY, *[5e-4] * 10]},
    ],
    ids=["no restart", "a restart elsewhere", "asked for", "less than before", "another rate"],
)
def test_other_leaps_of_the_rate_stay_notices(others: dict[str, Any]) -> None:
    assert [f.severity for f in find("lr-jump", rates(**others))] == ["notice"]


def rewound(epoch: float, *, skip: bool) -> Run:
    run = make_run(
        loss=FALLING,
        epoch=[epoch] * 10,
        settings={"ignore_data_skip": skip},
    )
    object.__setattr__(run.timeline, "segments", (Segment(1, 8), Segment(6, 10)))
    return run


def test_an_epoch_that_begins_again_in_its_middle_is_a_warning() -> None:
    finding = find("step-rewind", rewound(0.4, skip=True))[0]

    assert (finding.severity, finding.step) == ("warning", 6)
    assert "first samples again" in finding.statement


@pytest.mark.parametrize(("epoch", "skip"), [(0.4, False), (1.0, True), (2.0004, True), (NAN, True)])
def test_a_restart_that_repeats_no_data_stays_a_notice(epoch: float, skip: bool) -> None:
    """The Trainer skips what was seen, or the epoch was over, or nobody knows."""
    assert [f.severity for f in find("step-rewind", rewound(epoch, skip=skip))] == ["notice"]


def bad_at(*steps: int, size: int = 100) -> Run:
    return make_run(loss=[NAN if step in steps else 2.0 for step in range(1, size + 1)])


@pytest.mark.parametrize(
    ("steps", "severity"),
    [
        ((14, 34, 54, 74), "warning"),
        ((14, 34, 54), "notice"),
        ((14, 34, 57, 74), "notice"),
        ((14, 15, 16, 17), "notice"),
    ],
    ids=["every 20 steps", "only two distances", "uneven", "one stretch"],
)
def test_nan_that_comes_back_at_an_equal_distance_is_a_warning(steps: tuple[int, ...], severity: str) -> None:
    """The same sample once an epoch; a loss scaler knows no epochs."""
    finding = find("loss-nan-transient", bad_at(*steps))[0]

    assert finding.severity == severity
    assert ("every 20 steps" in finding.statement) is (severity == "warning")


def test_a_loss_that_is_too_low_from_its_second_entry_on_is_told() -> None:
    """Labels that the input gives away are copied at once; nothing sinks over many entries."""
    finding = find("suspiciously-low-loss", make_run(loss=[2.0, *[1e-4] * 9]))[0]

    assert (finding.severity, finding.step) == ("notice", 2)
