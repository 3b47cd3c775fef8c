"""What a pickle may become here: inert data, and nothing that can be called.

A class or function that a pickle asks for stays a `Name`; an object of it stays a `Record` of the arguments and
the state that its pickle carries. Tensors and storages say where their bytes lie and hold none of them.
"""

import math
from dataclasses import field
from types import MappingProxyType

from forensics.deferred.records import dataclass

# Bytes of one element, by the safetensors spelling. C32 (complex of two halves) and the Q types (torch's
# quantized integers) have no spelling there; theirs follow the same pattern.
DTYPE_BYTES = MappingProxyType(
    {
        "F64": 8,
        "F32": 4,
        "F16": 2,
        "BF16": 2,
        "I64": 8,
        "I32": 4,
        "I16": 2,
        "I8": 1,
        "U64": 8,
        "U32": 4,
        "U16": 2,
        "U8": 1,
        "BOOL": 1,
        "C32": 4,
        "C64": 8,
        "C128": 16,
        "F8_E4M3": 1,
        "F8_E5M2": 1,
        "F8_E4M3FNUZ": 1,
        "F8_E5M2FNUZ": 1,
        "F8_E8M0": 1,
        "QI8": 1,
        "QU8": 1,
        "QI32": 4,
        "QU4X2": 1,
        "QU2X4": 1,
    }
)
# `torch.NAME` -> our spelling.
TORCH_DTYPES = MappingProxyType(
    {
        "float64": "F64",
        "float32": "F32",
        "float16": "F16",
        "bfloat16": "BF16",
        "int64": "I64",
        "int32": "I32",
        "int16": "I16",
        "int8": "I8",
        "uint64": "U64",
        "uint32": "U32",
        "uint16": "U16",
        "uint8": "U8",
        "bool": "BOOL",
        "complex32": "C32",
        "complex64": "C64",
        "complex128": "C128",
        "float8_e4m3fn": "F8_E4M3",
        "float8_e5m2": "F8_E5M2",
        "float8_e4m3fnuz": "F8_E4M3FNUZ",
        "float8_e5m2fnuz": "F8_E5M2FNUZ",
        "float8_e8m0fnu": "F8_E8M0",
        "qint8": "QI8",
        "quint8": "QU8",
        "qint32": "QI32",
        "quint4x2": "QU4X2",
        "quint2x4": "QU2X4",
    }
)
# Last part of the storage class (`torch.FloatStorage`, `torch.cuda.FloatStorage`) -> our spelling. An untyped
# storage counts bytes (torch 2.13, `torch/storage.py`).
STORAGE_DTYPES = MappingProxyType(
    {
        "DoubleStorage": "F64",
        "FloatStorage": "F32",
        "HalfStorage": "F16",
        "BFloat16Storage": "BF16",
        "LongStorage": "I64",
        "IntStorage": "I32",
        "ShortStorage": "I16",
        "CharStorage": "I8",
        "ByteStorage": "U8",
        "BoolStorage": "BOOL",
        "ComplexFloatStorage": "C64",
        "ComplexDoubleStorage": "C128",
        "QInt8Storage": "QI8",
        "QUInt8Storage": "QU8",
        "QInt32Storage": "QI32",
        "QUInt4x2Storage": "QU4X2",
        "QUInt2x4Storage": "QU2X4",
        "UntypedStorage": "U8",
    }
)

UNKNOWN_OFFSET = -1


@dataclass(frozen=True, slots=True)
class Name:
    """The dotted name of a class or function that a pickle asked for. It is never looked up."""

    text: str


@dataclass(slots=True, eq=False, repr=False)
class Record:
    """An object of a class that is not interpreted.

    `arguments` is what its constructor would have been called with, `state` what it would have been restored
    from (most often a dict), `items` and `pairs` what was appended or set on it. Compared by identity.
    """

    class_name: str
    arguments: tuple[object, ...] = ()
    state: object = None
    items: list[object] | None = None
    pairs: list[tuple[object, object]] | None = None

    def __repr__(self) -> str:
        return f"<record of {self.class_name[:80]}>"


class Mapped(dict[object, object]):
    """An OrderedDict, defaultdict or Counter: its items, and the attributes that were set on it."""

    __slots__ = ("attributes", "class_name")

    def __init__(self, class_name: str) -> None:
        super().__init__()
        self.class_name = class_name
        self.attributes: object = None


@dataclass(frozen=True, slots=True)
class Storage:
    """A run of `elements` of one dtype.

    `offset` is the absolute byte offset in the file (-1 when unknown), `nbytes` how many of its bytes are
    there: less than declared when the file was cut. `problem` says in a few words why bytes are missing.
    """

    key: str
    dtype: str
    location: str
    elements: int
    offset: int = UNKNOWN_OFFSET
    nbytes: int = 0
    problem: str | None = None

    @property
    def declared_bytes(self) -> int:
        return self.elements * DTYPE_BYTES[self.dtype]


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor as the file declares it; its bytes stay in the file.

    `strides` counts elements, `offset` is the absolute byte offset of the first element (-1 when unknown) and
    `nbytes` the span from there to the end of the last element. With `problem` None the whole span lies in
    the file; otherwise it must not be read.
    """

    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    storage: Storage = field(repr=False)
    offset: int
    nbytes: int
    requires_grad: bool | None = None
    problem: str | None = None

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def contiguous(self) -> bool:
        """Whether the elements lie in C order without gaps (dimensions of size 1 have no stride of their own)."""
        if 0 in self.shape:
            return True
        expected = 1
        for size, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if size != 1 and stride != expected:
                return False
            expected *= size
        return True
