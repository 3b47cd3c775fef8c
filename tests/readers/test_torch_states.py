"""training_args.bin and DeepSpeed's states, written by torch, read without it."""

import io
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forensics.errors import MalformedError
from forensics.readers.deepspeed_states import deepspeed_states
from forensics.readers.training_args import training_args
from readers.reading import facts_of, samples_of, settings_of, skips_of, survives

torch = pytest.importorskip("torch")


class SchedulerType(str, Enum):
    LINEAR = "linear"


@dataclass
class State:
    num_processes: int = 2
    process_index: int = 0


@dataclass
class EngineConfig:
    config: dict[str, object]
    mismatches: list[str] = field(default_factory=list)


@dataclass
class Arguments:
    """The shape of transformers.TrainingArguments, as small as it may be."""

    output_dir: str = "out"
    learning_rate: float = 2e-6
    lr_scheduler_type: SchedulerType = SchedulerType.LINEAR
    bf16: bool = True
    logging_steps: float = 10.0
    logging_nan_inf_filter: bool = True
    report_to: list[str] = field(default_factory=lambda: ["tensorboard"])
    deepspeed: object = "ds_zero2.json"
    hub_token: str = "hf_abcdefghijklmnop"
    fsdp: list[str] = field(default_factory=list)
    accelerator_config: object = field(default_factory=State)
    device: object = field(default_factory=lambda: torch.device("cuda", 0))
    distributed_state: object = field(default_factory=State)
    hf_deepspeed_config: object = field(
        default_factory=lambda: EngineConfig(
            {"bf16": {"enabled": True}, "zero_optimization": {"stage": 2}, "steps_per_print": float("inf")}
        )
    )


def saved(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def test_arguments_become_settings(tmp_path: Path) -> None:
    """Every argument is recorded by name, the engine's configuration is effective, secrets are dropped."""
    facts = facts_of(training_args, tmp_path, "training_args.bin", saved(Arguments()))

    assert settings_of(facts) == [
        ("setting", "training_args.class", f"{__name__}.Arguments", "class", "RECORDED"),
        ("setting", "world_size", 2, "distributed_state.num_processes", "RECORDED"),
        ("setting", "bf16.enabled", True, "bf16.enabled", "EFFECTIVE"),
        ("setting", "zero_optimization.stage", 2, "zero_optimization.stage", "EFFECTIVE"),
        ("setting", "steps_per_print", "inf", "steps_per_print", "EFFECTIVE"),
        ("setting", "output_dir", "out", "output_dir", "RECORDED"),
        ("setting", "learning_rate", 2e-6, "learning_rate", "RECORDED"),
        ("setting", "lr_scheduler_type", "linear", "lr_scheduler_type", "RECORDED"),
        ("setting", "bf16", True, "bf16", "RECORDED"),
        ("setting", "logging_steps", 10.0, "logging_steps", "RECORDED"),
        ("setting", "logging_nan_inf_filter", True, "logging_nan_inf_filter", "RECORDED"),
        ("setting", "report_to", "tensorboard", "report_to", "RECORDED"),
        ("setting", "deepspeed", "ds_zero2.json", "deepspeed", "RECORDED"),
        ("setting", "hub_token", "<redacted>", "hub_token", "RECORDED"),
        ("setting", "fsdp", "", "fsdp", "RECORDED"),
        ("setting", "accelerator_config.num_processes", 2, "accelerator_config.num_processes", "RECORDED"),
        ("setting", "accelerator_config.process_index", 0, "accelerator_config.process_index", "RECORDED"),
        ("setting", "device", "cuda:0", "device", "RECORDED"),
    ]


def test_a_configuration_given_as_a_dictionary_is_found_in_the_plugin(tmp_path: Path) -> None:
    """Without the Trainer's own object the plugin of accelerate tells the configuration."""
    arguments = Arguments(deepspeed={"zero_optimization": {"stage": 3}}, hf_deepspeed_config=None)
    plugin = EngineConfig({})
    plugin.hf_ds_config = EngineConfig({"zero_optimization": {"stage": 3}})  # type: ignore[attr-defined]  # as accelerate
    arguments.deepspeed_plugin = plugin  # type: ignore[attr-defined]  # set by TrainingArguments.__post_init__
    found = {s[1]: s[2] for s in settings_of(facts_of(training_args, tmp_path, "training_args.bin", saved(arguments)))}

    assert found["zero_optimization.stage"] == 3
    assert found["deepspeed"] == "<given as a dictionary>"


def test_another_object_is_no_arguments(tmp_path: Path) -> None:
    """A state dict under this name is malformed."""
    with pytest.raises(MalformedError):
        facts_of(training_args, tmp_path, "training_args.bin", saved({"weight": 1}))


class DynamicLossScaler:
    """As in deepspeed/runtime/fp16/loss_scaler.py."""

    def __init__(self) -> None:
        self.cur_scale = 1024.0
        self.last_overflow_iter = 480
        self.dynamic = True


def model_states() -> dict[str, Any]:
    return {
        "module": {"weight": torch.zeros(2)},
        "skipped_steps": 7,
        "global_steps": 500,
        "global_samples": 8000,
        "dp_world_size": 4,
        "mp_world_size": 2,
        "ds_config": {"zero_optimization": {"stage": 1}, "train_batch_size": 16},
        "ds_version": "0.12.5",
    }


def test_model_states_tell_version_configuration_and_skipped_steps(tmp_path: Path) -> None:
    """The engine's counters give a point of the series skipped_steps, and the number of ranks."""
    path = "checkpoint-500/global_step500/mp_rank_00_model_states.pt"
    facts = facts_of(deepspeed_states, tmp_path, path, saved(model_states()))
    skipped = samples_of(facts)["skipped_steps"]

    assert settings_of(facts) == [
        ("package", "deepspeed", "0.12.5", "ds_version", "RECORDED"),
        ("setting", "zero_optimization.stage", 1, "zero_optimization.stage", "EFFECTIVE"),
        ("setting", "train_batch_size", 16, "train_batch_size", "EFFECTIVE"),
        ("setting", "deepspeed.dp_world_size", 4, "dp_world_size", "RECORDED"),
        ("setting", "deepspeed.mp_world_size", 2, "mp_world_size", "RECORDED"),
        ("setting", "deepspeed.global_steps", 500, "global_steps", "RECORDED"),
        ("setting", "deepspeed.global_samples", 8000, "global_samples", "RECORDED"),
        ("setting", "deepspeed.skipped_steps", 7, "skipped_steps", "RECORDED"),
        ("setting", "world_size", 8, "dp_world_size", "RECORDED"),
    ]
    assert (skipped.steps.tolist(), skipped.values.tolist(), skipped.place) == ([500], [7.0], "skipped_steps")


def test_the_loss_scaler_is_evidence(tmp_path: Path) -> None:
    """Its state is recorded, a dynamic scale is a point of the series loss_scale at the step of the folder."""
    path = "checkpoint-500/global_step500/zero_pp_rank_0_mp_rank_00_optim_states.pt"
    inner = {"loss_scaler": DynamicLossScaler(), "ds_version": "0.16.9"}
    facts = facts_of(deepspeed_states, tmp_path, path, saved({"optimizer_state_dict": inner}))
    scale = samples_of(facts)["loss_scale"]

    assert [s[1:4] for s in settings_of(facts)] == [
        ("deepspeed", "0.16.9", "ds_version"),
        ("loss_scaler.cur_scale", 1024.0, "optimizer_state_dict.loss_scaler.cur_scale"),
        ("loss_scaler.last_overflow_iter", 480, "optimizer_state_dict.loss_scaler.last_overflow_iter"),
        ("loss_scaler.dynamic", True, "optimizer_state_dict.loss_scaler.dynamic"),
    ]
    assert (scale.steps.tolist(), scale.values.tolist()) == ([500], [1024.0])


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt", True),
        ("bf16_zero_pp_rank_1_mp_rank_00_optim_states.pt", False),
        ("zero_pp_rank_10_mp_rank_00_model_states.pt", False),
        ("mp_rank_01_model_states.pt", False),
    ],
)
def test_only_the_first_rank_is_read(tmp_path: Path, name: str, read: bool) -> None:
    """The others repeat what the first says."""
    assert deepspeed_states.takes(f"global_step5/{name}")
    assert bool(facts_of(deepspeed_states, tmp_path, f"global_step5/{name}", saved(model_states()))) == read


def test_a_cut_state_gives_what_it_holds(tmp_path: Path) -> None:
    """A zip without its directory is told as damaged, its object is read all the same."""
    data = saved(model_states())
    facts = facts_of(deepspeed_states, tmp_path, "mp_rank_00_model_states.pt", data[: len(data) - 200])

    assert ("package", "deepspeed", "0.12.5", "ds_version", "RECORDED") in settings_of(facts)
    assert [reason.split(" (")[0] for _, reason in skips_of(facts)] == ["is damaged"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(st.floats(0, 1), st.booleans())
def test_any_prefix_gives_facts_or_a_typed_error(tmp_path: Path, part: float, arguments: bool) -> None:
    """No cut raises anything else."""
    data = saved(Arguments()) if arguments else saved(model_states())
    name, reader = (
        ("training_args.bin", training_args) if arguments else ("mp_rank_00_model_states.pt", deepspeed_states)
    )
    cut = int(part * len(data))

    assert survives(reader, tmp_path, name, data[:cut]) or cut < len(data)
