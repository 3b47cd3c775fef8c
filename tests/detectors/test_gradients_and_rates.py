"""grad-norm-*, lr-*, loss-scale-collapse, steps-skipped."""

import pytest

from detectors.detecting import INF, NAN, ROOT_OF_TWO, falling, find, linear, norms, severities
from forensics.model import Events, OptimizerState, Precision, Run
from forensics.rules.opt008_scheduler_exhausted import ran_out
from forensics.testing import make_checkpoint, make_events, make_run

GOOD = falling(60)
FLAT = [2.0 + 0.01 * (i % 3) for i in range(60)]


@pytest.mark.parametrize("bad", [NAN, INF])
def test_a_norm_that_stays_nan_is_an_error(bad: float) -> None:
    run = make_run(loss=GOOD, grad_norm=norms(50) + [bad] * 10, logging_steps=10)
    found = find("grad-norm-nan", run)

    assert [(f.severity, f.step, f.step_range, f.until) for f in found] == [("error", 510, (500, 510), None)]


def test_a_norm_that_is_nan_in_two_entries_is_an_error_while_the_loss_still_falls() -> None:
    """VG-LLM #21: 1.7018 and 1.1469, grad_norm nan in both."""
    found = find("grad-norm-nan", make_run(loss=[1.7018, 1.1469], grad_norm=[NAN, NAN], logging_steps=10))

    assert [(f.severity, f.step, f.step_range) for f in found] == [("error", 10, (0, 10))]


@pytest.mark.parametrize(("loss", "severity"), [(GOOD, "warning"), (FLAT, "error"), (FLAT[:9], "error")])
def test_a_norm_that_is_always_nan_is_judged_by_the_loss(loss: list[float], severity: str) -> None:
    assert severities("grad-norm-nan", make_run(loss=loss, grad_norm=[NAN] * len(loss))) == [severity]
    assert severities("grad-norm-nan", make_run(grad_norm=[NAN] * 9)) == ["error"]


def test_a_norm_that_turns_nan_for_good_is_an_error_though_the_loss_falls() -> None:
    run = make_run(loss=[3.0 - 0.04 * i for i in range(60)], grad_norm=norms(30) + [NAN] * 30)

    assert severities("grad-norm-nan", run) == ["error"]


def test_one_last_nan_is_a_skipped_step_where_a_scaler_is_on_file() -> None:
    """None finite follows: without a scaler it may be the first of the dead ones."""
    skipped = make_run(loss=GOOD, grad_norm=[*norms(59), NAN], settings={"fp16": True})
    alone = make_run(loss=GOOD, grad_norm=[*norms(59), NAN])
    gone = make_run(loss=[*GOOD[:59], 0.0], grad_norm=[*norms(59), NAN])

    assert (severities("grad-norm-nan", skipped), severities("grad-norm-nan-isolated", skipped)) == (
        [],
        ["notice"],
    )
    assert (severities("grad-norm-nan", alone), severities("grad-norm-nan-isolated", alone)) == (["warning"], [])
    assert (severities("grad-norm-nan", gone), severities("grad-norm-nan-isolated", gone)) == (["error"], [])


def test_frequent_skips_make_a_run_of_two_at_the_end_a_chance() -> None:
    values = [NAN if i % 8 == 0 else 0.5 for i in range(57)] + [0.5, NAN, NAN]

    assert find("grad-norm-nan", make_run(loss=GOOD, grad_norm=values)) == []


def test_isolated_nans_are_a_notice_and_many_are_a_warning() -> None:
    few = find("grad-norm-nan-isolated", make_run(loss=GOOD, grad_norm=[0.5] * 20 + [NAN] + [0.5] * 39))
    many = make_run(loss=GOOD, grad_norm=[NAN, 0.5, 0.5] * 20)

    assert [(f.severity, f.step, f.step_range, f.until) for f in few] == [("notice", 21, (20, 21), 21)]
    assert severities("grad-norm-nan-isolated", many) == ["warning"]
    assert find("grad-norm-nan-isolated", make_run(loss=GOOD, grad_norm=norms(60))) == []


def test_a_sentinel_beside_a_dead_loss_is_an_error() -> None:
    run = make_run(loss=GOOD[:40] + [0.0] * 20, grad_norm=norms(40) + [ROOT_OF_TWO] * 20)
    found = find("grad-norm-sentinel", run)

    assert [(f.severity, f.step, f.step_range) for f in found] == [("error", 41, (41, 41))]
    assert "square root of 2" in found[0].statement


@pytest.mark.parametrize(
    "run",
    [
        make_run(loss=GOOD, grad_norm=norms(40) + [ROOT_OF_TWO] * 20),
        make_run(loss=GOOD, grad_norm=[1.0] * 60),
        make_run(loss=[*GOOD[:59], 0.0], grad_norm=[*norms(59), 1.0]),
        make_run(loss=[0.0] * 9, grad_norm=[ROOT_OF_TWO] * 9, reward=[1.0] * 9),
        make_run(loss=GOOD[:40] + [0.0] * 20, grad_norm=norms(60)),
    ],
    ids=["healthy loss", "clipped", "one 1.0", "policy gradient", "no root"],
)
def test_other_norms_are_no_sentinel(run: Run) -> None:
    assert find("grad-norm-sentinel", run) == []


def test_a_norm_clipped_to_one_dates_the_sentinel_by_the_loss() -> None:
    found = find("grad-norm-sentinel", make_run(loss=GOOD[:40] + [0.0] * 20, grad_norm=[1.0] * 60))

    assert [f.step for f in found] == [41]


@pytest.mark.parametrize(
    ("count", "severity"), [(1, "notice"), (2, "notice"), (3, "warning"), (5, "error"), (20, "error")]
)
def test_a_norm_that_turns_zero_beside_a_flat_loss(count: int, severity: str) -> None:
    """No peer reports it: losslint calls it stagnation, trainproof passes it."""
    run = make_run(loss=FLAT[: 40 + count], grad_norm=norms(40) + [0.0] * count)
    found = find("grad-norm-zero", run)

    assert [(f.severity, f.step, f.step_range) for f in found] == [(severity, 41, (41, 41))]


@pytest.mark.parametrize(("count", "severity"), [(2, "notice"), (3, "warning"), (9, "warning"), (10, "error")])
def test_a_norm_that_is_zero_from_the_start_needs_more(count: int, severity: str) -> None:
    assert severities("grad-norm-zero", make_run(loss=FLAT[:count], grad_norm=[0.0] * count)) == [severity]


@pytest.mark.parametrize(
    ("run", "severity"),
    [
        (make_run(loss=GOOD, grad_norm=[0.0] * 60), "notice"),
        (make_run(loss=[0.5, 0.1, 0.004, 0.001], grad_norm=[1.0, 0.1, 0.0, 0.0]), "notice"),
        (make_run(loss=[2.0, 2.0, 0.0, 0.0], grad_norm=[1.0, 1.0, 0.0, 0.0]), "error"),
        (make_run(loss=[0.0], grad_norm=[0.0]), "error"),
        (make_run(loss=[2.0, 2.0, 0.0], grad_norm=[1.0, 1.0, 0.0]), "warning"),
        (make_run(loss=FLAT, grad_norm=[0.0] * 60, reward=FLAT), "notice"),
        (make_run(grad_norm=[0.0] * 3), "warning"),
        (make_run(grad_norm=[0.0] * 2), "notice"),
    ],
    ids=["not reported", "memorised", "no labels", "one entry", "last batch", "policy gradient", "alone", "short"],
)
def test_a_zero_norm_is_judged_by_the_loss(run: Run, severity: str) -> None:
    assert severities("grad-norm-zero", run) == [severity]


def test_a_norm_ten_times_its_level_is_a_notice() -> None:
    values = norms(60)
    values[45] = 40.0
    found = find("grad-norm-explosion", make_run(loss=GOOD, grad_norm=values))

    assert [(f.severity, f.step, f.step_range, f.until) for f in found] == [("notice", 46, (45, 46), 46)]


def test_a_short_log_needs_ten_times_all_before() -> None:
    """SGD without clipping, dead at step 14: the loss is NaN before twenty norms are logged."""
    run = make_run(grad_norm=[0.45, 1.05, 1.2, 2.4, 2.9, 3.6, 41.9, 34.9, 109.0, 8073.0, INF, NAN, NAN])
    found = find("grad-norm-explosion", run)

    assert [(f.severity, f.step, f.step_range) for f in found] == [("notice", 7, (6, 7))]
    assert find("grad-norm-explosion", make_run(grad_norm=[0.4, 1.0, 1.2, 2.4, 2.9, 3.6, 30.0])) == []
    assert find("grad-norm-explosion", make_run(grad_norm=[0.4, 1.0, 1.2, 2.4, 90.0])) == []


def test_a_norm_that_stays_up_with_the_loss_is_a_warning() -> None:
    both = make_run(loss=GOOD[:50] + [6.0] * 10, grad_norm=norms(50) + [300.0] * 10)
    alone = make_run(loss=GOOD, grad_norm=norms(50) + [15.0] * 10)

    assert severities("grad-norm-explosion", both) == ["warning"]
    assert severities("grad-norm-explosion", alone) == ["notice"]


def test_norms_far_beyond_any_healthy_level_are_a_warning_by_themselves() -> None:
    """The highest healthy run ends at 21 times its lowest level; 300 times the first norms is no batch."""
    ends = make_run(loss=GOOD, grad_norm=norms(50) + [100.0] * 10)
    peak = make_run(loss=GOOD, grad_norm=[*norms(40), 900.0, *norms(19)])
    lower = make_run(loss=GOOD, grad_norm=[*norms(40), 90.0, *norms(19)])

    assert severities("grad-norm-explosion", ends) == ["warning"]
    assert severities("grad-norm-explosion", peak) == ["warning"]
    assert severities("grad-norm-explosion", lower) == ["notice"]


@pytest.mark.parametrize(
    "values", [norms(60), [1e-6 * n for n in norms(59)] + [1e-4], [50.0, *norms(59)], [NAN] * 60, norms(10)]
)
def test_other_norms_do_not_explode(values: list[float]) -> None:
    assert find("grad-norm-explosion", make_run(loss=GOOD, grad_norm=values)) == []


@pytest.mark.parametrize(("count", "expected"), [(2, []), (3, ["warning"]), (5, ["error"]), (60, ["error"])])
def test_a_rate_of_zero_throughout(count: int, expected: list[str]) -> None:
    assert severities("lr-zero", make_run(loss=FLAT[:count], learning_rate=[0.0] * count)) == expected


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (make_run(loss=GOOD, learning_rate=[0.0] * 60), ["notice"]),
        (make_run(loss=FLAT[:1], learning_rate=[0.0], settings={"learning_rate": 0.0}), ["error"]),
        (make_run(learning_rate=[0.0] * 9), ["warning"]),
        (make_run(loss=[3.0, 2.9, 2.8, *FLAT[:3]], learning_rate=[0.0] * 3 + [1e-6] * 3), []),
        (make_run(loss=GOOD, learning_rate=linear(60)), []),
        (make_run(loss=GOOD, learning_rate=[1e-5] * 50 + [0.0] * 10), ["warning"]),
        (make_run(loss=GOOD, learning_rate=[1e-5] * 54 + [0.0] * 6), []),
        (make_run(loss=GOOD[:20], learning_rate=[1e-5] * 16 + [0.0] * 4), []),
    ],
    ids=["another optimizer", "set to 0", "no loss", "warm-up", "decay", "exhausted", "a tenth", "end of decay"],
)
def test_a_rate_of_zero_is_judged_by_what_else_is_known(run: Run, expected: list[str]) -> None:
    assert severities("lr-zero", run) == expected


STAIRS = [4e-8] * 20 + [3e-8] * 15 + [2e-8] * 13 + [1e-8] * 20
"""A rate of a cosine, printed with eight decimals."""


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        (STAIRS + [0.0] * 25, []),
        ([2e-8 * round(rate / 2e-8) for rate in STAIRS] + [0.0] * 25, []),
        (STAIRS + [0.0] * 60, ["warning"]),
        ([*STAIRS[:48], 1.3e-8, *[1e-8] * 20] + [0.0] * 25, ["warning"]),
        ([*STAIRS[:48], 1e-8, 1e-8] + [0.0] * 25, ["warning"]),
        ([3e-8] * 40 + [0.0] * 25, ["warning"]),
        ([1e-8] * 40 + [0.0] * 25, ["warning"]),
    ],
    ids=["one unit", "two units", "too long", "more digits", "passes by", "from three units", "one level"],
)
def test_zeros_that_only_rounding_prints_are_no_rate_of_zero(rates: list[float], expected: list[str]) -> None:
    """Nor is the schedule behind them used up."""
    run = make_run(loss=FLAT[:1] * len(rates), learning_rate=rates)

    assert severities("lr-zero", run) == expected
    assert (ran_out(run) is None) is (not expected)


def test_a_setting_of_the_same_name_is_no_series() -> None:
    """`learning_rate` is a setting as well: a run that logged none must not be judged, nor break."""
    run = make_run(loss=GOOD, settings={"learning_rate": 1e-5, "loss": "x", "grad_norm": 1})

    assert [find(name, run) for name in ("lr-zero", "lr-constant", "lr-jump", "grad-norm-nan")] == [[]] * 4


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (make_run(learning_rate=[1e-5] * 3, settings={"lr_scheduler_type": "cosine"}), ["warning"]),
        (make_run(learning_rate=[1e-5] * 3, settings={"lr_scheduler_type": "SchedulerType.LINEAR"}), ["warning"]),
        (make_run(learning_rate=[1e-5] * 9, settings={"lr_scheduler_type": "constant"}), []),
        (make_run(learning_rate=[1e-5] * 9, settings={"lr_scheduler_type": "cosine_with_min_lr"}), []),
        (make_run(learning_rate=[1e-5] * 5), ["notice"]),
        (make_run(learning_rate=[1e-5] * 4), []),
        (make_run(learning_rate=[*linear(12), *[1e-6] * 5]), []),
        (make_run(learning_rate=[0.0] * 9), []),
        (make_run(learning_rate=linear(30)), []),
    ],
)
def test_a_rate_that_stands_still(run: Run, expected: list[str]) -> None:
    assert severities("lr-constant", run) == expected


@pytest.mark.parametrize(("planned", "expected"), [(30, ["warning"]), (3000, []), (None, [])])
def test_four_digits_show_a_decay_only_over_a_part_of_the_run(planned: int | None, expected: list[str]) -> None:
    settings = {"lr_scheduler_type": "cosine", "max_steps": planned}
    run = make_run(learning_rate=[1e-5] * 9, settings=settings, precision=Precision.FOUR_DIGITS)

    assert severities("lr-constant", run) == expected


def test_a_leap_of_the_rate_is_a_notice() -> None:
    found = find("lr-jump", make_run(learning_rate=[*linear(20)[:10], *[1e-4] * 10]))

    assert [(f.severity, f.step, f.step_range) for f in found] == [("notice", 11, (10, 11))]


@pytest.mark.parametrize("rates", [linear(20), [1e-5] * 20, [0.0, *[1e-5] * 19], [1e-5] * 4 + [1e-4] * 4])
def test_ramps_are_no_leap(rates: list[float]) -> None:
    assert find("lr-jump", make_run(learning_rate=rates)) == []


def test_a_rate_that_is_wrong_in_one_entry_is_a_leap() -> None:
    rates = linear(30)
    rates[15] = 1e-2
    found = find("lr-jump", make_run(learning_rate=rates))

    assert [(f.severity, f.step, f.step_range) for f in found] == [("notice", 16, (15, 16))]


def test_a_rate_that_goes_to_and_fro_is_no_leap() -> None:
    assert find("lr-jump", make_run(learning_rate=[1e-5, 2e-5] * 10)) == []


def overflows(scales: list[float], first: int = 1) -> Events:
    return make_events("overflow", list(range(first, first + len(scales))), scales)


@pytest.mark.parametrize(
    ("events", "steps", "expected"),
    [
        ([overflows([2.0**i for i in range(16, -2, -1)])], 60, ["error"]),
        ([overflows([256.0, 128.0, 64.0, 32.0], 40)], 60, ["warning"]),
        ([overflows([256.0, 128.0, 64.0, 1.0], 40)], 400, ["notice"]),
        ([overflows([2.0**i for i in range(16, 0, -1)])], 60, []),
        ([overflows([65536.0])], 60, []),
        ([overflows([NAN])], 60, []),
        ([make_events("loss-scale-at-minimum", [55])], 60, ["error"]),
    ],
)
def test_a_loss_scale_that_falls_to_its_floor(events: list[Events], steps: int, expected: list[str]) -> None:
    assert severities("loss-scale-collapse", make_run(loss=falling(steps), events=events)) == expected


def test_a_logged_scale_or_a_saved_one_tells_it_as_well() -> None:
    fell = make_run(loss=FLAT[:4], loss_scale=[65536.0, 1024.0, 1.0, 1.0])
    static = make_run(loss=FLAT[:4], loss_scale=[1.0] * 4)
    state = OptimizerState(loss_scale=1.0, minimum_loss_scale=1.0)
    high = OptimizerState(loss_scale=4096.0, minimum_loss_scale=1.0)
    saved = make_run(checkpoints=[make_checkpoint(10, optimizer=high), make_checkpoint(20, optimizer=state)])
    bf16 = make_run(checkpoints=[make_checkpoint(20, optimizer=OptimizerState(loss_scale=1.0))])

    assert [(f.severity, f.step_range) for f in find("loss-scale-collapse", fell)] == [("error", (1, 2))]
    assert find("loss-scale-collapse", static) == []
    assert [(f.severity, f.step_range) for f in find("loss-scale-collapse", saved)] == [("error", (10, 20))]
    assert find("loss-scale-collapse", bf16) == []


@pytest.mark.parametrize(
    ("scales", "expected"),
    [
        ([2.0 ** (15 - i) for i in range(40)], (1, 2)),
        ([65536.0] * 5 + [2.0 ** (15 - i) for i in range(20)], (5, 6)),
        ([2.0 ** (16 - i) for i in range(10)] + [64.0] * 30 + [32.0, 16.0, 1.0, 1.0], (40, 41)),
        ([65536.0, 1024.0, 1024.0, 1.0, 1.0], (3, 4)),
        ([65536.0, 0.5], (1, 2)),
    ],
    ids=["from the first step on", "out of the blue", "settled between", "it stood before", "at once"],
)
def test_a_scale_that_falls_in_every_entry_is_lost_from_the_first_fall_on(
    scales: list[float], expected: tuple[int, int]
) -> None:
    run = make_run(loss=[2.0] * len(scales), loss_scale=scales)

    assert [f.step_range for f in find("loss-scale-collapse", run)] == [expected]


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (make_run(loss=GOOD, events=[overflows([2.0] * 3)]), ["notice"]),
        (make_run(loss=GOOD, events=[overflows([2.0] * 20)]), ["warning"]),
        (make_run(loss=GOOD, events=[overflows([2.0] * 31)]), ["error"]),
        (make_run(loss=GOOD, events=[make_events("nonfinite-gradients-skipped", [5])]), ["notice"]),
        (make_run(loss=GOOD, skipped_steps=[0.0] * 20 + [40.0] * 40), ["error"]),
        (make_run(loss=GOOD, skipped_steps=[0.0] * 60), []),
        (make_run(checkpoints=[make_checkpoint(40, optimizer=OptimizerState(skipped_steps=38))]), ["error"]),
        (make_run(loss=FLAT, grad_norm=norms(30) + [0.123456] * 30, learning_rate=[1e-5] * 60), ["warning"]),
        (make_run(grad_norm=norms(30) + [0.123456] * 30, learning_rate=[1e-5] * 60), ["warning"]),
        (make_run(loss=GOOD, grad_norm=norms(30) + [0.123456] * 30, learning_rate=[1e-5] * 60), []),
        (make_run(loss=GOOD, grad_norm=norms(30) + [0.123456] * 30, learning_rate=linear(60)), []),
        (make_run(loss=GOOD, grad_norm=[0.123456] * 60, precision=Precision.FOUR_DIGITS), []),
        (make_run(loss=GOOD, grad_norm=[0.5] * 60), []),
        (make_run(loss=GOOD, grad_norm=[1.0] * 60), []),
        (make_run(loss=GOOD, grad_norm=[ROOT_OF_TWO] * 60), []),
        (make_run(loss=GOOD, grad_norm=norms(60)), []),
    ],
)
def test_skipped_steps_are_judged_by_their_share(run: Run, expected: list[str]) -> None:
    assert severities("steps-skipped", run) == expected


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ([0.01] * 8 + [0.001] * 16 + [0.0001] * 16 + [0.00001] * 16 + [0.0] * 50, []),
        ([0.01] * 8 + [0.001] * 16 + [0.00001] * 16 + [0.0] * 50, ["warning"]),
        ([0.01] * 8 + [0.0001] * 16 + [0.0] * 50, ["warning"]),
        ([0.004] * 8 + [0.002] * 16 + [0.001] * 16 + [0.0] * 50, ["warning"]),
    ],
    ids=["one cut more", "cuts that differ", "one cut", "half a unit"],
)
def test_zeros_after_cuts_by_one_factor_are_the_next_cut_as_it_is_printed(
    rates: list[float], expected: list[str]
) -> None:
    """Paddle prints `lr:0.00001` for an epoch and `lr:0.00000` from the next cut by ten on."""
    assert severities("lr-zero", make_run(loss=falling(len(rates)), learning_rate=rates)) == expected


@pytest.mark.parametrize(
    ("rates", "step_range"),
    [
        ([1e-3 * 0.5**i for i in range(40)], (20, 21)),
        ([1e-3 * 0.5**i for i in range(24)], None),
        ([1e-3 * 0.5**i for i in range(12)], None),
        ([1e-3 * 0.1**i for i in range(12)], (7, 8)),
        ([1e-3 * 0.1**i for i in range(11)], None),
    ],
    ids=["half", "too late", "not so low", "a tenth", "four entries"],
)
def test_a_rate_that_decays_to_nothing_without_being_zero_trains_nothing(
    rates: list[float], step_range: tuple[int, int] | None
) -> None:
    """An exponential schedule of epochs that is stepped in batches."""
    found = find("lr-zero", make_run(loss=falling(len(rates)), learning_rate=rates))

    assert [f.step_range for f in found] == ([] if step_range is None else [step_range])
    assert all(f.severity == "warning" and "below a millionth of its highest" in f.statement for f in found)
