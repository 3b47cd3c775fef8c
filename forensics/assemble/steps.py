"""The x axis: optimizer steps for samples that came with an epoch, a sample count, or nothing."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from forensics.model import UNKNOWN_STEP, Environment, Integers, Samples, Skip


def resolve_steps(samples: Sequence[Samples], environment: Environment) -> tuple[list[Samples], list[Skip]]:
    """Give every sample an optimizer step.

    In this order: what the source says; samples seen divided by the global batch size; the epoch times the steps
    of an epoch; the number of the entry times `logging_steps`. Where none is known the entries themselves are
    counted, which is said in a `Skip`.
    """
    resolved: list[Samples] = []
    skips: list[Skip] = []
    steps_per_epoch = _steps_per_epoch(samples, environment)
    logging_steps = int(environment.number("logging_steps") or 0)
    for block in samples:
        if block.axis == "sample":
            resolved.append(replace(block, steps=_from_samples(block.steps, environment), axis="step"))
        elif len(block.steps) and bool(np.any(block.steps == UNKNOWN_STEP)):
            steps, known = _fill(block, steps_per_epoch, logging_steps)
            if not known:
                reason = "neither a step nor an epoch is written; entries are counted instead"
                skips.append(Skip(f"steps in {block.path}", reason))
            resolved.append(replace(block, steps=steps))
        else:
            resolved.append(block)
    return resolved, skips


def _from_samples(seen: Integers, environment: Environment) -> Integers:
    # deepspeed/runtime/engine.py writes monitor events at `global_samples`, a multiple of the global batch size.
    batch = int(environment.number("train_batch_size") or 0)
    common = int(np.gcd.reduce(seen)) if len(seen) else 0
    if batch <= 0 or (common and common % batch):
        batch = common
    return seen // batch if batch > 0 else seen


def _steps_per_epoch(samples: Sequence[Samples], environment: Environment) -> float | None:
    for block in samples:
        if block.epochs is None or not len(block.steps):
            continue
        usable = (block.steps > 0) & (block.epochs > 0)
        if usable.any():
            last = int(np.flatnonzero(usable)[-1])
            return float(block.steps[last] / block.epochs[last])
    planned, epochs = environment.number("max_steps"), environment.number("num_train_epochs")
    return planned / epochs if planned and epochs and planned > 0 else None


def _fill(block: Samples, steps_per_epoch: float | None, logging_steps: int) -> tuple[Integers, bool]:
    missing = block.steps == UNKNOWN_STEP
    entries = np.arange(1, len(block.steps) + 1, dtype=np.int64)
    if block.epochs is not None and steps_per_epoch and bool(np.all(np.isfinite(block.epochs[missing]))):
        guess = np.rint(block.epochs * steps_per_epoch).astype(np.int64)
        if logging_steps > 1:
            guess = np.maximum(np.rint(guess / logging_steps).astype(np.int64), 1) * logging_steps
        # Epochs are printed with two decimals: neighbours may round to one step, entries never share one.
        distinct = bool(np.all(np.diff(guess[missing]) > 0))
        if distinct:
            return np.where(missing, guess, block.steps), True
    if not missing.all():
        return block.steps, True
    return entries * max(logging_steps, 1), logging_steps > 0
