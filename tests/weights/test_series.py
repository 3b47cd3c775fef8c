"""Series of checkpoints against a float64 reference, and what broken files cost."""

import errno
import itertools
import os
from collections import Counter
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensics.formats.dtypes import DTYPES
from forensics.model.tensors import Piece, TensorRecord
from forensics.model.weights import TensorTable
from forensics.storage.file import File
from forensics.weights import blocks, series
from forensics.weights.series import examine_series, scan_series
from forensics.weights.tracks import Plan, follow
from weights.tensor_reference import Raw, assert_row, expected, raw_tensors, record, save

KINDS = sorted(name for name, dtype in DTYPES.items() if dtype.kind not in {"opaque", "complex"})
SHAPES = [(), (0,), (4,), (2, 2), (6, 4), (3, 0), (1, 8), (5, 2, 6), (130, 2)]


Case: TypeAlias = tuple[str, tuple[int, ...], list[Raw]]


@st.composite
def pairs(draw: st.DrawFn) -> Case:
    """Draw a dtype, a shape and a tensor in three checkpoints, some of them alike."""
    name = draw(st.sampled_from(KINDS))
    shape = draw(st.sampled_from([shape for shape in SHAPES if np.prod(shape) % DTYPES[name].group == 0]))
    elements = int(np.prod(shape))
    first = draw(raw_tensors(name, elements))
    second = draw(st.just(first) | raw_tensors(name, elements))
    third = second.copy()
    if third.size:
        third[draw(st.integers(0, third.size - 1))] ^= draw(st.integers(1, 255))
    return name, shape, [first, second, third]


@pytest.mark.parametrize("kernels", [False, True])
@settings(max_examples=120, deadline=None)
@given(case=pairs(), other=pairs())
def test_series_equals_float64_on_every_dtype(
    tmp_path_factory: pytest.TempPathFactory, kernels: bool, case: Case, other: Case
) -> None:
    """Every count is that of float64 arithmetic on the whole tensor, for each checkpoint and each change."""
    folder = tmp_path_factory.mktemp("run")
    tensors = [("a", *case), ("b", *other)]
    checkpoints = [
        save(folder, f"{i}.bin", [(name, dtype, shape, raws[i]) for name, dtype, shape, raws in tensors])
        for i in range(3)
    ]

    tables = scan_or_examine(folder, checkpoints, kernels)

    for i, table in enumerate(tables):
        for row, (_, dtype, shape, raws) in enumerate(tensors):
            assert_row(table, row, expected(dtype, shape, raws[i], raws[i - 1] if i else None))


def scan_or_examine(folder: Path, checkpoints: list[list[TensorRecord]], kernels: bool) -> tuple[TensorTable, ...]:
    found = examine_series(folder, checkpoints, threads=2, kernels=kernels)

    assert dict(found.failures) == {}
    return found.tables


@pytest.fixture
def small_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every tensor of the test a large one."""
    monkeypatch.setattr(blocks, "BUFFER_BYTES", 4096)
    monkeypatch.setattr(blocks, "TASK_BYTES", 3 * 4096)
    monkeypatch.setattr("forensics.weights.work.BUFFER_BYTES", 4096)


@pytest.mark.usefixtures("small_buffers")
@pytest.mark.parametrize("kernels", [False, True])
@pytest.mark.parametrize("name", ["BF16", "F16", "F32", "F64", "I16", "F8_E4M3", "F4"])
@pytest.mark.parametrize(
    "shape", [(30_000,), (300, 100), (7, 9_000), (9, 2_500), (2, 3, 8_000), (1, 40_000), (40_000, 1)]
)
def test_large_tensors_are_cut_without_a_trace(
    tmp_path: Path, name: str, shape: tuple[int, ...], kernels: bool
) -> None:
    """Blocks, tasks and threads leave no mark: dead rows longer than a buffer are counted too."""
    generator = np.random.default_rng(7)
    size = DTYPES[name].nbytes(int(np.prod(shape)))
    raws = [generator.integers(0, 256, size, dtype=np.uint8) for _ in range(3)]
    raws[2] = raws[1].copy()
    for raw in raws:
        raw[: size // shape[0] * max(shape[0] // 4, 1)] = 0
        raw[-(size // 7) :] = 0
    checkpoints = [save(tmp_path, f"{i}.bin", [("w", name, shape, raw)]) for i, raw in enumerate(raws)]

    tables = scan_or_examine(tmp_path, checkpoints, kernels)

    for i, table in enumerate(tables):
        wanted = expected(name, shape, raws[i], raws[i - 1] if i else None)
        if name == "F4" and shape == (40_000, 1):
            wanted = type(wanted)({**wanted.counts, "dead_rows": None}, wanted.numbers)
        assert_row(table, 0, wanted)


@pytest.mark.parametrize("kernels", [False, True])
@pytest.mark.parametrize("layout", [((5, 7), (1, 5)), ((4, 3, 2), (1, 8, 4)), ((3, 4), (10, 2)), ((6, 2), (0, 1))])
@pytest.mark.parametrize("gather_bytes", [0, 20, 1 << 20])
def test_strided_tensors_are_counted_in_their_own_order(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    layout: tuple[tuple[int, ...], tuple[int, ...]],
    gather_bytes: int,
    kernels: bool,
) -> None:
    """Transposed, sliced and expanded tensors give what a contiguous copy gives, rows included."""
    shape, strides = layout
    monkeypatch.setattr(blocks, "GATHER_BYTES", gather_bytes)
    monkeypatch.setattr("forensics.weights.series.GATHER_BYTES", gather_bytes)
    span = 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    generator = np.random.default_rng(3)
    stored = generator.standard_normal((2, span)).astype(np.float32)
    stored[:, [0, *range(1, span, 3)]] = 0
    views = [
        np.ascontiguousarray(np.lib.stride_tricks.as_strided(row, shape, tuple(4 * stride for stride in strides)))
        for row in stored
    ]
    checkpoints = []
    for i, row in enumerate(stored):
        (tmp_path / f"{i}.bin").write_bytes(row.tobytes())
        checkpoints.append([record("w", "F32", shape, [Piece(f"{i}.bin", 0, row.nbytes)], strides)])

    tables = scan_or_examine(tmp_path, checkpoints, kernels)

    raws = [view.reshape(-1).view(np.uint8) for view in views]
    wanted = [expected("F32", shape, raws[0]), expected("F32", shape, raws[1], raws[0])]
    dense = sorted(strides) == [1, 5] or strides == (1, 8, 4)
    if dense and gather_bytes < 4 * span:
        wanted = [type(one)({**one.counts, "dead_rows": None}, one.numbers) for one in wanted]
    for table, one in zip(tables, wanted, strict=True):
        assert_row(table, 0, one)


@pytest.mark.parametrize("kernels", [False, True])
def test_tensor_in_several_pieces_is_one_tensor(tmp_path: Path, kernels: bool) -> None:
    """Pieces of several files, cut within an element, are read as one run of elements."""
    raw = np.arange(1000, dtype=np.float32).view(np.uint8)
    cuts = [0, 3, 1001, 1002, 4000]
    pieces = []
    for i, (low, high) in enumerate(itertools.pairwise(cuts)):
        (tmp_path / f"rank{i}.bin").write_bytes(b"#" * i + raw[low:high].tobytes())
        pieces.append(Piece(f"rank{i}.bin", i, high - low))

    (table,) = scan_or_examine(tmp_path, [[record("w", "F32", (10, 100), pieces)]], kernels)

    assert_row(table, 0, expected("F32", (10, 100), raw))


def test_complex_elements_count_once(tmp_path: Path) -> None:
    """An element is NaN or Inf when a part is; numbers are over the parts, the magnitude that of the element."""
    values = np.array([3 + 4j, 0, complex(np.nan, np.inf), complex(1, -np.inf), 1e-40j, -2], dtype=np.complex64)
    records = save(tmp_path, "c.bin", [("w", "C64", (6,), values.view(np.uint8))])

    (table,) = scan_series(tmp_path, [records])

    counts = [table.nan[0], table.negative_infinity[0], table.zero[0], table.subnormal[0], table.elements[0]]
    assert counts == [1, 1, 1, 1, 6]
    assert [table.max_abs[0], table.minimum[0], table.maximum[0]] == [5.0, -2.0, 4.0]


def test_six_bit_elements_are_compared_as_bytes_only(tmp_path: Path) -> None:
    """A packed format without an agreed order has no NaN, no known zeros, and is equal by groups of four."""
    before, after = np.zeros(6, np.uint8), np.array([0, 0, 0, 0, 1, 0], np.uint8)
    checkpoints = [save(tmp_path, f"{i}", [("w", "F6_E2M3", (2, 4), raw)]) for i, raw in enumerate((before, after))]

    table = scan_series(tmp_path, checkpoints)[1]

    assert [
        table.elements[0],
        table.nan[0],
        table.infinite[0],
        table.zero[0],
        table.same[0],
    ] == [8, 0, 0, None, 4]
    assert np.isnan([table.l2[0], table.change_l2[0]]).all()


def test_series_equals_pairwise_differences(tmp_path: Path) -> None:
    """A series is the sequence of its pairs; a checkpoint without the tensor is stepped over."""
    generator = np.random.default_rng(1)
    raws = [generator.standard_normal(3000).astype(np.float32).view(np.uint8) for _ in range(4)]
    checkpoints = [save(tmp_path, f"{i}.bin", [("w", "F32", (30, 100), raw)]) for i, raw in enumerate(raws)]
    checkpoints[2] = []

    whole = scan_series(tmp_path, checkpoints)
    pair = scan_series(tmp_path, [checkpoints[1], checkpoints[3]])

    assert (pair[1].same[0], pair[1].change_l2[0]) == (whole[3].same[0], whole[3].change_l2[0])
    assert len(whole[2]) == 0


@pytest.mark.parametrize(("dtype", "shape"), [("I32", (30, 100)), ("F32", (100, 30))])
def test_reshaped_and_retyped_tensors_are_not_compared(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    """Nothing is compared across a change of shape or dtype, not even with an older equal."""
    raw = np.ones(3000, np.float32).view(np.uint8)
    kinds = [("F32", (30, 100)), (dtype, shape), ("F32", (30, 100)), ("F32", (30, 100))]
    checkpoints = [save(tmp_path, f"{i}.bin", [("w", *kind, raw)]) for i, kind in enumerate(kinds)]

    tables = scan_series(tmp_path, checkpoints)

    assert [table.same[0] for table in tables] == [None, None, None, 3000]


def test_transposed_tensor_is_not_compared_with_its_former_order(tmp_path: Path) -> None:
    """When the memory order changes, bytes at one place are other elements; in the new order they compare again."""
    raw = np.arange(35, dtype=np.float32).view(np.uint8)
    checkpoints = [save(tmp_path, f"{i}.bin", [("w", "F32", (5, 7), raw)]) for i in range(3)]
    for i in (1, 2):
        checkpoints[i] = [record("w", "F32", (5, 7), checkpoints[i][0].pieces, (1, 5))]

    tables = scan_series(tmp_path, checkpoints)

    assert [table.same[0] for table in tables] == [None, None, 35]


def test_aliases_take_the_row_of_their_tensor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tied tensor has the numbers of the tensor whose bytes it shares, which are read once."""
    raw = np.arange(64, dtype=np.float32).view(np.uint8)
    (own,) = save(tmp_path, "m.bin", [("embed", "F32", (8, 8), raw)])
    tied = TensorRecord("head", "weight", "F32", (8, 8), own.pieces, alias_of="embed")
    read = counted_reads(monkeypatch)

    (table,) = scan_series(tmp_path, [[tied, own]])

    assert table.names == ("head", "embed")
    assert table.l2[0] == table.l2[1] == pytest.approx(np.sqrt((np.arange(64) ** 2).sum()))
    assert dict.fromkeys(range(3, 3 + raw.size), 1) == dict(read)


def counted_reads(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """Count how often each byte is read, through the one door that all Python reads take."""
    read: Counter[int] = Counter()
    original = File.read_into

    def counting(self: File, offset: int, buffer: memoryview) -> None:
        read.update(range(offset, offset + len(buffer)))
        original(self, offset, buffer)

    monkeypatch.setattr(File, "read_into", counting)
    return read


@pytest.mark.usefixtures("small_buffers")
def test_every_byte_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three checkpoints of large and small tensors: each byte is asked for exactly once."""
    raws = [("a", "F32", (50, 60)), ("b", "BF16", (3,)), ("c", "U8", (9_001,)), ("d", "F64", (2, 2))]
    checkpoints = []
    for i in range(3):
        tensors = [(n, d, s, np.full(DTYPES[d].nbytes(int(np.prod(s))), i, np.uint8)) for n, d, s in raws]
        checkpoints.append(save(tmp_path, f"{i}.bin", tensors))
    size = (tmp_path / "0.bin").stat().st_size
    read = counted_reads(monkeypatch)

    examine_series(tmp_path, checkpoints, kernels=False, threads=1)

    assert dict.fromkeys(range(3, size), 3) == dict(read)


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="the kernel does not say what was read")
@pytest.mark.usefixtures("small_buffers")
def test_compiled_reads_read_no_byte_twice(tmp_path: Path) -> None:
    """The system counts about as many bytes read as the files hold when compiled loops read them."""
    raw = np.ones(1 << 20, np.float32).view(np.uint8)
    checkpoints = [save(tmp_path, f"{i}.bin", [("w", "F32", (1 << 10, 1 << 10), raw)]) for i in range(2)]
    examine_series(tmp_path, [[]], kernels=True)

    def read() -> int:
        return int(Path("/proc/self/io").read_text().split()[1])

    before = read()
    found = examine_series(tmp_path, checkpoints, kernels=True)
    after = read()

    assert 2 * raw.size == found.bytes_read
    assert 2 * raw.size <= after - before < 2 * raw.size + (1 << 20)


@pytest.mark.parametrize("kernels", [False, True])
@pytest.mark.parametrize("large", [False, True])
def test_cut_file_costs_only_its_tensors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kernels: bool, large: bool
) -> None:
    """Tensors past the end of a file are unexamined; the others, and the next checkpoint, are whole."""
    if large:
        monkeypatch.setattr(blocks, "BUFFER_BYTES", 256)
        monkeypatch.setattr("forensics.weights.work.BUFFER_BYTES", 256)
    raw = np.ones(100, np.float32).view(np.uint8)
    checkpoints = [save(tmp_path, f"{i}.bin", [("a", "F32", (100,), raw), ("b", "F32", (100,), raw)]) for i in range(3)]
    os.truncate(tmp_path / "1.bin", 3 + 700)

    found = examine_series(tmp_path, checkpoints, kernels=kernels)

    assert list(found.failures) == ["1.bin"]
    assert "ends at byte 703" in found.failures["1.bin"]
    assert [table.nan.tolist() for table in found.tables] == [[0, 0], [0, None], [0, 0]]
    assert [table.same.tolist() for table in found.tables] == [[None, None], [100, None], [100, None]]
    assert found.tables[1].elements[1] == 100
    assert np.isnan(found.tables[1].l2[1])


@pytest.mark.parametrize("kernels", [False, True])
@pytest.mark.parametrize("elements", [100, 1 << 20])
def test_file_that_shrinks_while_it_is_read_is_no_evidence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, elements: int, kernels: bool
) -> None:
    """A live run that cuts its file under our hands neither stops the scan nor gives half a truth."""
    raw = np.ones(elements, np.float32).view(np.uint8)
    checkpoints = [save(tmp_path, f"{i}.bin", [("a", "F32", (elements,), raw)]) for i in range(3)]
    original = follow

    def cutting(*arguments: Any) -> Plan:
        plan = original(*arguments)
        os.truncate(tmp_path / "1.bin", 50)
        return plan

    monkeypatch.setattr(series, "follow", cutting)

    found = examine_series(tmp_path, checkpoints, kernels=kernels)

    assert [table.nan[0] for table in found.tables] == [0, None, 0]
    assert [table.same[0] for table in found.tables] == [None, None, None]
    assert list(found.failures) == ["1.bin"]


@pytest.mark.parametrize("large", [False, True])
def test_bad_sector_costs_the_tensors_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: bool) -> None:
    """Where the system cannot read a range, the tensors beside it are still read."""
    if large:
        monkeypatch.setattr(blocks, "BUFFER_BYTES", 256)
        monkeypatch.setattr("forensics.weights.work.BUFFER_BYTES", 256)
    raw = np.ones(100, np.float32).view(np.uint8)
    records = save(tmp_path, "a.bin", [(name, "F32", (100,), raw) for name in "abc"])
    original = File.read_into

    def failing(self: File, offset: int, buffer: memoryview) -> None:
        if offset <= 3 + 600 < offset + len(buffer):
            raise OSError(errno.EIO, "Input/output error")
        original(self, offset, buffer)

    monkeypatch.setattr(File, "read_into", failing)

    found = examine_series(tmp_path, [records])

    assert found.tables[0].nan.tolist() == [0, None, 0]
    assert "Input/output error" in found.failures["a.bin"]


@pytest.mark.parametrize("kernels", [False, True])
def test_tensor_larger_than_any_disk_is_refused_at_once(tmp_path: Path, kernels: bool) -> None:
    """A header that promises an exabyte does not make the scan walk through it."""
    (tmp_path / "a.bin").write_bytes(bytes(100))
    lie = record("w", "U8", (1 << 60,), [Piece("a.bin", 0, 1 << 60)])

    found = examine_series(tmp_path, [[lie]], kernels=kernels)

    assert list(found.failures) == ["a.bin"]
    assert found.tables[0].elements[0] == 1 << 60
    assert found.bytes_read == 0


def test_missing_file_costs_only_its_tensors(tmp_path: Path) -> None:
    """A shard that is not there leaves rows unexamined and a reason."""
    raw = np.ones(10, np.float32).view(np.uint8)
    records = save(tmp_path, "a.bin", [("a", "F32", (10,), raw)])
    records.append(record("b", "F32", (10,), [Piece("gone.bin", 0, 40)]))

    found = examine_series(tmp_path, [records])

    assert [found.tables[0].elements[0], found.tables[0].zero[1]] == [10, None]
    assert list(found.failures) == ["gone.bin"]


def test_file_that_changes_while_it_is_read_is_no_evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file written to during the scan leaves its rows unexamined, and nothing is compared with them."""
    raw = np.ones(10, np.float32).view(np.uint8)
    checkpoints = [save(tmp_path, f"{i}.bin", [("a", "F32", (10,), raw)]) for i in range(3)]
    original = File.read_into

    def touching(self: File, offset: int, buffer: memoryview) -> None:
        original(self, offset, buffer)
        if self.path.name == "1.bin":
            os.utime(tmp_path / "1.bin", ns=(1, 1))

    monkeypatch.setattr(File, "read_into", touching)

    found = examine_series(tmp_path, checkpoints)

    assert [table.nan[0] for table in found.tables] == [0, None, 0]
    assert [table.same[0] for table in found.tables] == [None, None, None]
    assert "changed" in found.failures["1.bin"]


@pytest.mark.parametrize(
    "bad",
    [
        record("w", "F99", (2,), [Piece("a.bin", 0, 8)]),
        record("w", "F32", (3,), [Piece("a.bin", 0, 8)]),
        record("w", "F4", (3,), [Piece("a.bin", 0, 8)]),
        record("w", "F32", (2, 2), [Piece("a.bin", 0, 16)], (1,)),
        record("w", "F32", (2, 2), [Piece("a.bin", 0, 16)], (-1, 1)),
        record("w", "F32", (1 << 40, 1 << 20), [Piece("a.bin", 0, 4)], (0, 0)),
        record("w", "F32", (2,), [Piece("a.bin", -8, 8)]),
        record("w", "F32", (2,), []),
        record("w", "F32", (-2, -1), [Piece("a.bin", 0, 8)]),
        record("w", "F32", (2,), [Piece("a.bin", 0, -8), Piece("a.bin", 0, 16)]),
    ],
)
@pytest.mark.parametrize("kernels", [False, True])
def test_record_that_cannot_be_true_is_left_out(tmp_path: Path, bad: TensorRecord, kernels: bool) -> None:
    """Unknown dtypes, too few bytes, impossible strides and hostile expansions cost their row only."""
    good = save(tmp_path, "good.bin", [("a", "F32", (2,), np.ones(8, np.uint8))])
    (tmp_path / "a.bin").write_bytes(bytes(64))

    found = examine_series(tmp_path, [[*good, bad]], kernels=kernels)

    assert found.tables[0].nan.tolist() == [0, None]
    assert len(found.failures) == 1


def test_progress_ends_at_the_total(tmp_path: Path) -> None:
    """The last call says that all bytes are done."""
    raw = np.ones(10, np.float32).view(np.uint8)
    checkpoints = [save(tmp_path, f"{i}.bin", [("a", "F32", (10,), raw)]) for i in range(2)]
    seen: list[tuple[int, int]] = []

    scan_series(tmp_path, checkpoints, progress=lambda done, total: seen.append((done, total)))

    assert seen[-1] == (80, 80)


def test_trained_comes_from_records_or_the_caller(tmp_path: Path) -> None:
    """The column `trained` repeats the records unless the caller knows better."""
    records = [TensorRecord("w", "weight", "F32", (0,), (), trained="frozen")]

    (plain,) = scan_series(tmp_path, [records])
    (told,) = scan_series(tmp_path, [records], trained=lambda _: "trainable")

    assert (list(plain.trained), list(told.trained)) == (["frozen"], ["trainable"])


def test_depth_off_reads_nothing(tmp_path: Path) -> None:
    """Without a look every count says so, and the file need not even be there."""
    found = examine_series(tmp_path, [[record("w", "F32", (2,), [Piece("gone", 0, 8)])]], depth="off")

    assert found.tables[0].nan.tolist() == [None]
    assert dict(found.failures) == {}
