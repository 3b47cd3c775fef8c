"""The checksums that a zip archive keeps of its entries: torch writes them and does not look at them again.

`torch.save` stores a CRC-32 of every record (torch 2.13 `torch/serialization.py`, `get_crc32_options`);
`torch.load` checks none, so that a bit that flipped on disk or in a copy is loaded as if it had been trained.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping

import numpy as np

from forensics.errors import ForensicsError
from forensics.formats.zip_index import Damage, ZipIndex, damaged_entries, read_index
from forensics.model import Checkpoint, Problem, Source, TensorTable
from forensics.storage.file import File
from forensics.storage.locations import RemotePath, Root

SHOWN = 3


def judge_checksums(root: Root, checkpoint: Checkpoint, budget: int) -> Iterator[Problem]:
    """Yield the files of which entries do not match their CRC-32, in up to `budget` bytes.

    Entries that hold a tensor with NaN, Inf or nothing but zeros come first, then the smallest. Files in a store are
    left out: they would be fetched twice.
    """
    places = _places(checkpoint)
    odd = _odd_places(checkpoint)
    for path, held in places.items():
        location = root / path
        if isinstance(location, RemotePath):
            continue
        try:
            with File(location) as file:
                if file.head(2) != b"PK":
                    continue
                index = read_index(file)
                damaged = damaged_entries(file, index, budget // len(places), _entries_at(index, odd[path]))
        except (ForensicsError, OSError):
            continue  # The scan tells which file could not be read.
        if damaged:
            yield Problem("damaged", _told(path, damaged, held), Source(path, damaged[0].entry.name))


def _places(checkpoint: Checkpoint) -> Mapping[str, dict[int, str]]:
    """Return the tensors by file and offset of their first byte in it."""
    found: dict[str, dict[int, str]] = defaultdict(dict)
    for record in checkpoint.records:
        for piece in record.pieces:
            found[piece.path].setdefault(piece.offset, record.name)
    return found


def _odd_places(checkpoint: Checkpoint) -> Mapping[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    if checkpoint.table is not None:
        for row in np.flatnonzero(_odd(checkpoint.table)).tolist():
            for piece in checkpoint.records[row].pieces:
                found[piece.path].append(piece.offset)
    return found


def _odd(table: TensorTable) -> "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]":
    return np.asarray((table.nan > 0) | (table.infinite > 0) | table.all_zero, dtype=bool)


def _entries_at(index: ZipIndex, offsets: list[int]) -> frozenset[str]:
    ordered = sorted(offsets)
    return frozenset(
        name
        for name, entry in index.entries.items()
        if bisect_left(ordered, entry.offset) < bisect_left(ordered, entry.offset + entry.stored)
    )


def _told(path: str, damaged: tuple[Damage, ...], held: Mapping[int, str]) -> str:
    parts = []
    for damage in damaged[:SHOWN]:
        entry = damage.entry
        inside = [name for at, name in held.items() if entry.offset <= at < entry.offset + entry.stored]
        whose = f" ({inside[0]})" if inside else ""
        parts.append(f"{entry.name[:60]}{whose}, stored {entry.checksum:08x}, computed {damage.computed:08x}")
    more = f" and {len(damaged) - SHOWN:,} more entries" if len(damaged) > SHOWN else ""
    return f"{path}: CRC mismatch in {'; '.join(parts)}{more}: the bytes changed after they were written"
