"""Every layout, from files that the frameworks wrote: all tensors equal what their own loaders read."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from weights.checkpoint_files import FIXTURES, checkpoints_in, only, statements, unlike

torch = pytest.importorskip("torch")
load_file: Any = pytest.importorskip("safetensors.torch").load_file

KINDS = {
    "accelerate-state": ("huggingface", 3, 1),
    "dcp-columns": ("dcp", 3, 2),
    "deepspeed-moe": ("deepspeed", 3, 2),
    "deepspeed-pipeline": ("deepspeed", 3, 2),
    "fsdp-full": ("huggingface", 3, None),
    "fsdp-sharded": ("dcp", 3, 2),
    "lightning-ckpt": ("lightning", 3, None),
    "megatron-dist-imitated": ("megatron-dist", 3, 2),
    "megatron-imitated": ("megatron", 3, None),
    "torchtitan-dcp": ("dcp", 3, 2),
    "universal": ("deepspeed+universal", 3, 2),
    "verl-fsdp": ("fsdp-ranks", 3, 2),
    "zero1": ("deepspeed", 3, 2),
    "zero2-tied-round-robin": ("deepspeed", 3, 2),
    "zero3-sub-groups": ("deepspeed", 3, 2),
    "zero3-tied": ("deepspeed", 3, 2),
}


def test_every_fixture_is_tested() -> None:
    assert {folder.name for folder in FIXTURES.iterdir() if folder.is_dir()} == set(KINDS)


@pytest.mark.parametrize("case", KINDS)
def test_every_tensor_equals_what_its_framework_loads(case: str) -> None:
    folder = FIXTURES / case
    checkpoint = only(folder / "save")
    expected = load_file(folder / "expected.safetensors")

    assert unlike(torch, folder / "save", checkpoint.records, expected) == []
    assert len(expected) >= 8


@pytest.mark.parametrize("case", KINDS)
def test_kind_step_and_ranks_are_told(case: str) -> None:
    checkpoint = only(FIXTURES / case / "save")

    assert (checkpoint.kind, checkpoint.step, checkpoint.world_size) == KINDS[case]


@pytest.mark.parametrize("case", sorted(set(KINDS) - {"fsdp-full"}))
def test_a_whole_save_has_no_problem(case: str) -> None:
    assert statements(only(FIXTURES / case / "save")) == []


ADAM = ("zero1", "zero3-sub-groups", "fsdp-sharded", "torchtitan-dcp", "lightning-ckpt", "verl-fsdp", "fsdp-full")


@pytest.mark.parametrize("case", ADAM)
def test_the_settings_of_the_optimizer_are_read(case: str) -> None:
    state = only(FIXTURES / case / "save").optimizer
    assert state is not None

    assert set(state.learning_rates) == {0.01}
    assert set(state.weight_decays) == {0.01, 0.0}
    assert (state.beta1, state.beta2, state.epsilon, state.kind) == (0.9, 0.999, 1e-8, "adam")


@pytest.mark.parametrize(
    "case", ["fsdp-sharded", "torchtitan-dcp", "zero1", "zero3-sub-groups", "lightning-ckpt", "universal"]
)
def test_the_step_counter_of_the_optimizer_is_read(case: str) -> None:
    state = only(FIXTURES / case / "save").optimizer

    assert state is not None
    assert state.step == 3


@pytest.mark.parametrize("case", ["zero1", "zero3-sub-groups", "zero2-tied-round-robin", "universal"])
def test_frozen_buffer_and_trainable_are_told_apart(case: str) -> None:
    labels = {r.name: r.trained for r in only(FIXTURES / case / "save").records}

    assert (labels["layers.0.weight"], labels["positions"]) == ("frozen", "buffer")
    assert labels["layers.1.weight"] == "trainable"


def test_a_tied_head_of_zero_is_an_alias_of_its_owner() -> None:
    """ZeRO has one partition for both; the alias takes the owner's numbers."""
    records = only(FIXTURES / "zero3-tied" / "save").records
    head = next(r for r in records if r.name == "head.weight" and r.role == "master")

    assert (head.alias_of, head.trained) == ("embed.weight", "tied")


def test_the_lost_rank_of_a_dcp_save_is_named(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "torchtitan-dcp" / "save", tmp_path / "save")
    (tmp_path / "save/checkpoint/step-3/__1_0.distcp").unlink()
    checkpoint = only(tmp_path / "save")

    assert statements(checkpoint, "incomplete") == ["1 data files are missing: __1_0.distcp"]
    assert "__1_0.distcp is missing" in statements(checkpoint, "damaged")[0]


def test_a_dcp_save_without_metadata_was_interrupted(tmp_path: Path) -> None:
    """`.metadata` is renamed into place last."""
    shutil.copytree(FIXTURES / "torchtitan-dcp" / "save", tmp_path / "save")
    folder = tmp_path / "save/checkpoint/step-3"
    (folder / ".metadata").rename(folder / ".metadata.tmp")

    assert "has data files and no .metadata" in statements(only(tmp_path / "save"), "incomplete")[0]


def test_a_lost_zero_shard_is_named(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "zero1" / "save", tmp_path / "save")
    (tmp_path / "save/global_step3/bf16_zero_pp_rank_1_mp_rank_00_optim_states.pt").unlink()
    checkpoint = only(tmp_path / "save")

    assert "1 of 2 optimizer shards are there" in statements(checkpoint, "incomplete")[0]
    assert {r.role for r in checkpoint.records} == {"weight"}


def test_a_lost_rank_of_sharded_files_is_named(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "verl-fsdp" / "save", tmp_path / "save")
    (tmp_path / "save/global_step_3/actor/model_world_size_2_rank_1.pt").unlink()

    assert statements(only(tmp_path / "save"), "incomplete") == ["1 of 2 ranks' model files are there"]


def test_a_lost_tensor_parallel_rank_is_named(tmp_path: Path) -> None:
    """Megatron's `args` in each file say how many there were."""
    shutil.copytree(FIXTURES / "megatron-imitated" / "save", tmp_path / "save")
    shutil.rmtree(tmp_path / "save/iter_0000003/mp_rank_01")

    assert "1 of 2 model-parallel ranks are there" in statements(only(tmp_path / "save"), "incomplete")[0]


def test_a_universal_parameter_without_its_moment_is_named(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "universal" / "save", tmp_path / "save")
    (tmp_path / "save/global_step3_universal/zero/embed.weight/exp_avg.pt").unlink()

    assert statements(only(tmp_path / "save"), "incomplete") == ["1 of 11 parameters lack a file, first embed.weight"]


def test_nanotron_names_come_from_folders(tmp_path: Path) -> None:
    """nanotron writes one file a parameter and rank, `data` inside."""
    save_file: Any = pytest.importorskip("safetensors.torch").save_file
    root = tmp_path / "100"
    block = root / "model/model/decoder/0/pp_block/mlp/gate_up_proj"
    block.mkdir(parents=True)
    (root / "checkpoint_metadata.json").write_text("{}")
    for rank in range(2):
        name = f"model_weight_pp-rank-0-of-1_tp-rank-{rank}-of-2.safetensors"
        save_file({"data": torch.full((2, 3), float(rank))}, block / name)
    checkpoint = only(tmp_path)

    assert (checkpoint.kind, checkpoint.step) == ("nanotron", 100)
    assert [r.name for r in checkpoint.records] == [
        "tp0pp0:model.decoder.0.pp_block.mlp.gate_up_proj.weight",
        "tp1pp0:model.decoder.0.pp_block.mlp.gate_up_proj.weight",
    ]


def test_a_training_loops_file_is_split_into_weights_and_moments(tmp_path: Path) -> None:
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.5)
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    saved = {"model_state_dict": model.state_dict(), "optimizer_state_dict": optimizer.state_dict(), "step": 7}
    torch.save(saved, tmp_path / "last.pt")
    checkpoint = only(tmp_path, loose=True)

    assert sorted((r.name, r.role) for r in checkpoint.records if r.role != "exp_avg_sq") == [
        ("bias", "weight"),
        ("optimizer.state.0", "exp_avg"),
        ("optimizer.state.1", "exp_avg"),
        ("weight", "weight"),
    ]
    assert checkpoint.step == 7
    assert checkpoint.optimizer is not None
    assert (checkpoint.optimizer.learning_rates, checkpoint.optimizer.step) == ((0.5,), 1)


def test_checkpoints_of_a_series_are_in_step_order(tmp_path: Path) -> None:
    for step in (9, 10, 100):
        torch.save({"state_dict": {"w": torch.ones(2)}, "global_step": step}, tmp_path / f"epoch=0-step={step}.ckpt")

    assert [c.step for c in checkpoints_in(tmp_path)] == [9, 10, 100]
