"""fp32 master weights against the 16-bit copies that were saved with them.

A mixed-precision optimizer ends each step by rounding its masters to the copies (DeepSpeed `stage_1_and_2.py`,
`step`; `bf16_optimizer.py`, `update_lp_params`; torch rounds to nearest even). A copy that is no rounding of its
master is of another step, or one of the two files is damaged.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from forensics.deferred.records import dataclass
from forensics.errors import ForensicsError
from forensics.formats.dtypes import Bytes
from forensics.model import Checkpoint, Problem, Source, TensorRecord
from forensics.storage.locations import Root
from forensics.weights.precision import rounded_bits
from forensics.weights.reading import Files, extents

BLOCK_ELEMENTS = 1 << 18
BUDGET_BYTES = 2 << 30
"""What is compared of a series of checkpoints; of larger ones the beginning of every tensor."""
SHOWN = 3


@dataclass(slots=True)
class _Sums:
    looked_at: int = 0
    differing: int = 0
    nan_in_master: int = 0
    nan_in_copy: int = 0


def judge_masters(root: Root, checkpoint: Checkpoint, budget: int = BUDGET_BYTES) -> Iterator[Problem]:
    """Yield where 16-bit weights are not their fp32 masters rounded to nearest even, in up to `budget` bytes."""
    held = checkpoint.tensors
    masters = held.roles.among({"master"})
    pairs = list(_pairs(list(held.only(masters | held.roles.among({"weight"}))))) if masters.any() else []
    if not pairs:
        return
    each = max(budget // (6 * len(pairs)), 1024)
    files = Files(root)
    total, names = _Sums(), []
    for master, copy in pairs:
        try:
            one = _compare(files, master, copy, min(master.elements, each))
        except (ForensicsError, OSError):
            continue  # The scan tells which file could not be read.
        if one.differing:
            names.append(copy.name)
        for field in ("looked_at", "differing", "nan_in_master", "nan_in_copy"):
            setattr(total, field, getattr(total, field) + getattr(one, field))
    files.close()
    yield from _problems(checkpoint, total, names)


def _pairs(records: Sequence[TensorRecord]) -> Iterator[tuple[TensorRecord, TensorRecord]]:
    copies = {r.name: r for r in records if r.role == "weight" and r.dtype in {"BF16", "F16"} and r.strides is None}
    for record in records:
        copy = copies.get(record.name)
        if record.role != "master" or record.dtype != "F32" or record.strides is not None or copy is None:
            continue
        if record.alias_of is None and copy.elements == record.elements and record.elements:
            yield record, copy


def _compare(files: Files, master: TensorRecord, copy: TensorRecord, elements: int) -> _Sums:
    sums = _Sums()
    for first in range(0, elements, BLOCK_ELEMENTS):
        stop = min(first + BLOCK_ELEMENTS, elements)
        exact = _read(files, master, 4 * first, 4 * stop).view("<f4")
        stored = _read(files, copy, 2 * first, 2 * stop).view("<u2")
        expected = rounded_bits(exact, copy.dtype)
        empty = np.isnan(exact)
        other = _is_nan(stored, copy.dtype)
        sums.looked_at += stop - first
        sums.nan_in_master += int(np.count_nonzero(empty & ~other))
        sums.nan_in_copy += int(np.count_nonzero(other & ~empty))
        # -0 and 0 are one number; which NaN it is does not matter.
        unequal = (expected != stored) & ~(empty & other) & (((expected | stored) & 0x7FFF) != 0)
        sums.differing += int(np.count_nonzero(unequal))
    return sums


def _is_nan(
    bits: "np.ndarray[tuple[int, ...], np.dtype[np.uint16]]", dtype: str
) -> "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]":
    infinity = 0x7F80 if dtype == "BF16" else 0x7C00
    return np.asarray((bits & 0x7FFF) > infinity, dtype=bool)


def _read(files: Files, record: TensorRecord, first: int, stop: int) -> Bytes:
    raw = np.empty(stop - first, dtype=np.uint8)
    done = 0
    for path, offset, size in extents(record.pieces, first, stop):
        with files.borrow(path) as file:
            file.read_into(offset, raw.data[done : done + size])
        done += size
    return raw


def _problems(checkpoint: Checkpoint, total: _Sums, names: Sequence[str]) -> Iterator[Problem]:
    source = Source(checkpoint.path)
    shown = ", ".join(names[:SHOWN])
    if total.nan_in_master or total.nan_in_copy:
        where = "fp32 masters" if total.nan_in_master >= total.nan_in_copy else "16-bit copies"
        count = max(total.nan_in_master, total.nan_in_copy)
        yield Problem(
            "suspicious",
            f"{count:,} elements are NaN in the {where} only ({shown}): one of the two is of another step",
            source,
        )
    ordinary = total.differing - total.nan_in_master - total.nan_in_copy
    if ordinary > 0:
        yield Problem(
            "suspicious",
            f"{ordinary:,} of {total.looked_at:,} elements looked at ({100 * ordinary / total.looked_at:.3g} %) of "
            "the 16-bit weights are not their fp32 masters rounded to nearest even, in "
            f"{len(names)} tensors ({shown}): the two were not saved after the same step",
            source,
        )
