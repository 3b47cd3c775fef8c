"""The x axis: optimizer steps where a source tells them or they follow from what it tells, else what it counts."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from forensics.assemble.entries import Lines, Sheet, has_own_epochs, sheet_of, without_copies
from forensics.assemble.environment import natural
from forensics.assemble.joins import Column, Columns, joined
from forensics.model import UNKNOWN_STEP, Axis, Environment, Floats, Integers, Samples, Skip
from forensics.names import EPOCH, LOSS

EVALUATED = ("eval_", "test_")
EPOCH_ROUNDING = 0.005
"""transformers < 5 prints epochs with two decimals (`Trainer.log`)."""


def resolve_steps(samples: Sequence[Samples], environment: Environment) -> tuple[list[Samples], list[Skip]]:
    """Put every block on the axis that its source allows.

    Optimizer steps, in this order: what the source says; samples seen divided by the recorded global batch size; the
    steps that another source tells of the same entries (`joins`); the epoch times the steps of an epoch; the number
    of the entry times `logging_steps`, where the epochs confirm that the log begins with the run; the step of the
    line above, for evaluations. Where none holds, the epochs are the axis if each entry has one of its
    own, else the entries are counted: never called steps. An entry without a step among others that have one keeps
    `UNKNOWN_STEP`.
    """
    batch = int(environment.number("train_batch_size") or 0)
    resolved: list[Samples] = []
    counted: dict[tuple[str, str], list[Samples]] = defaultdict(list)
    for block in samples:
        if block.axis == "samples":
            resolved.append(_from_samples(block, batch))
        elif block.axis == "step" and _mostly_unknown(block):
            counted[(block.path, block.place)].append(block)
        else:
            resolved.append(block)
    skips: list[Skip] = []
    resolved.extend(_counted(counted, resolved, _Pace.of(samples, environment), skips))
    return resolved, skips


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


class _Pace:
    """What the run recorded of how its steps go: those of an epoch, and those between two entries."""

    def __init__(self, steps_per_epoch: float | None, interval: int) -> None:
        self.steps_per_epoch = steps_per_epoch
        self.interval = interval

    @classmethod
    def of(cls, samples: Sequence[Samples], environment: Environment) -> "_Pace":
        interval = int(environment.number("logging_steps") or 0)
        for block in samples:
            if block.epochs is None or block.axis != "step" or not len(block.steps):
                continue
            usable = (block.steps > 0) & (block.epochs > 0)
            if usable.any():
                last = int(np.flatnonzero(usable)[-1])
                return cls(float(block.steps[last] / block.epochs[last]), interval)
        planned, epochs = environment.number("max_steps"), environment.number("num_train_epochs")
        return cls(planned / epochs if planned and epochs and planned > 0 else None, interval)

    def steps(self, lines: Lines) -> Integers | None:
        """Return the steps of lines from the epochs beside them; None where they do not tell."""
        epochs = lines.epochs
        if epochs is None:
            return None
        if self.steps_per_epoch:
            guess = np.rint(epochs * self.steps_per_epoch).astype(np.int64)
            if self.interval > 1:
                guess = np.maximum(np.rint(guess / self.interval).astype(np.int64), 1) * self.interval
            # Epochs are printed with two decimals: neighbours may round to one step, entries never share one.
            if bool(np.all(np.diff(guess) > 0)):
                return guess
        if self.interval > 0 and _begins_with_the_run(epochs):
            return np.arange(1, len(epochs) + 1, dtype=np.int64) * self.interval
        return None


def _begins_with_the_run(epochs: Floats) -> bool:
    """Tell whether the epochs rise evenly from 0, so that the n-th entry is the n-th of the run."""
    if len(epochs) < 2:
        return False
    each = epochs[-1] / len(epochs)
    expected = each * np.arange(1, len(epochs) + 1)
    return bool(each > 0 and np.all(np.abs(epochs - expected) <= 2 * EPOCH_ROUNDING + each / 2))


def _counted(
    files: dict[tuple[str, str], list[Samples]], resolved: Sequence[Samples], pace: _Pace, skips: list[Skip]
) -> Iterator[Samples]:
    """Yield the blocks of files that tell no step, in the order in which the files were written.

    Entries are counted through all files; a file that repeats entries of an earlier one bears their numbers.
    """
    known = _columns_of(resolved) if files else {}
    entries: Columns = {}
    last = 0
    for (path, place), blocks in sorted(files.items(), key=lambda item: (_begun(item[1]), natural(item[0][0]))):
        sheet, times = without_copies(sheet_of(blocks))
        if times > 1:
            skips.append(Skip(f"copies of entries in {path}", f"each entry was printed {times} times, it counts once"))
        columns = sheet.columns
        steps = _steps(sheet, columns, known, pace)
        if steps is None and all(name.startswith(EVALUATED) for name in columns if name != EPOCH):
            steps = _steps_above(sheet.main, [b for b in resolved if (b.path, b.place) == (path, place)])
        if steps is not None:
            yield from sheet.on("step", steps)
        elif has_own_epochs(sheet.main):
            yield from sheet.on_epochs()
        else:
            again = joined(columns, entries, sheet.numbers)
            numbers = again if again is not None else sheet.numbers + (last if LOSS in columns else 0)
            entries = _with(entries, columns, numbers)
            last = max(last, int(numbers.max()))
            yield from sheet.on("entry", numbers)


def _begun(blocks: Sequence[Samples]) -> float:
    times = [block.wall_times for block in blocks if block.wall_times is not None]
    known = [float(np.nanmin(each)) for each in times if np.isfinite(each).any()]
    return min(known, default=np.inf)


def _steps(sheet: Sheet, columns: Columns, known: Columns, pace: _Pace) -> Integers | None:
    found = joined(columns, known, sheet.numbers)
    return found if found is not None else pace.steps(sheet.main)


def _steps_above(lines: Lines, stepped: Sequence[Samples]) -> Integers | None:
    """Return the step of the line above each line of the same file; None where two would share it, or one has none.

    An evaluation is printed behind the entry of the step that it was made after; other lines may belong to a step to
    come.
    """
    blocks = [block for block in stepped if block.axis == "step" and np.any(block.steps != UNKNOWN_STEP)]
    if not blocks:
        return None
    records = np.concatenate([block.records[block.steps != UNKNOWN_STEP] for block in blocks])
    steps = np.concatenate([block.steps[block.steps != UNKNOWN_STEP] for block in blocks])
    order = np.argsort(records, kind="stable")
    at = np.searchsorted(records[order], lines.records, side="right") - 1
    if np.any(at < 0):
        return None
    found = steps[order][at]
    return found if bool(np.all(np.diff(found) > 0)) else None


def _columns_of(samples: Sequence[Samples], axis: Axis = "step") -> Columns:
    """Return each metric over steps, the last written value of each."""
    parts: dict[str, list[Samples]] = defaultdict(list)
    for block in samples:
        if block.axis == axis and len(block.steps):
            parts[block.name].append(block)
    found: Columns = {}
    for name, blocks in parts.items():
        steps = np.concatenate([block.steps for block in blocks])
        values = np.concatenate([block.values for block in blocks])
        known = steps != UNKNOWN_STEP
        if known.any():
            found[name] = _last_of_each(steps[known], values[known])
    return found


def _with(entries: Columns, columns: Columns, numbers: Integers) -> Columns:
    """Return the entries counted so far with those of one more file at their numbers."""
    found = dict(entries)
    for name, column in columns.items():
        places = numbers[column.places - 1]
        known = places != UNKNOWN_STEP
        before = entries.get(name)
        earlier = (before.places, before.values) if before is not None else (places[:0], column.values[:0])
        both = np.concatenate([earlier[0], places[known]]), np.concatenate([earlier[1], column.values[known]])
        if len(both[0]):
            found[name] = _last_of_each(*both)
    return found


def _last_of_each(places: Integers, values: Floats) -> Column:
    order = np.argsort(places, kind="stable")
    places, values = places[order], values[order]
    last = np.append(places[1:] != places[:-1], True)
    return Column(places[last], values[last])
