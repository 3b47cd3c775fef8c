"""Statistics of raw elements with numpy alone: every dtype, no compiler.

BF16, F16 and F32 are looked at as bits (`bits`); what that leaves over, and every other dtype, is taken to float64 in
blocks that stay in the cache, at 0.2 - 1 GB/s a core. The kernels give the same numbers faster.
"""

import numpy as np
from numpy.typing import NDArray

from forensics.formats.dtypes import Bytes, DType, Flags, Values, codes, decode
from forensics.model.facts import Floats, Integers
from forensics.weights import bits
from forensics.weights import statistics as columns

_BLOCK_BYTES = 1 << 16
SMALL_BYTES, LEAST_ALIKE = 512, 8
"""Tensors of up to so many bytes are looked at together where so many of one size share a buffer: scales, norms and
biases of mixtures of experts, of which a checkpoint has hundreds of thousands."""


def accumulate(dtype: DType, previous: Bytes | None, current: Bytes, runs: Integers, into: Floats) -> None:
    """Add the statistics of runs of elements to the rows of `into` (n, COLUMNS).

    `runs` (n, 5) names for each run its row in `into` (0, 1, ...), its first byte in the buffers (divisible by 8),
    its length in bytes, the row length of its tensor in elements (0: rows are not counted) and its first element
    there. A run holds whole rows or lies within one. `previous` is the buffer of the checkpoint before, None when
    nothing is to be compared.
    """
    done = _alike(dtype, previous, current, runs, into)
    for number in np.flatnonzero(~done).tolist():
        (_, start, size, row_length, first), row = runs[number].tolist(), into[number]
        before = None if previous is None else previous[start : start + size]
        zeros = row[columns.ZERO]
        _accumulate_run(dtype, before, current[start : start + size], row)
        if row_length and dtype.kind != "opaque":
            zeros = row[columns.ZERO] - zeros
            position = first + size * 8 // dtype.bits
            if position - first < row_length:
                _close_row(row_length, position, zeros, row)
            elif zeros >= row_length:
                row[columns.DEAD_ROWS] += _dead_rows(dtype, current[start : start + size], row_length)


def _alike(dtype: DType, previous: Bytes | None, current: Bytes, runs: Integers, into: Floats) -> Flags:
    """Add the statistics of small runs of one size together; return which runs that was (n,).

    Left to the others are runs of which rows are counted, and those that hold finite elements beside others.
    """
    done = np.zeros(len(runs), dtype=bool)
    if len(runs) < LEAST_ALIKE or dtype.kind in {"opaque", "complex"} or dtype.bits % 8:
        return done
    small = (runs[:, 2] <= SMALL_BYTES) & (runs[:, 2] > 0) & (runs[:, 3] == 0)
    sizes, counts = np.unique(runs[small, 2], return_counts=True)
    for size in sizes[counts >= LEAST_ALIKE]:
        chosen = np.flatnonzero(small & (runs[:, 2] == size))
        places = runs[chosen, 1][:, None] + np.arange(size)
        before = None if previous is None else previous[places]
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            whole = _add_rows(dtype, before, current[places], chosen, into)
        done[chosen[whole]] = True
    return done


def _add_rows(dtype: DType, previous: Bytes | None, current: Bytes, rows: Integers, into: Floats) -> Flags:
    """Add the statistics of the rows of `current` (n, bytes) to the named rows of `into`; return which were added.

    Those are rows all of which is finite, and of which nothing is.

    Sums are those of each row alone to the last bit: numpy adds a row of a contiguous matrix as it adds a vector.
    """
    count = len(rows)
    raw, values = codes(dtype, current.reshape(-1)), decode(dtype, current.reshape(-1)).reshape(count, -1)
    before = None if previous is None else decode(dtype, previous.reshape(-1)).reshape(count, -1)
    finite = np.isfinite(values)
    whole, none = np.asarray(finite.all(axis=1)), ~np.asarray(finite.any(axis=1))
    if none.any():
        same = None if previous is None else (codes(dtype, previous.reshape(-1)) == raw).reshape(count, -1)[none]
        _add_nonfinite(values[none], same, rows[none], into)
    if before is not None:
        whole &= np.asarray(np.isfinite(before).all(axis=1))
    values, rows = values[whole], rows[whole]
    into[rows, columns.LOOKED_AT] += values.shape[1]
    into[rows, columns.FINITE] += values.shape[1]
    into[rows, columns.ZERO] += np.count_nonzero(values == 0, axis=1)
    small = _subnormal(dtype, raw)
    if small.size:
        into[rows, columns.SUBNORMAL] += np.count_nonzero(small.reshape(count, -1)[whole], axis=1)
    into[rows, columns.TOTAL] += values.sum(axis=1)
    into[rows, columns.SQUARES] += np.square(values).sum(axis=1)
    into[rows, columns.MINIMUM] = np.minimum(into[rows, columns.MINIMUM], values.min(axis=1))
    into[rows, columns.MAXIMUM] = np.maximum(into[rows, columns.MAXIMUM], values.max(axis=1))
    into[rows, columns.LARGEST] = np.maximum(into[rows, columns.LARGEST], np.abs(values).max(axis=1))
    if previous is not None and before is not None:
        same = (codes(dtype, previous.reshape(-1)) == raw).reshape(count, -1)[whole]
        change = values - before[whole]
        into[rows, columns.SAME] += np.count_nonzero(same, axis=1)
        into[rows, columns.BOTH_FINITE] += change.shape[1]
        into[rows, columns.CHANGE_SQUARES] += np.square(change).sum(axis=1)
        changed = np.maximum(into[rows, columns.CHANGE_LARGEST], np.abs(change).max(axis=1))
        into[rows, columns.CHANGE_LARGEST] = changed
    return whole | none


def _add_nonfinite(values: Values | NDArray[np.complex128], same: Flags | None, rows: Integers, into: Floats) -> None:
    """Add rows (n, elements) of which no element is finite; `same` tells which are as they were before."""
    into[rows, columns.LOOKED_AT] += values.shape[1]
    into[rows, columns.NAN] += np.count_nonzero(np.isnan(values), axis=1)
    into[rows, columns.POSITIVE_INFINITY] += np.count_nonzero(values == np.inf, axis=1)
    into[rows, columns.NEGATIVE_INFINITY] += np.count_nonzero(values == -np.inf, axis=1)
    if same is not None:
        into[rows, columns.SAME] += np.count_nonzero(same, axis=1)


def _accumulate_run(dtype: DType, previous: Bytes | None, current: Bytes, into: Floats) -> None:
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        if bits.handles(dtype) and current.size >= bits.LEAST_BYTES:
            bits.add(dtype, previous, current, into, lambda old, new: _in_blocks(dtype, old, new, into))
        else:
            _in_blocks(dtype, previous, current, into)


def _in_blocks(dtype: DType, previous: Bytes | None, current: Bytes, into: Floats) -> None:
    step = _BLOCK_BYTES - _BLOCK_BYTES % (3 if dtype.bits == 6 else 1)
    for start in range(0, current.size, step):
        part = current[start : start + step]
        before = None if previous is None else previous[start : start + step]
        if dtype.kind == "opaque":
            _opaque(dtype, before, part, into)
        else:
            _look(dtype, before, part, into)


def _close_row(row_length: int, position: int, zeros: float, into: Floats) -> None:
    """Note the zeros of a part of a row; where it ends, at `position`, count it when all of it was zero."""
    into[columns.ZEROS_IN_ROW] += zeros
    if position % row_length == 0:
        into[columns.DEAD_ROWS] += into[columns.ZEROS_IN_ROW] == row_length
        into[columns.ZEROS_IN_ROW] = 0


def _dead_rows(dtype: DType, raw: Bytes, row_length: int) -> int:
    """Count rows that are all zero in the bytes of whole rows."""
    elements = codes(dtype, raw)
    if dtype.kind == "float":
        zero = elements.astype(elements.dtype, copy=True)
        zero <<= np.asarray(1, zero.dtype)
    else:
        zero = elements if dtype.values is None else dtype.values[elements.astype(np.intp)]
    return int((~zero.astype(bool)).reshape(-1, row_length).all(axis=1).sum())


def _look(dtype: DType, previous: Bytes | None, current: Bytes, into: Floats) -> None:
    raw, values = codes(dtype, current), decode(dtype, current)
    finite = np.isfinite(values)
    into[columns.LOOKED_AT] += values.size
    into[columns.FINITE] += np.count_nonzero(finite)
    into[columns.ZERO] += np.count_nonzero(values == 0)
    into[columns.SUBNORMAL] += np.count_nonzero(_subnormal(dtype, raw))
    if not finite.all():
        _count_nonfinite(values, into)
    _measure(values if finite.all() else values[finite], into)
    if previous is not None:
        before = codes(dtype, previous)
        into[columns.SAME] += _equal_bits(dtype, before, raw)
        _compare(decode(dtype, previous), values, finite, into)


def _subnormal(dtype: DType, raw: NDArray[np.generic]) -> Flags:
    if dtype.subnormal is not None:
        small: Flags = dtype.subnormal[raw.astype(np.intp)]
        return small
    if dtype.kind == "float":
        magnitude = raw.astype(np.uint64) & np.uint64((1 << (dtype.bits - 1)) - 1)
        return np.asarray((magnitude != 0) & (magnitude < dtype.smallest_normal), dtype=bool)
    if dtype.kind == "complex":
        parts = np.abs(raw.view(np.dtype(f"<f{dtype.itemsize // 2}"))).reshape(-1, 2)
        flags = (parts > 0) & (parts < np.finfo(parts.dtype).smallest_normal)
        return np.asarray(flags.any(axis=1) & np.isfinite(parts).all(axis=1), dtype=bool)
    return np.zeros(0, dtype=bool)


def _count_nonfinite(values: Values | NDArray[np.complex128], into: Floats) -> None:
    nan = np.isnan(values)
    positive = (values.real == np.inf) | (values.imag == np.inf)
    negative = (values.real == -np.inf) | (values.imag == -np.inf)
    into[columns.NAN] += np.count_nonzero(nan)
    into[columns.POSITIVE_INFINITY] += np.count_nonzero(positive & ~nan)
    into[columns.NEGATIVE_INFINITY] += np.count_nonzero(negative & ~positive & ~nan)


def _measure(values: Values | NDArray[np.complex128], into: Floats) -> None:
    """Add sums and extremes of finite values; of complex ones, over their real and imaginary parts."""
    if not values.size:
        return
    parts = values.view(np.float64)
    into[columns.TOTAL] += parts.sum()
    into[columns.SQUARES] += _squares(parts)
    into[columns.MINIMUM] = min(into[columns.MINIMUM], parts.min())
    into[columns.MAXIMUM] = max(into[columns.MAXIMUM], parts.max())
    into[columns.LARGEST] = max(into[columns.LARGEST], np.abs(values).max())


def _squares(parts: Values) -> float:
    # Not `parts @ parts`: BLAS rounds by the number of its threads, which another process may set otherwise.
    return float(np.square(parts).sum())


def _equal_bits(dtype: DType, before: NDArray[np.generic], now: NDArray[np.generic]) -> int:
    if dtype.kind == "complex":
        before, now = (part.view(np.dtype(f"<u{dtype.itemsize // 2}")).reshape(-1, 2) for part in (before, now))
        return int((before == now).all(axis=1).sum())
    return int(np.count_nonzero(before == now))


def _compare(
    before: Values | NDArray[np.complex128], now: Values | NDArray[np.complex128], finite: Flags, into: Floats
) -> None:
    both = finite & np.isfinite(before)
    change = now - before if both.all() else now[both] - before[both]
    if not change.size:
        return
    parts = change.view(np.float64)
    into[columns.BOTH_FINITE] += change.size
    into[columns.CHANGE_SQUARES] += _squares(parts)
    into[columns.CHANGE_LARGEST] = max(into[columns.CHANGE_LARGEST], np.abs(change).max())


def _opaque(dtype: DType, previous: Bytes | None, current: Bytes, into: Floats) -> None:
    """Count elements only; equal ones by groups that fill whole bytes together (four elements of six bits)."""
    into[columns.LOOKED_AT] += current.size * 8 // dtype.bits
    if previous is not None:
        width = dtype.group * dtype.bits // 8
        groups = (previous == current).reshape(-1, width).all(axis=1)
        into[columns.SAME] += np.count_nonzero(groups) * dtype.group
