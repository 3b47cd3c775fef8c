"""Read the elements of a small tensor: an optimizer's step, a scheduler's numbers."""

from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from forensics.errors import LimitError, MalformedError
from forensics.formats.pickle_values import DTYPE_BYTES, StoredTensor
from forensics.storage.file import File

_NUMPY = MappingProxyType(
    {
        "F64": "<f8",
        "F32": "<f4",
        "F16": "<f2",
        "BF16": "<u2",
        "I64": "<i8",
        "I32": "<i4",
        "I16": "<i2",
        "I8": "i1",
        "U64": "<u8",
        "U32": "<u4",
        "U16": "<u2",
        "U8": "u1",
        "BOOL": "?",
        "C64": "<c8",
        "C128": "<c16",
        "QI8": "i1",
        "QI32": "<i4",
        "C32": "<u4",
    }
)
SMALL_BYTES = 1 << 20


def read_elements(file: File, tensor: StoredTensor, limit_bytes: int = SMALL_BYTES) -> NDArray[np.generic]:
    """Return the elements as an array of the tensor's shape.

    BF16 becomes float32 (exactly); 8-bit floats and packed or paired formats stay raw bits (uint8, and uint32
    for C32). Raises `MalformedError` when the tensor has a problem, `LimitError` above `limit_bytes`.
    """
    if tensor.problem is not None:
        raise MalformedError(f"the tensor cannot be read: {tensor.problem}")
    width = DTYPE_BYTES[tensor.dtype]
    if max(tensor.nbytes, tensor.elements * width) > limit_bytes:
        raise LimitError(f"the tensor has {tensor.nbytes} bytes, over the limit of {limit_bytes}")
    if not tensor.elements:
        kind = np.dtype(np.float32 if tensor.dtype == "BF16" else _NUMPY.get(tensor.dtype, "u1"))
        return np.zeros(tensor.shape, kind)
    raw = file.read(tensor.offset - file.base, tensor.nbytes)
    flat = np.frombuffer(raw, _NUMPY.get(tensor.dtype, "u1"))
    if tensor.dtype == "BF16":
        flat = (flat.astype(np.uint32) << np.uint32(16)).view(np.float32)
    steps = tuple(stride * flat.itemsize for stride in tensor.strides)
    # In bounds: the span of every StoredTensor without a problem was checked against its storage.
    return np.lib.stride_tricks.as_strided(flat, tensor.shape, steps, writeable=False).copy()
