"""Compiled statistics of BF16, F16 and F32 elements: fused loops over raw bits that keep up with the page cache.

Every block of `SPAN` elements is first looked at as integers: extremes of the bit patterns tell at once whether it
holds NaN, Inf, zero or subnormal elements, and only such a block is counted, with counters narrow enough for the
loop to become vector instructions. Sums run in float32 over `SPAN` elements with non-finite ones masked to zero,
then in float64; a block whose squares could leave float32 is summed in float64 throughout. The floats are bit
casts. `fastmath` stands only where no NaN can arrive.

Importing compiles (2 - 3 s, once: numba keeps the result in `__pycache__`, or in the user's cache folder when the
package's own is not writable, or in `NUMBA_CACHE_DIR`).
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numba as nb
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from forensics.formats.dtypes import Bytes, DType
from forensics.model.facts import Floats, Integers
from forensics.weights import plain
from forensics.weights import statistics as columns

SPAN = 2048
"""Elements of a block: counts fit 16 bits, and a float32 sum of as many has an error below 1e-6."""

_f4, _u2, _u4 = np.float32, np.uint16, np.uint32
_ROUNDING_FREE = {"reassoc", "nsz", "contract", "arcp"}
