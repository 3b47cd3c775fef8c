"""The storages that a torch file's persistent ids stand for, and where their bytes lie."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from forensics.deferred.records import dataclass
from forensics.formats.pickle_machine import Work
from forensics.formats.pickle_values import DTYPE_BYTES, STORAGE_DTYPES, UNKNOWN_OFFSET, Name, Record, Storage

LARGEST_COUNT = 1 << 62


@dataclass(frozen=True, slots=True)
class Place:
    """Where a storage lies: absolute byte offset (-1 = nowhere), bytes that are there, and what is wrong."""

    offset: int = UNKNOWN_OFFSET
    nbytes: int = 0
    problem: str | None = None


Placer: TypeAlias = Callable[[str, int], Place]
"""From a storage's key and its declared size in bytes to its place."""


class Storages:
    """Turns persistent ids into storages; one object for each key, in the order of first use.

    The id is `("storage", class, key, location, elements)`; legacy files add a view of a root storage,
    `(key, offset, elements)` or None (torch 2.13 `torch/serialization.py`, `persistent_id` of `_save` and
    `_legacy_save`). What is no such tuple becomes a `Record`: nothing raises.
    """

    def __init__(self, work: Work, place: Placer) -> None:
        self.work = work
        self.place = place
        self.by_key: dict[str, Storage] = {}

    def __call__(self, identifier: object) -> object:
        if isinstance(identifier, tuple) and len(identifier) >= 5 and identifier[0] == "storage":
            found = self._storage(*identifier[1:5])
            if found is None:
                self.work.lose("a bad storage: type, key or number of elements cannot be")
                return Record("refused storage", (identifier,))
            view = identifier[5] if len(identifier) > 5 else None
            return found if view is None else self._view(found, view)
        if isinstance(identifier, tuple) and len(identifier) >= 2 and identifier[0] == "module":
            self.work.note("a persistent id that brings source code along: not looked at")
            return identifier[1]
        self.work.note("an unknown persistent id")
        return Record("persistent id", (identifier,))

    def _storage(self, kind: object, key: object, location: object, elements: object) -> Storage | None:
        if not isinstance(kind, Name) or not kind.text.startswith("torch."):
            return None
        dtype = STORAGE_DTYPES.get(kind.text.rpartition(".")[2])
        if dtype is None or type(key) is not str or type(elements) is not int:
            return None
        if not 0 <= elements < LARGEST_COUNT:
            return None
        known = self.by_key.get(key)
        if known is not None:
            if known.dtype == dtype and known.elements == elements:
                return known
            self.work.note(f"storage {key[:40]!r} is declared twice, as different types or sizes")
            return replace(
                known,
                dtype=dtype,
                elements=elements,
                offset=UNKNOWN_OFFSET,
                problem="its storage is declared twice",
            )
        place = self.place(key, elements * DTYPE_BYTES[dtype])
        made = Storage(
            key,
            dtype,
            location if isinstance(location, str) else "",
            elements,
            place.offset,
            place.nbytes,
            place.problem,
        )
        self.by_key[key] = made
        return made

    def _view(self, root: Storage, view: object) -> object:
        """Return the storage that is a part of `root` (torch < 0.4 saved such)."""
        if isinstance(view, tuple) and len(view) == 3:
            key, offset, elements = view
            if (
                isinstance(key, str)
                and type(offset) is int
                and type(elements) is int
                and 0 <= offset <= offset + elements <= root.elements
                and elements >= 0
            ):
                return view_of(root, key, offset, elements)
        self.work.lose("a bad storage view: it lies outside of its storage")
        return Record("refused storage view", (view,))


def view_of(root: Storage, key: str, offset: int, elements: int) -> Storage:
    """Return `elements` elements of `root` from element `offset`, which must lie inside."""
    width = DTYPE_BYTES[root.dtype]
    return replace(
        root,
        key=key,
        elements=elements,
        offset=root.offset + offset * width if root.offset >= 0 else UNKNOWN_OFFSET,
        nbytes=max(0, min(root.nbytes - offset * width, elements * width)),
    )
