"""Checkpoints for the weights benchmark: two of the same shape, the second a small step away from the first."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_SEED = 20
_MOVED = 3
"""One element in so many differs between the two checkpoints."""


def write_pair(folder: Path, nbytes: int, tensors: int) -> tuple[Path, Path]:
    """Write two BF16 safetensors files of `nbytes` in `tensors` equal tensors; values as in a trained model."""
    columns = 1024 if nbytes // tensors >= 1 << 16 else 64
    rows = max(nbytes // tensors // columns // 2, 1)
    generator = np.random.default_rng(_SEED)
    pattern = (generator.standard_normal(1 << 22, dtype=np.float32) * np.float32(0.02)).view(np.uint32)
    before = (pattern >> 16).astype(np.uint16)
    after = before.copy()
    after[::_MOVED] ^= 1
    paths = folder / f"before-{tensors}.safetensors", folder / f"after-{tensors}.safetensors"
    for path, values in zip(paths, (before, after), strict=True):
        _write(path, [(f"layers.{i}.weight", (rows, columns)) for i in range(tensors)], values)
    return paths


def _write(path: Path, tensors: Sequence[tuple[str, tuple[int, int]]], values: NDArray[np.uint16]) -> None:
    header: dict[str, object] = {}
    position = 0
    for name, (rows, columns) in tensors:
        size = 2 * rows * columns
        header[name] = {"dtype": "BF16", "shape": [rows, columns], "data_offsets": [position, position + size]}
        position += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    data = values.tobytes()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for start in range(0, position, len(data)):
            file.write(data[: min(len(data), position - start)])
