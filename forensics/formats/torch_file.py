"""Read any file of `torch.save`, or a plain pickle, without torch and without unpickling.

    with File(path) as file:
        saved = read_torch(file)
        for name, tensor in named_tensors(saved.value): ...

Only names, numbers, text and places of tensors are built (`pickle_values`). Tensors are not read here.
"""

from dataclasses import field

from forensics.deferred.records import dataclass
from forensics.errors import MalformedError, PlaceholderError
from forensics.formats.pickle_handlers import HANDLERS
from forensics.formats.pickle_machine import Machine, Work
from forensics.formats.pickle_opcodes import Loaded, load
from forensics.formats.pickle_plain import plain
from forensics.formats.pickle_values import StoredTensor
from forensics.formats.pickle_walk import named_tensors, walk
from forensics.formats.placeholder import HEAD_BYTES, recognise
from forensics.formats.torch_elements import read_elements
from forensics.formats.torch_legacy import MAGIC, read_legacy
from forensics.formats.torch_storages import Storages
from forensics.formats.torch_tar import read_tar
from forensics.formats.torch_zip import NOT_ADDRESSABLE, read_zip
from forensics.limits import DEFAULT, Limits
from forensics.storage.file import File

__all__ = ["TorchFile", "named_tensors", "plain", "read_elements", "read_pickle", "read_torch", "walk"]

_PROTOCOL = b"\x80"
_MOST_PICKLES = 8
_LARGEST_ZIP_TAIL = 65_557


@dataclass(frozen=True, slots=True)
class TorchFile:
    """What a file holds.

    `kind` is torch-zip, torch-legacy, torch-tar or pickle. `tensors` are all that were declared, in file order;
    those with a `problem` cannot be read. `names` are the classes and functions that the file asks for,
    `dangerous` those among them, or calls, that would run code elsewhere. `partial` is True when the file was cut
    off, its pickle broke or a tensor of it cannot be made, and `problems` says in sentences what does not fit.
    """

    kind: str
    value: object = field(repr=False)
    tensors: tuple[StoredTensor, ...] = field(repr=False)
    names: frozenset[str]
    problems: tuple[str, ...]
    partial: bool
    dangerous: tuple[str, ...]


def read_torch(file: File, limits: Limits = DEFAULT) -> TorchFile:
    """Read a torch file of any age (zip, legacy, tar), whole or cut off, or a plain pickle.

    `file` may be a window: one of several zips in a `.distcp` file. Offsets of tensors are absolute all the
    same. Raises `PlaceholderError`, or another of the `MalformedError` family when nothing at all can be
    read; `ChangedError` when the file shrinks meanwhile.
    """
    what = recognise(file.head(HEAD_BYTES), file.size)
    if what is not None:
        raise PlaceholderError(f"{file.path.name} is {what}")
    work = Work(limits, HANDLERS, _read_nested)
    kind, loaded, whole = _read(file, work, True)
    return _torch_file(kind, loaded, whole, work)


def read_pickle(file: File, limits: Limits = DEFAULT) -> TorchFile:
    """Read a plain pickle, such as the `.metadata` of `torch.distributed.checkpoint`. Raises `MalformedError`."""
    work = Work(limits, HANDLERS, _read_nested)
    loaded, whole = _read_plain(file, work, True)
    return _torch_file("pickle", loaded, whole, work)


def begins_as_torch(head: bytes) -> bool:
    """Tell whether a file that starts with `head` is a zip, a tar, or a pickle of protocol 2 and later."""
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06", _PROTOCOL)) or head[257:262] == b"ustar" or MAGIC in head[:32]


def _read(file: File, work: Work, addressable: bool) -> tuple[str, Loaded, bool]:
    head = file.head(HEAD_BYTES)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return ("torch-zip", *read_zip(file, work, addressable))
    if head[257:262] == b"ustar":
        return ("torch-tar", *read_tar(file, work, addressable))
    if MAGIC in head[:32]:
        return ("torch-legacy", *read_legacy(file, work, addressable))
    return ("pickle", *_read_plain(file, work, addressable))


def _read_nested(file: File, work: Work, addressable: bool) -> object:
    """Read a file inside a pickle (`Work.open_nested`). Raises `MalformedError`."""
    if work.depth >= work.limits.pickle_nesting:
        raise MalformedError("torch files nested too deep in pickles")
    work.depth += 1
    try:
        _, loaded, _ = _read(file, work, addressable)
    finally:
        work.depth -= 1
    if loaded.error is not None:
        work.note(str(loaded.error))
    return loaded.value


def _read_plain(file: File, work: Work, addressable: bool) -> tuple[Loaded, bool]:
    storages = Storages(work, lambda _key, _size: NOT_ADDRESSABLE)
    loaded = load(Machine(file, work, storages, addressable=addressable))
    if loaded.error is not None:
        head = file.head(4)
        if not head.startswith(_PROTOCOL) and loaded.value is None and not work.names:
            raise MalformedError(f"not a torch or pickle file (it starts with {head.hex()}): {loaded.error}")
        return loaded, False
    if loaded.end < file.size and not work.depth:
        work.note(f"{file.size - loaded.end} bytes of data after the pickle")
        _look_behind(file, loaded.end, work)
    return loaded, True


def _look_behind(file: File, position: int, work: Work) -> None:
    """Read on after the first pickle, only to learn which names it asks for."""
    for _ in range(_MOST_PICKLES):
        before = len(work.tensors)
        following = load(Machine(file, work, start=position))
        del work.tensors[before:]
        if following.error is not None or following.end >= file.size:
            break
        position = following.end
    tail = min(file.size, _LARGEST_ZIP_TAIL)
    if b"PK\x05\x06" in file.read(file.size - tail, tail):
        work.note("a pickle that is also a zip archive: readers may disagree about it")


def _torch_file(kind: str, loaded: Loaded, whole: bool, work: Work) -> TorchFile:
    if loaded.error is not None:
        if not work.tensors and not work.names and not isinstance(loaded.value, dict | list | tuple):
            raise loaded.error
        work.note(str(loaded.error))
    reasons = [tensor.problem for tensor in work.tensors if tensor.problem is not None]
    if reasons:
        work.note(f"{len(reasons)} of {len(work.tensors)} tensors cannot be read: {reasons[0]}")
    short = [tensor.storage.problem for tensor in work.tensors if tensor.problem is None and tensor.storage.problem]
    if short:
        work.lose(f"the storages of {len(short)} tensors are not there in full, though the tensors are: {short[0]}")
    return TorchFile(
        kind=kind,
        value=loaded.value,
        tensors=tuple(work.tensors),
        names=frozenset(work.names),
        problems=tuple(work.problems),
        partial=loaded.error is not None or not whole or work.lost,
        dangerous=tuple(sorted(work.unsafe)),
    )
