"""Loops over raw bits that become vector instructions: what `kernels` is made of.

Each works on one block, so that its counters may be narrow and its float32 sums short. The floats are bit casts.
Sums may be reordered; no fast-math flag promises the absence of NaN. Words are uint32: the bits of a float32, or
two BF16 elements.
"""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_f4, _f8, _i2, _i4, _u2, _u4, _u8 = np.float32, np.float64, np.int16, np.int32, np.uint16, np.uint32, np.uint64
_SIGN, _INFINITY = _u4(0x80000000), _u4(0x7F800000)
SMALL, LARGE = np.float32(1e-15).view(np.uint32), np.float32(1e15).view(np.uint32)
"""Between these magnitudes (bits) squares and their sum over a block are normal float32 numbers, good to 1e-7."""
_SMALL_HALF, _LARGE_HALF = _u2((int(SMALL) >> 16) + 1), _u2(int(LARGE) >> 16)
_REORDERED = {"reassoc", "nsz", "contract"}

BYTES, HALVES = types.Array(types.uint8, 1, "C"), types.Array(types.uint16, 1, "C")
WORDS, NUMBERS = types.Array(types.uint32, 1, "C"), types.Array(types.float64, 1, "C")


Typed: TypeAlias = Any
"""A type that numba infers from the signature; a checker that took it for Python's would be wrong."""
Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(signature: Typed, *, reorder: bool = False, entry: bool = False) -> Callable[[Function], Function]:
    """Compile a function for a signature and keep the result on disk; one that is no `entry` only for other loops.

    Without numba's counting of references (`_nrt`; no array is made in a loop) blocks take two thirds of the time.
    A release without that option, or a machine without a place for the cache, must do as well.
    """

    def wrap(function: Function) -> Function:
        wanted: dict[str, Any] = {"cache": True, "_nrt": False, "no_cpython_wrapper": not entry}
        fixed: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
        fixed["fastmath"] = _REORDERED if reorder else False
        for without in ((), ("_nrt",), ("cache",), ("_nrt", "cache")):
            options = {name: value for name, value in wanted.items() if name not in without}
            try:
                return cast("Function", numba.njit(signature, **fixed, **options)(function))
            except (KeyError, RuntimeError, OSError):
                continue
        raise ImportError("numba cannot compile the loops over weights")

    return wrap


def inlined(function: Function) -> Function:
    """Let a function become part of its one caller, which is cheaper to compile than a call."""
    return cast("Function", numba.njit(inline="always", error_model="numpy")(function))


@intrinsic  # type: ignore[untyped-decorator]  # numba is untyped
def as_f4(_context: Typed, _bits: Typed) -> Typed:
    def generate(_context: Typed, builder: Typed, _signature: Typed, arguments: Typed) -> Typed:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.uint32), generate


@intrinsic  # type: ignore[untyped-decorator]  # numba is untyped
def as_u4(_context: Typed, _value: Typed) -> Typed:
    def generate(_context: Typed, builder: Typed, _signature: Typed, arguments: Typed) -> Typed:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.uint32(types.float32), generate


@intrinsic  # type: ignore[untyped-decorator]  # numba is untyped
def _as_u8(_context: Typed, _value: Typed) -> Typed:
    def generate(_context: Typed, builder: Typed, _signature: Typed, arguments: Typed) -> Typed:
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.uint64(types.float64), generate


@intrinsic  # type: ignore[untyped-decorator]  # numba is untyped
def _as_f8(_context: Typed, _bits: Typed) -> Typed:
    def generate(_context: Typed, builder: Typed, _signature: Typed, arguments: Typed) -> Typed:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.uint64), generate


@compiled(types.Tuple((types.boolean, types.uint16, types.uint16, types.uint16))(HALVES))
def extremes16(raw: Typed) -> Typed:
    """Return the extremes of BF16 bits, and whether `moments_pairs` suffices: an even number, nothing special.

    The extremes are the largest as signed number (a positive element unless its sign bit is set), the largest as
    unsigned number (the most negative element if its sign bit is set) and the smallest magnitude.
    """
    top, most_negative, low = _i2(-32768), _u2(0), _u2(0xFFFF)
    for i in range(raw.size):
        bits = raw[i]
        top = max(top, _i2(bits))
        most_negative = max(most_negative, bits)
        low = min(low, _u2(bits & _u2(0x7FFF)))
    positive = _u2(top) if top >= 0 else _u2(0)
    negative = _u2(most_negative & _u2(0x7FFF)) if most_negative > _u2(0x7FFF) else _u2(0)
    largest = max(negative, positive)
    simple = raw.size % 2 == 0 and low >= _u2(0x0080) and largest >= _SMALL_HALF and largest < _LARGE_HALF
    return simple, _u2(top), most_negative, low


@compiled(types.UniTuple(types.uint32, 3)(WORDS))
def extremes(raw: Typed) -> Typed:
    """Return the extremes of float32 bits, as `extremes16` does."""
    top, most_negative, low = _i4(-2147483648), _u4(0), _u4(0xFFFFFFFF)
    for i in range(raw.size):
        bits = raw[i]
        top = max(top, _i4(bits))
        most_negative = max(most_negative, bits)
        low = min(low, _u4(bits & _u4(0x7FFFFFFF)))
    return _u4(top), most_negative, low


@compiled(types.UniTuple(types.uint32, 8)(WORDS, types.uint32))
def count(raw: Typed, normal: Typed) -> Typed:
    """Count NaN, +Inf, -Inf, zero and subnormal elements; return them with the extremes of the finite ones."""
    nan, positive, negative, zero, below = _u4(0), _u4(0), _u4(0), _u4(0), _u4(0)
    top, most_negative, low = _i4(-2147483648), _u4(0), _u4(0xFFFFFFFF)
    for i in range(raw.size):
        bits = raw[i]
        magnitude = _u4(bits & _u4(0x7FFFFFFF))
        finite = magnitude < _u4(0x7F800000)
        nan = _u4(nan + _u4(magnitude > _u4(0x7F800000)))
        positive = _u4(positive + _u4(bits == _u4(0x7F800000)))
        negative = _u4(negative + _u4(bits == _u4(0xFF800000)))
        zero = _u4(zero + _u4(magnitude == _u4(0)))
        below = _u4(below + _u4(magnitude < normal))
        top = max(top, _i4(bits) if finite else _i4(-2147483648))
        most_negative = max(most_negative, bits if finite else _u4(0))
        low = min(low, magnitude if finite else _u4(0xFFFFFFFF))
    return nan, positive, negative, zero, _u4(below - zero), _u4(top), most_negative, low


@compiled(types.uint16(HALVES, HALVES))
def same16(before: Typed, now: Typed) -> Typed:
    same = _u2(0)
    for i in range(now.size):
        same = _u2(same + _u2(before[i] == now[i]))
    return same


@compiled(types.uint32(WORDS, WORDS))
def same(before: Typed, now: Typed) -> Typed:
    same = _u4(0)
    for i in range(now.size):
        same = _u4(same + _u4(before[i] == now[i]))
    return same


@compiled(types.UniTuple(types.float32, 2)(WORDS), reorder=True)
def moments_pairs(raw: Typed) -> Typed:
    """Sum and squares of BF16 elements, two in each word: the low one is shifted up, the high one masked."""
    total, squares = _f4(0), _f4(0)
    for i in range(raw.size):
        high, low = as_f4(_u4(raw[i] & _u4(0xFFFF0000))), as_f4(_u4(raw[i] << _u4(16)))
        total += high + low
        squares += high * high + low * low
    return total, squares


@compiled(types.Tuple((types.float32, types.uint32))(WORDS, WORDS), reorder=True)
def change_pairs(before: Typed, now: Typed) -> Typed:
    squares, largest = _f4(0), _u4(0)
    for i in range(now.size):
        a, b = before[i], now[i]
        high = as_f4(_u4(b & _u4(0xFFFF0000))) - as_f4(_u4(a & _u4(0xFFFF0000)))
        low = as_f4(_u4(b << _u4(16))) - as_f4(_u4(a << _u4(16)))
        squares += high * high + low * low
        largest = max(largest, _u4(as_u4(high) & _u4(0x7FFFFFFF)))
        largest = max(largest, _u4(as_u4(low) & _u4(0x7FFFFFFF)))
    return squares, largest


@compiled(types.UniTuple(types.float32, 2)(WORDS), reorder=True)
def moments(raw: Typed) -> Typed:
    total, squares = _f4(0), _f4(0)
    for i in range(raw.size):
        value = as_f4(raw[i])
        total += value
        squares += value * value
    return total, squares


@compiled(types.Tuple((types.float32, types.uint32))(WORDS, WORDS), reorder=True)
def change(before: Typed, now: Typed) -> Typed:
    squares, largest = _f4(0), _u4(0)
    for i in range(now.size):
        value = as_f4(now[i]) - as_f4(before[i])
        squares += value * value
        largest = max(largest, _u4(as_u4(value) & _u4(0x7FFFFFFF)))
    return squares, largest


@compiled(types.UniTuple(types.float64, 2)(WORDS), reorder=True)
def careful_moments(raw: Typed) -> Typed:
    total, squares = 0.0, 0.0
    for i in range(raw.size):
        finite = _u4(raw[i] & _u4(0x7FFFFFFF)) < _u4(0x7F800000)
        value = _f8(as_f4(raw[i] if finite else _u4(0)))
        total += value
        squares += value * value
    return total, squares


@compiled(types.Tuple((types.uint32, types.float64, types.float64))(WORDS, WORDS), reorder=True)
def careful_change(before: Typed, now: Typed) -> Typed:
    both, squares, largest = _u4(0), 0.0, _u8(0)
    for i in range(now.size):
        magnitude = max(_u4(before[i] & _u4(0x7FFFFFFF)), _u4(now[i] & _u4(0x7FFFFFFF)))
        finite = magnitude < _u4(0x7F800000)
        both = _u4(both + _u4(finite))
        value = _f8(as_f4(now[i] if finite else _u4(0))) - _f8(as_f4(before[i] if finite else _u4(0)))
        squares += value * value
        largest = max(largest, _u8(_as_u8(value) & _u8(0x7FFFFFFFFFFFFFFF)))
    return both, squares, _as_f8(largest)


@compiled(types.void(HALVES, types.int64, WORDS))
def widen(raw: Typed, kind: Typed, into: Typed) -> Typed:
    """Turn BF16 (kind 0) or F16 bits into those of the same float32; 2**112 rebases an F16 exponent, exactly."""
    if kind == 0:
        for i in range(raw.size):
            into[i] = _u4(_u4(raw[i]) << _u4(16))
        return
    for i in range(raw.size):
        bits = _u4(raw[i])
        rest = _u4(bits & _u4(0x7FFF))
        magnitude = as_u4(as_f4(_u4(rest << _u4(13))) * _f4(2.0**112))
        special = _u4(_u4(rest << _u4(13)) | _u4(0x7F800000))
        chosen = special if rest >= _u4(0x7C00) else magnitude
        into[i] = _u4(chosen | _u4(_u4(bits & _u4(0x8000)) << _u4(16)))
