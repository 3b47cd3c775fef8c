"""Files of `torch.save` before 1.6 (or `_use_new_zipfile_serialization=False`): pickles, then raw storages.

Magic number, protocol version, system information, the object, the list of storage keys; then for each key an
int64 number of elements and the data. Layout: torch 2.13 `torch/serialization.py`, `_legacy_save`.
"""

import struct

from forensics.formats.pickle_machine import Machine, Work
from forensics.formats.pickle_opcodes import Loaded, load
from forensics.formats.pickle_values import Storage
from forensics.formats.torch_storages import Place, Storages
from forensics.formats.torch_zip import NOT_ADDRESSABLE
from forensics.storage.file import File

MAGIC = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
_NOT_THERE = Place(problem="cut off: its bytes are not in the file")
_COUNT_BYTES = 8


def read_legacy(file: File, work: Work, addressable: bool) -> tuple[Loaded, bool]:
    """Read a legacy file; the second value tells whether it is whole.

    Raises a `MalformedError` when the headers in front of the object are broken.
    """
    position = 0
    header: list[object] = []
    for _ in range(3):
        loaded = load(Machine(file, work, start=position))
        if loaded.error is not None:
            raise loaded.error
        header.append(loaded.value)
        position = loaded.end
    before = len(work.tensors)
    outside = _NOT_THERE if addressable else NOT_ADDRESSABLE
    storages = Storages(work, lambda _key, _size: outside)
    first = load(Machine(file, work, storages, position, addressable))
    if first.error is not None:
        return first, False
    information = header[2]
    if isinstance(information, dict) and information.get("little_endian") is False:
        work.note("the file's byte order is not little: values are not read")
        return first, True
    keys = load(Machine(file, work, start=first.end))
    if keys.error is not None:
        work.note(f"the list of storages is broken: {keys.error}")
        return first, False
    places, whole = _places(file, keys, storages.by_key, work)
    if not addressable:
        return first, whole
    # Offsets are known only now: the object is built a second time, with them.
    del work.tensors[before:]
    placed = Storages(work, lambda key, _size: places.get(key, _NOT_THERE))
    return load(Machine(file, work, placed, position, addressable)), whole


def _places(file: File, keys: Loaded, storages: dict[str, Storage], work: Work) -> tuple[dict[str, Place], bool]:
    """Return where each storage lies, and whether all that are used are there."""
    position = keys.end
    places: dict[str, Place] = {}
    for value in keys.value if isinstance(keys.value, list) else []:
        key = str(value) if isinstance(value, str | int) else ""
        storage = storages.get(key)
        if storage is None or key in places:
            work.lose("the list of storages names one that nothing uses, or one twice")
            break
        if position + _COUNT_BYTES > file.size:
            break
        (count,) = struct.unpack("<q", file.read(position, _COUNT_BYTES))
        position += _COUNT_BYTES
        if count != storage.elements:
            problem = f"the storage has {storage.elements} elements, its data says {count}"
            places[key] = Place(problem=problem)
            break
        size = storage.declared_bytes
        present = min(size, file.size - position)
        problem_or_none = None if present == size else f"cut off: {present} of {size} bytes are there"
        places[key] = Place(file.base + position, present, problem_or_none)
        position += present
    return places, all(key in places and places[key].problem is None for key in storages)
