"""Checkpoints made of raw bits, and what float64 says about them: the reference of the scan tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from forensics.formats.dtypes import DTYPES, decode
from forensics.model.tensors import Piece, TensorRecord
from forensics.model.weights import TensorTable

Raw = NDArray[np.uint8]
SPECIAL = {
    "BF16": [0, 0x8000, 1, 0x807F, 0x7F80, 0xFF80, 0x7FC0, 0xFFFF, 0x7F81, 0x7F7F, 0x0080, 0x3F80, 0x3C23, 0xBC23],
    "F16": [0, 0x8000, 1, 0x83FF, 0x7C00, 0xFC00, 0x7E00, 0xFE01, 0x7BFF, 0x0400, 0x3C00, 0x211F, 0xA11F],
    "F32": [
        *(0, 0x80000000, 1, 0x807FFFFF, 0x7F800000, 0xFF800000, 0x7FC00000, 0xFF800001, 0x7F7FFFFF, 0xFF7FFFFF),
        *(0x00800000, 0x3F800000, 0x3CA3D70A, 0xBCA3D70A, 0x1E3CE508, 0x60AD78EC),
    ],
}
"""Zeros, subnormal numbers, infinities, NaN payloads, the largest, the smallest normal, ordinary values."""


@dataclass(frozen=True)
class Expected:
    """The columns of one row of a table."""

    counts: Mapping[str, int | None]
    numbers: Mapping[str, float]


def raw_tensors(name: str, elements: int) -> st.SearchStrategy[Raw]:
    """Draw the bytes of a tensor, rich in special values where the dtype has some."""
    dtype = DTYPES[name]
    if name in SPECIAL:
        bits = st.sampled_from(SPECIAL[name]) | st.integers(0, (1 << dtype.bits) - 1)
        fill = st.sampled_from(SPECIAL[name])
        drawn = hnp.arrays(dtype.storage, elements, elements=bits, fill=fill)
        return drawn.map(lambda array: np.ascontiguousarray(array).view(np.uint8))
    return hnp.arrays(np.uint8, dtype.nbytes(elements), elements=st.integers(0, 255), fill=st.integers(0, 255))


def record(
    name: str, dtype: str, shape: tuple[int, ...], pieces: Sequence[Piece], strides: tuple[int, ...] | None = None
) -> TensorRecord:
    return TensorRecord(name, "weight", dtype, shape, tuple(pieces), strides)


def save(folder: Path, path: str, tensors: Sequence[tuple[str, str, tuple[int, ...], Raw]]) -> list[TensorRecord]:
    """Write tensors one after the other, as files hold them: at offsets that suit no alignment."""
    records, data = [], b"\1\2\3"
    for name, dtype, shape, raw in tensors:
        records.append(record(name, dtype, shape, [Piece(path, len(data), raw.size)]))
        data += raw.tobytes()
    (folder / path).write_bytes(data)
    return records


def expected(name: str, shape: tuple[int, ...], raw: Raw, before: Raw | None = None) -> Expected:
    """Say what a row must hold, with no more than numpy's float64 on the whole tensor."""
    dtype = DTYPES[name]
    values = decode(dtype, raw).real
    finite = values[np.isfinite(values)]
    with np.errstate(over="ignore", invalid="ignore"):
        numbers = {
            "minimum": finite.min() if finite.size else np.nan,
            "maximum": finite.max() if finite.size else np.nan,
            "max_abs": np.abs(finite).max() if finite.size else np.nan,
            "l2": np.sqrt((finite * finite).sum()) if finite.size else np.nan,
            "mean": finite.sum() / finite.size if finite.size else np.nan,
        }
        counts: dict[str, int | None] = {
            "elements": values.size,
            "nan": int(np.isnan(values).sum()),
            "positive_infinity": int((values == np.inf).sum()),
            "negative_infinity": int((values == -np.inf).sum()),
            "zero": int((values == 0).sum()),
            "subnormal": int(_subnormal(name, values, raw).sum()),
            "dead_rows": _dead_rows(values, shape),
        }
        counts["same"], numbers["change_l2"], numbers["change_max"] = _change(name, raw, before)
    return Expected(counts, {key: float(value) for key, value in numbers.items()})


def _subnormal(name: str, values: NDArray[np.float64], raw: Raw) -> NDArray[np.bool_]:
    dtype = DTYPES[name]
    if dtype.subnormal is not None:
        return np.array([dtype.subnormal[code] for code in _codes(name, raw)], dtype=bool)
    least = {"F64": 2.0**-1022, "F32": 2.0**-126, "BF16": 2.0**-126, "F16": 2.0**-14}.get(name, 0.0)
    return np.asarray((np.abs(values) < least) & (values != 0), dtype=bool)


def _codes(name: str, raw: Raw) -> list[int]:
    if DTYPES[name].bits == 4:
        return [code for byte in raw.tolist() for code in (byte & 15, byte >> 4)]
    return [int(code) for code in raw.tolist()]


def _dead_rows(values: NDArray[np.float64], shape: tuple[int, ...]) -> int | None:
    if len(shape) < 2:
        return None
    if not values.size:
        return 0
    return int((values.reshape(shape[0], -1) == 0).all(axis=1).sum())


def _change(name: str, raw: Raw, before: Raw | None) -> tuple[int | None, float, float]:
    if before is None:
        return None, np.nan, np.nan
    dtype = DTYPES[name]
    if dtype.bits == 4:
        same = sum(a == b for a, b in zip(_codes(name, raw), _codes(name, before), strict=True))
    else:
        same = int((raw.reshape(-1, dtype.itemsize) == before.reshape(-1, dtype.itemsize)).all(axis=1).sum())
    old, new = decode(dtype, before).real, decode(dtype, raw).real
    both = np.isfinite(old) & np.isfinite(new)
    if not both.any():
        return same, np.nan, np.nan
    change = new[both] - old[both]
    return same, float(np.sqrt((change * change).sum())), float(np.abs(change).max())


def assert_row(table: TensorTable, row: int, wanted: Expected) -> None:
    """Counts are equal; numbers agree to 1e-6, the mean to that of the largest magnitude."""
    counts = {key: getattr(table, key)[row] for key in wanted.counts}
    numbers = {key: float(getattr(table, key)[row]) for key in wanted.numbers if key != "mean"}
    others = {key: value for key, value in wanted.numbers.items() if key != "mean"}
    scale = np.nan_to_num(wanted.numbers["max_abs"])

    assert wanted.counts == counts
    np.testing.assert_allclose(list(numbers.values()), list(others.values()), rtol=1e-6, err_msg=str(list(others)))
    if np.isinf(wanted.numbers["l2"]):
        return  # sums of huge F64 elements overflow in an order of their own
    np.testing.assert_allclose(table.mean[row], wanted.numbers["mean"], rtol=1e-6, atol=1e-6 * scale)
