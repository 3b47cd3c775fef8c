"""The checksums that a zip archive keeps of its entries: torch writes them and does not look at them again.

`torch.save` stores a CRC-32 of every record (torch 2.13 `torch/serialization.py`, `get_crc32_options`);
`torch.load` checks none, so that a bit that flipped on disk or in a copy is loaded as if it had been trained.
"""

from bisect import bisect_left
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
    paths = checkpoint.tensors.files
    for path in paths:
        location = root / path
        if isinstance(location, RemotePath):
            continue
        try:
            with File(location) as file:
                if file.head(2) != b"PK":
                    continue
                index = read_index(file)
                damaged = damaged_entries(
                    file, index, budget // len(paths), _entries_at(index, _odd_places(checkpoint, path))
                )
        except (ForensicsError, OSError):
            continue  # The scan tells which file could not be read.
        if damaged:
            yield Problem(
                "damaged", _told(path, damaged, _places(checkpoint, path)), Source(path, damaged[0].entry.name)
            )


def _places(checkpoint: Checkpoint, path: str) -> Mapping[int, str]:
    """Return the tensors of a file by the offset of their first byte in it."""
    held, found = checkpoint.tensors, dict[int, str]()
    for row in held.in_files({path}).tolist():
        for piece in held.pieces(row):
            if piece.path == path:
                found.setdefault(piece.offset, held.names[row])
    return found


def _odd_places(checkpoint: Checkpoint, path: str) -> list[int]:
    """Return where in a file those tensors lie that hold what few do."""
    if checkpoint.table is None:
        return []
    held = checkpoint.tensors
    rows = np.intersect1d(held.in_files({path}), np.flatnonzero(_odd(checkpoint.table)), assume_unique=True)
    return [piece.offset for row in rows.tolist() for piece in held.pieces(row) if piece.path == path]


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
