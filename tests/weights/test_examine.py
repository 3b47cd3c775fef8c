"""What a scan of a run adds: depths and what they leave out, masters against copies, judgements of the values."""

import json
import shutil
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forensics.model import Checkpoint, OptimizerState, TensorTable
from forensics.weights import examine, examine_checkpoints
from forensics.weights.judge_tables import judge_tables
from forensics.weights.resolution import resolution_of
from weights.checkpoint_files import FIXTURES, by_name, checkpoints_in, only, statements

torch = pytest.importorskip("torch")
save_file: Any = pytest.importorskip("safetensors.torch").save_file


def examined(folder: Path, **how: Any) -> tuple[Checkpoint, ...]:
    return examine_checkpoints(folder, checkpoints_in(folder, loose=True), **how)[0]


def table_of(checkpoint: Checkpoint) -> TensorTable:
    assert checkpoint.table is not None
    return checkpoint.table


def test_off_says_so_for_each_checkpoint(tmp_path: Path) -> None:
    save_file({"w": torch.ones(3)}, tmp_path / "model.safetensors")
    checkpoints, skips = examine_checkpoints(tmp_path, checkpoints_in(tmp_path), "off")

    assert [c.table for c in checkpoints] == [None]
    assert [s.reason for s in skips] == ["weights were not examined (--weights off)"]


def test_a_full_look_leaves_nothing_out(tmp_path: Path) -> None:
    save_file({"w": torch.ones(3)}, tmp_path / "model.safetensors")

    assert examine_checkpoints(tmp_path, checkpoints_in(tmp_path), "full")[1] == ()


def test_a_quick_look_says_what_it_read_and_what_it_may_have_missed(tmp_path: Path) -> None:
    save_file({"w": torch.zeros(40 << 20, dtype=torch.bfloat16)}, tmp_path / "model.safetensors")
    (_,), (skip,) = examine_checkpoints(tmp_path, checkpoints_in(tmp_path), "quick")

    assert skip.what == "every byte of the weights"
    assert "67.1 MB of 83.9 MB, in blocks drawn by chance, were looked at" in skip.reason
    assert "bad elements below 0.29 % of a checkpoint may have been missed; --weights full reads all" in skip.reason


def test_a_quick_look_at_a_small_file_leaves_nothing_out(tmp_path: Path) -> None:
    """What is smaller than the sample is read whole."""
    save_file({"w": torch.ones(3)}, tmp_path / "model.safetensors")

    assert examine_checkpoints(tmp_path, checkpoints_in(tmp_path), "quick")[1] == ()


def test_auto_is_quick_when_the_disk_is_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And tells the measured rate that decided."""
    save_file({"w": torch.zeros(40 << 20, dtype=torch.bfloat16)}, tmp_path / "model.safetensors")
    monkeypatch.setattr(examine, "_read_rate", lambda *_: 1e6)
    (checkpoint,), (skip,) = examine_checkpoints(tmp_path, checkpoints_in(tmp_path), "auto")

    assert checkpoint.depth == "quick"
    assert "because reading all takes 84 s at 0.00 GB/s" in skip.reason


def test_masters_that_round_to_their_copies_are_fine() -> None:
    for case in ("zero1", "zero2-tied-round-robin", "deepspeed-pipeline"):
        (checkpoint,) = examined(FIXTURES / case / "save")
        assert statements(checkpoint) == []
        assert {"master", "weight"} <= set(table_of(checkpoint).roles)


def changed(tmp_path: Path, name: str, element: int, value: bytes) -> Checkpoint:
    """Scan the ZeRO-1 fixture after writing `value` over one element of a tensor."""
    shutil.copytree(FIXTURES / "zero1/save", tmp_path / "save")
    record = by_name(only(tmp_path / "save").records)[name]
    piece = record.pieces[0]
    path = tmp_path / "save" / piece.path
    raw = bytearray(path.read_bytes())
    at = piece.offset + element * len(value)
    raw[at : at + len(value)] = value
    path.write_bytes(raw)
    return examined(tmp_path / "save")[0]


def test_one_copy_that_is_no_rounding_of_its_master_is_counted(tmp_path: Path) -> None:
    checkpoint = changed(tmp_path, "layers.1.weight", 5, b"\x80\x3f")

    assert "1 of 258 elements looked at" in statements(checkpoint)[0]
    assert "in 1 tensors (layers.1.weight)" in statements(checkpoint)[0]


@pytest.mark.parametrize(
    ("name", "value", "where"),
    [
        ("master/norm.weight", struct.pack("<f", float("nan")), "fp32 masters"),
        ("norm.weight", b"\xc0\x7f", "16-bit"),
    ],
)
def test_nan_in_one_of_the_two_is_told(tmp_path: Path, name: str, value: bytes, where: str) -> None:
    found = [s for s in statements(changed(tmp_path, name, 2, value)) if "NaN" in s]

    assert f"1 elements are NaN in the {where}" in found[0]


def bf16_run(folder: Path, rate: float) -> Checkpoint:
    """Train norm weights of 1.0 and a matrix of small numbers in pure bf16."""
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    norm = torch.nn.Parameter(torch.ones(8, dtype=torch.bfloat16))
    matrix = torch.nn.Parameter((torch.randn(64, 8) * 0.02).bfloat16())
    optimizer = torch.optim.AdamW([matrix, norm], lr=rate, weight_decay=0.0)
    for _ in range(4):
        loss = ((torch.randn(5, 8).bfloat16() * norm) @ matrix.T).float().square().sum()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    save_file({"norm.weight": norm.detach(), "proj.weight": matrix.detach()}, folder / "model.safetensors")
    torch.save(optimizer.state_dict(), folder / "optimizer.pt")
    (folder / "trainer_state.json").write_text('{"global_step": 4}')
    return examined(folder.parent)[0]


def test_bf16_updates_below_the_rounding_are_counted(tmp_path: Path) -> None:
    found = {r.name: r for r in bf16_run(tmp_path / "checkpoint-4", 1e-6).resolution}

    assert (found["norm.weight"].stuck, found["norm.weight"].ones) == (8, True)
    assert found["proj.weight"].stuck > 0.9 * 512
    assert found["norm.weight"].expected_update < 2e-6
    assert found["norm.weight"].smallest_moving == 2**-9


def test_large_updates_are_not_stuck(tmp_path: Path) -> None:
    found = {r.name: r for r in bf16_run(tmp_path / "checkpoint-4", 1e-2).resolution}

    assert found["proj.weight"].stuck < 0.1 * 512


def test_nothing_is_stuck_when_masters_keep_the_updates() -> None:
    (checkpoint,) = examined(FIXTURES / "zero1/save")

    assert resolution_of(FIXTURES / "zero1/save", checkpoint, 1e-9) == ()


def adapter_run(folder: Path, fill: float) -> Checkpoint:
    folder.mkdir(parents=True)
    names = [f"base_model.model.layers.{n}.q_proj.lora_{part}.weight" for n in range(2) for part in "AB"]
    weights = {name: torch.full((2, 2), 1.0 if "lora_A" in name else fill) for name in names}
    save_file(weights, folder / "adapter_model.safetensors")
    return examined(folder.parent)[0]


def test_lora_b_that_is_zero_throughout_was_never_trained(tmp_path: Path) -> None:
    assert "all 2 lora_B tensors are zero" in statements(adapter_run(tmp_path / "a/checkpoint-5", 0.0))[0]
    assert statements(adapter_run(tmp_path / "b/checkpoint-5", 0.1)) == []


def torch_run(folder: Path, second: float) -> Checkpoint:
    folder.mkdir(parents=True)
    weight = torch.nn.Parameter(torch.ones(4))
    optimizer = torch.optim.Adam([weight])
    weight.sum().backward()
    optimizer.step()
    optimizer.state[weight]["exp_avg_sq"].fill_(second)
    save_file({"w": torch.ones(4)}, folder / "model.safetensors")
    torch.save(optimizer.state_dict(), folder / "optimizer.pt")
    (folder / "trainer_state.json").write_text('{"global_step": 1}')
    return examined(folder.parent)[0]


def test_second_moments_that_are_zero_or_negative_are_told(tmp_path: Path) -> None:
    assert "no gradient ever reached the optimizer" in statements(torch_run(tmp_path / "a/checkpoint-1", 0.0))[0]
    assert "negative numbers" in statements(torch_run(tmp_path / "b/checkpoint-1", -1.0))[0]
    assert statements(torch_run(tmp_path / "c/checkpoint-1", 1e-9)) == []


def test_copies_that_differ_between_ranks_are_told(tmp_path: Path) -> None:
    """Megatron's tensor-parallel ranks hold one norm each, which must be the same."""
    shutil.copytree(FIXTURES / "megatron-imitated/save", tmp_path / "save")
    assert statements(examined(tmp_path / "save")[0]) == []
    file = tmp_path / "save/iter_0000003/mp_rank_01/model_optim_rng.pt"
    state = torch.load(file, weights_only=False)
    state["model"]["language_model.encoder.layers.0.input_norm.weight"][2] = 0.5
    torch.save(state, file)

    found = statements(examined(tmp_path / "save")[0])
    assert "1 tensors that every model-parallel rank holds as a copy differ" in found[0]


def tied_run(folder: Path, head: Any, *, tied: bool = True) -> Checkpoint:
    folder.mkdir()
    weights = {"model.embed_tokens.weight": torch.ones(10, 4), "lm_head.weight": head}
    save_file(weights, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"tie_word_embeddings": tied, "vocab_size": len(head)}))
    return examined(folder)[0]


def test_a_tied_head_that_went_its_own_way_is_told(tmp_path: Path) -> None:
    """Equal copies are as a tie should be, an untied head is its own, and one of another shape cannot be compared."""
    apart = torch.ones(10, 4) * 0.5

    assert "a loader keeps the embedding" in statements(tied_run(tmp_path / "a", apart))[0]
    assert statements(tied_run(tmp_path / "b", torch.ones(10, 4))) == []
    assert statements(tied_run(tmp_path / "c", apart, tied=False)) == []
    assert not any("a loader keeps" in s for s in statements(tied_run(tmp_path / "d", torch.ones(12, 4))))


@pytest.mark.parametrize(
    "name", ["q_proj.weight.absmax", "q_proj.weight.nested_absmax", "q_proj.weight_scale", "q_proj.scales", "q.SCB"]
)
def test_scales_of_quantised_weights_that_are_zero_are_told(tmp_path: Path, name: str) -> None:
    """One that is zero in places scales a block that is zero; a scale of another kind is none of these."""
    save_file({f"layers.0.{name}": torch.zeros(8), f"layers.1.{name}": torch.ones(8)}, tmp_path / "model.safetensors")
    told = statements(examined(tmp_path)[0])
    save_file({f"layers.0.{name}": torch.tensor([0.0, 1.0])}, tmp_path / "model.safetensors")

    assert told == [
        f"1 of 2 scales of quantised weights are zero (layers.0.{name}): the weights that they scale are zero too"
    ]
    assert statements(examined(tmp_path)[0]) == []


def test_tables_without_an_optimizer_are_not_judged_for_one() -> None:
    (checkpoint,) = examined(FIXTURES / "dcp-columns/save")

    assert list(judge_tables(replace(checkpoint, optimizer=OptimizerState()))) == []


def test_scanned_counts_of_pieces_equal_torch() -> None:
    """Columns of several files are looked at as one tensor."""
    (checkpoint,) = examined(FIXTURES / "dcp-columns/save")
    expected: Any = pytest.importorskip("safetensors.torch").load_file(FIXTURES / "dcp-columns/expected.safetensors")
    table = table_of(checkpoint)

    for row, name in enumerate(table.names):
        assert table.elements[row] == expected[name].numel()
        assert np.isclose(table.l2[row], float(expected[name].double().norm()), rtol=1e-12)
