"""Curves part where they stay apart, not where noise first differs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.comparison.metrics import divergence, lasting
from forensics.model import Precision
from forensics.testing import make_series

NOISE = np.random.default_rng(7).normal(0, 0.02, 100)
FALLING = 2.0 - 0.01 * np.arange(100)
STEPS = list(range(1, 101))


def test_another_seed_differs_but_does_not_part() -> None:
    other = FALLING + np.random.default_rng(8).normal(0, 0.02, 100)
    found = divergence(
        make_series("loss", (FALLING + NOISE).tolist(), STEPS), make_series("loss", other.tolist(), STEPS)
    )

    assert found is not None
    assert (found.differs_from, found.parts_from) == (1, None)


def test_a_jump_is_where_they_part() -> None:
    other = FALLING + NOISE
    jumped = np.where(np.arange(100) >= 60, other + 1.0, other)
    found = divergence(make_series("loss", other.tolist(), STEPS), make_series("loss", jumped.tolist(), STEPS))

    assert found is not None
    assert (found.differs_from, found.parts_from) == (61, 61)


@pytest.mark.parametrize("bad", [0.0, float("nan"), float("inf")])
def test_zero_and_nan_are_never_noise(bad: float) -> None:
    """Even where the curve is so noisy that 0 would lie within it."""
    noisy = (1.0 + np.random.default_rng(1).normal(0, 2.0, 100)).tolist()
    died = [*noisy[:50], *([bad] * 50)]
    found = divergence(make_series("loss", noisy, STEPS), make_series("loss", died, STEPS))

    assert found is not None
    assert found.parts_from == 51


def test_only_common_steps_are_compared() -> None:
    good = make_series("loss", [3.0, 2.0, 1.0], [10, 20, 30])
    bad = make_series("loss", [2.5, 2.0, 1.5, 1.0], [15, 20, 25, 30])
    found = divergence(good, bad)

    assert found is not None
    assert (found.aligned, found.differs_from, found.parts_from) == (2, None, None)


def test_no_common_step_is_no_comparison() -> None:
    assert divergence(make_series("loss", [1.0], [1]), make_series("loss", [1.0], [2])) is None


def test_rounding_of_a_source_is_no_difference() -> None:
    good = make_series("learning_rate", [1.23456e-5], [1])
    bad = make_series("learning_rate", [1.235e-5], [1], Precision.FOUR_DIGITS)
    found = divergence(good, bad)

    assert found is not None
    assert found.differs_from is None


NORMS = np.random.default_rng(3).lognormal(-0.5, 0.6, 100)


@pytest.mark.parametrize(("size", "factor"), [(100, 2.5), (100, 1 / 1.4), (12, 1.4), (4, 0.5), (5, 2.5)])
def test_a_factor_that_lasts_parts_curves_within_their_noise(size: int, factor: float) -> None:
    """The same data give the same noise: norms are 0.2 to 2, so that the difference is within it."""
    steps = STEPS[:size]
    found = divergence(
        make_series("grad_norm", NORMS[:size].tolist(), steps),
        make_series("grad_norm", (NORMS[:size] * factor).tolist(), steps),
    )

    assert found is not None
    assert found.parts_from == 1
    assert found.factor == pytest.approx(factor)


def test_a_factor_that_begins_in_the_middle_is_dated() -> None:
    scaled = np.where(np.arange(100) >= 40, NORMS * 2, NORMS)
    found = divergence(
        make_series("grad_norm", NORMS.tolist(), STEPS), make_series("grad_norm", scaled.tolist(), STEPS)
    )

    assert found is not None
    assert found.parts_from == 41
    assert found.factor == pytest.approx(2)


@pytest.mark.parametrize("name", ["learning_rate", "grad_norm"])
@pytest.mark.parametrize("size", [12, 100])
def test_a_value_that_is_zero_in_both_hides_no_factor(name: str, size: int) -> None:
    """As the first rate of a warm-up, and the last of a decay."""
    values = np.concatenate([[0.0], NORMS[1 : size - 1], [0.0]])
    found = divergence(
        make_series(name, values.tolist(), STEPS[:size]), make_series(name, (3 * values).tolist(), STEPS[:size])
    )

    assert found is not None
    assert found.parts_from == 2


@pytest.mark.parametrize("factor", [2.0, 1.05])
def test_a_rate_has_no_noise(factor: float) -> None:
    """Its steps from entry to entry are those of a schedule: a decay over ten entries hides no other rate."""
    decay = 1e-5 * np.linspace(1, 0, 10)
    found = divergence(
        make_series("learning_rate", decay.tolist(), STEPS[:10]),
        make_series("learning_rate", (factor * decay).tolist(), STEPS[:10]),
    )

    assert found is not None
    assert found.parts_from == 1


@pytest.mark.parametrize("size", [3, 4, 9, 10, 100])
def test_norms_of_another_seed_have_no_factor(size: int) -> None:
    """Nor have a few entries that are 1.3 times the others, or one entry."""
    others = [np.random.default_rng(seed).lognormal(-0.5, 0.3, (2, size)) for seed in range(40)]
    pairs = [
        (make_series("grad_norm", a.tolist(), STEPS[:size]), make_series("grad_norm", b.tolist(), STEPS[:size]))
        for a, b in others
    ]
    factors = [found.factor for a, b in pairs if (found := divergence(a, b)) is not None]

    assert factors == [None] * 40


@given(st.lists(st.booleans(), max_size=30))
def test_lasting_is_the_earliest_point_from_which_nine_tenths_are_apart(apart: list[bool]) -> None:
    found = lasting(np.array(apart, dtype=bool))
    holds = [i for i, a in enumerate(apart) if a and sum(apart[i:]) / len(apart[i:]) >= 0.9]

    assert found == (min(holds) if holds and apart[-1] else None)
