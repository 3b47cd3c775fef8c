"""Masks over the rows of a checkpoint's tensor table, and where a finding about one points."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from forensics.model import Checkpoint, Run, Source, TensorTable

Mask = NDArray[np.bool_]
OPTIMIZER = ("master", "exp_avg", "exp_avg_sq", "optimizer")
FLOATS = ("F", "BF")
HALVES = ("BF16", "F16")


def with_role(table: TensorTable, *roles: str) -> Mask:
    return table.roles.among(roles)


def floating(table: TensorTable) -> Mask:
    return table.dtypes.among({word for word in table.dtypes.words if word.startswith(FLOATS)})


def halves(table: TensorTable) -> Mask:
    return table.dtypes.among(HALVES)


def matrices(table: TensorTable) -> Mask:
    """Tell which tensors have two dimensions or more: kernels and embeddings, not biases and norms."""
    return np.asarray(table.shapes.dimensions >= 2, dtype=bool)


def trainable(table: TensorTable) -> Mask:
    return table.trained.among({"trainable"})


def scanned(run: Run) -> Iterator[tuple[Checkpoint, TensorTable]]:
    """Yield the checkpoints whose tensors were looked at, with their tables, in the run's order."""
    for checkpoint in run.checkpoints:
        if checkpoint.table is not None and len(checkpoint.table):
            yield checkpoint, checkpoint.table


def source_of(checkpoint: Checkpoint, tensor: str | None = None) -> Source:
    return Source(checkpoint.path, "" if tensor is None else f"tensor {tensor}")
