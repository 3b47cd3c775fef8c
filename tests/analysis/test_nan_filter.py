import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from forensics.analysis.nan_filter import candidates, explanations, factor, shown


def filtered(losses: list[float], accumulation: int) -> float:
    """Return what the Trainer logs for one window of true step losses, by its own rule, micro-step by micro-step.

    `Trainer._inner_training_loop` of transformers 4.46 to 5.23.
    """
    total = 0.0
    for steps_done, loss in enumerate(losses):
        for _ in range(accumulation):
            part = loss / accumulation
            total += total / (1 + steps_done) if math.isnan(part) or math.isinf(part) else part
    return total / len(losses)


@given(
    st.floats(0.01, 20),
    st.integers(1, 60).flatmap(lambda window: st.tuples(st.just(window), st.integers(0, window))),
    st.integers(1, 12),
)
def test_the_closed_form_is_what_the_loop_gives(loss: float, counts: tuple[int, int], accumulation: int) -> None:
    window, finite = counts
    entry = filtered([loss] * finite + [math.nan] * (window - finite), accumulation)

    assert shown(loss, finite, window, accumulation) == pytest.approx(entry, rel=1e-9)


def test_the_entry_that_a_real_trainer_prints() -> None:
    """transformers 4.57.6 and 5.23.0 print 121489.6 for a loss of 1.4509, NaN from step 2, L = 10, G = 8."""
    assert shown(1.4509, 1, 10, 8) == pytest.approx(121489.6, rel=1e-5)


@given(st.floats(0.3, 6.0), st.integers(1, 50), st.integers(1, 50), st.integers(1, 64))
def test_the_true_reading_is_among_the_candidates(loss: float, finite: int, window: int, accumulation: int) -> None:
    assume(finite <= window)
    entry = shown(loss, finite, window, accumulation)
    assume(math.isfinite(entry))
    found = candidates(entry, window, accumulation, (0.29, 6.1))

    assert any(d.finite_steps == finite and d.loss == pytest.approx(loss, rel=1e-9) for d in found)


def test_one_reading_for_an_absurd_entry_and_several_for_a_mild_one() -> None:
    absurd = candidates(121486.8, 10, 8)
    mild = candidates(1.2, 10, 1)

    assert [(d.finite_steps, round(d.loss, 4)) for d in absurd] == [(1, 1.4509)]
    assert list(range(1, 11)) == [d.finite_steps for d in mild]


@pytest.mark.parametrize("entry", [0.0, -1.0, math.nan, math.inf])
def test_what_the_filter_never_shows_has_no_reading(entry: float) -> None:
    assert candidates(entry, 10, 8) == ()


def test_a_window_of_a_whole_run_costs_no_memory() -> None:
    """The distance of two entries may be any number in a hostile file."""
    assert candidates(1.0, 2**60, 8) == ()


def test_unknown_settings_give_candidates_and_never_one_answer() -> None:
    found = {(d.window, d.accumulation) for d in explanations(121486.8)}

    assert (10, 8) in found
    assert len(found) > 1


def test_large_factors_overflow_to_infinity_without_a_warning() -> None:
    assert factor(np.array([1]), 500, 4096).tolist() == [math.inf]


@pytest.mark.parametrize(("window", "accumulation"), [(0, 1), (1, 0)])
def test_settings_below_one_are_refused(window: int, accumulation: int) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        factor(np.array([1]), window, accumulation)
