"""The log of the readers' benchmark: a long run of the Trainer with DeepSpeed, all output in one file."""

from pathlib import Path

import numpy as np

BARS_A_STEP = 5
BLOCK_STEPS = 10_000
STAMP = "[2025-05-01 10:00:00,123]"


def write_log(folder: Path, megabytes: int) -> tuple[Path, int]:
    """Write a log of about `megabytes` into `folder`; return it and the number of metric dictionaries in it.

    Each step has five drawings of the bar and a dictionary of four metrics; every tenth the two reports of the
    engine, every fiftieth a warning, every hundredth an overflow.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "train.log"
    random = np.random.default_rng(7)
    step = 0
    with path.open("wb") as file:
        while file.tell() < megabytes * 1_000_000:
            numbers = random.random((BLOCK_STEPS, 3)).tolist()
            file.write("".join(_step(step + index + 1, *row) for index, row in enumerate(numbers)).encode())
            step += BLOCK_STEPS
    return path, step


def _step(step: int, loss: float, norm: float, rate: float) -> str:
    bar = f"\r {step % 90 + 10:2d}%|██▏       | {step}/1000000 [12:10:{step % 60:02d}<23:47:11,  1.2{step % 10}s/it]"
    metrics = (
        f"{{'loss': {3 * loss:.4f}, 'grad_norm': {norm!r}, 'learning_rate': {rate / 1e5!r}, "
        f"'epoch': {step / 20000:.2f}}}\n"
    )
    text = bar * (BARS_A_STEP - 1) + "\r" + " " * 60 + "\r" + metrics + bar
    if step % 10 == 0:
        text += (
            f"\n{STAMP} [INFO] [logging.py:96:log_dist] [Rank 0] step={step}, skipped=7, lr=[1.9e-05, 1.9e-05], "
            f"mom=[(0.9, 0.999), (0.9, 0.999)]\n{STAMP} [INFO] [timer.py:199:stop] epoch=0/micro_step={4 * step}/"
            f"global_step={step}, RunningAvgSamplesPerSec=45.67, CurrSamplesPerSec=46.01, MemAllocated=13.2GB, "
            "MaxMemAllocated=38.51GB\n"
        )
    if step % 50 == 0:
        text += "WARNING: tokenization mismatch: 512 vs. 514. #turn = 3. (ignored)\n"
    if step % 100 == 0:
        text += (
            f"{STAMP} [INFO] [loss_scaler.py:190:update_scale] [deepspeed] OVERFLOW! Rank 0 Skipping step. "
            "Attempted loss scale: 65536, reducing to 32768\n"
        )
    return text
