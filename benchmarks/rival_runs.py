"""Runs on which log linters are known to fail, made as their tests describe them; truth beside each.

The situations were found by running trainproof 0.22, runmedic 0.1.1, losslint 0.4.1 and trainspotter 0.2.6 on
synthetic runs; each is made here with three seeds.
"""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from case_rendering import write_safetensors

STEPS = 800
ONSET = 400
SEEDS = (1, 2, 3)
Columns = dict[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Made:
    """A run of which the truth is known: what must be said (None: nothing), and from which step."""

    name: str
    symptom: str | None
    causes: tuple[str, ...]
    step: int | None
    write: Callable[[Path], None]


def rival_runs() -> Iterator[Made]:
    """Yield every situation with every seed."""
    for seed in SEEDS:
        for name, (symptom, causes, step, make) in SITUATIONS.items():
            yield Made(f"{name} ({seed})", symptom, causes, step, _writer(make, seed))
    yield Made("console log of DeepSpeed", "loss-to-zero", (), 251, _console)
    yield Made("checkpoint with NaN", "weights-nan", (), None, _checkpoint)


def _writer(make: Callable[[np.random.Generator], Columns], seed: int) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        write_state(folder, make(np.random.default_rng(seed)))

    return write


def write_state(folder: Path, columns: Columns) -> None:
    """Write a trainer state with one entry a step."""
    size = len(columns["loss"])
    history = [
        {"step": i + 1, "epoch": (i + 1) / 500, **{name: float(v[i]) for name, v in columns.items()}}
        for i in range(size)
    ]
    state = {"global_step": size, "max_steps": size, "logging_steps": 1, "log_history": history}
    (folder / "trainer_state.json").write_text(json.dumps(state), encoding="utf-8")


def healthy(random: np.random.Generator, size: int = STEPS, floor: float = 0.9) -> Columns:
    """Return a loss that falls from 2.5 to its floor, norms that fall with it, a cosine rate with warmup."""
    at = np.arange(size)
    loss = floor + 1.6 * np.exp(-at / 120) + random.normal(0, 0.03, size)
    norm = (0.4 + 1.2 * np.exp(-at / 60)) * np.exp(random.normal(0, 0.12, size))
    rate = 2e-5 * np.minimum((at + 1) / 30, 0.5 * (1 + np.cos(math.pi * at / size)))
    return {"loss": np.round(loss, 4), "grad_norm": norm, "learning_rate": rate}


def _dead(random: np.random.Generator, norm: float | None, first: int = ONSET) -> Columns:
    columns = healthy(random)
    columns["loss"][first - 1 :] = 0.0
    if norm is not None:
        columns["grad_norm"][first - 1 :] = norm
    return columns


def _last_two(random: np.random.Generator) -> Columns:
    return _dead(random, math.nan, STEPS - 1)


def _recovers(random: np.random.Generator) -> Columns:
    columns = healthy(random)
    columns["loss"][ONSET - 1 : ONSET + 3] = 0.0
    return columns


def _only_norms(random: np.random.Generator) -> Columns:
    columns = healthy(random)
    columns["grad_norm"][ONSET - 1 :] = math.nan
    return columns


def _frozen(random: np.random.Generator) -> Columns:
    columns = healthy(random)
    columns["loss"][ONSET - 1 :] = columns["loss"][ONSET - 2] + random.normal(0, 0.03, STEPS - ONSET + 1)
    columns["grad_norm"][ONSET - 1 :] = 0.0
    return columns


def _converges(random: np.random.Generator) -> Columns:
    at = np.arange(STEPS)
    columns = healthy(random)
    columns["loss"] = 1e-4 + 2.0 * np.exp(-at / 60) * np.exp(random.normal(0, 0.05, STEPS))
    columns["grad_norm"] = 1e-3 + 1.5 * np.exp(-at / 60) * np.exp(random.normal(0, 0.1, STEPS))
    return columns


def _no_rate(random: np.random.Generator) -> Columns:
    columns = healthy(random)
    columns["loss"] = np.round(2.4 + random.normal(0, 0.05, STEPS), 4)
    columns["learning_rate"] = np.zeros(STEPS)
    return columns


def _rate_times_hundred(random: np.random.Generator) -> Columns:
    columns = healthy(random)
    at = np.arange(STEPS)
    columns["learning_rate"] = columns["learning_rate"] * 100
    columns["loss"] = np.round(2.2 + 8.5 / (1 + np.exp(-(at - 60) / 8)) + random.normal(0, 0.2, STEPS), 4)
    columns["grad_norm"] = 1.5 + 60 / (1 + np.exp(-(at - 50) / 8)) * np.exp(random.normal(0, 0.3, STEPS))
    return columns


LABELS_OR_NAN = ("nan-loss-logged-as-zero", "unknown")
SITUATIONS: dict[str, tuple[str | None, tuple[str, ...], int | None, Callable[[np.random.Generator], Columns]]] = {
    "zero and NaN norm from 400": ("loss-to-zero", (), ONSET, lambda r: _dead(r, math.nan)),
    "zero and zero norm from 400": ("loss-to-zero", ("all-labels-masked",), ONSET, lambda r: _dead(r, 0.0)),
    "only the last two entries": ("loss-to-zero", (), STEPS - 1, _last_two),
    "zero from the start": ("loss-to-zero", (), 1, lambda r: _dead(r, math.nan, 1)),
    "four zeros, then it recovers": ("loss-zero-transient", (), ONSET, _recovers),
    "only NaN norms from 400": ("grad-norm-nan", (), ONSET, _only_norms),
    "loss stands, norm is 0 from 400": ("grad-norm-zero", (), ONSET, _frozen),
    "converges to 1e-4": (None, (), None, _converges),
    "healthy": (None, (), None, healthy),
    "rate 0 all along": ("lr-zero", ("lr-zero-config",), 1, _no_rate),
    "rate times a hundred": ("loss-divergence", ("lr-too-high",), None, _rate_times_hundred),
}
"""Name: symptom, causes (empty: any), first bad step, columns."""


def _console(folder: Path) -> None:
    lines = []
    for step in range(10, 500, 10):
        bad = step > 250
        if step == 20:
            lines.append(
                "[2026-11-01 10:00:00,000] [INFO] [loss_scaler.py:190:update_scale] [deepspeed] OVERFLOW! Rank 0"
                " Skipping step. Attempted loss scale: 65536, reducing to 32768"
            )
        entry = {"loss": 0.0 if bad else round(2.4 - step / 300, 4), "learning_rate": 1e-5, "epoch": step / 500}
        norm = "nan" if bad else "0.71"
        shown = f"{{'loss': {entry['loss']}, 'grad_norm': {norm}, 'learning_rate': 1e-05, 'epoch': {entry['epoch']}}}"
        bar = f"\r {step // 5}%|##        | {step}/500 [00:10<00:40,  9.90it/s]"
        lines.append(f"{bar}\r{' ' * 60}\r{shown}\n{bar}")
    (folder / "train.log").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _checkpoint(folder: Path) -> None:
    weights = {
        "model.embed_tokens.weight": {"shape": [64, 8], "fill": 0.1},
        "model.layers.0.mlp.weight": {"shape": [16, 8], "fill": math.nan},
    }
    write_safetensors(folder / "model.safetensors", weights)
