import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.analysis import robust
from forensics.analysis.robust import noise, scores, spike_share, trailing, trend

series = st.lists(st.floats(-1e6, 1e6), max_size=200).map(np.array)


@given(series)
def test_the_baseline_is_the_median_of_what_came_before(
    values: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> None:
    baseline = trailing(values, window=16, minimum=4)

    for i in range(len(values)):
        before = values[max(0, i - 16) : i]
        expected = float(np.median(before)) if i >= 4 else float("nan")
        assert baseline.median[i] == pytest.approx(expected, nan_ok=True)


def test_a_long_series_uses_a_baseline_at_most_a_hop_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(robust, "WORK", 1000)
    values = np.arange(500.0)
    baseline = trailing(values, window=64)
    age = values[64:] - (baseline.median[64:] + 32.5)

    assert float(age.min()) >= 0
    assert float(age.max()) <= -(-500 * 64 // 1000) - 1


def test_a_flat_stretch_needs_a_floor() -> None:
    values = np.array([1.0] * 20 + [1.001])
    baseline = trailing(values)

    assert np.isnan(scores(values, baseline)[-1])
    assert scores(values, baseline, floor=0.01)[-1] == pytest.approx(0.1)


def test_the_spike_share_counts_points_six_deviations_up() -> None:
    values = np.random.default_rng(0).normal(2, 0.1, 1128)
    calm = spike_share(values)
    values[600] = 9.0

    assert calm == 0.0
    assert spike_share(values) == 1 / 1000
    assert spike_share(values[:128]) is None


def test_noise_is_the_scatter_and_not_the_slope() -> None:
    rng = np.random.default_rng(0)

    assert noise(np.arange(100.0)) == 0.0
    assert noise(np.arange(5000.0) + rng.normal(0, 3, 5000)) == pytest.approx(3, rel=0.1)
    assert noise(np.array([1.0, 2.0])) == 0.0


@pytest.mark.parametrize(
    ("values", "falls"),
    [
        ([3.0, 2.0, 1.0], True),
        ([2.0, 1.0], True),
        ([1.0, 1.0, 1.0], False),
        ([1.0, 2.0, 3.0], False),
        ([1.0], False),
        ([], False),
        ([1.0, 0.999, 0.998], False),
    ],
)
def test_a_fall_is_more_than_two_percent(values: list[float], falls: bool) -> None:
    assert falls is trend(np.array(values)).falls


def test_noise_alone_is_no_fall() -> None:
    rng = np.random.default_rng(3)
    found = [trend(2 + rng.normal(0, 0.3, 40)).falls for _ in range(200)]

    assert sum(found) <= 4
