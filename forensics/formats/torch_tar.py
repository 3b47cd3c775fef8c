"""Files of `torch.save` before 0.1.10: a tar archive of `sys_info`, `pickle`, `tensors` and `storages`.

Nothing is extracted, links and devices are ignored. Layout: torch 2.13 `torch/serialization.py`, `legacy_load`.
"""

import struct
from collections.abc import Mapping

from forensics.errors import MalformedError, TruncatedError
from forensics.formats.pickle_handlers import place_tensor
from forensics.formats.pickle_machine import Machine, Work
from forensics.formats.pickle_opcodes import Loaded, load
from forensics.formats.pickle_values import Name, Record, Storage, StoredTensor
from forensics.formats.torch_storages import Place, Storages, view_of
from forensics.formats.torch_zip import NOT_ADDRESSABLE
from forensics.storage.file import File

_BLOCK = 512
_MOST_HEADERS = 64
_MOST_DIMENSIONS = 64


def read_tar(file: File, work: Work, addressable: bool) -> tuple[Loaded, bool]:
    """Read a tar file; the second value tells whether it is whole. Raises `MalformedError`."""
    members = _members(file, work)
    if not {"storages", "tensors", "pickle"} <= members.keys():
        raise MalformedError("a tar archive, but not a legacy torch file (before 0.1.10)")
    storages = _read_storages(members["storages"], work, addressable)
    tensors = _read_tensors(members["tensors"], work, storages)

    def persistent(identifier: object) -> object:
        if isinstance(identifier, tuple) and identifier:
            return identifier[0]
        found = tensors.get(str(identifier)) if isinstance(identifier, str | int) else None
        return Record("persistent id", (identifier,)) if found is None else found

    return load(Machine(members["pickle"], work, persistent, addressable=addressable)), True


def _members(file: File, work: Work) -> dict[str, File]:
    members: dict[str, File] = {}
    position = 0
    for _ in range(_MOST_HEADERS):
        if position + _BLOCK > file.size:
            break
        header = file.read(position, _BLOCK)
        if header[257:262] != b"ustar":
            break
        try:
            size = int(header[124:136].strip(b"\0 ") or b"0", 8)
        except ValueError:
            raise MalformedError("a tar header whose size is no number") from None
        kind, name = header[156:157], header[:100].split(b"\0")[0].decode("latin-1")
        position += _BLOCK
        if kind in {b"0", b"\0"}:
            members[name.removeprefix("./")] = file.window(position, size)
        elif kind not in {b"x", b"g", b"5"}:
            work.note(f"tar: entry {name[:40]!r} is a link or a device; ignored")
        position += -(-max(size, 0) // _BLOCK) * _BLOCK
    return members


class _Sequence:
    """Pickles and packed integers one after the other in one member."""

    def __init__(self, file: File, work: Work) -> None:
        self.file, self.work, self.position = file, work, 0

    def pickle(self) -> object:
        loaded = load(Machine(self.file, self.work, start=self.position))
        if loaded.error is not None:
            raise loaded.error
        self.position = loaded.end
        return loaded.value

    def count(self) -> int:
        value = self.pickle()
        if type(value) is not int or not 0 <= value <= self.work.limits.tensors:
            raise MalformedError("tar: a number of tensors or storages that cannot be")
        return value

    def integers(self, count: int) -> tuple[int, ...]:
        packed = self.file.read(self.position, 8 * count)
        self.position += 8 * count
        return struct.unpack(f"<{count}q", packed)


def _read_storages(file: File, work: Work, addressable: bool) -> dict[str, Storage]:
    """Return storages by id, as text. Each: `(id, location, class)`, int64 elements, data; then views of them."""
    sequence = _Sequence(file, work)
    found: dict[str, Storage] = {}
    for _ in range(sequence.count()):
        entry = sequence.pickle()
        if not isinstance(entry, tuple) or len(entry) != 3:
            raise MalformedError("tar: an entry that is no storage")
        key, location, kind = entry
        (elements,) = sequence.integers(1)
        start = sequence.position

        def place(_key: str, size: int, start: int = start) -> Place:
            if start + size > file.size:
                raise TruncatedError(f"tar: a storage of {size} bytes does not fit into the file")
            return Place(file.base + start, size) if addressable else NOT_ADDRESSABLE

        made = Storages(work, place)(("storage", kind, str(key), location, elements))
        if not isinstance(key, str | int) or not isinstance(kind, Name) or not isinstance(made, Storage):
            raise MalformedError("tar: a bad storage")
        found[str(key)] = made
        sequence.position = start + made.declared_bytes
    _read_views(sequence, found)
    return found


def _read_views(sequence: _Sequence, found: dict[str, Storage]) -> None:
    if sequence.position >= sequence.file.size:
        return
    views = sequence.pickle()
    for view in views if isinstance(views, list) else []:
        if not isinstance(view, tuple) or len(view) != 4:
            raise MalformedError("tar: a bad storage view")
        key, root, offset, elements = view
        owner = found.get(str(root)) if isinstance(root, str | int) else None
        if owner is None or not isinstance(key, str | int) or type(offset) is not int or type(elements) is not int:
            raise MalformedError("tar: a bad storage view")
        if not 0 <= offset <= offset + elements <= owner.elements:
            raise MalformedError("tar: a bad storage view")
        found[str(key)] = view_of(owner, str(key), offset, elements)


def _read_tensors(file: File, work: Work, storages: Mapping[str, Storage]) -> dict[str, StoredTensor]:
    """Return tensors by id, as text.

    Each: `(id, storage id, class)`, int32 rank, 4 unused bytes, sizes, strides, storage offset (int64).
    """
    sequence = _Sequence(file, work)
    machine = Machine(file, work)
    found: dict[str, StoredTensor] = {}
    for _ in range(sequence.count()):
        entry = sequence.pickle()
        if not isinstance(entry, tuple) or len(entry) != 3 or not isinstance(entry[0], str | int):
            raise MalformedError("tar: an entry that is no tensor")
        rank = sequence.integers(1)[0] & 0xFFFFFFFF
        if rank > _MOST_DIMENSIONS:
            raise MalformedError(f"tar: a tensor with {rank} dimensions")
        numbers = sequence.integers(2 * rank + 1)
        storage = storages.get(str(entry[1])) if isinstance(entry[1], str | int) else None
        found[str(entry[0])] = place_tensor(machine, storage, numbers[-1], numbers[:rank], numbers[rank:-1])
    return found
