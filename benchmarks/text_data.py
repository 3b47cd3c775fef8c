"""The logs of the readers' benchmark: one of everything mixed, and four others so that none is tuned to."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

BARS_A_STEP = 5
BLOCK_STEPS = 10_000
STAMP = "[2025-05-01 10:00:00,123]"
_CHATTER = (
    "Loading extension module utils...",
    "node-3: reading shard data/part-00017-of-00128.jsonl.zst (4,096 documents)",
    "/opt/conda/lib/python3.10/site-packages/torch/utils/data/dataloader.py:557: UserWarning: this is slow",
    "INFO 05-01 10:00:00 [loader.py:447] Loading weights took 3.21 seconds",
    "    return fn(*args, **kwargs)",
    "GET /v1/health 200 OK 0.3ms client=10.0.0.7 id=9f1c",
)


def write_log(folder: Path, megabytes: int, kind: str = "mixed") -> tuple[Path, int]:
    """Write a log of about `megabytes` into `folder`; return it and the number of steps in it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{kind}.log"
    random = np.random.default_rng(7)
    written = KINDS[kind]
    step = 0
    with path.open("wb") as file:
        while file.tell() < megabytes * 1_000_000:
            numbers = random.random((BLOCK_STEPS, 3)).tolist()
            file.write("".join(written(step + index + 1, *row) for index, row in enumerate(numbers)).encode())
            step += BLOCK_STEPS
    return path, step


def _bar(step: int) -> str:
    return f"\r {step % 90 + 10:2d}%|██▏       | {step}/1000000 [12:10:{step % 60:02d}<23:47:11,  1.2{step % 10}s/it]"


def _mixed(step: int, loss: float, norm: float, rate: float) -> str:
    """Return five drawings of the bar and a dictionary of four metrics.

    Every tenth step adds the two reports of the engine, every fiftieth a warning, every hundredth an overflow.
    """
    bar = _bar(step)
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


def _megatron(step: int, loss: float, norm: float, rate: float) -> str:
    return (
        f" [2025-05-01 10:00:00] iteration {step:8d}/ 1000000 | consumed samples: {64 * step:12d} | elapsed time per "
        f"iteration (ms): {9000 + 100 * rate:.1f} | learning rate: {rate / 1e4:.6E} | global batch size:    64 | "
        f"lm loss: {3 * loss:.6E} | loss scale: 1.0 | grad norm: {norm:.3f} | number of skipped iterations:   0 | "
        "number of nan iterations:   0 |\n"
    )


def _bars(step: int, _loss: float, _norm: float, _rate: float) -> str:
    return _bar(step) * BARS_A_STEP + "\n" * (step % 100 == 0)


def _chatter(step: int, loss: float, norm: float, rate: float) -> str:
    lines = "".join(f"{line} {loss:.3f}\n" for line in _CHATTER)
    return lines + (_mixed(step, loss, norm, rate) if step % 20 == 0 else "")


def _jsonl(step: int, loss: float, norm: float, rate: float) -> str:
    return json.dumps({"step": step, "loss": loss, "grad_norm": norm, "lr": rate / 1e4, "tokens": 4096 * step}) + "\n"


KINDS: dict[str, Callable[[int, float, float, float], str]] = {
    "mixed": _mixed,
    "megatron": _megatron,
    "bars": _bars,
    "chatter": _chatter,
    "jsonl": _jsonl,
}
"""What each step writes: bars, dictionaries, DeepSpeed and warnings mixed; Megatron-LM's lines; nothing but bars;
mostly lines that no reader knows; a JSON object a line."""
