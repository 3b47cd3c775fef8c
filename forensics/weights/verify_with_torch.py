"""Recount a scan with torch itself, for files whose origin the user vouches for.

The only module that imports torch, and only when asked to. `torch.load` runs with `weights_only=True` and
`mmap=True`: no pickle code is run, but torch's own parser is trusted with the file, which the rest of this program
avoids.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from forensics.deferred.records import dataclass
from forensics.errors import UsageError
from forensics.model import Checkpoint, TensorRecord, TensorTable

Torch: TypeAlias = Any
"""The module: torch is no dependency, so a type checker may not know it."""
Tensor: TypeAlias = Any
Lookup: TypeAlias = Callable[[str], Tensor]

COUNTS = ("nan", "positive_infinity", "negative_infinity", "zero")
DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
}


@dataclass(frozen=True, slots=True)
class Verification:
    """What torch said: tensors recounted, a sentence for each that differs and each it could not be asked for."""

    checked: int
    differing: tuple[str, ...]
    unchecked: tuple[str, ...]


def verify(root: Path, checkpoint: Checkpoint) -> Verification:
    """Compare the counts of a full scan with torch's own.

    Tensors of files that torch or safetensors loads as flat state dicts are looked up by name there; those made of
    several pieces (ZeRO, DCP, ranks) are put together by torch from the bytes that the records name. Raises
    `UsageError` when torch is not installed or the checkpoint was not scanned in full.
    """
    torch = _torch()
    table = checkpoint.table
    if table is None or checkpoint.depth != "full":
        raise UsageError(f"{checkpoint.path} was not scanned in full, so there is nothing to verify")
    loaded: dict[str, Lookup] = {}
    differing: list[str] = []
    unchecked: list[str] = []
    checked = 0
    for row, record in enumerate(checkpoint.records):
        try:
            tensor = _tensor(torch, root, record, loaded)
        except Exception as error:  # noqa: BLE001  (torch raises what it likes; each tensor is told)
            unchecked.append(f"{record.name}: {type(error).__name__}: {str(error)[:100]}")
            continue
        checked += 1
        differing.extend(_differences(torch, tensor, table, row))
    return Verification(checked, tuple(differing), tuple(unchecked))


def verify_all(root: Path, checkpoints: Sequence[Checkpoint]) -> Iterator[tuple[Checkpoint, Verification]]:
    """Verify every checkpoint that was scanned in full."""
    _torch()
    return ((one, verify(root, one)) for one in checkpoints if one.table is not None and one.depth == "full")


def _torch() -> Torch:
    try:
        import torch
    except ImportError as error:
        raise UsageError(
            "--verify-with-torch needs torch, which is not installed here: pip install 'medforensics[torch]'"
        ) from error
    return torch


def _tensor(torch: Torch, root: Path, record: TensorRecord, loaded: dict[str, Lookup]) -> Tensor:
    paths = {piece.path for piece in record.pieces}
    if len(paths) == 1:
        path = next(iter(paths))
        if path not in loaded:
            loaded[path] = _load(torch, root / path)
        found = loaded[path](record.name)
        if found is not None and tuple(found.shape) == record.shape:
            return found
    return _assembled(torch, root, record)


def _load(torch: Torch, path: Path) -> Lookup:
    """Return how to get the tensors of a flat state dict by name; None for all when torch refuses the file."""
    try:
        if path.suffix == ".safetensors":
            from safetensors import safe_open

            file: Any = safe_open(str(path), framework="pt")
            names = set(file.keys())
            return lambda name: file.get_tensor(name) if name in names else None
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception:  # noqa: BLE001  (what torch cannot load as such is put together from its bytes)
        return lambda _name: None
    if not isinstance(state, Mapping):
        return lambda _name: None
    tensors = {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
    return tensors.get


def _assembled(torch: Torch, root: Path, record: TensorRecord) -> Tensor:
    """Return a tensor from its pieces, with torch's own decoding of the bytes."""
    dtype = getattr(torch, DTYPES[record.dtype])
    raw = bytearray()
    for piece in record.pieces:
        with (root / piece.path).open("rb") as file:
            file.seek(piece.offset)
            raw += file.read(piece.nbytes)
    if not raw:
        return torch.empty(record.shape, dtype=dtype)
    flat = torch.frombuffer(raw, dtype=dtype)
    return flat.reshape(record.shape) if record.strides is None else flat.as_strided(record.shape, record.strides)


def _differences(torch: Torch, tensor: Tensor, table: TensorTable, row: int) -> Iterator[str]:
    values = tensor.double() if tensor.dtype != torch.bool else tensor
    floating = tensor.is_floating_point()
    counted = {
        "nan": int(torch.isnan(values).sum()) if floating else 0,
        "positive_infinity": int(torch.isposinf(values).sum()) if floating else 0,
        "negative_infinity": int(torch.isneginf(values).sum()) if floating else 0,
        "zero": int((values == 0).sum()),
    }
    for name in COUNTS:
        ours = int(getattr(table, name)[row])
        if ours != counted[name]:
            yield f"{table.names[row]}: {name.replace('_', ' ')} {ours:,} here, {counted[name]:,} by torch"
