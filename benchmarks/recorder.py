"""What the black box costs: processor time of its own calls over that of the training steps, and a count for 7B.

    python benchmarks/recorder.py [--steps 12]

Trains a transformer of 29M parameters on 512 tokens a step, one thread, in float32 and bfloat16, with clipping and
without. The recorder's calls are timed where they are made (hooks and `step`), so that a busy machine does not blur
the ratio; steps with and without it alternate in pairs for the whole.
"""

import argparse
import functools
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from forensics.recorder.box import BlackBox

CALLS = ("_saw", "_before_step", "_after_step", "_backward_ended", "step")
VOCABULARY, WIDTH, LAYERS, TOKENS = 8000, 512, 8, 512
PARAMETERS_7B, TENSORS_7B = 6.74e9, 291
BANDWIDTH = 3.35e12
"""Bytes a second of an H100 SXM by its data sheet; a reduction that reads once comes near it."""
STEP_7B, TOKENS_7B = 1.7, 16384
"""Seconds for 16k tokens of a 7B model on one H100: 6 * 6.74e9 * 16384 operations at 390 TFLOP/s (40 % of 989)."""


class Clock:
    """Adds up the processor time of some methods."""

    def __init__(self) -> None:
        self.spent = 0.0
        self.depth = 0

    def timed(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            self.depth += 1
            start = time.process_time()
            try:
                return method(*args, **kwargs)
            finally:
                self.depth -= 1
                if self.depth == 0:
                    self.spent += time.process_time() - start

        return call


def model() -> Any:
    layer = torch.nn.TransformerEncoderLayer(WIDTH, 8, 4 * WIDTH, dropout=0.0, batch_first=True, norm_first=True)
    return torch.nn.Sequential(
        torch.nn.Embedding(VOCABULARY, WIDTH),
        torch.nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False),
        torch.nn.Linear(WIDTH, VOCABULARY),
    )


def measure(dtype: torch.dtype, steps: int, *, clip: bool) -> tuple[float, float, int]:
    """Return seconds of a step without the recorder, seconds of its calls, and the number of parameters."""
    torch.manual_seed(0)
    net = model().to(dtype)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4, foreach=True)
    clock = Clock()
    for name in CALLS:
        setattr(BlackBox, name, clock.timed(getattr(BlackBox, name)))
    with tempfile.TemporaryDirectory() as folder:
        box = BlackBox(net, optimizer, Path(folder) / "blackbox")
        ids = torch.randint(0, VOCABULARY, (1, TOKENS))
        own, whole = [], []
        for step in range(steps):
            before, clock.spent = time.process_time(), 0.0
            logits = net(ids)
            loss = torch.nn.functional.cross_entropy(logits[0, :-1].float(), ids[0, 1:])
            loss.backward()
            if clip:
                torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            box.step(step=step, loss=loss, batch={"input_ids": ids})
            if step >= 2:
                own.append(clock.spent)
                whole.append(time.process_time() - before)
        assert not box.dead
    for name in CALLS:
        setattr(BlackBox, name, getattr(BlackBox, name).__wrapped__)
    spent = statistics.median(own)
    return statistics.median(whole) - spent, spent, sum(p.numel() for p in net.parameters())


def counted() -> None:
    """Print what a step of a 7B model in bfloat16 reads, and the time that takes at the bandwidth of an H100."""
    gradients = 2 * PARAMETERS_7B
    print("\n7B in bf16, counted: one reading of the gradients is 13.5 GB, 4.0 ms at 3.35 TB/s; 16k tokens take 1.7 s")
    print("| set-up | read a step | time | share of the step |\n|---|---|---|---|")
    rows = {
        "DDP: L2 of local (last micro-batch) and reduced": 2 * gradients,
        "the same, in the tenth row with the maxima": 4 * gradients,
        "ZeRO or FSDP2 over 8 ranks, one micro-batch": gradients * (1 + 1 / 8),
        "one process without clipping": gradients,
    }
    for name, volume in rows.items():
        seconds = volume / BANDWIDTH
        print(f"| {name} | {volume / 1e9:.1f} GB | {1e3 * seconds:.1f} ms | {seconds / STEP_7B:.2%} |")
    print(f"probe: {TENSORS_7B * 1024 * 2 / 1e6:.1f} MB gathered a step; row: {32 + 40 * TENSORS_7B:,} bytes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=12)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| weights | clipping | step without | recorder's own calls | share |\n|---|---|---|---|---|")
    for dtype in (torch.float32, torch.bfloat16):
        for clip in (False, True):
            step, own, size = measure(dtype, options.steps, clip=clip)
            name = str(dtype).removeprefix("torch.")
            print(
                f"| {name} | {'yes' if clip else 'no'} | {1e3 * step:.0f} ms | {1e3 * own:.1f} ms | {own / step:.1%} |",
                flush=True,
            )
    print(
        f"{size / 1e6:.0f}M parameters, {TOKENS} tokens a step, one thread;"
        f" processor time, median of {options.steps - 2} steps"
    )
    counted()


if __name__ == "__main__":
    main()
