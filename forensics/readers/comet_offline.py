"""The archive of an offline Comet experiment, `<experiment key>.zip`: `experiment.json` and `messages.json`.

`messages.json` has a message a line, `installed_packages` and `standard_output` among them:

    {"payload": {"local_timestamp": 1795467623843, "metric": {"epoch": 0.1, "metricName": "train/loss",
     "metricValue": 2.5, "step": 10}}, "type": "metric_msg"}
    {"payload": {"param": {"paramName": "model|model_type", "paramValue": "llama", "source": "manual"}},
     "type": "parameter_msg"}

NaN is the text "NaN" (comet_ml 3.58, `offline.py`, `schemas/`). The archive is read in place, never unpacked.
"""

import json
from collections.abc import Iterator
from dataclasses import field

from forensics.deferred.records import dataclass
from forensics.errors import LimitError
from forensics.formats.comet_archive import is_comet
from forensics.formats.flatten import flatten
from forensics.formats.zip_index import read_entry, read_index
from forensics.model import Artifact, Fact, Setting, Skip, Source, Standing
from forensics.plugin import reader
from forensics.readers._environment import hardware, package
from forensics.readers._tracked import Metrics, console_facts, number
from forensics.storage.file import File

PLACE = "message {}"
MESSAGES = "messages.json"
SYSTEM = ("sys.", "process duration")
PREFIXES = {"args.": "", "config.": "model."}
"""What transformers < 4.47 puts before arguments and model settings (`CometCallback.setup`)."""


@dataclass(slots=True)
class _Told:
    """What the messages say; `unread` counts those that are no JSON object."""

    metrics: Metrics = field(default_factory=Metrics)
    settings: list[Setting] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    unread: int = 0
    known: int = 0


@reader(
    "comet-offline",
    match=(r"(^|/)[0-9a-z]{32,50}(-\w{6})?\.zip$", r"(^|/)messages\.json$"),
    sniff=is_comet,
    binary=True,
    tested="comet_ml 3.58.8",
)
def comet_offline(artifact: Artifact) -> Iterator[Fact]:
    """Comet offline archives: metrics, parameters, packages, console output."""
    told = _Told()
    with File(artifact.location) as file:
        content = _content(file, artifact)
    for record, line in enumerate(content.split(b"\n"), start=1):
        _take(told, line, artifact, record)
    if not told.known:
        if artifact.path.endswith(".zip"):
            yield Skip(artifact.path, "an archive without the messages of a Comet experiment")
        return
    if told.unread:
        yield Skip(artifact.path, f"{told.unread:,} messages are no JSON objects")
    yield from told.settings
    yield from told.metrics.samples(artifact.path, PLACE)
    if told.console:
        yield from console_facts(artifact, "".join(told.console).encode("utf-8", "replace"))


def _content(file: File, artifact: Artifact) -> bytes:
    if not file.head(4).startswith(b"PK"):
        if file.size > artifact.limits.json_bytes:
            raise LimitError(f"{artifact.path} has {file.size:,} bytes")
        return file.read(0, file.size)
    entry = read_index(file, artifact.limits).entries.get(MESSAGES)
    return b"" if entry is None else read_entry(file, entry, artifact.limits.json_bytes)


def _take(told: _Told, line: bytes, artifact: Artifact, record: int) -> None:
    if not line.strip():
        return
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        told.unread += 1
        return
    payload = message.get("payload") if isinstance(message, dict) else None
    if not isinstance(payload, dict):
        told.unread += 1
        return
    told.known += 1
    take = _TAKES.get(str(message.get("type")))
    if take is not None:
        take(told, payload, artifact.at(PLACE, record))


def _metric(told: _Told, payload: dict[str, object], source: Source) -> None:
    metric = payload.get("metric")
    name, value = (metric.get("metricName"), number(metric.get("metricValue"))) if isinstance(metric, dict) else ("", 0)
    if not isinstance(metric, dict) or not isinstance(name, str) or value is None or name.startswith(SYSTEM):
        return
    context = payload.get("context")
    wall, epoch = number(payload.get("local_timestamp")), number(metric.get("epoch"))
    told.metrics.add(
        f"{context}/{name}" if isinstance(context, str) and context and "/" not in name else name,
        value,
        step=metric.get("step"),
        record=source.record,
        wall=float("nan") if wall is None else wall / 1000.0,
        epoch=float("nan") if epoch is None else epoch,
    )


def _parameter(told: _Told, payload: dict[str, object], source: Source) -> None:
    found = payload.get("param")
    if not isinstance(found, dict) or found.get("source") == "auto-logged":
        return
    name = str(found.get("paramName")).replace("|", ".").replace("/", ".")
    for prefix, kept in PREFIXES.items():
        name = kept + name.removeprefix(prefix) if name.startswith(prefix) else name
    for dotted, value in flatten(found.get("paramValue"), name):
        told.settings.append(Setting("setting", dotted, value, source, Standing.RECORDED))


def _packages(told: _Told, payload: dict[str, object], source: Source) -> None:
    listed = payload.get("installed_packages")
    for line in listed if isinstance(listed, list) else ():
        name, _, version = str(line).partition("==")
        told.settings.extend(package(name, version, source, Standing.RECORDED))


def _system(told: _Told, payload: dict[str, object], source: Source) -> None:
    python = payload.get("python_version")
    told.settings.extend(package("python", str(python or ""), source, Standing.RECORDED))
    told.settings.extend(hardware("os", str(payload.get("os") or ""), source, Standing.RECORDED))
    command = payload.get("command")
    if isinstance(command, list):
        for _, text in flatten(" ".join(map(str, command)), "launch"):
            told.settings.append(Setting("command", "launch", text, source, Standing.RECORDED))


def _graphics(told: _Told, payload: dict[str, object], source: Source) -> None:
    boards = payload.get("gpu_static_info")
    named = [board for board in boards if isinstance(board, dict)] if isinstance(boards, list) else []
    if named:
        told.settings.extend(hardware("gpu", str(named[0].get("name") or ""), source, Standing.RECORDED))
        told.settings.extend(hardware("gpu_count", len(named), source, Standing.RECORDED))


def _console(told: _Told, payload: dict[str, object], source: Source) -> None:  # noqa: ARG001  (a taker as the others)
    told.console.append(str(payload.get("output", "")))


_TAKES = {
    "metric_msg": _metric,
    "ws_msg": _metric,
    "parameter_msg": _parameter,
    "installed_packages": _packages,
    "system_details": _system,
    "gpu_static_info": _graphics,
    "standard_output": _console,
}
