"""One line of every trainer that prints its metrics as plain text."""

# ruff: noqa: E501, ISC004  (log lines stand here as they are written)

import math

import pytest

from forensics.model import Precision
from readers.text.log_reading import read_log

LINES = {
    "Megatron-LM v2.5": (
        " iteration      100/  500000 | consumed samples:        25600 | elapsed time per iteration (ms): 1234.5 | "
        "learning rate: 1.500E-06 | global batch size:   256 | lm loss: 9.876543E+00 | loss scale: 4294967296.0 | "
        "grad norm: 2.345 | number of skipped iterations:   3 | number of nan iterations:   0 |",
        100,
        {"loss": 9.876543, "learning_rate": 1.5e-06, "loss_scale": 4294967296.0, "grad_norm": 2.345,
         "number of skipped iterations": 3.0, "number of nan iterations": 0.0, "consumed samples": 25600.0},
    ),
    "GPT-NeoX": (
        " samples/sec: 31.234 | iteration      110/  320000 | elapsed time per iteration (ms): 4098.1 | learning rate: "
        "1.500E-06 | approx flops per GPU: 98.7TFLOPS | MFU: 31.60% | lm_loss: 9.8E+00 | loss scale: 65536.0 | number of "
        "skipped iterations:   3 | number of nan iterations:   0 |",
        110,
        {"loss": 9.8, "loss_scale": 65536.0, "learning_rate": 1.5e-06, "samples/sec": 31.234},
    ),
    "Megatron validation": (
        " validation loss at iteration 1000 | lm loss value: 2.345678E+00 | lm loss PPL: 1.044000E+01 | ",
        1000,
        {"eval_loss": 2.345678},
    ),
    "DeepSpeed pipeline": (
        "steps: 100 loss: 2.3457 iter time (s): 1.234 samples/sec: 103.728",
        100,
        {"loss": 2.3457, "samples/sec": 103.728, "iter time (s)": 1.234},
    ),
    "torchtune": (
        "Step 2 | loss:1.7999 lr:6e-06 tokens_per_second_per_gpu:830.1 grad_norm:tensor(3.25, device='cuda:0') ",
        2,
        {"loss": 1.7999, "learning_rate": 6e-06, "grad_norm": 3.25, "tokens_per_second_per_gpu": 830.1},
    ),
    "torchtitan": (
        "[titan] 2025-05-01 10:00:00,123 - root - INFO - \x1b[31mstep: 10  \x1b[32mloss:  8.1234  "
        "\x1b[38;2;180;60;0mgrad_norm:  1.2345  \x1b[33mmemory: 47.90GiB(50.40%)  tps: 6,510  mfu: 32.16%\x1b[39m",
        10,
        {"loss": 8.1234, "grad_norm": 1.2345, "tps": 6510.0},
    ),
    "torchtitan validation": (
        "[titan] 2026-05-01 10:00:00,123 - root - INFO - validate step: 100  loss:  3.1234  tps: 8,000",
        100,
        {"eval_loss": 3.1234},
    ),
    "verl": (
        "(TaskRunner pid=31245) step:1 - actor/pg_loss:-0.0123 - actor/grad_norm:np.float64(0.1234) - actor/lr:1e-06",
        1,
        {"actor/pg_loss": -0.0123, "grad_norm": 0.1234, "learning_rate": 1e-06},
    ),
    "verl SFT": ("step:10 - train/loss:1.25 - train/lr(1e-3):0.01", 10, {"loss": 1.25, "learning_rate": 1e-05}),
    "NeMo": (
        "Training epoch 0, iteration 9/999 | lr: 1.499e-06 | global_batch_size: 128 | global_step: 9 | "
        "reduced_train_loss: 9.877 | train_step_timing in s: 1.234 | consumed_samples: 1280",
        9,
        {"loss": 9.877, "learning_rate": 1.499e-06},
    ),
    "nanotron": (
        "05/01 10:00:00 [INFO|DP=0|PP=0|TP=0|ip-10-0-0-1]: iteration: 10 / 10000 | consumed_tokens: 10.5M | "
        "time_per_iteration_ms: 1.23K | grad_norm: 1.23 | lm_loss: 9.88 | lr: 3e-05 | eta: 3:25:10",
        10,
        {"loss": 9.88, "grad_norm": 1.23, "learning_rate": 3e-05, "consumed_tokens": 10.5e6},
    ),
    "mmengine": (
        "2025/05/01 10:00:00 - mmengine - INFO - Iter(train) [   10/12000]  lr: 1.0001e-05  eta: 5:12:13  "
        "time: 1.5610  data_time: 0.0100  memory: 15212  loss: 1.9876  tflops: 55.1",
        10,
        {"loss": 1.9876, "learning_rate": 1.0001e-05, "memory": 15212.0},
    ),
    "mmengine by epoch": (
        "05/01 10:00:16 - mmengine - INFO - Epoch(train)  [2][  20/1000]  lr: 2e-05  loss: 1.8765  grad_norm: nan",
        1020,
        {"loss": 1.8765, "grad_norm": math.nan},
    ),
    "xtuner v1": (
        "[XTuner][RANK 0][2026-05-01 10:00:00][INFO] Epoch 1 Step 10/1000 data_time: 0.0100 lr: 1.000000e-05 time: "
        "1.5000 reduced_llm_loss: 1.98765432 grad_norm: 0.98765432 max_memory: 45.10 GB tgs: 21845.0 eta: 0:24:45",
        10,
        {"loss": 1.98765432, "grad_norm": 0.98765432, "learning_rate": 1e-05},
    ),
    "Lightning": (
        "\rEpoch 1:  12%|█▏        | 120/1000 [02:10<15:53,  0.92it/s, v_num=3, train_loss_step=1.830]",
        1120,
        {"loss": 1.83},
    ),
    "OpenRLHF": (
        "\rTrain step of epoch 0:  10%|█         | 10/100 [00:10<01:30,  1.00s/it, gpt_loss=1.23, lr=5e-6]",
        10,
        {"loss": 1.23, "learning_rate": 5e-06},
    ),
    "ColossalAI": ("\rStep:  12%|█▏        | 120/1000 [02:10<15:53,  1.08s/it, train/loss=1.83]", 120, {"loss": 1.83}),
    "own loop, equations": (
        "Step 16: train_loss=0.0000, grad_norm=0.0000, lr=1.34e-03",
        16,
        {"train_loss": 0.0, "grad_norm": 0.0, "learning_rate": 1.34e-03},
    ),
    "own loop, logging": (
        "2026-11-23 18:15:19,037 - INFO - train - step=1 loss=5.55241 gnorm=0.3454",
        1,
        {"loss": 5.55241, "grad_norm": 0.3454},
    ),
    "own loop, words": ("step 30 loss 2.5", 30, {"loss": 2.5}),
    "own loop, bars": ("iter 7 | loss: nan | lr: 5.56e-06 | grad_norm: 4.7373", 7, {"loss": math.nan, "grad_norm": 4.7373}),
}  # fmt: skip


@pytest.mark.parametrize("name", LINES)
def test_line(name: str) -> None:
    """Each format gives its metrics, the step, and the line it stands on."""
    line, step, expected = LINES[name]
    told = read_log(f"something before\n{line}\nsomething after\n")
    found = {metric: told.samples(metric) for metric in expected}

    assert {(metric, *block.steps.tolist()) for metric, block in found.items()} == {(each, step) for each in expected}
    assert {(metric, *block.records.tolist()) for metric, block in found.items()} == {(each, 2) for each in expected}
    values = {metric: float(block.values[0]) for metric, block in found.items()}
    assert values == pytest.approx(expected, rel=1e-12, nan_ok=True)


def test_megatron_without_a_loss_is_a_nan_loss() -> None:
    """The loss field vanishes when no iteration of the interval had a finite loss, while the norm is printed."""
    line = (
        " [2025-05-01 10:00:00] iteration     5426/  250000 | consumed tokens:     88899584 | elapsed time per "
        "iteration (ms): 4247.9 | learning rate: 2.999E-04 | loss scale: 1.0 | grad norm: nan | actual seqlen:  2048 |"
    )
    told = read_log(line + "\n" + line.replace("5426", "5427").replace(" grad norm: nan |", "") + "\n")

    assert told.samples("loss").steps.tolist() == [5426]
    assert math.isnan(told.samples("loss").values[0])
    assert told.samples("learning_rate").steps.tolist() == [5426, 5427]
    assert told.samples("learning_rate").wall_times == pytest.approx([1746093600.0] * 2)


def test_lossy_formats_say_so() -> None:
    """Three printed digits rank below every other source of the same metric."""
    assert read_log(LINES["Lightning"][0] + "\n").samples("loss").precision == Precision.FOUR_DIGITS
    assert read_log(LINES["torchtune"][0] + "\n").samples("loss").precision == Precision.DOUBLE


def test_redrawn_bars_count_once() -> None:
    """A bar that is drawn again with the same counter and metrics is the same point."""
    drawn = LINES["OpenRLHF"][0]

    assert read_log(drawn * 3 + drawn.replace("10/100", "11/100") + "\n").points("loss") == [
        (10, 1.23),
        (11, 1.23),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "loss function: CrossEntropyLoss",
        "the loss is 5",
        "  loss_scale ................... 1.0",
        "step 5 of the installation",
        "Downloading shards: 100%|██████████| 2/2 [00:10<00:00,  5.00s/it]",
        '  File "/x/trainer.py", line 2325, in compute_loss',
    ],
)
def test_prose_is_no_metric(line: str) -> None:
    """A line needs a step and a loss or norm with a number; anything else is left alone."""
    assert read_log(line + "\n").names() == set()


def test_the_time_before_an_iteration_is_no_metric() -> None:
    """The colons of Megatron's time are not taken for those of a field."""
    line = " [2025-05-01 10:11:12] iteration 7/ 100 | elapsed time per iteration (ms): 10.5 | lm loss: 2.5E+00 |\n"
    told = read_log(line)

    assert told.names() == {"elapsed time per iteration (ms)", "loss"}
    assert told.points("loss") == [(7, 2.5)]


def test_a_number_that_the_end_of_the_file_cuts_is_none() -> None:
    """A writer that was killed leaves `loss 0.`, which is no loss of zero."""
    lines = "".join(f"step {n} loss {3 - n / 8:.4f}\n" for n in range(1, 9))
    for cut in ("step 9 loss 0.", "step 9 loss 1.5e", "step 9 loss 2.1e-"):
        assert len(read_log(lines + cut).samples("loss").values) == 8
    assert len(read_log(lines + "step 9 loss 1.75").samples("loss").values) == 9
