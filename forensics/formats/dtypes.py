"""Number formats of tensor elements: how wide, of what kind, and what their raw bits mean.

Names are those of safetensors (`safetensors/src/tensor.rs`, `Dtype`), with `C128` for torch's complex128. Floats
of 8 bits and less follow the OCP documents "8-bit Floating Point Specification" 1.0 and "Microscaling Formats"
1.0; the FNUZ variants follow ml_dtypes 0.5 (`float8_e4m3fnuz`: one NaN where IEEE has -0, bias one higher).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.records import dataclass
from forensics.errors import MalformedError

Kind: TypeAlias = Literal["float", "table", "integer", "bool", "complex", "opaque"]
Bytes: TypeAlias = NDArray[np.uint8]
Flags: TypeAlias = NDArray[np.bool_]
Values: TypeAlias = NDArray[np.float64]


class UnknownDtypeError(MalformedError):
    """A tensor is declared with a number format that nobody has heard of."""


@dataclass(frozen=True, slots=True, eq=False)
class DType:
    """A number format.

    `bits` is the width of one element. `storage` is the little-endian numpy type in which elements are read:
    unsigned for `float` kinds (their bits are looked at), the value itself for `integer`, `bool`, `complex`, bytes
    for `table` and `opaque`. Of a `float` kind, `infinity` and `smallest_normal` are bit patterns without sign: a
    magnitude above `infinity` is NaN, one below `smallest_normal` is zero or subnormal. Of a `table` kind,
    `values` (float64) and `subnormal` (bool) are indexed by the raw code (16 of them for 4 bits). `opaque` formats
    have neither NaN nor Inf, and no agreed order of elements within their bytes: only bytes are compared.
    """

    name: str
    bits: int
    kind: Kind
    storage: np.dtype[np.generic]
    infinity: int = 0
    smallest_normal: int = 0
    values: Values | None = None
    subnormal: Flags | None = None

    @property
    def itemsize(self) -> int:
        """Bytes of one element; 1 for elements narrower than a byte."""
        return max(self.bits // 8, 1)

    @property
    def group(self) -> int:
        """How many elements fill whole bytes together: 1, 2 for 4-bit, 4 for 6-bit elements."""
        return {4: 2, 6: 4}.get(self.bits, 1)

    def nbytes(self, elements: int) -> int:
        """Bytes that `elements` take; raises `MalformedError` when they end inside a byte."""
        whole, rest = divmod(elements * self.bits, 8)
        if rest:
            raise MalformedError(f"{elements} elements of {self.name} do not fill whole bytes")
        return whole


def _small_float(exponent_bits: int, mantissa_bits: int, bias: int) -> tuple[Values, Flags]:
    """Return values and subnormal flags of every code of sign + exponent + mantissa, without special codes."""
    codes = np.arange(1 << (1 + exponent_bits + mantissa_bits))
    mantissa = codes & ((1 << mantissa_bits) - 1)
    exponent = (codes >> mantissa_bits) & ((1 << exponent_bits) - 1)
    sign = np.where(codes >> (exponent_bits + mantissa_bits), -1.0, 1.0)
    fraction = mantissa / (1 << mantissa_bits)
    low = np.ldexp(fraction, 1 - bias)
    magnitude = np.where(exponent == 0, low, np.ldexp(1.0 + fraction, exponent - bias))
    return sign * magnitude, (exponent == 0) & (mantissa != 0)


def _table(name: str, exponent_bits: int, mantissa_bits: int, bias: int, special: Mapping[int, float]) -> DType:
    values, subnormal = _small_float(exponent_bits, mantissa_bits, bias)
    for code, value in special.items():
        values[code] = value
    bits = 1 + exponent_bits + mantissa_bits
    return DType(name, bits, "table", np.dtype(np.uint8), values=values, subnormal=subnormal)


def _powers_of_two() -> DType:
    values = np.ldexp(1.0, np.arange(256) - 127)
    values[255] = np.nan
    return DType("F8_E8M0", 8, "table", np.dtype(np.uint8), values=values, subnormal=np.zeros(256, dtype=bool))


_NAN, _INF = float("nan"), float("inf")
_E5M2_SPECIAL = {
    sign | code: value * (-1 if sign else 1)
    for sign in (0, 0x80)
    for code, value in ((0x7C, _INF), (0x7D, _NAN), (0x7E, _NAN), (0x7F, _NAN))
}


def _plain(name: str, kind: Kind, storage: str) -> DType:
    made = np.dtype(storage)
    return DType(name, made.itemsize * 8, kind, made)


_ALL = (
    DType("F64", 64, "float", np.dtype("<u8"), 0x7FF0000000000000, 0x0010000000000000),
    DType("F32", 32, "float", np.dtype("<u4"), 0x7F800000, 0x00800000),
    DType("F16", 16, "float", np.dtype("<u2"), 0x7C00, 0x0400),
    DType("BF16", 16, "float", np.dtype("<u2"), 0x7F80, 0x0080),
    _table("F8_E4M3", 4, 3, 7, {0x7F: _NAN, 0xFF: _NAN}),
    _table("F8_E5M2", 5, 2, 15, _E5M2_SPECIAL),
    _table("F8_E4M3FNUZ", 4, 3, 8, {0x80: _NAN}),
    _table("F8_E5M2FNUZ", 5, 2, 16, {0x80: _NAN}),
    _powers_of_two(),
    _table("F4", 2, 1, 1, {}),
    DType("F6_E2M3", 6, "opaque", np.dtype(np.uint8)),
    DType("F6_E3M2", 6, "opaque", np.dtype(np.uint8)),
    _plain("I64", "integer", "<i8"),
    _plain("I32", "integer", "<i4"),
    _plain("I16", "integer", "<i2"),
    _plain("I8", "integer", "i1"),
    _plain("U64", "integer", "<u8"),
    _plain("U32", "integer", "<u4"),
    _plain("U16", "integer", "<u2"),
    _plain("U8", "integer", "u1"),
    _plain("BOOL", "bool", "u1"),
    _plain("C64", "complex", "<c8"),
    _plain("C128", "complex", "<c16"),
)
DTYPES: Mapping[str, DType] = MappingProxyType({dtype.name: dtype for dtype in _ALL})


def dtype_named(name: str) -> DType:
    """Return the number format of that name; raises `UnknownDtypeError`."""
    found = DTYPES.get(name)
    if found is None:
        raise UnknownDtypeError(f"unknown dtype {name[:40]!r}")
    return found


def codes(dtype: DType, raw: Bytes) -> NDArray[np.generic]:
    """View bytes (uint8, contiguous) as raw elements of `dtype.storage`; 4-bit elements become one byte each.

    The first of two 4-bit elements is in the low bits (torch `float4_e2m1fn_x2`).
    """
    if dtype.bits == 4:
        return np.stack((raw & 15, raw >> 4), axis=-1).reshape(-1)
    return raw.view(dtype.storage)


def decode(dtype: DType, raw: Bytes) -> Values | NDArray[np.complex128]:
    """Return the values of contiguous bytes as float64 (complex128 for complex kinds).

    Exact for all floats and for integers up to 2**53. Raises `UnknownDtypeError` for opaque formats.
    """
    elements = codes(dtype, raw)
    with np.errstate(invalid="ignore"):
        values: Values
        if dtype.kind == "table" and dtype.values is not None:
            values = dtype.values[elements.astype(np.intp)]
            return values
        if dtype.kind == "complex":
            return elements.astype(np.complex128)
        if dtype.name == "BF16":
            widened = elements.astype(np.uint32) << np.uint32(16)
            return widened.view(np.float32).astype(np.float64)
        if dtype.kind == "float":
            values = elements.view(f"<f{dtype.itemsize}").astype(np.float64)
            return values
        if dtype.kind == "bool":
            return elements.astype(np.bool_).astype(np.float64)
        if dtype.kind == "integer":
            return elements.astype(np.float64)
    raise UnknownDtypeError(f"elements of {dtype.name} have no agreed order within their bytes")
