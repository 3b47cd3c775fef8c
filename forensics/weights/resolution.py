"""What the optimizer's next step would be, against the rounding of the weights it is applied to."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import compress, islice

import numpy as np

from forensics.deferred.patterns import expression
from forensics.errors import ForensicsError
from forensics.formats.dtypes import decode, dtype_named
from forensics.model import Checkpoint, Floats, OptimizerState, TensorRecord, UpdateResolution
from forensics.model.statistics import median
from forensics.storage.locations import Root
from forensics.weights.precision import Adam, expected_update, smallest_moving
from forensics.weights.reading import Files, extents

HALVES = ("BF16", "F16")
SAMPLE_ELEMENTS = 1 << 16
"""Looked at of each tensor, from its beginning: the share of elements that cannot move needs no more."""
MOST_TENSORS = 256
NUMBER = expression(r".*optimizer\.state\.\d+")


def resolution_of(root: Root, checkpoint: Checkpoint, rate: float | None) -> tuple[UpdateResolution, ...]:
    """Return, for each 16-bit weight without an fp32 master, how much of it Adam's step can move.

    `rate` is the learning rate to judge by: the highest that the run's checkpoints tell, since a schedule may end
    at zero. Weights are matched with moments by name, or by a shape that both have as often (the moments of such
    tensors are then taken together). Empty when there is no rate, no Adam or nothing of 16 bits.
    """
    state = checkpoint.optimizer
    if state is None or state.kind != "adam" or not rate or checkpoint.table is None:
        return ()
    held = checkpoint.tensors
    masters = set(compress(held.names, held.roles.among({"master"})))
    halves = held.only(held.roles.among({"weight"}) & held.dtypes.among(HALVES) & held.own)
    weights = list(islice((record for record in halves if _is_judged(record, masters)), MOST_TENSORS))
    if not weights or (masters and not weights):
        return ()
    files = Files(root)
    made = []
    try:
        for weight, moments in _matched(weights, list(held.only(held.roles.among({"exp_avg", "exp_avg_sq"})))):
            found = _resolution(files, weight, moments, _settings(state, checkpoint, rate))
            if found is not None:
                made.append(found)
    finally:
        files.close()
    return tuple(made)


def peak_rate(checkpoints: Sequence[Checkpoint]) -> float | None:
    """Return the highest learning rate that the optimizers of a run's checkpoints tell."""
    rates = [rate for c in checkpoints if c.optimizer is not None for rate in c.optimizer.learning_rates]
    return max(rates, default=None)


def _is_judged(record: TensorRecord, masters: set[str]) -> bool:
    return (
        record.role == "weight"
        and record.dtype in HALVES
        and record.strides is None
        and record.alias_of is None
        and record.trained not in {"frozen", "buffer", "tied"}
        and record.name not in masters
        and record.elements > 0
    )


Moments = tuple[TensorRecord, TensorRecord]


def _matched(
    weights: Sequence[TensorRecord], records: Sequence[TensorRecord]
) -> Iterator[tuple[TensorRecord, Sequence[Moments]]]:
    first = {r.name: r for r in records if r.role == "exp_avg" and r.strides is None}
    second = {r.name: r for r in records if r.role == "exp_avg_sq" and r.strides is None}
    both = {name: (first[name], second[name]) for name in first if name in second}
    by_shape: Mapping[tuple[int, ...], list[Moments]] = defaultdict(list)
    for name, pair in both.items():
        if NUMBER.fullmatch(name) and pair[0].shape == pair[1].shape:
            by_shape[pair[0].shape].append(pair)
    counts = Counter(weight.shape for weight in weights)
    for weight in weights:
        if weight.name in both:
            yield weight, [both[weight.name]]
        elif counts[weight.shape] == len(by_shape[weight.shape]):
            yield weight, by_shape[weight.shape]


def _settings(state: OptimizerState, checkpoint: Checkpoint, rate: float) -> Adam:
    return Adam(
        rate=rate,
        beta1=0.9 if state.beta1 is None else state.beta1,
        beta2=0.999 if state.beta2 is None else state.beta2,
        epsilon=1e-8 if state.epsilon is None else state.epsilon,
        step=max(state.step or checkpoint.step or 1, 1),
    )


def _resolution(
    files: Files, weight: TensorRecord, moments: Sequence[Moments], settings: Adam
) -> UpdateResolution | None:
    try:
        values = _values(files, weight)
        limits = smallest_moving(values, weight.dtype)
        updates = [expected_update(_values(files, m), _values(files, v), settings) for m, v in moments]
    except (ForensicsError, OSError, ZeroDivisionError):
        return None
    pooled = np.concatenate(updates)
    pooled = pooled[np.isfinite(pooled)]
    known = np.isfinite(limits)
    if not pooled.size or not known.any():
        return None
    if len(updates) == 1 and updates[0].size == values.size:
        cannot = updates[0][known] < limits[known]
    else:
        # Which update belongs to which element is not known: the typical one is held against all of them.
        cannot = median(pooled) < limits[known]
    return UpdateResolution(
        name=weight.name,
        dtype=weight.dtype,
        elements=int(known.sum()),
        stuck=int(np.count_nonzero(cannot)),
        expected_update=median(pooled),
        smallest_moving=median(limits[known]),
        learning_rate=settings.rate,
        ones=bool(np.all(values == 1.0)),
    )


def _values(files: Files, record: TensorRecord) -> Floats:
    dtype = dtype_named(record.dtype)
    size = min(record.elements, SAMPLE_ELEMENTS) * dtype.bits // 8
    raw = np.empty(size, dtype=np.uint8)
    done = 0
    for path, offset, length in extents(record.pieces, 0, size):
        with files.borrow(path) as file:
            file.read_into(offset, raw.data[done : done + length])
        done += length
    return np.asarray(decode(dtype, raw), dtype=np.float64)
