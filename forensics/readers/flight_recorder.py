"""The flight recorder of torch's process groups: which collective each rank was in when the ring was dumped.

A pickle (walked, never unpickled) or JSON with `version`, `entries`, `pg_config` and `pg_status`, one file a rank,
written at a time-out (`TORCH_NCCL_DUMP_ON_TIMEOUT`, `TORCH_FR_*` since 2.10) or on demand. Source: torch 2.13
`FlightRecorder.hpp`, `tools/flight_recorder`. Of each entry are read: collective_seq_id, p2p_seq_id, process_group,
profiling_name, state, input_sizes, frames.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from forensics.deferred.patterns import expression
from forensics.errors import MalformedError
from forensics.formats.lenient_json import load
from forensics.formats.torch_file import plain, read_pickle
from forensics.model import UNKNOWN_STEP, Artifact, Events, Fact, Skip
from forensics.names import Kind
from forensics.plugin import reader
from forensics.storage.file import File

_NAME = expression(
    r"(?:nccl|comm_lib|fr)_trace_rank_?(\d+)(?:\.json)?$"
    r"|(?:^|/)(?:comm_traces?|fr_trace)/[^/]*?rank_?(\d+)(?:\.json)?$"
)
_LAST_NUMBER = expression(r"(\d{1,7})(?:\.(?:json|pkl|pickle))?$")
_OURS = expression(r"torch/|site-packages|dist-packages|/lib/python")


_KEYS = (b"record_id", b"collective_seq_id", b"pg_config", b"pg_status", b"comm_lib_version", b"nccl_version")


def _sniff(head: bytes) -> bool:
    """Tell a dump whatever it is called (`TORCH_NCCL_DEBUG_INFO_TEMP_FILE` may say any name)."""
    return head[:1] in {b"\x80", b"{"} and b"entries" in head and sum(key in head for key in _KEYS) > 1


@reader(
    "flight-recorder",
    match=(_NAME.pattern,),
    sniff=_sniff,
    binary=True,
    tested="torch 2.13 (its JSON and pickle forms)",
)
def flight_recorder(artifact: Artifact) -> Iterator[Fact]:
    """Read torch's flight recorder (`nccl_trace_rank_N`): the collective that each rank was in."""
    dump = _mapping(_read(artifact))
    entries = [_mapping(entry) for entry in _list(dump.get("entries"))]
    if "entries" not in dump:
        raise MalformedError(f"{artifact.path} is no dump of the flight recorder: it has no entries")
    rank = _rank(artifact.path)
    if not entries:
        yield Skip(artifact.path, "the flight recorder had no entry when it was dumped")
        return
    done, pending = _by_group(entries)
    for kind, found in ((Kind.COLLECTIVE_DONE, done), (Kind.COLLECTIVE_PENDING, pending)):
        if found:
            yield _events(artifact, kind, found, rank)


def _read(artifact: Artifact) -> object:
    with File(artifact.location) as file:
        if file.head(1) in {b"{", b"["}:
            return load(file, artifact.limits).value
        return plain(read_pickle(file, artifact.limits).value, artifact.limits)


def _by_group(entries: list[Mapping[str, Any]]) -> tuple[list[tuple[int, Mapping[str, Any]]], ...]:
    """Return of each process group the last completed entry and the first that is not, with their numbers.

    gloo marks no entry as completed (torch 2.13): there the last one may be done or not, and is both; what
    other ranks reached tells (`forensics.analysis.endings.hangs`).
    """
    done: dict[str, tuple[int, Mapping[str, Any]]] = {}
    pending: dict[str, tuple[int, Mapping[str, Any]]] = {}
    marked = any(entry.get("state") == "completed" for entry in entries)
    last = {group_of(entry): number for number, entry in enumerate(entries)}
    for number, entry in enumerate(entries):
        group = group_of(entry)
        over = entry.get("state") == "completed" or (not marked and entry.get("retired") is True)
        if over:
            done[group] = (number, entry)
        if (not over or (not marked and number == last[group])) and not entry.get("is_p2p"):
            pending.setdefault(group, (number, entry))
    return list(done.values()), list(pending.values())


def group_of(entry: Mapping[str, Any]) -> str:
    """Return the name of the process group, with its description where it has one."""
    group = entry.get("process_group")
    return " ".join(str(part) for part in group) if isinstance(group, list) else str(group or "default_pg")


def _events(artifact: Artifact, kind: str, found: list[tuple[int, Mapping[str, Any]]], rank: int) -> Events:
    return Events(
        kind=kind,
        steps=np.full(len(found), UNKNOWN_STEP, dtype=np.int64),
        values=np.array([_number(entry) for _, entry in found], dtype=np.float64),
        records=np.array([number for number, _ in found], dtype=np.int64),
        path=artifact.path,
        place="entries[{}]",
        text=_told(found[0][1]),
        rank=rank if rank >= 0 else None,
        ranks=np.full(len(found), rank, dtype=np.int64),
        texts=tuple(_told(entry) for _, entry in found),
    )


def _told(entry: Mapping[str, Any]) -> str:
    """Return an entry in words: operation, number, group, sizes, the innermost frame of the run's own code."""
    name = str(entry.get("profiling_name", "?")).partition(":")[2] or str(entry.get("profiling_name", "?"))
    frames = [_mapping(frame) for frame in _list(entry.get("frames"))]
    own = next((f for f in frames if not _OURS.search(str(f.get("filename", "")))), None)
    where = f" at {own.get('filename')}:{own.get('line')} in {own.get('name')}" if own else ""
    return f"{name} {_number(entry):.0f} of {group_of(entry)}, sizes {entry.get('input_sizes')}{where}"


def _number(entry: Mapping[str, Any]) -> float:
    value = entry.get("collective_seq_id", entry.get("seq_id"))
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else float("nan")


def _rank(path: str) -> int:
    found = _NAME.search(path)
    if found is None:
        found = _LAST_NUMBER.search(path)
    return int(next(group for group in found.groups() if group)) if found else -1


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
