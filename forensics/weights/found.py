"""What a layout says about one checkpoint before anything of it is scanned."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import field

import numpy as np

from forensics.deferred.records import dataclass
from forensics.errors import ChangedError, ForensicsError, LimitError, UnreadableError
from forensics.formats.pickle_values import StoredTensor
from forensics.formats.safetensors import read_layout, tensor_records
from forensics.formats.torch_file import TorchFile, read_torch
from forensics.model import Artifact, OptimizerState, Piece, Problem, Role, Skip, Source, TensorRecord, Trained
from forensics.model.tensors import Tensors
from forensics.storage.file import File
from forensics.weights.unsafe import asked_for


class Records:
    """Tensors in the making: columns of whole files and records one by one, in the order in which they were added."""

    def __init__(self, records: Iterable[TensorRecord] = ()) -> None:
        self._parts: list[Tensors] = []
        self._single: list[TensorRecord] = []
        self.extend(records)

    def append(self, record: TensorRecord) -> None:
        self._single.append(record)

    def extend(self, records: Iterable[TensorRecord]) -> None:
        if isinstance(records, Tensors):
            self._settle()
            self._parts.append(records)
        else:
            self._single.extend(records)

    def __len__(self) -> int:
        return sum(map(len, self._parts)) + len(self._single)

    def __iter__(self) -> Iterator[TensorRecord]:
        return iter(self.tensors)

    @property
    def tensors(self) -> Tensors:
        """All of them in columns."""
        self._settle()
        if len(self._parts) != 1:
            self._parts = [Tensors.joined(self._parts)]
        return self._parts[0]

    def _settle(self) -> None:
        if self._single:
            self._parts.append(Tensors.of(self._single))
            self._single = []


@dataclass(slots=True)
class Found:
    """A checkpoint in the making: layouts add to it, `find` freezes it."""

    path: str
    kind: str
    step: int | None = None
    records: Records = field(default_factory=Records)
    trained: dict[str, Trained] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)
    optimizer: OptimizerState | None = None
    world_size: int | None = None
    modified: float = 0.0
    files: list[str] = field(default_factory=list)
    part_of_parent: bool = False
    """Whether this folder is one part of the save in the folder around it, whatever else lies there."""

    def damaged(self, statement: str, path: str, place: str = "") -> None:
        self.problems.append(Problem("damaged", statement, Source(path, place)))

    def incomplete(self, statement: str, path: str, place: str = "") -> None:
        self.problems.append(Problem("incomplete", statement, Source(path, place)))

    def suspicious(self, statement: str, path: str, place: str = "") -> None:
        self.problems.append(Problem("suspicious", statement, Source(path, place)))


def open_torch(found: Found, artifact: Artifact) -> TorchFile | None:
    """Read a torch file of the checkpoint as data; what is wrong with it becomes a problem."""
    try:
        with File(artifact.location) as file:
            read = read_torch(file, artifact.limits)
            file.check_unchanged()
            if is_hollow(found, artifact, file):
                return None
    except ForensicsError as error:
        report_error(found, artifact, error)
        return None
    found.files.append(artifact.path)
    told = "; ".join(grepable(problem) for problem in read.problems[:TOLD])
    if read.partial:
        found.damaged(f"{artifact.path} is cut off or corrupt: {told}", artifact.path)
    elif read.problems:
        found.suspicious(f"{artifact.path}: {told}", artifact.path)
    tell_unsafe(found, artifact, read.dangerous)
    return read


def tell_unsafe(found: Found, artifact: Artifact, names: Collection[str]) -> None:
    """Tell the names by which a pickle would run code as a problem of the checkpoint."""
    if names:
        found.problems.append(Problem("unsafe", asked_for(artifact.path, names), Source(artifact.path)))


def report_error(found: Found, artifact: Artifact, error: ForensicsError) -> None:
    """Tell an unreadable file as a problem of the checkpoint: damaged, unless the system kept it from us."""
    text = f"{artifact.path}: {grepable(str(error))}"
    if isinstance(error, (UnreadableError, ChangedError)):
        found.skips.append(Skip(artifact.path, str(error)))
    elif isinstance(error, LimitError) and "claims a header" not in text:
        found.suspicious(f"{text}; it was not examined", artifact.path)
        found.skips.append(Skip(artifact.path, str(error)))
    else:
        found.damaged(text, artifact.path)


def is_hollow(found: Found, artifact: Artifact, file: File) -> bool:
    """Tell whether a large file is next to nothing but holes; that is damage, and reading it would take hours."""
    if file.size < HOLLOW_BYTES:
        return False
    held = file.held_bytes()
    if held >= file.size * HOLLOW_SHARE:
        return False
    found.damaged(
        f"{artifact.path} is sparse: {file.size / 1e9:,.0f} GB declared, {held / 1e3:,.0f} KB on disk, all else are "
        "zeros that were never written; it was not examined",
        artifact.path,
    )
    return True


HOLLOW_BYTES = 1 << 30
"""Below this a file of zeros is read like any other, in a second."""
HOLLOW_SHARE = 1 / 64
TOLD = 3
_WORDS = (
    ("more than once", "duplicate keys"),
    ("two entries named", "duplicate entries"),
    ("is encrypted", "encrypted entry"),
    ("holds Python objects", "object array"),
    ("claims a header of", "header length"),
    ("within its header of", "header length, the file is cut off"),
    ("too few for a safetensors header", "the file is cut off"),
    ("begins with zeros", "zero-filled"),
    ("all zero bytes", "zero-filled"),
    (" bytes are there", "cut off"),
    (" is an HTML page", "not a torch or pickle file"),
)
"""What a reader says, and the words by which people search for it."""


def grepable(problem: str) -> str:
    """Add the usual words for a problem where the sentence of the reader lacks them.

    >>> grepable("the header names 'a' more than once; the last one counts")
    "the header names 'a' more than once; the last one counts (duplicate keys)"
    """
    words = [word for said, word in _WORDS if said in problem and word not in problem]
    return f"{problem} ({', '.join(words)})" if words else problem


def safetensors_records(found: Found, artifact: Artifact, role: Role = "weight") -> Tensors:
    """Return the tensors of a safetensors file that are there in full."""
    try:
        with File(artifact.location) as file:
            layout = read_layout(file, artifact.limits)
            if is_hollow(found, artifact, file):
                return Tensors.of(())
    except ForensicsError as error:
        report_error(found, artifact, error)
        return Tensors.of(())
    found.files.append(artifact.path)
    if layout.missing_bytes:
        found.damaged(
            f"{artifact.path} is cut off: {layout.missing_bytes:,} bytes are missing, "
            f"{np.count_nonzero(layout.lacking)} of {len(layout.entries)} tensors are affected",
            artifact.path,
        )
    elif layout.problems:
        told = "; ".join(grepable(problem) for problem in layout.problems[:TOLD])
        if layout.refused:
            found.damaged(f"{artifact.path}: {told}; the library of the format does not open it", artifact.path)
        else:
            found.suspicious(f"{artifact.path}: {told}", artifact.path)
    return tensor_records(layout, artifact.path, role, ~layout.lacking)


def stored_records(
    found: Found, artifact: Artifact, tensors: Iterable[tuple[str, StoredTensor]], role: Role
) -> list[TensorRecord]:
    """Return records of tensors in a torch file; views of one storage region are aliases of the first."""
    records: list[TensorRecord] = []
    seen: dict[tuple[object, ...], str] = {}
    lost: list[str] = []
    for name, tensor in tensors:
        if tensor.problem is not None:
            lost.append(tensor.problem)
            continue
        region = (tensor.offset, tensor.nbytes, tensor.dtype, tensor.shape, tensor.strides)
        alias = seen.get(region) if tensor.nbytes else None
        seen.setdefault(region, name)
        strides = None if tensor.contiguous else tensor.strides
        piece = Piece(artifact.path, tensor.offset, tensor.nbytes)
        records.append(TensorRecord(name, role, tensor.dtype, tensor.shape, (piece,), strides, alias))
    told = any(p.kind == "damaged" and p.source.path == artifact.path for p in found.problems)
    if lost and not told:
        reasons = "; ".join(grepable(reason) for reason in list(dict.fromkeys(lost))[:TOLD])
        found.damaged(f"{artifact.path}: {len(lost)} tensors cannot be read: {reasons}", artifact.path)
    return records
