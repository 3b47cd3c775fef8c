"""Each planted fault is named in the rows: tensor, rank, step and which side of the reduction (A3 to A8)."""

from collections import Counter

import numpy as np
import pytest

from recorder.recorder_records import Opened

pytest.importorskip("torch")

UP = "layers.1.up.weight"
SINGLE = ["nan-single", "nan-compiled"]
SEVERAL = ["nan-ddp", "nan-ddp-reentrant", "nan-ddp-3", "nan-fsdp2", "nan-fsdp2-offload"]


def bad(record: Opened, step: int, column: str) -> list[str]:
    """Return the names of the tensors that are not finite, in backward order."""
    row = record.rows[record.rows["step"] == step][0]
    values = row["x"][:, {"local": 1, "reduced": 3}[column]]
    return [record.names[i] for i in record.meta["backward_order"] if not np.isfinite(values[i])]


@pytest.mark.parametrize("case", [*SINGLE, *SEVERAL], indirect=True)
def test_a_nan_gradient_is_named_on_its_rank_before_the_reduction(case: list[Opened]) -> None:
    last = len(case) - 1
    for record in case:
        assert all(bad(record, step, "local") == bad(record, step, "reduced") == [] for step in range(1, 7))
        assert bad(record, 7, "local") == ([UP] if record.meta["rank"] == last else [])
        assert [line["nonfinite"] for line in record.lines[:6]] == [False] * 6
    if len(case) > 1:
        assert {name for record in case for name in bad(record, 7, "reduced")} == {UP}


@pytest.mark.parametrize("case", ["nan-single"], indirect=True)
def test_a_clipped_nan_is_in_every_tensor_after_the_clipping(case: list[Opened]) -> None:
    assert len(bad(case[0], 7, "reduced")) == 26


@pytest.mark.parametrize("case", ["reduction-ddp", "reduction-fsdp2", "reduction-fsdp2-offload"], indirect=True)
def test_a_bad_reduction_leaves_every_local_gradient_finite(case: list[Opened]) -> None:
    assert [bad(record, 7, "local") for record in case] == [[], []]
    spoiled = {name for record in case for name in bad(record, 7, "reduced")}
    assert len(spoiled) == 1


@pytest.mark.parametrize("case", ["nan-ddp"], indirect=True)
def test_the_capsule_holds_the_batch_of_the_first_bad_step(case: list[Opened], cases: object) -> None:
    import json
    import zlib
    from pathlib import Path

    from safetensors.numpy import load_file

    assert isinstance(cases, Path)
    for capsule in sorted((cases / "nan-ddp" / "blackbox").glob("*.capsule.json")):
        told = json.loads(capsule.read_text())
        rank = int(capsule.name[4:9])
        batch = load_file(str(capsule).replace(".json", ".safetensors"))
        line = next(line for line in case[rank].lines if line["step"] == 7)

        assert told["step"] == 7
        assert told["local_nonfinite"] == ([UP] if rank == 1 else [])
        assert told["reduced_nonfinite"] == [UP]
        assert line["ids_crc"] == [f"{zlib.crc32(batch['input_ids.0'].astype('<i8').tobytes()):08x}"]
        assert batch["torch_rng"].dtype == np.uint8


@pytest.mark.parametrize("case", ["zero"], indirect=True)
def test_zero_gradients_are_exactly_zero_from_their_step(case: list[Opened]) -> None:
    zero = (case[0].column("local_max") == 0).all(1)

    assert case[0].rows["step"][zero].tolist() == list(range(7, 21))


@pytest.mark.parametrize("case", ["stall"], indirect=True)
def test_a_stall_shows_in_most_tensors(case: list[Opened]) -> None:
    still, moved = case[0].column("still")[-1], case[0].column("update_l2")[-1]

    assert (still > 0.5).sum() >= 22
    assert (moved == 0).sum() >= 10
    assert np.all(case[0].column("local_l2")[-1] > 0)


@pytest.mark.parametrize("case", ["stall-not"], indirect=True)
def test_a_rate_that_bfloat16_holds_moves_most_weights(case: list[Opened]) -> None:
    assert (case[0].column("still")[-1] > 0.5).sum() <= 8


@pytest.mark.parametrize("case", ["drift"], indirect=True)
def test_replicas_that_drift_differ_in_all_hashes_from_their_step(case: list[Opened]) -> None:
    differing = (case[0].rows["hash"] != case[1].rows["hash"]).sum(1)

    assert differing.tolist() == [0] * 6 + [26] * 6


@pytest.mark.parametrize("case", ["unreduced"], indirect=True)
def test_without_a_reduction_the_reduced_gradient_is_the_local_one(case: list[Opened]) -> None:
    for record in case:
        np.testing.assert_array_equal(record.column("local_l2"), record.column("reduced_l2"))


@pytest.mark.parametrize(("case", "repeats"), [("repeated", 10), ("not-repeated", 0)], indirect=["case"])
def test_batches_that_come_again_have_the_same_checksum(case: list[Opened], repeats: int) -> None:
    seen = Counter(tuple(line["ids_crc"]) for line in case[0].lines)

    assert sum(count - 1 for count in seen.values()) == repeats


@pytest.mark.parametrize("case", ["never-stepped"], indirect=True)
def test_an_optimizer_that_never_steps_is_a_row_of_skips(case: list[Opened]) -> None:
    assert all(line["skipped"] for line in case[0].lines)
    assert np.all(case[0].column("update_l2") == 0)


def test_the_first_twenty_steps_are_told_once_each(cases: object) -> None:
    from pathlib import Path

    assert isinstance(cases, Path)
    lines = [line for line in (cases / "stderr.txt").read_text().splitlines() if "20 steps" in line]

    assert sum("nothing looks wrong" in line for line in lines) == 3
    assert sum("gradients exactly 0 in 26 of 26" in line for line in lines) == 1
    assert sum("26 of 26 tensors have not moved" in line for line in lines) == 1


@pytest.mark.parametrize("case", ["stop-ddp", "stop-fsdp2"], indirect=True)
def test_all_ranks_stop_at_the_same_step_when_one_saw_a_nan(case: list[Opened], cases: object) -> None:
    from pathlib import Path

    assert isinstance(cases, Path)
    assert [record.rows["step"].tolist() for record in case] == [list(range(1, 9))] * 2
    told = [line for line in (cases / "stderr.txt").read_text().splitlines() if "stopping" in line]
    assert len(told) == 2
    assert all(f"step 7: the gradient of {UP} is not finite on rank 1, before the reduction" in line for line in told)
