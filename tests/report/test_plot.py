"""A curve in characters: gaps, marks, extremes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.report._onset import Curve
from forensics.report._plot import ASCII, LABEL, ROWS, UNICODE, plot


def curve(values: list[float], first: int = 1) -> Curve:
    return Curve("loss", np.arange(first, first + len(values), dtype=np.int64), np.array(values))


def test_nan_is_a_gap_with_a_mark_below() -> None:
    """Nothing is drawn where there is no value; the row under the axis says so."""
    lines = plot(curve([1.0, 1.0, float("nan"), float("inf")]), 3, LABEL + 2 + 4, ink=ASCII)
    columns = [line[LABEL + 2 :].ljust(4) for line in lines]

    assert [row[2:] for row in columns[1 : ROWS + 1]] == [": "] * ROWS
    assert columns[ROWS + 2] == "  xx"


def test_the_onset_is_marked_at_its_column() -> None:
    lines = plot(curve([1.0] * 11), 6, LABEL + 2 + 41, ink=ASCII)

    assert [line[LABEL + 2 + 20] for line in lines[1 : ROWS + 1]].count(":") >= ROWS - 1
    assert lines[-1].index("^ step 6") == LABEL + 2 + 20


def test_the_extremes_are_named_and_drawn_at_the_ends() -> None:
    lines = plot(curve([3.0, 1.0, 2.0]), None, 40, ink=ASCII)

    assert lines[0] == "loss, 1 to 3"
    assert lines[1].split()[:2] == ["3", "+o"]
    assert lines[ROWS].split()[0] == "1"


def test_values_of_many_sizes_get_a_logarithmic_axis() -> None:
    assert plot(curve([1e-3, 1.0, 1e3]), None, 40)[0].endswith("(logarithmic)")


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True, width=64), min_size=2, max_size=80),
    st.integers(0, 100),
    st.integers(40, 100),
)
def test_any_values_fit_the_width(values: list[float], onset: int, width: int) -> None:
    for ink in (UNICODE, ASCII):
        lines = plot(curve(values), onset, width, ink=ink)

        assert max(len(line) for line in lines) <= max(width, 60)


@pytest.mark.parametrize("onset", [None, 0, 1, 50, 99, 100, 5000])
def test_no_step_number_is_cut(onset: int | None) -> None:
    """A number that the onset's own would run over is left out, never cut short."""
    lines = plot(curve([1.0] * 100), onset, 60)
    numbers = [int(word) for word in lines[-1].replace("^", " ").replace("step", " ").split()]

    assert set(numbers) <= {1, 100, onset}
