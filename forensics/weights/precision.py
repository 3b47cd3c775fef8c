"""How large an update must be to move a 16-bit weight at all.

A weight w in bf16 (8 bits of mantissa, 7 stored) or fp16 (11, 10 stored) has its neighbours one unit in the last
place away: 2**(floor(log2 |w|) - bits stored). Round to nearest even keeps w when the update is below half of that
(below a quarter towards zero at a power of two, where the spacing halves; the larger half is used here, so that
"cannot move" is claimed for the safe side only when the update is below the smaller one).

Adam's step is lr * m / (sqrt(v) + eps) with m, v corrected for their bias (Kingma and Ba 2015; torch 2.13
`torch/optim/adam.py`, `_single_tensor_adam`), decoupled decay adds lr * decay * w (`adamw.py`).
"""

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.records import dataclass
from forensics.model import Floats

STORED_BITS = {"BF16": 7, "F16": 10}
SMALLEST_EXPONENT = {"BF16": -126, "F16": -14}


@dataclass(frozen=True, slots=True)
class Adam:
    """The settings of an Adam step; `step` counts from 1."""

    rate: float
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    step: int = 1
    decay: float = 0.0


def ulp(values: Floats, dtype: str) -> Floats:
    """Return the distance from each value to its neighbour away from zero, shape as given.

    `dtype` is BF16 or F16; subnormals have the distance of the smallest normal. NaN and infinities give NaN.

    >>> ulp(np.array([1.0, 0.02]), "BF16").tolist()
    [0.0078125, 0.0001220703125]
    """
    finite = np.where(np.isfinite(values), np.abs(values), np.nan)
    exponent = np.frexp(np.where(finite > 0, finite, 1.0))[1] - 1
    exponent = np.where(finite > 0, exponent, SMALLEST_EXPONENT[dtype])
    exponent = np.maximum(exponent, SMALLEST_EXPONENT[dtype])
    return np.where(np.isnan(finite), np.nan, np.ldexp(1.0, exponent - STORED_BITS[dtype]))


def smallest_moving(values: Floats, dtype: str) -> Floats:
    """Return the size below which no update moves a value in either direction: half a unit in the last place.

    At a power of two the neighbour towards zero is half as far, so that a quarter decides there.
    """
    distance = ulp(values, dtype)
    power = np.abs(np.frexp(np.where(np.isfinite(values), values, 1.0))[0]) == 0.5
    normal = np.abs(values) > np.ldexp(1.0, SMALLEST_EXPONENT[dtype])
    return np.where(power & normal, distance / 4, distance / 2)


def expected_update(first: Floats, second: Floats, settings: Adam) -> Floats:
    """Return the size of Adam's next step from its moments, without weight decay; shape as given, float64."""
    corrected = first / (1 - settings.beta1**settings.step)
    scale = np.sqrt(np.maximum(second, 0) / (1 - settings.beta2**settings.step)) + settings.epsilon
    return np.abs(settings.rate * corrected / scale)


def stuck(values: Floats, update: Floats | float, dtype: str) -> NDArray[np.bool_]:
    """Tell which elements an update of that size cannot move."""
    return np.asarray(update < smallest_moving(values, dtype), dtype=bool)


def rounded_bits(values: NDArray[np.float32], dtype: str) -> NDArray[np.uint16]:
    """Return the bits of float32 values rounded to nearest even in BF16 or F16; NaN becomes a quiet NaN.

    >>> [hex(b) for b in rounded_bits(np.array([1.0, 1.00390625, 1.01171875], np.float32), "BF16")]
    ['0x3f80', '0x3f80', '0x3f82']
    """
    if dtype == "F16":
        with np.errstate(over="ignore"):
            return values.astype(np.float16).view(np.uint16)
    bits = np.ascontiguousarray(values).view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    nearest = (bits + np.uint32(0x7FFF) + odd) >> np.uint32(16)
    return np.where(np.isnan(values), np.uint32(0x7FC0), nearest).astype(np.uint16)
