"""The files of one process: preallocated rings, a line a step, names and places, a capsule at the first NaN.

One `pwrite` a row: what the kernel has taken survives SIGKILL. No file is ever overwritten by another process;
the name holds rank, start second and process id.
"""

from __future__ import annotations

import io
import json
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from forensics.recorder.layout import LEAST_ROWS, LOG_BYTES, RING_ROWS, THIN_EVERY, ring_rows, row_dtype


def array_header(dtype: np.dtype[Any], rows: int) -> bytes:
    """Return the NumPy 1.0 header of an array of `rows` records."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (rows,)}
    )
    return head.getvalue()


EMPTY = bytes(8)
"""A `seq` of 0, which marks an empty slot."""


class Ring:
    """A .npy file of fixed size whose rows are written in turn."""

    def __init__(self, path: Path, dtype: np.dtype[Any], rows: int) -> None:
        head = array_header(dtype, rows)
        self.head, self.row_bytes, self.rows = len(head), dtype.itemsize, rows
        self.file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o644)
        try:
            # A full disk must fail here, not in step 4,000.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self.file, 0, self.head + self.row_bytes * rows)
            else:
                os.ftruncate(self.file, self.head + self.row_bytes * rows)
            os.pwrite(self.file, head, 0)
        except OSError:
            os.close(self.file)
            path.unlink()
            raise

    def write(self, index: int, raw: bytes) -> None:
        """Write a row that begins with its `seq`, which comes last: until then the slot is an empty one.

        Linux looks for SIGKILL between two pages of a write (`generic_perform_write`), so a row that crosses one may
        be left half written; eight aligned bytes never cross one.
        """
        place = self.head + index % self.rows * self.row_bytes
        if os.pwrite(self.file, EMPTY + raw[len(EMPTY) :], place) != len(raw):
            raise OSError("the row was cut while it was written")
        os.pwrite(self.file, raw[: len(EMPTY)], place)


class Files:
    """All files of one process; what fails is reported once by `failures` and left out from then on."""

    def __init__(self, folder: str, name: str, tensors: int) -> None:
        self.folder, self.name = Path(folder), name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.dtype = row_dtype(tensors)
        self.failures: list[str] = []
        rows = ring_rows(self.dtype.itemsize)
        try:
            self.ring, self.thin = self._rings(rows)
        except OSError as error:
            # A small ring is worth more than none; the second failure ends the recorder.
            self.failures.append(f"ring of {rows} rows: {error}; {LEAST_ROWS} rows instead")
            self.ring, self.thin = self._rings(LEAST_ROWS)
        self.logged = 0
        self.log: int | None = os.open(
            self.path(".steps.jsonl"),
            os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0),
            0o644,
        )

    def path(self, suffix: str) -> Path:
        return self.folder / (self.name + suffix)

    def _rings(self, rows: int) -> tuple[Ring, Ring]:
        ring = Ring(self.path(".ring.npy"), self.dtype, rows)
        try:
            return ring, Ring(self.path(".thin.npy"), self.dtype, min(rows, RING_ROWS))
        except OSError:
            os.close(ring.file)
            self.path(".ring.npy").unlink()
            raise

    def write_row(self, row: Any, *, ring: bool) -> None:
        """Write a record of `dtype`, whose `seq` counts from 1, with its check sum."""
        row["crc"] = 0
        row["crc"] = zlib.crc32(row.tobytes())
        raw, index = row.tobytes(), int(row["seq"]) - 1
        if ring:
            self.ring.write(index, raw)
        if index % THIN_EVERY == 0:
            self.thin.write(index // THIN_EVERY, raw)

    def write_line(self, index: int, line: dict[str, Any]) -> None:
        """Append a line to steps.jsonl; when that fails, the log ends and the rings go on."""
        if self.log is None or (self.logged > LOG_BYTES and index % THIN_EVERY):
            return
        raw = (json.dumps({key: value for key, value in line.items() if value is not None}) + "\n").encode()
        try:
            self.logged += written(self.log, raw)
        except OSError as error:
            self.failures.append(f"steps.jsonl: {error}; the ring goes on")
            self.log = None

    def write_whole(self, suffix: str, raw: bytes) -> None:
        """Write a file under another name and rename it, so that it is never seen half."""
        half = self.path(suffix + ".tmp")
        half.write_bytes(raw)
        half.replace(self.path(suffix))

    def write_json(self, suffix: str, value: Any) -> None:
        self.write_whole(suffix, json.dumps(value).encode())

    def close(self) -> None:
        for file in (self.ring.file, self.thin.file, self.log):
            if file is not None:
                os.close(file)


def written(file: int, raw: bytes) -> int:
    """Write all of `raw` in one call, or raise OSError."""
    if os.write(file, raw) != len(raw):
        raise OSError("the line was cut while it was written")
    return len(raw)


def safetensors(arrays: dict[str, Any]) -> bytes:
    """Return int64 and uint8 arrays as a safetensors file."""
    head: dict[str, Any] = {}
    blobs: list[bytes] = []
    start = 0
    for name, array in arrays.items():
        blobs.append(np.ascontiguousarray(array).tobytes())
        end = start + len(blobs[-1])
        kind = "I64" if array.dtype == np.int64 else "U8"
        head[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [start, end]}
        start = end
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(blobs)
