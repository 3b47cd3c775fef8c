"""Lines of the DeepSpeed engine and its launcher."""

# ruff: noqa: E501  (log lines stand here as they are written)

import base64
import json
import math

import pytest

from forensics.model import UNKNOWN_STEP, Standing
from forensics.names import Kind
from readers.text.log_reading import read_log

INFO = "[2025-05-01 10:00:00,123] [INFO] "
TEN = 1746093600.123


def test_step_lines() -> None:
    """Step, cumulative skipped steps and the first learning rate; step 0 is no training step; the clock is kept."""
    text = (
        f"{INFO}[logging.py:96:log_dist] [Rank 0] step=0, skipped=0, lr=[0.001], mom=[(0.9, 0.999)]\n"
        f"{INFO}[logging.py:96:log_dist] [Rank 0] step=100, skipped=7, lr=[1.9e-05, 2e-05], mom=[(0.9, 0.999)]\n"
        f"{INFO}[timer.py:199:stop] epoch=0/micro_step=400/global_step=100, RunningAvgSamplesPerSec=45.67, "
        "CurrSamplesPerSec=46.01, MemAllocated=13.2GB, MaxMemAllocated=38.51GB\n"
    )
    told = read_log(text)

    assert told.points("skipped_steps") == [(100, 7.0)]
    assert told.points("learning_rate") == [(100, 1.9e-05)]
    assert told.points("samples_per_second") == [(100, 46.01)]
    assert told.samples("learning_rate").records.tolist() == [2]
    assert told.samples("learning_rate").wall_times == pytest.approx([TEN])


OVERFLOW = "[loss_scaler.py:190:update_scale] [deepspeed] OVERFLOW! Rank 0 Skipping step. Attempted loss scale: "


def test_overflows_of_apex() -> None:
    """It prints what the scale is reduced to, half of what was attempted."""
    told = read_log(
        "Gradient overflow.  Skipping step, loss scaler 0 reducing loss scale to 32768.0\nstep 1 loss 2.5\n"
    )

    assert told.events(Kind.OVERFLOW).values.tolist() == [65536]
    assert told.points("loss_scale")


def test_overflows() -> None:
    """Each skipped step is an overflow with the scale it tried; the scale is a series of unknown steps."""
    text = (
        f"{INFO}{OVERFLOW}65536, but hysteresis is 2. Reducing hysteresis to 1\n"
        f"{INFO}{OVERFLOW}65536, reducing to 32768\n"
        "[deepscale] OVERFLOW! Rank 0 Skipping step. Attempted loss scale: 32768.0, reducing to 16384.0\n"
        "[deepspeed] fp16 dynamic loss scale overflow! Skipping step. Attempted loss scale: 2, reducing to 1\n"
        "[rank0]: Exception: Current loss scale already at minimum - cannot decrease scale anymore. Exiting run.\n"
    )
    told = read_log(text)

    assert told.events(Kind.OVERFLOW).values.tolist() == [65536, 65536, 32768, 2]
    assert told.events(Kind.OVERFLOW).records.tolist() == [1, 2, 3, 4]
    assert told.events(Kind.HYSTERESIS).values.tolist() == [65536]
    assert told.points("loss_scale") == [(UNKNOWN_STEP, scale) for scale in (65536, 65536, 32768, 2)]
    assert len(told.events(Kind.LOSS_SCALE_AT_MINIMUM)) == 1
    assert told.events(Kind.LOSS_SCALE_AT_MINIMUM).rank == 0


@pytest.mark.parametrize(
    "message",
    [
        # 0.19.8, any precision with a static scale
        "[deepspeed] OVERFLOW! Skipping step. Gradients are non-finite, weights were not updated.",
        # 0.11.1 and before, bf16
        "[deepspeed] OVERFLOW! Rank 0 Skipping step.",
    ],
)
def test_nonfinite_gradients_without_a_scale(message: str) -> None:
    """An overflow without a loss scale is its own kind, also when glued to a bar."""
    glued = " 50%|#### | 15/30 [00:01<00:01, 11.2it/s][2026-11-23 18:04:01,088] [WARNING] [logging.py:123:log_dist] "
    told = read_log(f"{glued}[Rank 0] {message}\n")

    assert told.kinds() == {Kind.NONFINITE_SKIPPED}
    assert math.isnan(told.events(Kind.NONFINITE_SKIPPED).values[0])


@pytest.mark.parametrize(
    ("counted", "skipped"),
    [
        (
            "lm loss: 1.327322E+00 | grad norm: 0.379 | number of skipped iterations:   0 | number of nan iterations:   0 |",
            False,
        ),
        (
            "lm loss: 1.327322E+00 | grad norm: 0.379 | number of skipped iterations:   3 | number of nan iterations:   3 |",
            True,
        ),
        ("loss=1.25 grad_norm=nan skipped=0.0", False),
        ("loss=1.25 grad_norm=nan skipped=0.05", True),
        ("step 0: gradient norm is nan, skipping update", True),
    ],
)
def test_a_column_that_counts_no_skipped_step_tells_of_none(counted: str, skipped: bool) -> None:
    """Megatron-LM ends each of its lines so, with `loss scale` before it only where there is one."""
    told = read_log(f" iteration       10/     300 | {counted}\n")

    assert (Kind.NONFINITE_SKIPPED in told.kinds()) is skipped


DUMP = f"""\
{INFO}[config.py:979:print] DeepSpeedEngine configuration:
{INFO}[config.py:983:print]   activation_checkpointing_config  {{
    "partition_activations": false,
    "cpu_checkpointing": false
}}
{INFO}[config.py:983:print]   bfloat16_enabled ............. True
{INFO}[config.py:983:print]   comms_config ................. <deepspeed.comm.config.DeepSpeedCommsConfig object at 0x7f>
{INFO}[config.py:983:print]   gradient_clipping ............ 1.0
{INFO}[config.py:983:print]   optimizer_params ............. {{'lr': 2e-06, 'betas': [0.9, 0.999], 'eps': 1e-08}}
{INFO}[config.py:983:print]   steps_per_print .............. inf
{INFO}[config.py:983:print]   train_micro_batch_size_per_gpu  8
{INFO}[config.py:983:print]   zero_config .................. stage=2 reduce_bucket_size=500,000,000 overlap_comm=False \
offload_optimizer=DeepSpeedZeroOffloadOptimizerConfig(device='cpu', ratio=1.0) round_robin_gradients=False
{INFO}[config.py:983:print]   zero_optimization_stage ...... 2
{INFO}[config.py:969:print_user_config]   json = {{
    "train_batch_size": 128, 
    "steps_per_print": inf, 
    "bf16": {{
        "enabled": true
    }}, 
    "zero_optimization": {{
        "stage": 2, 
        "reduce_bucket_size": 5.000000e+08,
        "overlap_comm": true
    }}
}}
"""  # noqa: W291  (DeepSpeed prints a blank behind each comma)


def test_configuration_in_force() -> None:
    """Rows of the dump carry DeepSpeed's own keys and stand above the user's JSON."""
    told = read_log(DUMP)
    effective = {f.name: f.value for f in told.facts if getattr(f, "standing", None) == Standing.EFFECTIVE}  # type: ignore[union-attr]  # settings only

    assert effective == {
        "bf16.enabled": True,
        "gradient_clipping": 1.0,
        "optimizer.params.lr": 2e-06,
        "optimizer.params.betas": "0.9, 0.999",
        "optimizer.params.eps": 1e-08,
        "steps_per_print": math.inf,
        "train_micro_batch_size_per_gpu": 8,
        "zero_optimization.stage": 2,
        "zero_optimization.reduce_bucket_size": 500_000_000,
        "zero_optimization.overlap_comm": False,
        "zero_optimization.offload_optimizer.device": "cpu",
        "zero_optimization.offload_optimizer.ratio": 1.0,
        "zero_optimization.round_robin_gradients": False,
    }


def test_users_json() -> None:
    """The user's JSON is flattened; numbers in scientific notation become the integers they were."""
    told = read_log(DUMP)
    recorded = {s.name: s.value for name in ("zero_optimization.reduce_bucket_size", "zero_optimization.overlap_comm",
                "train_batch_size", "bf16.enabled") for s in told.setting(name) if s.standing == Standing.RECORDED}  # fmt: skip

    assert recorded == {
        "zero_optimization.reduce_bucket_size": 500_000_000,
        "zero_optimization.overlap_comm": True,
        "train_batch_size": 128,
        "bf16.enabled": True,
    }
    assert isinstance(recorded["zero_optimization.reduce_bucket_size"], int)
    assert told.skips() == []


def test_json_that_breaks_off_is_told() -> None:
    """What is whole of a cut configuration is kept, and the cut is reported."""
    told = read_log(DUMP[: DUMP.rindex('"overlap_comm"')])

    assert [s.value for s in told.setting("train_batch_size")] == [128]
    assert "breaks off" in told.skips()[0].reason


def test_launcher() -> None:
    """Command, world size, nodes, devices and the end of a process."""
    world = base64.urlsafe_b64encode(json.dumps({"node-1": [0, 1], "node-2": [0, 1]}).encode()).decode()
    text = (
        f"{INFO}[runner.py:568:main] cmd = /opt/conda/bin/python3.10 -u -m deepspeed.launcher.launch "
        f"--world_info={world} --master_port=29500 train.py --hub_token hf_abcdefghijklmnopqrstuvwx\n"
        f"{INFO}[launch.py:152:main] nnodes=2, num_local_procs=2, node_rank=0\n"
        f"{INFO}[launch.py:168:main] Setting CUDA_VISIBLE_DEVICES=0,1\n"
        f"{INFO}[launch.py:256:main] process 4242 spawned with command: ['/bin/python', '-u', 'train.py', '--bf16']\n"
        "[2025-05-01 11:00:00,010] [ERROR] [launch.py:325:sigkill_handler] ['/bin/python', 'train.py'] "
        "exits with return code = -9\n"
    )
    told = read_log(text)
    settings = told.settings()

    assert settings["setting:world_size"] == 4
    assert settings["setting:nodes"] == 2
    assert settings["setting:processes_per_node"] == 2
    assert settings["variable:CUDA_VISIBLE_DEVICES"] == "0,1"
    assert settings["command:train"] == "/bin/python -u train.py --bf16"
    assert "hf_abc" not in str(settings["command:launcher"])
    assert told.events(Kind.SIGNAL).values.tolist() == [-9]


def test_checkpoints_are_counted_once() -> None:
    """The Trainer and the engine announce the same checkpoint; so do two ranks."""
    text = (
        "Saving model checkpoint to out/checkpoint-500\n"
        f"{INFO}[logging.py:96:log_dist] [Rank 0] Saving model checkpoint: out/checkpoint-500/global_step500/mp.pt\n"
        f"{INFO}[logging.py:96:log_dist] [Rank 1] Saving model checkpoint: out/checkpoint-500/global_step500/mp.pt\n"
        "Saving model checkpoint to out/checkpoint-1000\n"
    )

    assert read_log(text).events(Kind.CHECKPOINT_SAVED).steps.tolist() == [500, 1000]


def test_version() -> None:
    """The banner names the version that ran."""
    told = read_log(f"{INFO}[logging.py:96:log_dist] [Rank -1] DeepSpeed info: version=0.12.5+abc, git-hash=unknown\n")
    (version,) = told.setting("deepspeed")

    assert (version.group, version.value, version.standing) == ("package", "0.12.5+abc", Standing.RECORDED)
    assert str(version.source) == "train.log:line 1"
