import numpy as np
import pytest

from forensics.analysis.sentinel import groups
from forensics.model import Precision


def test_the_roots_that_deepspeed_prints_are_known_in_both_precisions() -> None:
    """float64 of the Python path, float32 of the tensor path (DeepSpeed 0.12 to 0.19)."""
    norms = np.array([1.0, 1.4142135623730951, 1.4142135381698608, 1.7320508075688772, 1.7320507764816284, 2.0])

    assert groups(norms).tolist() == [1, 2, 2, 3, 3, 4]


@pytest.mark.parametrize("norm", [0.0, -1.0, 0.9999, 1.0134, 1.4143, np.nan, np.inf, 9.0, 1e300])
def test_other_norms_are_none(norm: float) -> None:
    assert groups(np.array([norm])).tolist() == [0]


def test_four_printed_digits_are_enough() -> None:
    assert groups(np.array([1.414, 1.732]), Precision.FOUR_DIGITS).tolist() == [2, 3]
    assert groups(np.array([1.414, 1.732])).tolist() == [0, 0]
