"""numpy over raw bits against float64: same counts, same numbers, whatever the bits and the cuts between blocks."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensics.formats.dtypes import DTYPES, Bytes
from forensics.model.facts import Floats
from forensics.model.tensors import Piece, TensorRecord
from forensics.weights import bits, plain, statistics
from forensics.weights.series import examine_series
from weights.tensor_reference import SPECIAL, Raw, raw_tensors

LENGTHS = [1, 2, 3, 1000, bits.CHUNK - 1, bits.CHUNK, bits.CHUNK + 3, 2 * bits.CHUNK + 2]


def looked_at(name: str, before: Bytes | None, now: Bytes) -> tuple[Floats, list[int]]:
    """Return the row of a run, and the sizes of the blocks that were left to float64."""
    row, left = statistics.fresh(1)[0], list[int]()

    def otherwise(old: Bytes | None, new: Bytes) -> None:
        left.append(new.size)
        plain._in_blocks(DTYPES[name], old, new, row)

    with np.errstate(all="ignore"):
        bits.add(DTYPES[name], before, now, row, otherwise)
    return row, left


def assert_as_float64(name: str, before: Raw | None, now: Raw) -> list[int]:
    row, left = looked_at(name, before, now)
    reference = statistics.fresh(1)[0]
    with np.errstate(all="ignore"):
        plain._in_blocks(DTYPES[name], before, now, reference)
    exact = [i for i in range(statistics.COLUMNS) if i != statistics.TOTAL]
    np.testing.assert_allclose(row[exact], reference[exact], rtol=2e-6)
    scale = float(reference[statistics.LARGEST] * max(reference[statistics.FINITE], 1))
    np.testing.assert_allclose(row[statistics.TOTAL], reference[statistics.TOTAL], atol=1e-6 * scale)
    return left


@pytest.mark.parametrize("name", sorted(SPECIAL))
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_special_bits_in_runs_of_every_length(name: str, data: st.DataObject) -> None:
    elements = data.draw(st.sampled_from(LENGTHS))
    before = data.draw(st.none() | raw_tensors(name, elements))

    assert_as_float64(name, before, data.draw(raw_tensors(name, elements)))


@pytest.mark.parametrize("name", ["BF16", "F16"])
def test_every_16_bit_code_in_runs_of_its_own_kind(name: str) -> None:
    """All codes of one exponent at a time, so that each kind of block is met alone."""
    codes = np.arange(1 << 16, dtype=np.uint16)
    for kind in codes.reshape(-1, 256):
        assert_as_float64(name, np.ascontiguousarray(kind[::-1]).view(np.uint8), kind.view(np.uint8))


def weights(name: str, elements: int, seed: int, scale: float = 0.02) -> Raw:
    numbers = (np.random.default_rng(seed).standard_normal(elements) * scale).astype(np.float32)
    if name == "BF16":
        return (numbers.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8)
    return numbers.astype(np.float16 if name == "F16" else np.float32).view(np.uint8)


@pytest.mark.parametrize("name", sorted(SPECIAL))
def test_ordinary_weights_never_go_to_float64(name: str) -> None:
    """Several blocks and an odd rest; zeros and subnormal numbers among them are counted on the way."""
    width = DTYPES[name].itemsize
    elements = 2 * bits.BLOCK_BYTES // width + 4097
    before, now = weights(name, elements, 1), weights(name, elements, 2)
    now[: 5 * width] = 0
    now[6 * width] = 1
    now[7 * width : 7 * width + width] = before[7 * width : 7 * width + width]
    now[6 * width + 1 : 7 * width] = 0

    assert assert_as_float64(name, before, now) == []
    row, _ = looked_at(name, before, now)
    assert row[statistics.ZERO] >= 5
    assert row[statistics.SUBNORMAL] >= 1
    assert row[statistics.SAME] >= 1


@pytest.mark.parametrize(("scale", "float64"), [(1e-20, True), (1e-7, False), (1e20, True)])
def test_what_squares_in_float32_cannot_hold_goes_to_float64(scale: float, float64: bool) -> None:
    before, now = weights("F32", 5000, 1, scale), weights("F32", 5000, 2, scale)

    assert bool(assert_as_float64("F32", before, now)) is float64


def test_a_block_with_one_nan_goes_to_float64_alone() -> None:
    now = weights("BF16", bits.BLOCK_BYTES, 1)
    now.view(np.uint16)[3] = 0x7FC0

    assert assert_as_float64("BF16", None, now) == [bits.BLOCK_BYTES]
    assert assert_as_float64("BF16", now, weights("BF16", bits.BLOCK_BYTES, 2)) == [bits.BLOCK_BYTES]


def test_a_poisoned_tensor_is_counted_without_float64() -> None:
    """Both signs and any payload; equality is of bits."""
    now = np.full(5000, 0x7FC0, np.uint16)
    now[::3] = 0xFFC1
    before = now.copy()
    before[:10] = 0x3F80

    assert assert_as_float64("BF16", before.view(np.uint8), now.view(np.uint8)) == []
    row, _ = looked_at("BF16", before.view(np.uint8), now.view(np.uint8))
    assert (row[statistics.NAN], row[statistics.SAME]) == (5000, 4990)


def test_one_thread_and_many_give_the_same_bits(tmp_path: Path) -> None:
    data = weights("BF16", 9_000_000, 4)
    data.tofile(tmp_path / "a")
    weights("BF16", 9_000_000, 5).tofile(tmp_path / "b")
    pair = [[TensorRecord("w", "weight", "BF16", (3000, 3000), (Piece(name, 0, data.size),))] for name in "ab"]

    one, many = (examine_series(tmp_path, pair, threads=count, kernels=False).tables[1] for count in (1, 3))

    for name in ("l2", "mean", "change_l2", "change_max", "minimum", "maximum", "same"):
        np.testing.assert_array_equal(getattr(one, name), getattr(many, name))


@pytest.mark.parametrize("name", sorted(DTYPES))
def test_other_formats_are_left_to_float64(name: str) -> None:
    assert bits.handles(DTYPES[name]) is (name in {"BF16", "F16", "F32"})
