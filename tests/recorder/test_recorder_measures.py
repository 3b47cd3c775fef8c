"""What the record says is what a copy of the model says (A1, A2), in every way to train that torch has."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recorder.recorder_records import Opened, records

torch = pytest.importorskip("torch")

EXACT = 0.0
FLAG_LOCAL, FLAG_REDUCED, FLAG_AT_STEP, FLAG_PROBED, FLAG_SHARD, FLAG_MAXIMUM = 1, 2, 4, 8, 16, 32


def truth(folder: Path, rank: int) -> dict[str, Any]:
    made: dict[str, Any] = torch.load(folder / f"truth.{rank}.pt", weights_only=True)
    return made


def by_hand(folder: Path, rank: int, which: str, names: list[str]) -> tuple[Any, Any]:
    """Return L2 norm and largest magnitude of hand-made gradients, (steps, tensors) each."""
    steps = truth(folder, rank)["truth"]
    length = [[float(torch.linalg.vector_norm(step[which][n])) for n in names] for step in steps]
    largest = [[float(step[which][n].abs().max()) for n in names] for step in steps]
    return np.array(length, np.float32), np.array(largest, np.float32)


def probe_of(weights: Any, layout: list[int]) -> Any:
    stride, count = layout
    return weights.reshape(-1)[::stride][:count]


@pytest.mark.parametrize("name", ["hand-1", "hand-3", "hand-clip", "hand-ddp", "hand-ddpview", "hand-ranks"])
def test_gradients_are_those_of_a_copy_made_by_hand(cases: Path, name: str) -> None:
    for record in records(cases / name / "blackbox"):
        length, largest = by_hand(cases / name, record.meta["rank"], "local", record.names)

        # DDP scales nothing before the hook; accumulated gradients are the sum that the copy makes.
        np.testing.assert_array_equal(record.column("local_l2"), length)
        read = record.column("flags").astype(int) & FLAG_MAXIMUM > 0
        np.testing.assert_array_equal(record.column("local_max"), np.where(read, largest, 0))
        # Clipped gradients are read twice, and their maxima in every tenth row only.
        assert read.all() if name != "hand-clip" else (read[0].all() and not read[1].any())
        assert set(record.meta["backward_order"]) == set(range(len(record.names)))


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [("hand-1", 0.0), ("hand-3", 0.0), ("hand-ddp", 1e-6), ("hand-ddpview", 1e-6), ("hand-ranks", 1e-6)],
)
def test_reduced_gradients_are_the_mean_over_ranks(cases: Path, name: str, tolerance: float) -> None:
    for record in records(cases / name / "blackbox"):
        length, largest = by_hand(cases / name, record.meta["rank"], "reduced", record.names)

        np.testing.assert_allclose(record.column("reduced_l2"), length, rtol=tolerance)
        np.testing.assert_allclose(record.column("reduced_max"), largest, rtol=tolerance)


def test_a_clipped_gradient_is_read_after_the_clipping_in_one_process(cases: Path) -> None:
    (record,) = records(cases / "hand-clip" / "blackbox")
    total = np.sqrt(np.square(record.column("reduced_l2"), dtype=np.float64).sum(1))

    assert np.all(record.rows["x"][:, :, 7].astype(int) & FLAG_AT_STEP)
    np.testing.assert_allclose(total, 0.05, rtol=1e-3)


@pytest.mark.parametrize("name", ["hand-1", "hand-3", "hand-ddp"])
def test_updates_weights_and_hashes_are_those_of_the_probed_positions(cases: Path, name: str) -> None:
    for record in records(cases / name / "blackbox"):
        steps = truth(cases / name, record.meta["rank"])["truth"]
        for row, step in zip(record.rows, steps, strict=True):
            for i, tensor in enumerate(record.meta["tensors"]):
                before = probe_of(step["before"][tensor["name"]], tensor["probe"])
                after = probe_of(step["after"][tensor["name"]], tensor["probe"])
                bits = after.view(torch.int32).numpy().astype(np.int64).view(np.uint64)
                odd = (np.arange(len(bits), dtype=np.uint64) * np.uint64(2) + np.uint64(1)) * np.uint64(
                    0x9E3779B97F4A7C15
                )

                assert row["x"][i][4] == pytest.approx(float((after - before).norm()), rel=1e-6)
                assert row["x"][i][5] == pytest.approx(float(after.norm()), rel=1e-6)
                assert row["x"][i][6] == np.float32(float((after == before).float().mean()))
                assert int(row["hash"][i]) == int((bits * odd).sum().astype(np.int64))


@pytest.mark.parametrize("gas", [1, 2])
@pytest.mark.parametrize("kind", ["ddpview", "fsdp2", "fsdp2-offload"])
def test_every_kind_measures_what_ddp_measures(cases: Path, kind: str, gas: int) -> None:
    reference = records(cases / f"none-ddp-{gas}" / "blackbox")
    found = records(cases / f"none-{kind}-{gas}" / "blackbox")
    shard = kind != "ddpview"
    for one, other in zip(reference, found, strict=True):
        assert other.meta["kind"] == ("fsdp2" if shard else "replicated")
        assert bool(int(other.rows["x"][0, 0, 7]) & FLAG_SHARD) == shard
        if gas == 1 or not shard:  # by definition the largest micro-batch where a framework takes each away
            np.testing.assert_allclose(other.column("local_l2"), one.column("local_l2"), rtol=1e-6)
    parts = [np.square(r.column("reduced_l2"), dtype=np.float64) for r in found]
    whole = np.sqrt(np.sum(parts, axis=0)) if shard else np.sqrt(parts[0])
    np.testing.assert_allclose(whole, reference[0].column("reduced_l2"), rtol=1e-6)


@pytest.mark.parametrize("case", ["hand-autocast", "none-ddp-2", "none-fsdp2-2"], indirect=True)
def test_lines_hold_losses_data_and_rates(case: list[Opened]) -> None:
    for record in case:
        for line in record.lines:
            assert len(line["ids_crc"]) == len(line["labels_crc"]) == len(line["losses"]) == 2
            assert line["loss"] == pytest.approx(sum(line["losses"]) / 2)
            assert line["lr"] == [1e-3]
            assert (line["skipped"], line["nonfinite"], line["supervised"]) == (False, False, 2 * 4 * 11)
    if len(case) > 1:
        assert case[0].lines[0]["ids_crc"] != case[1].lines[0]["ids_crc"]


@pytest.mark.parametrize("case", ["every-4"], indirect=True)
def test_every_nth_step_is_recorded_and_nothing_between(case: list[Opened]) -> None:
    assert [line["step"] for line in case[0].lines] == [1, 5, 9]
    assert case[0].rows["step"].tolist() == [1, 5, 9]
    assert np.all(case[0].column("local_l2") > 0)


@pytest.mark.parametrize("case", ["hand-1"], indirect=True)
def test_meta_says_how_to_read_the_rows(case: list[Opened]) -> None:
    meta = case[0].meta

    assert (meta["format"], meta["version"], meta["rank"], meta["world"]) == ("blackbox", 1, 0, 1)
    assert (meta["kind"], meta["reduced_read"], meta["accumulates"], meta["optimizer"]) == (
        "single",
        "step",
        True,
        "AdamW",
    )
    assert meta["row_bytes"] == case[0].rows.dtype.itemsize == 32 + 40 * 26
    assert meta["tensors"][0] == {
        "name": "embed.weight",
        "shape": [64, 16],
        "dtype": "float32",
        "local": [64, 16],
        "probe": [1, 1024],
    }
    assert json.dumps(meta["versions"]).count(torch.__version__) == 1
