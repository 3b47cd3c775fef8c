"""Quick looks: what is drawn, and what the stated limit promises."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from forensics.formats.dtypes import DTYPES
from forensics.model.tensors import Piece, Tensors
from forensics.weights import sampling
from forensics.weights.series import examine_series
from forensics.weights.tracks import follow
from weights.tensor_reference import record, save


@given(blocks=st.integers(1, 100_000))
def test_limit_solves_its_equation(blocks: int) -> None:
    """With n blocks drawn, a share p is missed with 5 % probability."""
    share = sampling.detection_limit(blocks)

    assert pytest.approx((1 - share) ** blocks) == 0.05


@pytest.mark.parametrize(("blocks", "of", "limit"), [(10, 10, 0.0), (10, 3, 0.0), (0, 5, 1.0), (1, 2, 0.95)])
def test_limit_at_its_ends(blocks: int, of: int, limit: float) -> None:
    """Everything read hides nothing, nothing read shows nothing."""
    assert limit == pytest.approx(sampling.detection_limit(blocks, of))


@example(name="F6_E2M3", groups=2097121, share=0.0625)  # no power of two holds whole groups of 6-bit values
@given(
    name=st.sampled_from(["F32", "BF16", "F4", "F6_E2M3"]),
    groups=st.integers(1, 10_000_000),
    share=st.floats(0.01, 1.0),
)
def test_drawn_ranges_are_a_sorted_sample_in_proportion(name: str, groups: int, share: float) -> None:
    """Ranges lie within the tensor, do not overlap, begin at whole bytes, and are as many as promised."""
    elements = groups * DTYPES[name].group
    piece = Piece("a", 0, DTYPES[name].nbytes(elements))
    (track,) = follow([Tensors.of([record("w", name, (elements,), [piece])])], 0, lambda _: piece.nbytes).tracks
    whole = int(elements / share)

    ranges = sampling.drawn(track, whole)

    flat = [edge for pair in ranges for edge in pair]
    blocks = -(-groups // (sampling.BLOCK_BYTES // DTYPES[name].nbytes(DTYPES[name].group)))
    wanted = min(-(-sampling.BLOCKS * elements // whole), blocks)
    assert sorted(flat) == flat
    assert 0 <= flat[0] < flat[-1] <= elements
    assert all(edge % DTYPES[name].group == 0 for edge in flat)
    assert len(ranges) == (1 if wanted == blocks else wanted)
    if len(ranges) > 1:
        longest = max(stop - first for first, stop in ranges)
        assert longest * DTYPES[name].bits <= 8 * sampling.BLOCK_BYTES


def test_limit_holds_for_a_cluster_of_bad_elements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bad elements in one run, of the share that is promised to be seen, are seen in 95 % of 200 places."""
    monkeypatch.setattr(sampling, "BLOCKS", 64)
    monkeypatch.setattr(sampling, "BLOCK_BYTES", 256)
    elements = 256 * 512
    bad = int(sampling.detection_limit(64) * elements)
    seen = 0
    for trial in range(200):
        values = np.zeros(elements, np.uint8)
        start = np.random.default_rng(trial).integers(0, elements - bad)
        values[start : start + bad] = 0x7F  # NaN of F8_E4M3
        records = save(tmp_path, "a", [(f"w{trial}", "F8_E4M3", (elements,), values)])

        found = examine_series(tmp_path, [records], depth="quick")

        seen += bool(found.tables[0].nan[0])

    assert seen >= 190 - 4 * np.sqrt(200 * 0.05 * 0.95)
    assert (sampling.detection_limit(64),) == found.detection_limits


def test_quick_look_compares_the_same_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shares stay shares: elements are those looked at, an unchanged tensor is unchanged in its sample."""
    monkeypatch.setattr(sampling, "BLOCKS", 8)
    monkeypatch.setattr(sampling, "BLOCK_BYTES", 64)
    raw = np.arange(4000, dtype=np.float32).view(np.uint8)
    checkpoints = [save(tmp_path, f"{i}", [("w", "F32", (100, 40), raw)]) for i in range(2)]

    found = examine_series(tmp_path, checkpoints, depth="quick")

    table = found.tables[1]
    assert table.unchanged[0]
    assert 100 < table.elements[0] < 200
    assert (table.dead_rows[0], table.shapes[0]) == (None, (100, 40))
    assert found.bytes_read == 8 * table.elements[0]


def test_small_checkpoint_is_read_whole(tmp_path: Path) -> None:
    """A quick look at less than the budget misses nothing, and says so."""
    raw = np.ones(4000, np.float32).view(np.uint8)

    found = examine_series(tmp_path, [save(tmp_path, "a", [("w", "F32", (4000,), raw)])], depth="quick")

    assert (found.detection_limits, found.tables[0].elements[0]) == ((0.0,), 4000)
