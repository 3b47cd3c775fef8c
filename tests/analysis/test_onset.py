import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.analysis.onset import (
    Onset,
    from_bracket,
    mean_onset,
    point_onset,
    repeats,
    stretches,
    tail_onset,
    window_start,
)
from forensics.model import StepRange
from forensics.testing import make_series

masks = st.lists(st.booleans(), max_size=60).map(lambda values: np.array(values, dtype=bool))


@given(masks)
def test_the_tail_is_the_longest_suffix_that_holds(mask: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> None:
    suffixes = [i for i in range(len(mask)) if mask[i:].all()]

    assert (min(suffixes) if suffixes else None) == tail_onset(mask)


@given(masks)
def test_stretches_cover_exactly_what_is_true(mask: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> None:
    starts, ends = stretches(mask)
    rebuilt = np.zeros(len(mask), dtype=bool)
    for start, end in zip(starts, ends, strict=True):
        rebuilt[start:end] = True

    assert mask.tolist() == rebuilt.tolist()
    assert bool(np.all(starts[1:] > ends[:-1]))


def test_repeats_are_equal_neighbours_and_nan_is_none() -> None:
    values = np.array([1.0, 1.0, 2.0, np.nan, np.nan, 3.0])

    assert repeats(values).tolist() == [True, True, False, False, False, False]


@pytest.mark.parametrize(
    ("onset", "bracket"),
    [(Onset(5, 5), (5, 5)), (Onset(3, 8), (2, 8)), (Onset(None, 8), (None, 8))],
)
def test_a_bracket_names_the_last_fine_and_the_first_bad_step(onset: Onset, bracket: StepRange) -> None:
    assert bracket == onset.bracket()
    assert onset == from_bracket(bracket)


def test_a_bracket_without_a_bad_step_is_no_onset() -> None:
    assert from_bracket((4, None)) is None


def test_onsets_that_agree_are_narrowed_and_others_left_alone() -> None:
    assert Onset(4, 6) == Onset(2, 6).narrowed(Onset(4, 9))
    assert Onset(4, 6) == Onset(None, 6).narrowed(Onset(4, 9))
    assert Onset(None, 6) == Onset(None, 9).narrowed(Onset(None, 6))
    assert Onset(2, 6) == Onset(2, 6).narrowed(Onset(7, 9))
    assert Onset(2, 6) == Onset(2, 6).narrowed(None)


def test_the_first_window_reaches_back_to_the_start_of_the_run_at_most() -> None:
    cut, whole, first = (make_series("loss", [1.0, 1.0], steps) for steps in ([75, 80], [10, 20], [1, 10]))

    assert window_start(cut, 0, 5) == 70
    assert window_start(whole, 0, 10) == 0
    assert window_start(first, 0, 10) == 0
    assert window_start(cut, 0, None) is None
    assert window_start(cut, 1, 5) == 75


def test_an_entry_that_is_nan_brackets_its_own_window() -> None:
    series = make_series("loss", [1.0, 1.0, np.nan], [10, 20, 30])

    assert Onset(21, 30) == point_onset(series, 2, 10)


def test_the_first_entry_says_nothing_of_what_was_before_a_cut_log() -> None:
    assert Onset(None, 75) == point_onset(make_series("loss", [0.0], [75]), 0, 5)
    assert Onset(1, 10) == point_onset(make_series("loss", [0.0], [10]), 0, 10)


def test_a_zero_may_have_begun_in_the_window_before() -> None:
    series = make_series("loss", [1.0, 1.0, 0.7, 0.0], [10, 20, 30, 40])

    assert Onset(22, 31) == mean_onset(series, 3, 10, fine_before=False)
    assert Onset(31, 40) == mean_onset(series, 3, 10, fine_before=True)


def test_logged_every_step_a_zero_is_exact() -> None:
    series = make_series("loss", [1.0, 1.0, 0.0], [1, 2, 3])

    assert Onset(3, 3) == mean_onset(series, 2, 1, fine_before=False)
