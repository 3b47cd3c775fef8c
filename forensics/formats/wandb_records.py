"""The records of a W&B transaction log that tell about a run, decoded strictly.

Field numbers are those of wandb 0.31 `proto/wandb_internal.proto` and `wandb_telemetry.proto`. Values of history,
summary and configuration are JSON texts; releases after 0.21 may write plain numbers in a history item instead.
"""

import json
from collections.abc import Iterator
from typing import Literal, TypeAlias

from forensics.deferred.records import dataclass
from forensics.errors import MalformedError
from forensics.formats.protobuf import Field, fields

Kind: TypeAlias = Literal["history", "config", "console", "telemetry", "metric", "run", "exit", "header", "environment"]
Found: TypeAlias = dict[str, object]

_KINDS: dict[int, Kind] = {
    2: "history",
    5: "config",
    11: "telemetry",
    12: "metric",
    13: "console",
    17: "run",
    18: "exit",
    21: "header",
    26: "environment",
}
_VERSIONS = {4: "python", 5: "wandb", 6: "transformers"}
_ENVIRONMENT = {1: "os", 2: "python", 4: "docker", 6: "program", 18: "gpu", 25: "cudaVersion"}
NONFINITE = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
MAX_ITEMS = 100_000


@dataclass(frozen=True, slots=True)
class Told:
    """What one record says, by name; `decode_record` lists the names."""

    kind: Kind
    found: Found


def decode_record(payload: bytes) -> Iterator[Told]:
    """Yield what a record says; nothing for kinds that tell nothing about a run.

    `history`: metrics by name, `_step` among them. `config`, `run`: configuration by key. `telemetry`, `header`:
    packages and versions. `metric`: `step_metric`. `exit`: `exit_code`. `environment`: as `wandb-metadata.json`
    names it. `console`: nothing but that there is text. Raises `MalformedError` for what is no record.
    """
    for field in fields(memoryview(payload)):
        kind = _KINDS.get(field.key)
        if kind is not None:
            yield Told(kind, _DECODERS[kind](field.message))


def _history(data: memoryview) -> Found:
    found: Found = {}
    for field in fields(data):
        if field.key == 1:
            name, value = _item(field.message)
            found[name] = value
        elif field.key == 2:
            for part in fields(field.message):
                if part.key == 1:
                    found.setdefault("_step", part.signed)
        if len(found) > MAX_ITEMS:
            raise MalformedError(f"more than {MAX_ITEMS} values in one record")
    return found


def _config(data: memoryview) -> Found:
    return dict(_item(field.message) for field in fields(data) if field.key == 1)


def _run(data: memoryview) -> Found:
    found: Found = {}
    for field in fields(data):
        if field.key == 4:
            found |= _config(field.message)
    return found


def _item(data: memoryview) -> tuple[str, object]:
    """Return name and value of a history or configuration item."""
    name = ""
    value: object = None
    nested: list[str] = []
    for field in fields(data):
        match field.key:
            case 1:
                name = field.text
            case 2:
                nested.append(field.text)
            case 4:
                value = bool(field.signed)
            case 5:
                value = (field.number >> 1) ^ -(field.number & 1)  # sint64, zigzag
            case 6:
                value = field.double
            case 7:
                value = field.text
            case 8 | 16:
                value = from_json(field.text)
    return name or ".".join(nested), value


def from_json(text: str) -> object:
    """Return the value of a JSON text, "NaN" read as a number; the text itself when it is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return NONFINITE.get(value, value) if isinstance(value, str) else value


def _telemetry(data: memoryview) -> Found:
    return {_VERSIONS[field.key]: field.text for field in fields(data) if field.key in _VERSIONS}


def _header(data: memoryview) -> Found:
    for field in fields(data):
        if field.key == 1:
            for part in fields(field.message):
                if part.key == 1:
                    return {"wandb": part.text.partition("+")[0]}
    return {}


def _metric(data: memoryview) -> Found:
    names = [field.text for field in fields(data) if field.key == 4]
    return {"step_metric": names[-1]} if names else {}


def _exit(data: memoryview) -> Found:
    code = 0  # which is not written
    for field in fields(data):
        if field.key == 1:
            code = field.signed
    return {"exit_code": code}


def _environment(data: memoryview) -> Found:
    found: Found = {}
    arguments: list[str] = []
    for field in fields(data):
        if field.key in _ENVIRONMENT:
            found[_ENVIRONMENT[field.key]] = field.text
        elif field.key == 5:
            arguments.append(field.text)
        elif field.key == 19:
            found["gpu_count"] = field.number
        elif field.key == 24:
            found.setdefault("gpu", _gpu_name(field))
    if arguments:
        found["args"] = arguments
    return found


def _gpu_name(field: Field) -> str:
    return next((part.text for part in fields(field.message) if part.key == 1), "")


def _console(data: memoryview) -> Found:  # noqa: ARG001  (a decoder as the others; its text is in output.log too)
    return {}


_DECODERS = {
    "history": _history,
    "config": _config,
    "console": _console,
    "telemetry": _telemetry,
    "metric": _metric,
    "run": _run,
    "exit": _exit,
    "header": _header,
    "environment": _environment,
}
