"""Number formats against torch, code by code."""

from typing import Any

import numpy as np
import pytest

from forensics.errors import MalformedError
from forensics.formats.dtypes import DTYPES, UnknownDtypeError, codes, decode, dtype_named

TORCH = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}


def sample(name: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return all codes of up to 16 bits, and a million random bits of wider formats."""
    dtype = DTYPES[name]
    if name == "BOOL":
        return np.array([0, 1], np.uint8)
    if dtype.bits == 8:
        return np.arange(256, dtype=np.uint8)
    if dtype.bits == 16:
        return np.arange(1 << 16, dtype=np.uint16).view(np.uint8)
    return np.random.default_rng(5).integers(0, 256, 1 << 17, dtype=np.uint8)


@pytest.mark.parametrize("name", sorted(TORCH))
def test_values_equal_those_of_torch(name: str) -> None:
    """Every code decodes to the double that torch makes of it, NaN where it is NaN."""
    torch = pytest.importorskip("torch")
    raw = sample(name)

    wanted = torch.from_numpy(raw.copy()).view(getattr(torch, TORCH[name])).to(torch.float64).numpy()

    np.testing.assert_array_equal(wanted, decode(DTYPES[name], raw))


@pytest.mark.parametrize("name", ["F64", "F32", "F16", "BF16"])
def test_bit_patterns_mean_what_values_say(name: str) -> None:
    """A magnitude above `infinity` is NaN, at it Inf, below `smallest_normal` zero or subnormal."""
    dtype = DTYPES[name]
    magnitude = codes(dtype, sample(name)).astype(np.uint64) & np.uint64((1 << (dtype.bits - 1)) - 1)
    values = decode(dtype, sample(name))
    least = float(decode(dtype, np.array([dtype.smallest_normal], dtype.storage).view(np.uint8))[0].real)

    assert {"F64": 2.0**-1022, "F32": 2.0**-126, "BF16": 2.0**-126, "F16": 2.0**-14}[name] == least
    np.testing.assert_array_equal(np.isnan(values), magnitude > dtype.infinity)
    np.testing.assert_array_equal(np.isinf(values), magnitude == dtype.infinity)
    np.testing.assert_array_equal(np.abs(values) < least, magnitude < dtype.smallest_normal)


@pytest.mark.parametrize(
    ("name", "least"), [("F8_E4M3", -6), ("F8_E5M2", -14), ("F8_E4M3FNUZ", -7), ("F8_E5M2FNUZ", -15)]
)
def test_subnormal_codes_of_small_floats(name: str, least: int) -> None:
    """The flagged codes are those whose magnitude is below the smallest normal number, zero left out."""
    values = decode(DTYPES[name], sample(name))

    np.testing.assert_array_equal((np.abs(values) < 2.0**least) & (values != 0), DTYPES[name].subnormal)


def test_four_bit_elements_come_low_nibble_first() -> None:
    """Two elements a byte, the first in the low bits, with the eight magnitudes of E2M1."""
    raw = np.array([0x10, 0x32, 0x54, 0x76, 0x98], np.uint8)

    assert decode(DTYPES["F4"], raw).tolist() == [0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5]


def test_complex_and_wide_unsigned_elements() -> None:
    """Complex elements keep both parts, unsigned ones their size."""
    pair = np.array([1 + 2j], np.complex64).view(np.uint8)
    large = np.array([2**40], np.uint64).view(np.uint8)

    assert (decode(DTYPES["C64"], pair).tolist(), decode(DTYPES["U64"], large).tolist()) == ([1 + 2j], [2.0**40])


@pytest.mark.parametrize(
    ("name", "elements", "nbytes"),
    [("F4", 4, 2), ("F6_E3M2", 4, 3), ("BF16", 3, 6), ("C128", 1, 16), ("BOOL", 0, 0)],
)
def test_bytes_of_elements(name: str, elements: int, nbytes: int) -> None:
    """Elements narrower than a byte share it."""
    assert nbytes == dtype_named(name).nbytes(elements)


def test_what_cannot_be_sized_or_named_is_malformed() -> None:
    """Half bytes, unknown names and formats without an order of elements are typed errors."""
    with pytest.raises(MalformedError, match="whole bytes"):
        DTYPES["F4"].nbytes(3)
    with pytest.raises(UnknownDtypeError, match="F99"):
        dtype_named("F99")
    with pytest.raises(UnknownDtypeError, match="no agreed order"):
        decode(DTYPES["F6_E2M3"], np.zeros(3, np.uint8))
