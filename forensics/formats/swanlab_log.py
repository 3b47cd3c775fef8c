"""SwanLab's log of a run, `*.swanlab`: the framing of W&B's transaction log under another header.

Seven bytes `:SWL`, 0xE1D6, version; then the blocks of `wandb_log`. Versions 0 and 1 (swanlab 0.6 and 0.7) hold a
JSON object a record, version 2 (from 0.8) a protobuf `swanlab.record.v1.Record`; its field numbers are those of
swanlab 0.10.3, `swanlab/proto/swanlab/{record,run,metric}/`.
"""

import json
from collections.abc import Iterator

from forensics.deferred.records import dataclass
from forensics.errors import MalformedError
from forensics.formats.protobuf import Field, fields
from forensics.formats.wandb_log import Damage, Record, read_records
from forensics.limits import DEFAULT, Limits
from forensics.model import Scalar
from forensics.storage.file import File

IDENTITY = b":SWL\xd6\xe1"
JSON_VERSIONS = frozenset({0, 1})
PROTOBUF_VERSION = 2
STATES = {0: "running", 1: "finished", 2: "crashed", 3: "aborted"}


@dataclass(frozen=True, slots=True)
class Metric:
    """One value of a metric; `stamp` is seconds since the epoch, or a text of ISO 8601."""

    key: str
    step: object
    value: object
    stamp: Scalar


@dataclass(frozen=True, slots=True)
class Console:
    """A line that the run printed."""

    text: str


@dataclass(frozen=True, slots=True)
class End:
    """How the run ended: finished, crashed or aborted."""

    state: str


Told = Metric | Console | End


def read_log(file: File, limits: Limits = DEFAULT) -> Iterator[tuple[int, Told | Damage]]:
    """Yield what the records say, each with its number, and what was lost.

    Raises `MalformedError` for a file that is no log of SwanLab, or of a version that is not known.
    """
    head = file.head(len(IDENTITY) + 1)
    if not head.startswith(IDENTITY) or len(head) <= len(IDENTITY):
        raise MalformedError(f"{file.path.name} is no log of SwanLab")
    version = head[-1]
    if version not in {*JSON_VERSIONS, PROTOBUF_VERSION}:
        raise MalformedError(f"{file.path.name} is a SwanLab log of version {version}, which is not known")
    decode = _of_json if version in JSON_VERSIONS else _of_protobuf
    number = 0
    for record in read_records(file, limits, magic=head):
        if isinstance(record, Damage):
            yield number, record
            continue
        number = record.number
        try:
            told = decode(record)
        except MalformedError as error:
            yield number, Damage(f"record {number} at byte {record.offset}: {error}")
            continue
        if told is not None:
            yield number, told


def _of_json(record: Record) -> Told | None:
    try:
        found = json.loads(record.payload)
    except (ValueError, RecursionError) as error:
        raise MalformedError("is no JSON") from error
    data = found.get("data") if isinstance(found, dict) else None
    if not isinstance(data, dict):
        raise MalformedError("is no JSON object with data")
    match found.get("model_type"):
        case "Scalar":
            metric = data.get("metric")
            if isinstance(metric, dict):
                return Metric(
                    str(data.get("key")), data.get("step"), metric.get("data"), str(metric.get("create_time"))
                )
        case "Log":
            return Console(str(data.get("message")))
        case "Footer":
            return End("finished" if data.get("success") else "crashed")
    return None


def _of_protobuf(record: Record) -> Told | None:
    for field in fields(memoryview(record.payload)):
        if field.key == 11:
            return End(STATES.get(next((f.signed for f in fields(field.message) if f.key == 1), 0), "unknown"))
        if field.key == 13:
            return _scalar(field)
        if field.key == 16:
            return Console(next((f.text for f in fields(field.message) if f.key == 1), ""))
    return None


def _scalar(scalar: Field) -> Metric:
    key, step, value, stamp = "", 0, 0.0, float("nan")  # what is zero is not written
    for field in fields(scalar.message):
        match field.key:
            case 1:
                key = field.text
            case 2:
                step = field.signed
            case 4:
                stamp = _seconds(field)
            case 5:
                value = next((f.double for f in fields(field.message) if f.key == 1), 0.0)
    return Metric(key, step, value, stamp)


def _seconds(stamp: Field) -> float:
    """Return a `google.protobuf.Timestamp`: seconds in field 1, nanoseconds in field 2."""
    return sum(part.signed * (1.0 if part.key == 1 else 1e-9) for part in fields(stamp.message) if part.key in {1, 2})
