"""The record of `forensics.recorder`: what each process measured at each step."""

import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

import numpy as np

from forensics.deferred.records import dataclass
from forensics.errors import ForensicsError, LimitError, MalformedError, UnreadableError
from forensics.formats.lenient_json import load, parse
from forensics.formats.text import number, numbered_lines
from forensics.limits import Limits
from forensics.model import Artifact, Fact, Floats, Precision, Recording, Samples, Setting, Skip, Standing
from forensics.names import GRAD_NORM, LEARNING_RATE, LOSS, LOSS_SCALE, RECORDED
from forensics.plugin import reader
from forensics.recorder.layout import COLUMNS, FORMAT, VERSION, row_dtype
from forensics.storage.file import File

NAME = r"(?:^|/)rank\d{5}-\d+-\d+\.(?:meta\.json|ring\.npy|thin\.npy|steps\.jsonl|capsule\.(?:json|safetensors))$"
META = ".meta.json"
RING_BYTES = 512 << 20
MOST_TENSORS = 200_000
Rows: TypeAlias = np.ndarray[tuple[int], np.dtype[np.void]]


@dataclass(frozen=True, slots=True)
class Line:
    """What of a line of steps.jsonl is used."""

    loss: float
    bad: bool
    scale: float
    rate: float
    time: float
    ids: tuple[str, ...]


@reader(
    "blackbox",
    match=(NAME,),
    alone=True,
    tested="forensics.recorder under torch 2.13, DeepSpeed 0.12.5 and 0.19.8, transformers",
)
def blackbox(artifact: Artifact) -> Iterator[Fact]:
    """Black box of a process (docs/blackbox.md): gradients before and after the reduction, updates, data.

    Files beside `meta.json` are read with it.
    """
    if not artifact.path.endswith(META):
        if not _there(_beside(artifact, META)):
            yield Skip(artifact.path, "its meta.json is missing, which says what the columns are")
        return
    with File(artifact.location) as file:
        meta = load(file, artifact.limits).value
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        yield Skip(artifact.path, "no record of the black box")
        return
    if meta.get("version") != VERSION or meta.get("columns") != list(COLUMNS):
        yield Skip(artifact.path, f"version {meta.get('version')} of the format; version {VERSION} is read")
        return
    lines: dict[int, Line] = {}
    try:
        lines = _lines(_beside(artifact, ".steps.jsonl"))
    except ForensicsError as error:
        yield Skip(artifact.path.replace(META, ".steps.jsonl"), str(error))
    rows, skips = _rows(artifact, meta)
    yield from skips
    recording = _recording(artifact, meta, rows, lines)
    yield recording
    if recording.rank == 0:
        yield from _samples(recording, lines, artifact)
    yield from _settings(meta, artifact)


def _beside(artifact: Artifact, suffix: str) -> Artifact:
    name = artifact.path.rpartition("/")[2]
    return replace(artifact, path=str(PurePosixPath(artifact.path).with_name(name.split(".")[0] + suffix)))


def _there(artifact: Artifact) -> bool:
    place = artifact.location
    return isinstance(place, Path) and place.exists()


def _rows(artifact: Artifact, meta: dict[str, Any]) -> tuple[Rows, list[Skip]]:
    """Return the sound rows of both rings in the order they were written, each once."""
    tensors = meta.get("tensors")
    if not isinstance(tensors, list) or not 0 < len(tensors) <= MOST_TENSORS:
        raise MalformedError(f"{artifact.path} names no tensors")
    dtype = row_dtype(len(tensors))
    found, skips = [], []
    for suffix in (".ring.npy", ".thin.npy"):
        place = _beside(artifact, suffix)
        try:
            rows, torn = _ring(place, dtype)
        except ForensicsError as error:
            # The thin ring only lengthens the history.
            if suffix == ".ring.npy" or not isinstance(error, UnreadableError):
                skips.append(Skip(place.path, str(error)))
            continue
        found.append(rows)
        if torn:
            skips.append(Skip(place.path, f"{torn} rows do not match their check sum"))
    if not found:
        return np.zeros(0, dtype), skips
    rows = np.concatenate(found)
    _, first = np.unique(rows["seq"], return_index=True)
    return rows[first], skips


def _ring(place: Artifact, dtype: np.dtype[Any]) -> tuple[Rows, int]:
    """Return the rows of a ring whose check sum is right, and how many are not."""
    with File(place.location) as file:
        head = file.read(0, min(file.size, 10))
        if head[:8] != b"\x93NUMPY\x01\x00":
            raise MalformedError(f"{place.path} is no NumPy array of version 1.0")
        start = 10 + int.from_bytes(head[8:10], "little")
        described = file.read(10, start - 10)
        # The header is compared with the one that such rows have, not evaluated.
        if f"'descr': {np.lib.format.dtype_to_descr(dtype)!r}".encode() not in described:
            raise MalformedError(f"{place.path} has other columns than its meta.json")
        size = (file.size - start) // dtype.itemsize * dtype.itemsize
        if size > RING_BYTES:
            raise LimitError(f"{place.path} has {size:,} bytes of rows, more than {RING_BYTES:,}")
        rows = np.frombuffer(file.read(start, size), dtype)
    rows = rows[rows["seq"] > 0]
    bare = rows.copy()
    bare["crc"] = 0
    sound = np.array([zlib.crc32(row.tobytes()) for row in bare], dtype=np.uint32) == rows["crc"]
    return rows[sound], int((~sound).sum())


def _lines(place: Artifact) -> dict[int, Line]:
    """Return the lines by step; one that is cut, as the last may be, is left out."""
    found: dict[int, Line] = {}
    with File(place.location) as file:
        for _, text in numbered_lines(file, place.limits.small_file_bytes):
            line = _line(text, place.limits)
            if line is not None:
                found[line[0]] = line[1]
    return found


def _line(text: bytes, limits: Limits) -> tuple[int, Line] | None:
    try:
        document = parse(text, limits)
    except MalformedError:
        return None
    row = document.value
    if not isinstance(row, dict) or document.broken_at is not None or not isinstance(row.get("step"), int):
        return None
    rates, sums = row.get("lr"), row.get("ids_crc")
    ids = tuple(str(s) for s in sums) if isinstance(sums, list) else ()
    rate = max((_real(r) for r in rates), default=np.nan) if isinstance(rates, list) else np.nan
    loss = _real(row.get("loss"))
    bad = "loss" in row and not np.isfinite(loss)
    return row["step"], Line(loss, bad, _real(row.get("loss_scale")), rate, _real(row.get("time")), ids)


def _real(value: object) -> float:
    if isinstance(value, str):
        read = number(value.encode()[:40])
        return np.nan if read is None else read
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else np.nan


def _recording(artifact: Artifact, meta: dict[str, Any], rows: Rows, lines: dict[int, Line]) -> Recording:
    tensors = [t if isinstance(t, dict) else {} for t in meta["tensors"]]
    steps = rows["step"].astype(np.int64)
    nothing = Line(np.nan, False, np.nan, np.nan, np.nan, ())
    known = [lines.get(step, nothing) for step in steps.tolist()]
    order = [i for i in meta.get("backward_order") or [] if isinstance(i, int) and 0 <= i < len(tensors)]
    probes = [p if isinstance(p, list) and len(p) == 2 else [1, 0] for p in (t.get("probe") for t in tensors)]
    capsule = _beside(artifact, ".capsule.safetensors")
    return Recording(
        path=artifact.path,
        rank=_whole(meta, "rank"),
        world=max(1, _whole(meta, "world")),
        start=_real(meta.get("start")),
        kind=str(meta.get("kind")),
        reduced_read=str(meta.get("reduced_read")),
        accumulates=bool(meta.get("accumulates")),
        names=tuple(str(t.get("name")) for t in tensors),
        dtypes=tuple(str(t.get("dtype")) for t in tensors),
        probes=np.array(probes, dtype=np.int64).reshape(-1, 2),
        order=np.array(list(dict.fromkeys(order)), dtype=np.int64),
        steps=steps,
        rows=rows["seq"].astype(np.int64),
        flags=rows["flags"].astype(np.int64),
        values=rows["x"][:, :, :7],
        marks=np.nan_to_num(rows["x"][:, :, 7]).astype(np.int64),
        hashes=rows["hash"].astype(np.int64),
        losses=np.array([line.loss for line in known], dtype=np.float64),
        bad_losses=np.array([line.bad for line in known], dtype=bool),
        scales=np.array([line.scale for line in known], dtype=np.float64),
        rates=np.array([line.rate for line in known], dtype=np.float64),
        batches={step: line.ids for step, line in sorted(lines.items()) if line.ids},
        capsule=capsule.path if _there(capsule) else "",
        optimizer=str(meta.get("optimizer") or ""),
    )


def _whole(meta: dict[str, Any], key: str) -> int:
    value = meta.get(key)
    return value if isinstance(value, int) and 0 <= value < 1 << 31 else 0


def _samples(recording: Recording, lines: dict[int, Line], artifact: Artifact) -> Iterator[Samples]:
    """Yield the metrics of rank 0 under names of their own: assembling takes them where a run has no others."""
    steps = np.array(list(lines), dtype=np.int64)
    path, place = artifact.path.replace(META, ".steps.jsonl"), "line {}"
    records = np.arange(1, len(steps) + 1, dtype=np.int64)
    times = np.array([line.time for line in lines.values()], dtype=np.float64)
    columns = {
        LOSS: [line.loss for line in lines.values()],
        LEARNING_RATE: [line.rate for line in lines.values()],
        LOSS_SCALE: [line.scale for line in lines.values()],
    }
    for name, column in columns.items():
        values = np.array(column, dtype=np.float64)
        if len(values) and (name == LOSS or not np.isnan(values).all()):
            yield Samples(RECORDED[name], steps, values, records, path, place, Precision.DOUBLE, times)
    norms = _norms(recording)
    if norms is not None:
        rows = recording.rows
        ring = artifact.path.replace(META, ".ring.npy")
        yield Samples(RECORDED[GRAD_NORM], recording.steps, norms, rows, ring, "row {}", Precision.SINGLE)


def _norms(recording: Recording) -> Floats | None:
    """Return the norm of the whole gradient at each row, before clipping; None where this rank has only shards."""
    if not len(recording) or recording.kind not in {"single", "replicated"}:
        return None
    side = "local" if recording.kind == "single" else "reduced"
    if not recording.seen(side).any(axis=1).all():
        return None
    with np.errstate(all="ignore"):
        norms = np.sqrt(np.square(recording.length(side), dtype=np.float64).sum(axis=1))
        return np.asarray(norms / np.where(np.isnan(recording.scales), 1.0, recording.scales), dtype=np.float64)


def _settings(meta: dict[str, Any], artifact: Artifact) -> Iterator[Setting]:
    source = artifact.at()
    versions = meta.get("versions")
    for name, version in sorted(versions.items()) if isinstance(versions, dict) else ():
        if isinstance(version, str):
            yield Setting("package", str(name), version, source, Standing.RECORDED)
    yield Setting("setting", "world_size", max(1, _whole(meta, "world")), source, Standing.RECORDED)
    arguments = meta.get("arguments")
    for name in ("bf16", "fp16"):
        if isinstance(arguments, dict) and isinstance(arguments.get(name), bool):
            yield Setting("setting", name, arguments[name], source, Standing.RECORDED)
    engine = meta.get("ds_config")
    if not isinstance(engine, dict):
        return
    stage = 3 if meta.get("kind") == "zero3" else 2 if engine.get("partition_gradients") else 1
    yield Setting("setting", "zero_optimization.stage", stage, source, Standing.EFFECTIVE)
    for name in ("overlap_comm", "contiguous_gradients", "reduce_scatter"):
        if isinstance(engine.get(name), bool):
            yield Setting("setting", f"zero_optimization.{name}", engine[name], source, Standing.EFFECTIVE)
