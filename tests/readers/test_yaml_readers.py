"""YAML beside a run: accelerate, training configurations, Lightning, MLflow."""

import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forensics.errors import LimitError
from forensics.plugin import Reader
from forensics.readers.accelerate_config import accelerate_config
from forensics.readers.lightning_hparams import lightning_hparams
from forensics.readers.mlflow_store import mlflow_store
from forensics.readers.yaml_config import yaml_config
from readers.reading import facts_of, samples_of, settings_of, skips_of, survives

ACCELERATE = """\
compute_environment: LOCAL_MACHINE
debug: false
deepspeed_config:
  gradient_clipping: 1.0
  zero_stage: 2
distributed_type: DEEPSPEED
mixed_precision: bf16
num_machines: 1
num_processes: 8
"""
AXOLOTL = """\
base_model: meta-llama/Llama-2-7b-hf
learning_rate: 2e-6
micro_batch_size: 4
num_epochs: 3
bf16: auto
datasets:
  - path: a.jsonl
    type: chat_template
lora_target_modules: [q_proj, v_proj]
hub_token: hf_secret
deepspeed:
  zero_optimization:
    stage: 2
"""
HPARAMS = """\
batch_size: 8
lr: 1.0e-05
model: !!python/object:argparse.Namespace
  layers: 2
"""
RUN = "mlruns/0/0123456789abcdef0123456789abcdef"


def test_accelerate_configuration(tmp_path: Path) -> None:
    """Everything under accelerate., and the number of processes as world size."""
    found = settings_of(facts_of(accelerate_config, tmp_path, "default_config.yaml", ACCELERATE))

    assert [(s[1], s[2], s[4]) for s in found] == [
        ("accelerate.compute_environment", "LOCAL_MACHINE", "CONFIGURED"),
        ("accelerate.debug", False, "CONFIGURED"),
        ("accelerate.deepspeed_config.gradient_clipping", 1.0, "CONFIGURED"),
        ("accelerate.deepspeed_config.zero_stage", 2, "CONFIGURED"),
        ("accelerate.distributed_type", "DEEPSPEED", "CONFIGURED"),
        ("accelerate.mixed_precision", "bf16", "CONFIGURED"),
        ("accelerate.num_machines", 1, "CONFIGURED"),
        ("accelerate.num_processes", 8, "CONFIGURED"),
        ("world_size", 8, "CONFIGURED"),
    ]


def test_training_configuration_under_the_trainers_names(tmp_path: Path) -> None:
    """axolotl's names become those of TrainingArguments, the place keeps what the file says."""
    found = settings_of(facts_of(yaml_config, tmp_path, "config.yml", AXOLOTL))

    assert [s[1:4] for s in found] == [
        ("zero_optimization.stage", 2, "zero_optimization.stage"),
        ("model_name_or_path", "meta-llama/Llama-2-7b-hf", "base_model"),
        ("learning_rate", 2e-6, "learning_rate"),
        ("per_device_train_batch_size", 4, "micro_batch_size"),
        ("num_train_epochs", 3, "num_epochs"),
        ("bf16", "auto", "bf16"),
        ("datasets.0.path", "a.jsonl", "datasets.0.path"),
        ("datasets.0.type", "chat_template", "datasets.0.type"),
        ("lora_target_modules", "q_proj, v_proj", "lora_target_modules"),
        ("hub_token", "<redacted>", "hub_token"),
    ]
    assert {s[4] for s in found} == {"CONFIGURED"}


@pytest.mark.parametrize(
    ("reader", "taken", "refused"),
    [
        (accelerate_config, ACCELERATE, AXOLOTL),
        (yaml_config, AXOLOTL, ACCELERATE),
        (
            yaml_config,
            "learning_rate: 1e-5\noutput_dir: x\n",
            "learning_rate:\n  value: 1\noutput_dir:\n  value: 2\n",
        ),
        (yaml_config, "learning_rate: 1e-5\nbf16: true\n", "learning_rate: 1e-5\n"),
        (yaml_config, "use_liger_kernel: true\nlogging_steps: 5\n", "logging:\n  level: 5\nstages: 2\n"),
        (yaml_config, "learning_rate: 1e-5\nbf16: true\n", "_wandb:\n  v: 1\nlearning_rate: 1e-5\nbf16: true\n"),
    ],
)
def test_sniffs_tell_the_files_apart(reader: Reader, taken: str, refused: str) -> None:
    """A W&B configuration, an accelerate configuration and a single key are not a training configuration."""
    assert reader.sniff is not None
    assert reader.sniff(taken.encode())
    assert not reader.sniff(refused.encode())


def test_lightning_hyperparameters(tmp_path: Path) -> None:
    """lr is the learning rate; a Python object is plain data."""
    found = settings_of(facts_of(lightning_hparams, tmp_path, "lightning_logs/version_0/hparams.yaml", HPARAMS))

    assert [s[1:] for s in found] == [
        ("batch_size", 8, "batch_size", "RECORDED"),
        ("learning_rate", 1e-5, "lr", "RECORDED"),
        ("model.layers", 2, "model.layers", "RECORDED"),
    ]


def test_a_broken_yaml_is_told(tmp_path: Path) -> None:
    """What stands before the error is read."""
    facts = facts_of(lightning_hparams, tmp_path, "hparams.yaml", "lr: 0.1\nx: [1, 2\ny: }\n")

    assert [s[1] for s in settings_of(facts)][:1] == ["learning_rate"]
    assert skips_of(facts) == [("hparams.yaml", "stops being YAML in line 3; what stands before was read")]


def test_a_large_yaml_is_refused(tmp_path: Path) -> None:
    """YAML is bounded by its own limit before it is read."""
    with pytest.raises(LimitError):
        facts_of(lightning_hparams, tmp_path, "hparams.yaml", "a: 1\n" * 300_000)


def test_mlflow_metric(tmp_path: Path) -> None:
    """Lines become samples with wall times in seconds; an old line has no step, a broken one is counted."""
    text = "1714557600123 2.5 10\n1714557612456 nan 20\nbroken\n1714557612456 1.5\n"
    facts = facts_of(mlflow_store, tmp_path, f"{RUN}/metrics/train/loss", text)
    loss = samples_of(facts)["loss"]

    assert loss.steps.tolist() == [10, 20, -1]
    assert (loss.values[0], math.isnan(loss.values[1]), loss.values[2]) == (2.5, True, 1.5)
    assert loss.records.tolist() == [1, 2, 4]
    assert loss.wall_times is not None
    assert loss.wall_times[0] == 1714557600.123
    assert skips_of(facts) == [(f"{RUN}/metrics/train/loss", "1 lines are no 'time value step'")]


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("params/learning_rate", "2e-06", ("learning_rate", 2e-6, "RECORDED")),
        ("params/bf16", "True\n", ("bf16", True, "RECORDED")),
        ("params/deepspeed", "None", ("deepspeed", None, "RECORDED")),
        ("params/hub_token", "hf_secret", ("hub_token", "<redacted>", "RECORDED")),
        ("meta.yaml", "run_id: 0\nstatus: 5\nend_time: null\n", ("mlflow.status", "killed", "RECORDED")),
    ],
)
def test_mlflow_parameters_and_status(tmp_path: Path, path: str, text: str, expected: tuple[str, object, str]) -> None:
    """A file per parameter; the status by its name."""
    assert mlflow_store.takes(f"{RUN}/{path}")
    found = settings_of(facts_of(mlflow_store, tmp_path, f"{RUN}/{path}", text))
    assert [(s[1], s[2], s[4]) for s in found] == [expected]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=80)
@given(
    st.sampled_from(
        [
            (accelerate_config, "a.yaml", ACCELERATE),
            (yaml_config, "b.yaml", AXOLOTL),
            (lightning_hparams, "hparams.yaml", HPARAMS),
            (mlflow_store, f"{RUN}/metrics/loss", "1714557600123 2.5 10\n" * 3),
            (mlflow_store, f"{RUN}/meta.yaml", "status: 5\n"),
        ]
    ),
    st.floats(0, 1),
)
def test_any_prefix_gives_facts_or_a_typed_error(tmp_path: Path, case: tuple[Reader, str, str], part: float) -> None:
    """No cut raises anything else."""
    reader, path, text = case
    cut = int(part * len(text))

    assert survives(reader, tmp_path, path, text.encode()[:cut]) or cut < len(text)
