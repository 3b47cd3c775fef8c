"""Files of `torch.save` since 1.6: a zip archive of `data.pkl` and one stored record a storage.

A file that was cut off has no directory. Its `data.pkl` comes first, so the local headers still tell where the
storages begin, and the pickle how long they are (torch writes sizes behind the data, in a descriptor).
Layout: torch 2.13 `torch/serialization.py` (`_save`, `_load`) and `caffe2/serialize/inline_container.cc`.
"""

import zlib
from collections.abc import Mapping

from forensics.errors import MalformedError
from forensics.formats.pickle_machine import Machine, Work
from forensics.formats.pickle_opcodes import Loaded, load
from forensics.formats.torch_storages import Place, Storages
from forensics.formats.zip_index import (
    DESCRIPTOR_SIGNATURE,
    LOCAL_SIGNATURE,
    STORED,
    Entry,
    ZipIndex,
    local_header,
    read_entry,
    read_index,
)
from forensics.storage.file import File

_PICKLE = "data.pkl"
_SEARCH_BYTES = 4096
_MISSING = Place(problem="no data record in the file")
_CUT_OFF = Place(problem="cut off: its bytes are not in the file")
NOT_ADDRESSABLE = Place(problem="inside a pickle that is packed or encoded: its bytes are not read")


def read_zip(file: File, work: Work, addressable: bool) -> tuple[Loaded, bool]:
    """Read a torch zip; the second value tells whether it is whole.

    Raises `MalformedError` (or one of its family) when it holds no readable `data.pkl`.
    """
    try:
        index = read_index(file, work.limits)
    except MalformedError as error:
        header = local_header(file, 0)
        if header is None or not is_pickle_name(header.name) or header.method != STORED:
            raise
        work.note(str(error))
        return _salvage(file, work, addressable, header.data, header.name), False
    for problem in index.problems:
        work.note(problem)
    entry = _find_pickle(index, work)
    prefix = entry.name.removesuffix(_PICKLE)
    if f"{prefix}constants.pkl" in index.entries or any(n.startswith(f"{prefix}code/") for n in index.entries):
        work.note("a TorchScript archive: it holds code, which is not run")
    placed = _Records(file, index, prefix, addressable, _foreign_byte_order(file, index, prefix))
    inner, direct = _open_pickle(file, entry, work)
    machine = Machine(inner, work, Storages(work, placed), addressable=addressable and direct)
    return load(machine), True


def is_pickle_name(name: str) -> bool:
    return name == _PICKLE or (name.endswith("/" + _PICKLE) and name.count("/") == 1)


def _find_pickle(index: ZipIndex, work: Work) -> Entry:
    found = [entry for name, entry in index.entries.items() if is_pickle_name(name)]
    if not found:
        names = list(index.entries)[:50]
        numpy = " (a numpy .npz file)" if names and all(name.endswith(".npy") for name in names) else ""
        reason = f" ({index.problems[0]})" if index.problems else numpy
        raise MalformedError(f"a zip archive without {_PICKLE}{reason}")
    if len(found) > 1:
        work.lose(f"zip: several {_PICKLE}; the first counts")
    return found[0]


def _open_pickle(file: File, entry: Entry, work: Work) -> tuple[File, bool]:
    """Return the pickle as a file, and whether it lies in `file` byte for byte."""
    if entry.method != STORED:
        work.note(f"zip: {_PICKLE} is compressed, which torch.save never does")
        return File.of_bytes(read_entry(file, entry, work.limits.pickle_bytes), file.path), False
    if entry.stored != entry.size:
        raise MalformedError(f"{_PICKLE} is stored, but its two sizes differ")
    inner = file.window(entry.offset, entry.stored)
    if entry.stored <= work.limits.pickle_bytes and entry.checksum:
        checksum = 0
        for block in inner.blocks():
            checksum = zlib.crc32(block, checksum)
        if checksum != entry.checksum:
            work.note(f"{_PICKLE} does not match its checksum: its bytes changed after they were written")
    return inner, True


def _foreign_byte_order(file: File, index: ZipIndex, prefix: str) -> bool:
    entry = index.entries.get(f"{prefix}byteorder")
    if entry is None:
        return False  # torch < 2.1 did not write it; those files are little-endian in practice
    return entry.method != STORED or entry.stored > 16 or file.read(entry.offset, entry.stored) != b"little"


class _Records:
    """Places storages at the records of the directory."""

    def __init__(self, file: File, index: ZipIndex, prefix: str, addressable: bool, foreign: bool) -> None:
        self.file, self.index, self.prefix = file, index, prefix
        self.addressable, self.foreign = addressable, foreign

    def __call__(self, key: str, size: int) -> Place:
        entries = self.index.entries
        entry = entries.get(f"{self.prefix}data/{key}") or entries.get(f"{self.prefix}tensors/{key}")
        if entry is None:
            return _MISSING
        if not self.addressable:
            return NOT_ADDRESSABLE
        if self.foreign:
            return Place(problem="the file's byte order is not little: values are not read")
        if entry.method != STORED or entry.stored != entry.size:
            return Place(problem="its storage record is compressed")
        offset = self.file.base + entry.offset
        if entry.stored < size:
            return Place(offset, entry.stored, f"its record has {entry.stored} of {size} bytes")
        return Place(offset, size)


# -- files without a directory --------------------------------------------------------------------------------


def _salvage(file: File, work: Work, addressable: bool, start: int, name: str) -> Loaded:
    """Read the pickle once to learn the storages, find them, and read it again with their places."""
    before = len(work.tensors)
    storages = Storages(work, lambda _key, _size: _CUT_OFF if addressable else NOT_ADDRESSABLE)
    first = load(Machine(file, work, storages, start, addressable))
    if first.error is not None or not addressable:
        return first
    sizes = {key: storage.declared_bytes for key, storage in storages.by_key.items()}
    places = _follow_headers(file, first.end, name.removesuffix(_PICKLE), sizes, work.limits.zip_entries)
    del work.tensors[before:]
    return load(Machine(file, work, Storages(work, lambda key, _size: places.get(key, _CUT_OFF)), start))


def _follow_headers(file: File, position: int, prefix: str, sizes: Mapping[str, int], most: int) -> dict[str, Place]:
    """Walk from local header to local header and return the places of the storages met."""
    places: dict[str, Place] = {}
    for _ in range(most):
        found = _next_header(file, position)
        header = None if found is None else local_header(file, found)
        if header is None:
            break
        key = header.name.removeprefix(f"{prefix}data/")
        if key == header.name or key not in sizes or key in places:
            position = header.data
            continue
        size = sizes[key]
        present = min(size, file.size - header.data)
        if present < size:
            places[key] = Place(file.base + header.data, present, f"cut off: {present} of {size} bytes are there")
            break
        if not _ends_well(file, header.data + size, size, header.descriptor):
            places[key] = Place(problem="damaged: its end is missing or overwritten")
            break
        places[key] = Place(file.base + header.data, size)
        position = header.data + size
    return places


def _next_header(file: File, position: int) -> int | None:
    ahead = file.read(position, min(_SEARCH_BYTES, file.size - position))
    at = ahead.find(LOCAL_SIGNATURE)
    return None if at < 0 else position + at


def _ends_well(file: File, end: int, size: int, descriptor: bool) -> bool:
    """Whether what follows a record's data, as far as it is there, is what a zip writer puts there."""
    following = file.read(end, min(12, file.size - end))
    if not descriptor:
        return b"PK".startswith(following[:2])
    if not DESCRIPTOR_SIGNATURE.startswith(following[:4]):
        return False
    return len(following) < 12 or following[8:12] == (size & 0xFFFFFFFF).to_bytes(4, "little")
