"""Checkpoint folders that frameworks wrote, and records read back as tensors of torch, the oracle."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from forensics.discovery.discover import discover
from forensics.model import Checkpoint, TensorRecord
from forensics.weights import find_checkpoints

FIXTURES = Path(__file__).parent.parent.parent / "fixtures" / "checkpoints"
TORCH_NAMES = {
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "F64": "float64",
    "U8": "uint8",
    "BOOL": "bool",
}


def checkpoints_in(folder: Path, **how: Any) -> tuple[Checkpoint, ...]:
    return find_checkpoints(discover(folder).artifacts, **how)[0]


def only(folder: Path, **how: Any) -> Checkpoint:
    found = checkpoints_in(folder, **how)
    assert len(found) == 1, [one.path for one in found]
    return found[0]


def tensor_of(torch: Any, root: Path, record: TensorRecord) -> Any:
    """Read the pieces of a record and view them as its dtype, shape and strides say."""
    raw = b"".join((root / p.path).read_bytes()[p.offset : p.offset + p.nbytes] for p in record.pieces)
    dtype = getattr(torch, TORCH_NAMES[record.dtype])
    if not record.elements:
        return torch.empty(record.shape, dtype=dtype)
    flat = torch.frombuffer(bytearray(raw), dtype=dtype)
    return flat.reshape(record.shape) if record.strides is None else flat.as_strided(record.shape, record.strides)


def by_name(records: Sequence[TensorRecord]) -> dict[str, TensorRecord]:
    """Return records by name; those of the optimizer as ROLE/NAME, as `expected.safetensors` has them."""
    return {r.name if r.role in {"weight", "buffer"} else f"{r.role}/{r.name}": r for r in records}


def unlike(torch: Any, root: Path, records: Sequence[TensorRecord], expected: dict[str, Any]) -> list[str]:
    """Return the names of expected tensors that are missing, or differ in a bit.

    fp32 expectations of 16-bit weights with masters are held against the masters.
    """
    held = by_name(records)
    wrong = []
    for name, tensor in expected.items():
        master = held.get(f"master/{name}")
        record = master if master is not None and tensor.dtype == torch.float32 else held.get(name)
        if record is None:
            wrong.append(f"{name} is missing")
            continue
        found = tensor_of(torch, root, record).to(tensor.dtype)
        if found.shape != tensor.shape or not torch.equal(bits(torch, found), bits(torch, tensor)):
            wrong.append(name)
    return wrong


def bits(torch: Any, tensor: Any) -> Any:
    """View a tensor as its bytes, so that NaN equals NaN and -0 differs from 0."""
    return tensor.contiguous().reshape(-1).view(torch.uint8)


def statements(checkpoint: Checkpoint, kind: str | None = None) -> list[str]:
    return [p.statement for p in checkpoint.problems if kind is None or p.kind == kind]


def weights_of(checkpoint: Checkpoint) -> dict[str, TensorRecord]:
    return {r.name: replace(r) for r in checkpoint.records if r.role == "weight"}
