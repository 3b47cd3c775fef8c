"""The middle of numbers and which there are: as numpy says, without what numpy imports to say it."""

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forensics.model.order import distinct
from forensics.model.statistics import median, medians

NUMBERS = st.floats(allow_nan=True, width=64) | st.sampled_from([0.0, 1.0, 2.5, -3.0])
VALUES = st.lists(NUMBERS, max_size=40).map(np.array)


@given(VALUES)
def test_the_median_is_that_of_numpy(values: Any) -> None:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        expected = float(np.median(values))

    np.testing.assert_array_equal(median(values), expected)
    np.testing.assert_array_equal(median(values.tolist()), expected)


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=9).map(np.array))
def test_whole_numbers_have_a_median_too(values: Any) -> None:
    assert median(values) == np.median(values)


@given(arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 7)), elements=NUMBERS))
def test_each_row_has_its_own(rows: Any) -> None:
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(medians(rows), np.median(rows, axis=1))


def test_one_number_is_its_own_median_however_high() -> None:
    assert medians(np.array([[1e308], [-1e308]])).tolist() == [1e308, -1e308]


@given(VALUES)
def test_distinct_numbers_are_those_of_numpy(values: Any) -> None:
    np.testing.assert_array_equal(distinct(values), np.unique(values))
    np.testing.assert_array_equal(distinct(values[:0]), values[:0])


@pytest.mark.parametrize("values", [[3, 1, 3, 2], []])
def test_distinct_whole_numbers_stay_whole(values: list[int]) -> None:
    found = distinct(np.array(values, np.int64))

    assert found.dtype == np.int64
    assert found.tolist() == sorted(set(values))
