"""Configurations of trainings in every notation: their own names, and those of TrainingArguments beside them."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forensics.investigate import investigate, read
from forensics.plugin import Reader
from forensics.readers.json_config import json_config
from forensics.readers.sectioned_config import sectioned_config
from forensics.readers.yaml_config import yaml_config
from readers.reading import facts_of, settings_of, survives

TITAN = """\
[model]
name = "llama3"
[optimizer]
name = "AdamW"
lr = 3e-4
[training]
seq_len = 8192
max_norm = 1.0
steps = 1000
mixed_precision_param = "bfloat16"
[checkpoint]
interval = 500
"""
KOHYA = """\
[training_arguments]
learning_rate = 0.0001
max_train_epochs = 10
mixed_precision = "fp16"
optimizer_type = "AdamW8bit"
max_grad_norm = 1.0
"""
OWN = "[train]\nlr: 0.01\nbatch_size = 64 ; of one process\nepochs = 3\n"
TUNE = """\
model:
  _component_: torchtune.models.llama3.llama3_8b
optimizer:
  _component_: AdamW
  lr: 2e-5
epochs: 1
batch_size: 2
"""
NEMO = """\
trainer:
  precision: bf16-mixed
  max_steps: 500
  gradient_clip_val: 1.0
model:
  optim:
    lr: 1e-4
    weight_decay: 0.1
"""
CASES: dict[str, tuple[Reader, str, str, dict[str, object]]] = {
    "torchtitan": (
        sectioned_config,
        "train.toml",
        TITAN,
        {
            "optimizer.lr": 3e-4,
            "learning_rate": 3e-4,
            "max_grad_norm": 1.0,
            "max_steps": 1000,
            "mixed_precision": "bfloat16",
        },
    ),
    "kohya": (sectioned_config, "config.toml", KOHYA, {"learning_rate": 1e-4, "mixed_precision": "fp16"}),
    "ini": (sectioned_config, "own.ini", OWN, {"train.lr": 0.01, "learning_rate": 0.01, "train.epochs": 3}),
    "torchtune": (yaml_config, "8B_full.yaml", TUNE, {"optimizer.lr": 2e-5, "learning_rate": 2e-5, "epochs": 1}),
    "nemo": (
        yaml_config,
        "hydra/config.yaml",
        NEMO,
        {
            "precision": "bf16-mixed",
            "max_steps": 500,
            "max_grad_norm": 1.0,
            "model.optim.lr": 1e-4,
            "weight_decay": 0.1,
        },
    ),
    "axolotl": (
        yaml_config,
        "axolotl.yml",
        "base_model: gpt2\nmicro_batch_size: 2\nlr_scheduler: cosine\ndeepspeed: deepspeed_configs/zero3_bf16.json\n",
        {
            "model_name_or_path": "gpt2",
            "per_device_train_batch_size": 2,
            "deepspeed": "deepspeed_configs/zero3_bf16.json",
        },
    ),
    "hf-json": (
        json_config,
        "train_config.json",
        '{"learning_rate": 2e-5, "bf16": true, "deepspeed": {"zero_optimization": {"stage": 2}}}',
        {"learning_rate": 2e-5, "bf16": True, "zero_optimization.stage": 2},
    ),
    "capitals": (
        yaml_config,
        "output/config.yaml",
        "CUDNN_BENCHMARK: false\nSOLVER:\n  BASE_LR: 0.02\n  IMS_PER_BATCH: 8\n  MAX_ITER: 9000\n  WARMUP_ITERS: 100\n",
        {"SOLVER.BASE_LR": 0.02, "learning_rate": 0.02, "max_steps": 9000, "CUDNN_BENCHMARK": False},
    ),
    "warm-up-under-another-name": (
        yaml_config,
        "recipe.yaml",
        "optimizer:\n  lr: 3.0e-4\nlr_scheduler:\n  num_warmup_steps: 30000\nepochs: 1\nmax_steps_per_epoch: 100\n",
        {"learning_rate": 3e-4, "warmup_steps": 30000},
    ),
    "nested-json": (
        json_config,
        "experiment.json",
        json.dumps({"optimizer": {"lr": 0.1, "weight_decay": 0.0}, "epochs": 3, "batch_size": 8}, indent=2),
        {"optimizer.lr": 0.1, "learning_rate": 0.1, "epochs": 3},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_a_configuration_is_read_in_its_notation(
    tmp_path: Path, case: tuple[Reader, str, str, dict[str, object]]
) -> None:
    reader, name, text, expected = case
    found = settings_of(facts_of(reader, tmp_path, name, text))

    assert reader.sniff is not None
    assert reader.sniff(text.encode())
    assert {key: value for _, key, value, _, _ in found if key in expected} == expected
    assert {s[4] for s in found} <= {"CONFIGURED", "INFERRED", "INTENDED"}


def test_what_hydra_keeps_is_a_configuration_whatever_it_says(tmp_path: Path) -> None:
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra/config.yaml").write_text("task_name: test\ndataset:\n  drop_rate: 0.5\n")
    (tmp_path / "train.log").write_text("step 10 loss 2.5\nstep 20 loss 2.25\nstep 30 loss 2.0\n")

    environment = read(tmp_path).environment
    assert environment.value("dataset.drop_rate") == 0.5
    assert environment.best("dataset.drop_rate").source.path == ".hydra/config.yaml"  # type: ignore[union-attr]  # above


def test_two_rates_are_no_rate(tmp_path: Path) -> None:
    """A generator and a discriminator have a rate each: neither is the rate of the run."""
    text = "generator:\n  lr: 1e-4\ndiscriminator:\n  lr: 4e-4\nepochs: 3\nbatch_size: 8\n"
    found = {s[1] for s in settings_of(facts_of(yaml_config, tmp_path, "gan.yaml", text))}

    assert "learning_rate" not in found
    assert {"generator.lr", "discriminator.lr"} <= found


OTHERS = [
    ("pyproject.toml", "[project]\nname = 'x'\n[tool.ruff]\nlr = 3\nepochs = 1\nbatch_size = 2\n"),
    ("setup.cfg", "[metadata]\nname = x\n[options]\nlr = 1\nepochs = 1\nbatch_size = 1\n"),
    ("state.json", '{"log_history": [], "learning_rate": 1, "max_steps": 3}'),
    ("vocab.json", '{"lr": 1, "epochs": 2, "steps": 3}'),
    ("pod.yaml", "apiVersion: v1\nspec:\n  lr: 1\n  epochs: 2\n  batch_size: 3\n"),
    ("notes.txt", "lr: it was too high\nthe epochs: three\n"),
]


@pytest.mark.parametrize(("name", "text"), OTHERS, ids=[name for name, _ in OTHERS])
def test_other_files_are_no_configurations(name: str, text: str) -> None:
    for reader in (yaml_config, json_config, sectioned_config):
        assert reader.sniff is not None
        assert not reader.sniff(text.encode())


def test_a_configuration_in_an_issue_is_read_in_any_notation(tmp_path: Path) -> None:
    """With its language and without; the cause that hangs on it is found."""
    for text in (f"```toml\n{TITAN}```", f"```\n{TITAN}```", f"```yaml\n{NEMO}```", f"```\n{NEMO}```"):
        (tmp_path / "issue.md").write_text(f"My run:\n{text}\n\n{{'loss': 1.5, 'epoch': 0.5}}\n")

        assert read(tmp_path / "issue.md").environment.value("max_grad_norm") == 1.0
        assert not investigate(tmp_path / "issue.md").failures


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    reader=st.sampled_from([(sectioned_config, "a.toml"), (json_config, "a.json"), (yaml_config, "a.yaml")]),
    text=st.text(alphabet="[]{}=:,\"'\nlr.1e-# ", max_size=120),
)
def test_any_text_ends_in_facts_or_one_line(tmp_path: Path, reader: tuple[Reader, str], text: str) -> None:
    survives(reader[0], tmp_path, reader[1], text.encode())
