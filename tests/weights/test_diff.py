"""One checkpoint alone, and two side by side."""

from pathlib import Path

import numpy as np
import pytest

from forensics.weights.diff import diff
from forensics.weights.scan import scan
from weights.tensor_reference import assert_row, expected, save


def test_scan_is_a_series_of_one(tmp_path: Path) -> None:
    """A scan has the numbers of the tensor and compares nothing."""
    raw = np.array([1, -2, np.inf, 0], np.float32).view(np.uint8)

    table = scan(tmp_path, save(tmp_path, "a", [("w", "F32", (2, 2), raw)]))

    assert_row(table, 0, expected("F32", (2, 2), raw))


def test_difference_names_what_came_and_went(tmp_path: Path) -> None:
    """Added, removed, reshaped and retyped tensors are named; roles keep tensors of one name apart."""
    raw = np.ones(4, np.float32).view(np.uint8)
    before = save(tmp_path, "a", [(n, "F32", (4,), raw) for n in ("stays", "gone", "shape", "type")])
    after = save(
        tmp_path,
        "b",
        [
            ("new", "F32", (4,), raw),
            ("stays", "F32", (4,), raw),
            ("shape", "F32", (2, 2), raw),
            ("type", "I32", (4,), raw),
        ],
    )

    found = diff(tmp_path, before, after)

    assert (
        found.added,
        found.removed,
        found.reshaped,
        found.retyped,
    ) == (("new",), ("gone",), ("shape",), ("type",))
    assert found.table.same.tolist() == [None, 4, None, None]


def test_moved_and_relative_change(tmp_path: Path) -> None:
    """Shares and ratios are of the tensor before; NaN stands where there is nothing to divide by."""
    tensors = {
        "half": ([3.0, 4.0], [3.0, 4.5]),
        "from zero": ([0.0, 0.0], [0.0, 1.0]),
    }
    before = save(
        tmp_path,
        "a",
        [(n, "F32", (2,), np.array(was, np.float32).view(np.uint8)) for n, (was, _) in tensors.items()],
    )
    after = save(
        tmp_path,
        "b",
        [(n, "F32", (2,), np.array(now, np.float32).view(np.uint8)) for n, (_, now) in tensors.items()],
    )
    after += save(tmp_path, "c", [("new", "F32", (2,), np.ones(8, np.uint8))])

    found = diff(tmp_path, before, after)

    assert [0.5, 0.5, pytest.approx(np.nan, nan_ok=True)] == found.moved.tolist()
    assert [0.1, pytest.approx(np.nan, nan_ok=True), pytest.approx(np.nan, nan_ok=True)] == [
        pytest.approx(value, nan_ok=True) for value in found.relative_change
    ]
