"""Compiled kernels against the plain path: same counts, same numbers, whatever the bits."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensics.formats.dtypes import DTYPES
from forensics.weights import kernels, loops, plain, series, statistics
from weights.tensor_reference import SPECIAL, Raw, raw_tensors

SPANS = [1, 2, 3, kernels.SPAN - 1, kernels.SPAN, kernels.SPAN + 2, 2 * kernels.SPAN + 5]


def assert_alike(name: str, before: Raw | None, now: Raw, row_length: int = 0) -> None:
    """Both paths add the same to a fresh row; sums as far as float32 carries those of a block.

    Compilers group the additions in their own ways. One after the other, `SPAN` of them err by about the root of
    SPAN units in the last place, 3.8e-6 (4.8e-6 was seen with numba 0.60, 0.6e-6 with 0.68); five times that is
    allowed, far below the 1e-3 of anything that a report says.
    """
    dtype = DTYPES[name]
    runs = np.array([[0, 0, now.size, row_length, 0]])
    compiled, reference = statistics.fresh(1), statistics.fresh(1)

    kernels.accumulate(dtype, before, now, runs, compiled)
    plain.accumulate(dtype, before, now, runs, reference)

    exact = [i for i in range(statistics.COLUMNS) if i not in (statistics.TOTAL, statistics.ZEROS_IN_ROW)]
    np.testing.assert_allclose(compiled[0, exact], reference[0, exact], rtol=5 * kernels.SPAN**0.5 * 2**-24)
    scale = float(reference[0, statistics.LARGEST] * max(reference[0, statistics.FINITE], 1))
    np.testing.assert_allclose(compiled[0, statistics.TOTAL], reference[0, statistics.TOTAL], atol=1e-6 * scale)


@pytest.mark.parametrize("name", ["BF16", "F16"])
def test_every_16_bit_code_is_counted_alike(name: str) -> None:
    """All 65,536 codes, alone in order and against themselves reversed."""
    codes = np.arange(1 << 16, dtype=np.uint16)

    assert_alike(name, None, codes.view(np.uint8))
    assert_alike(name, np.ascontiguousarray(codes[::-1]).view(np.uint8), codes.view(np.uint8))


@pytest.mark.parametrize("name", sorted(SPECIAL))
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_special_bits_in_blocks_of_every_length(name: str, data: st.DataObject) -> None:
    """NaN payloads, infinities, both zeros and subnormal numbers, in blocks around the kernel's own length."""
    elements = data.draw(st.sampled_from(SPANS))
    before, now = data.draw(raw_tensors(name, elements)), data.draw(raw_tensors(name, elements))

    assert_alike(name, before, now)


@pytest.mark.parametrize("name", sorted(SPECIAL))
@pytest.mark.parametrize("scale", [1e-41, 1e-30, 1e-16, 1e-7, 1.0, 1e14, 1e16, 1e30])
@pytest.mark.parametrize("change", [0.0, 1e-3, 1.0])
def test_squares_do_not_leave_float32(name: str, scale: float, change: float) -> None:
    """Moments of 1e-16 and weights of 1e30 have the norms that float64 gives them."""
    generator = np.random.default_rng(2)
    with np.errstate(over="ignore"):
        values = (generator.standard_normal(5000) * scale).astype(np.float32)
        others = (values * np.float32(1 + change)).astype(np.float32)
        before, now = (bits_of(name, part) for part in (values, others))

    assert_alike(name, None, now)
    assert_alike(name, before, now)


def bits_of(name: str, values: np.ndarray[Any, np.dtype[np.float32]]) -> Raw:
    if name == "BF16":
        return (values.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8)
    return (values.astype(np.float16) if name == "F16" else values).view(np.uint8)


@pytest.mark.parametrize("name", sorted(SPECIAL))
@pytest.mark.parametrize("row_length", [1, 2, 5, 4096, 20_480])
def test_dead_rows_are_counted_alike(name: str, row_length: int) -> None:
    """Rows of zeros of either sign, among rows that have one bit set."""
    generator = np.random.default_rng(3)
    dtype = DTYPES[name]
    rows = generator.integers(0, 2, (20_480 // row_length, 1)) * np.ones((1, row_length))
    rows *= generator.integers(0, 2, rows.shape)
    values = bits_of(name, (rows * generator.choice([-1, 1], rows.shape)).astype(np.float32).reshape(-1))
    values[dtype.itemsize - 1 :: dtype.itemsize] |= np.uint8(0x80)

    assert_alike(name, None, values, row_length)


@pytest.mark.parametrize("name", sorted(SPECIAL))
@pytest.mark.parametrize("fill", ["nan", "zero"])
def test_tensor_of_one_value_is_counted_alike(name: str, fill: str) -> None:
    """All NaN, and all zero: nothing finite to measure, nothing to divide by."""
    bits = SPECIAL[name][6 if fill == "nan" else 0]
    values = np.full(10_000, bits, DTYPES[name].storage).view(np.uint8)

    assert_alike(name, None, values, 100)
    assert_alike(name, values, values, 100)


def test_small_inputs_never_import_the_compiler() -> None:
    """A checkpoint below the bound is scanned without numba in the process."""
    script = (
        "import sys, pathlib, tempfile, numpy as np\n"
        "from forensics.model.tensors import Piece, TensorRecord\n"
        "from forensics.weights.series import scan_series\n"
        "folder = pathlib.Path(tempfile.mkdtemp())\n"
        "(folder / 'a').write_bytes(np.ones(10_000, np.float32).tobytes())\n"
        "record = TensorRecord('w', 'weight', 'F32', (1000,), (Piece('a', 0, 4000),))\n"
        "print(int(scan_series(folder, [(record,)])[0].elements[0]), 'numba' in sys.modules)\n"
    )

    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    assert answer == "1000 False\n"


def test_large_inputs_use_the_kernels(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """From the bound on the compiled walk is called, and its numbers are the table's."""
    called: list[str] = []
    original = kernels.walk

    def watching(*arguments: Any) -> bool:
        called.append(arguments[0].name)
        return original(*arguments)

    monkeypatch.setattr(series, "KERNEL_BYTES", 40_000)
    monkeypatch.setattr(kernels, "walk", watching)
    (tmp_path / "a").write_bytes(np.ones(10_000, np.float32).tobytes())
    from forensics.model.tensors import Piece, TensorRecord

    record = TensorRecord("w", "weight", "F32", (10_000,), (Piece("a", 0, 40_000),))

    (table,) = series.scan_series(tmp_path, [(record,)])

    assert (called, int(table.elements[0])) == (["F32"], 10_000)
    assert np.sqrt(10_000) == pytest.approx(table.l2[0])


@pytest.mark.parametrize("refused", [{"cache"}, {"_nrt"}, {"cache", "_nrt"}])
def test_loops_compile_without_a_cache_or_an_option(monkeypatch: pytest.MonkeyPatch, refused: set[str]) -> None:
    """No place for the cache, or a numba without an option of its own, costs time and nothing else."""
    made: list[dict[str, Any]] = []

    def njit(_signature: Any, **options: Any) -> Callable[[Any], Any]:
        if refused & {name for name in options if options[name] is True or name == "_nrt"}:
            raise RuntimeError("cannot cache function: no locator available")
        made.append(options)
        return lambda function: function

    monkeypatch.setattr(numba, "njit", njit)

    loops.compiled("void()")(len)

    assert len(made) == 1
    assert not refused & set(made[0])
