"""The x axis: optimizer steps where a source tells them or they follow from what it tells, else what it counts."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from forensics.assemble.entries import count_entries
from forensics.model import UNKNOWN_STEP, Environment, Floats, Integers, Samples

EPOCH_ROUNDING = 0.005
"""transformers < 5 prints epochs with two decimals (`Trainer.log`)."""


def resolve_steps(samples: Sequence[Samples], environment: Environment) -> list[Samples]:
    """Put every block on the axis that its source allows.

    Optimizer steps, in this order: what the source says; samples seen divided by the recorded global batch size; the
    epoch times the steps of an epoch; the number of the entry times `logging_steps`, where the epochs confirm that
    the log begins with the run. Where none holds, the epochs are the axis if each entry has one of its own, else the
    entries are counted: never called steps. An entry without a step among others that have one keeps
    `UNKNOWN_STEP`.
    """
    steps_per_epoch = _steps_per_epoch(samples, environment)
    interval = int(environment.number("logging_steps") or 0)
    batch = int(environment.number("train_batch_size") or 0)
    resolved: list[Samples] = []
    counted: dict[tuple[str, str], list[Samples]] = defaultdict(list)
    for block in samples:
        if block.axis == "samples":
            resolved.append(_from_samples(block, batch))
        elif block.axis != "step" or not _mostly_unknown(block):
            resolved.append(block)
        else:
            steps = _from_epochs(block, steps_per_epoch, interval)
            if steps is None:
                counted[(block.path, block.place)].append(block)
            else:
                resolved.append(replace(block, steps=steps))
    for group in counted.values():
        resolved.extend(count_entries(group))
    return resolved


def _mostly_unknown(block: Samples) -> bool:
    unknown = int(np.count_nonzero(block.steps == UNKNOWN_STEP))
    return unknown > len(block.steps) - unknown


def _from_samples(block: Samples, batch: int) -> Samples:
    """Return the block over steps if the recorded batch size divides what it counts, else as it is.

    Source: `deepspeed/runtime/engine.py` writes monitor events at `global_samples`, a multiple of the batch size.
    """
    if batch <= 0 or bool(np.any(block.steps % batch)):
        return block
    return replace(block, steps=block.steps // batch, axis="step")


def _steps_per_epoch(samples: Sequence[Samples], environment: Environment) -> float | None:
    for block in samples:
        if block.epochs is None or block.axis != "step" or not len(block.steps):
            continue
        usable = (block.steps > 0) & (block.epochs > 0)
        if usable.any():
            last = int(np.flatnonzero(usable)[-1])
            return float(block.steps[last] / block.epochs[last])
    planned, epochs = environment.number("max_steps"), environment.number("num_train_epochs")
    return planned / epochs if planned and epochs and planned > 0 else None


def _from_epochs(block: Samples, steps_per_epoch: float | None, interval: int) -> Integers | None:
    """Return the steps of a block from the epochs beside its entries; None where they do not tell."""
    missing = block.steps == UNKNOWN_STEP
    if block.epochs is None or not bool(np.all(np.isfinite(block.epochs[missing]))):
        return None
    if steps_per_epoch:
        guess = np.rint(block.epochs * steps_per_epoch).astype(np.int64)
        if interval > 1:
            guess = np.maximum(np.rint(guess / interval).astype(np.int64), 1) * interval
        # Epochs are printed with two decimals: neighbours may round to one step, entries never share one.
        if bool(np.all(np.diff(guess[missing]) > 0)):
            return np.where(missing, guess, block.steps)
    if interval > 0 and missing.all() and _begins_with_the_run(block.epochs):
        return np.arange(1, len(block.steps) + 1, dtype=np.int64) * interval
    return None


def _begins_with_the_run(epochs: Floats) -> bool:
    """Tell whether the epochs rise evenly from 0, so that the n-th entry is the n-th of the run."""
    if len(epochs) < 2:
        return False
    each = epochs[-1] / len(epochs)
    expected = each * np.arange(1, len(epochs) + 1)
    return bool(each > 0 and np.all(np.abs(epochs - expected) <= 2 * EPOCH_ROUNDING + each / 2))
