"""numpy arrays and scalars inside pickles: records of a dtype, a shape and bytes, turned into numbers."""

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.patterns import expression
from forensics.formats.pickle_values import Name, Record

ARRAY = "numpy.core.multiarray._reconstruct"
SCALAR = "numpy.core.multiarray.scalar"
BUFFER = "numpy.core.numeric._frombuffer"
DTYPE = "numpy.dtype"
_CODE = expression(r"b1|[iu][1248]|f[248]|c(?:8|16)|[SU]\d{1,5}")
_MOST_DIMENSIONS = 32


def numpy_dtype(value: object) -> np.dtype[np.generic] | None:
    """Return the dtype that a pickled `numpy.dtype` describes; None for objects, records and dates."""
    if not isinstance(value, Record) or value.class_name != DTYPE or not value.arguments:
        return None
    code, state = value.arguments[0], value.state
    order = state[1] if isinstance(state, tuple) and len(state) > 1 else "<"
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        return None
    if not isinstance(order, str) or order not in {"<", ">", "|", "="}:
        return None
    return np.dtype(("<" if order == "=" else order) + code)


def numpy_array(value: object) -> NDArray[np.generic] | None:
    """Return a pickled numpy array or scalar (shape ()) as an array, None when it is none or cannot be one.

    Sources: numpy 2 `_core/src/multiarray/methods.c` (`array_reduce`: state is version, shape, dtype, Fortran
    order, bytes), `scalartypes.c.src` (`gentype_reduce`), `_core/numeric.py` (`_frombuffer`).
    """
    if not isinstance(value, Record):
        return None
    if value.class_name == SCALAR and len(value.arguments) == 2:
        return _array(numpy_dtype(value.arguments[0]), (), value.arguments[1], False)
    if value.class_name == BUFFER and len(value.arguments) == 4:
        content, dtype, shape, order = value.arguments
        return _array(numpy_dtype(dtype), shape, content, order == "F")
    if value.class_name == ARRAY and isinstance(value.state, tuple) and len(value.state) == 5:
        if not value.arguments or value.arguments[0] != Name("numpy.ndarray"):
            return None
        _, shape, dtype, fortran, content = value.state
        return _array(numpy_dtype(dtype), shape, content, fortran is True)
    return None


def _array(
    dtype: np.dtype[np.generic] | None, shape: object, content: object, fortran: bool
) -> NDArray[np.generic] | None:
    if dtype is None or not isinstance(content, bytes) or not isinstance(shape, tuple):
        return None
    count = 1
    for size in shape:
        if type(size) is not int or size < 0:
            return None
        count *= size
    if len(shape) > _MOST_DIMENSIONS or dtype.itemsize == 0 or count * dtype.itemsize != len(content):
        return None
    return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")
