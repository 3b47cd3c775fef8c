"""Steps, tags and configurations that contradict what was saved."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from forensics.cli import main
from forensics.model import Checkpoint
from weights.checkpoint_files import FIXTURES, checkpoints_in, only, statements

torch = pytest.importorskip("torch")
save_file: Any = pytest.importorskip("safetensors.torch").save_file

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 4,
    "intermediate_size": 8,
    "num_hidden_layers": 2,
    "vocab_size": 10,
    "tie_word_embeddings": False,
}


def llama() -> dict[str, Any]:
    weights = {"model.embed_tokens.weight": (10, 4), "lm_head.weight": (10, 4), "model.norm.weight": (4,)}
    for layer in range(2):
        for name, shape in (
            ("self_attn.q_proj", (4, 4)),
            ("self_attn.o_proj", (4, 4)),
            ("mlp.up_proj", (8, 4)),
            ("mlp.down_proj", (4, 8)),
        ):
            weights[f"model.layers.{layer}.{name}.weight"] = shape
    return {name: torch.ones(shape) for name, shape in weights.items()}


def saved(folder: Path, weights: dict[str, Any], **config: object) -> Checkpoint:
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(CONFIG | config))
    return only(folder)


def test_a_model_as_its_configuration_says_is_fine(tmp_path: Path) -> None:
    assert statements(saved(tmp_path, llama())) == []


def test_a_head_that_is_missing_without_a_tie_is_told(tmp_path: Path) -> None:
    weights = llama()
    del weights["lm_head.weight"]

    assert "lm_head.weight is missing while tie_word_embeddings is false" in statements(saved(tmp_path, weights))[0]
    assert statements(saved(tmp_path, weights, tie_word_embeddings=True)) == []


def test_rows_that_are_not_the_vocabulary_are_told(tmp_path: Path) -> None:
    weights = llama() | {"model.embed_tokens.weight": torch.ones(12, 4)}

    expected = "model.embed_tokens.weight has 12 rows, config.json says vocab_size 10"
    assert statements(saved(tmp_path, weights)) == [expected]


def test_a_stub_far_smaller_than_its_configuration_is_incomplete(tmp_path: Path) -> None:
    """What ZeRO-3 leaves without gathering: a file of placeholders."""
    weights = {name: torch.empty(0) for name in llama()}
    found = statements(saved(tmp_path, weights), "incomplete")

    assert "the weights have 0 elements, the configuration implies 104 at least" in found[0]


def test_missing_layers_are_counted(tmp_path: Path) -> None:
    weights = {name: tensor for name, tensor in llama().items() if ".layers.1." not in name}

    assert statements(saved(tmp_path, weights)) == ["1 of 2 layers are missing: 1"]


def test_a_quantised_model_is_not_counted(tmp_path: Path) -> None:
    weights = {"model.embed_tokens.weight": torch.zeros(10, 1, dtype=torch.uint8)}

    assert statements(saved(tmp_path, weights, architectures=None), "incomplete") == []


def test_a_tied_head_that_was_saved_too_is_labelled(tmp_path: Path) -> None:
    checkpoint = saved(tmp_path, llama(), tie_word_embeddings=True)

    assert {r.name: r.trained for r in checkpoint.records}["lm_head.weight"] == "tied"


def adapter(folder: Path, weights: dict[str, Any], **config: object) -> Checkpoint:
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", **config}))
    return only(folder)


LORA = {
    "base_model.model.layers.0.q_proj.lora_A.weight": (2, 4),
    "base_model.model.layers.0.q_proj.lora_B.weight": (4, 2),
}


def lora() -> dict[str, Any]:
    return {name: torch.ones(shape) for name, shape in LORA.items()}


def test_the_tensors_of_an_adapter_are_trainable(tmp_path: Path) -> None:
    checkpoint = adapter(tmp_path, lora(), target_modules=["q_proj"])

    assert {r.trained for r in checkpoint.records} == {"trainable"}
    assert statements(checkpoint) == []


def test_base_weights_beside_an_adapter_are_frozen(tmp_path: Path) -> None:
    checkpoint = adapter(tmp_path, lora() | {"base_model.model.layers.0.q_proj.base_layer.weight": torch.ones(4, 4)})

    labels = {r.name.rsplit(".", 2)[1]: r.trained for r in checkpoint.records}
    assert labels == {"lora_A": "trainable", "lora_B": "trainable", "base_layer": "frozen"}


def test_an_empty_adapter_is_incomplete(tmp_path: Path) -> None:
    """The 443-byte adapter of PEFT issue 286."""
    assert "holds no tensor at all" in statements(adapter(tmp_path, {}), "incomplete")[0]


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors", "adapter_model.bin"])
def test_a_weight_file_without_a_tensor_is_incomplete(tmp_path: Path, name: str) -> None:
    """Under any name, and whether or not a configuration lies beside it; scan exits with 1."""
    save = save_file if name.endswith(".safetensors") else torch.save
    save({}, tmp_path / name)

    assert statements(only(tmp_path), "incomplete") == [f"{name} holds no tensor at all"]
    assert CliRunner().invoke(main, ["scan", str(tmp_path / name)]).exit_code == 1


def test_modules_to_save_that_were_not_saved_are_told(tmp_path: Path) -> None:
    found = statements(adapter(tmp_path, lora(), modules_to_save=["embed_tokens"], target_modules=["q_proj"]))

    assert found == ["modules_to_save names embed_tokens, of which the adapter holds no tensor"]


def test_target_modules_without_a_tensor_are_told(tmp_path: Path) -> None:
    found = statements(adapter(tmp_path, lora(), target_modules=["q_proj", "v_proj"]))

    assert found == ["the adapter has no tensor for the target modules v_proj"]


def trainer_save(folder: Path, step: int, **state: int) -> None:
    folder.mkdir(parents=True)
    model = torch.nn.Linear(2, 2)
    save_file(model.state_dict(), folder / "model.safetensors")
    optimizer = torch.optim.AdamW(model.parameters())
    for _ in range(state.get("optimizer", step)):
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()
    torch.save(optimizer.state_dict(), folder / "optimizer.pt")
    torch.save({"last_epoch": state.get("scheduler", step)}, folder / "scheduler.pt")
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": state.get("trainer", step)}))


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ({}, []),
        ({"trainer": 7}, ["the folder says step 5, its trainer_state.json global_step 7"]),
        ({"scheduler": 4}, ["the folder says step 5, its scheduler has counted 4"]),
        ({"optimizer": 2}, ["the folder says step 5, its optimizer has counted 2"]),
    ],
)
def test_counters_that_disagree_with_the_folder(tmp_path: Path, state: dict[str, int], told: list[str]) -> None:
    trainer_save(tmp_path / "checkpoint-5", 5, **state)

    assert statements(only(tmp_path)) == told


def test_a_scheduler_behind_by_skipped_steps_is_fine(tmp_path: Path) -> None:
    """fp16 skips steps that overflow; the scaler beside it says that it is such a run."""
    folder = tmp_path / "checkpoint-5"
    trainer_save(folder, 5, scheduler=4, optimizer=4)
    torch.save({"scale": 1024.0}, folder / "scaler.pt")

    assert statements(only(tmp_path)) == []


def test_step_counters_that_differ_between_parameters(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint-5"
    trainer_save(folder, 5)
    state = torch.load(folder / "optimizer.pt", weights_only=True)
    state["state"][1]["step"] = torch.tensor(2.0)
    torch.save(state, folder / "optimizer.pt")

    assert "1 of 2 parameters looked at are behind (2 against 5 steps)" in statements(only(tmp_path))[0]


def engine_saves(root: Path, *steps: int) -> None:
    for step in steps:
        folder = root / f"global_step{step}"
        shutil.copytree(FIXTURES / "zero1/save/global_step3", folder)
        for file in folder.glob("*model_states.pt"):
            state = torch.load(file, weights_only=False)
            state["global_steps"] = step
            torch.save(state, file)


@pytest.mark.parametrize(
    ("tag", "told"),
    [
        ("global_step6", None),
        ("global_step9", "names global_step9, which is not there"),
        ("global_step3", "names global_step3 and not global_step6"),
        ("../../global_step3", "leads outside the run folder"),
        ("no tag at all", None),
    ],
)
def test_the_tag_names_the_last_save(tmp_path: Path, tag: str, told: str | None) -> None:
    engine_saves(tmp_path, 3, 6)
    (tmp_path / "latest").write_text(tag)
    first, last = checkpoints_in(tmp_path)

    assert statements(first) == []
    assert (statements(last) == []) if told is None else (told in statements(last)[0])


def test_the_engines_own_step_is_compared(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "zero1/save/global_step3", tmp_path / "global_step4")

    assert "the folder says step 4, its DeepSpeed state 3" in statements(only(tmp_path))[0]


def test_more_shards_than_ranks_are_told(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "zero1/save", tmp_path / "save")
    folder = tmp_path / "save/global_step3"
    name = "bf16_zero_pp_rank_{}_mp_rank_00_optim_states.pt"
    shutil.copy(folder / name.format(1), folder / name.format(2))

    assert any("the engine ran on 2 ranks" in s for s in statements(only(tmp_path / "save"), "suspicious"))
