"""The transaction log that W&B writes for every run, online or offline: `run-<id>.wandb`.

    record 1    header    0.31.0
    record 2    run       configuration: learning_rate 2e-05, ...
    record 14   history   train/loss 1.9342, train/global_step 10, _step 0, _timestamp 1714557612.1
    record 359  exit      exit_code 0

Of an offline run it is the only trace of the metrics. `_step` counts calls of `wandb.log`; the x axis is the
metric that the run declared (`define_metric(..., step_metric="train/global_step")`, as the Trainer does), a global
step where one is logged, and `_step` only where there is neither. A killed run leaves no exit record.
"""

from collections.abc import Iterator
from dataclasses import field

import numpy as np

from forensics.deferred.records import dataclass
from forensics.errors import MalformedError
from forensics.formats.wandb_log import MAGIC, Damage, read_records
from forensics.formats.wandb_records import Found, decode_record
from forensics.model import UNKNOWN_STEP, Artifact, Events, Fact, Samples, Setting, Skip, Source, Standing
from forensics.names import Kind, canonical
from forensics.plugin import reader
from forensics.readers._environment import package
from forensics.readers._wandb import facts_of_environment, settings_of_config
from forensics.storage.file import File

RECORD = "record {}"
GLOBAL_STEPS = ("train/global_step", "trainer/global_step", "global_step")
EPOCHS = ("train/epoch", "epoch")
MAX_STEP = 1 << 62
TOLD = 3


@dataclass(slots=True)
class _Column:
    """One metric: value and the index of the history entry that it came with."""

    entries: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)


@dataclass(slots=True)
class _Log:
    """What has been read of a log. The lists of history are parallel: one entry for each history record."""

    records: list[int] = field(default_factory=list)
    steps: list[dict[str, int]] = field(default_factory=list)
    walls: list[float] = field(default_factory=list)
    epochs: list[float] = field(default_factory=list)
    metrics: dict[str, _Column] = field(default_factory=dict)
    axes: list[str] = field(default_factory=lambda: list(GLOBAL_STEPS))
    config: dict[str, object] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    versions: dict[str, tuple[str, Source]] = field(default_factory=dict)
    environment: dict[str, object] = field(default_factory=dict)
    environment_source: Source = field(default_factory=lambda: Source(""))
    exits: list[tuple[int, int]] = field(default_factory=list)
    console: int = 0


@reader(
    "wandb-log",
    match=(r"(^|/)run-[\w-]+\.wandb$",),
    sniff=lambda head: head.startswith(MAGIC),
    binary=True,
    tested="wandb 0.31.0",
)
def wandb_log(artifact: Artifact) -> Iterator[Fact]:
    """W&B transaction logs: history, configuration, environment, versions, how the process ended."""
    log = _Log()
    damage: list[str] = []
    with File(artifact.location) as file:
        for record in read_records(file, artifact.limits):
            if isinstance(record, Damage):
                damage.append(record.reason)
                continue
            try:
                for told in decode_record(record.payload):
                    _take(log, told.kind, told.found, artifact.at(RECORD, record.number))
            except MalformedError as error:
                damage.append(f"record {record.number} at byte {record.offset}: {error}")
    for reason in damage[:TOLD]:
        yield Skip(artifact.path, reason)
    if len(damage) > TOLD:
        yield Skip(artifact.path, f"{len(damage) - TOLD} more places are damaged")
    if log.console:
        reason = f"{log.console} pieces of console text were not examined; files/output.log holds the same text"
        yield Skip(artifact.path, reason)
    yield from _surroundings(artifact, log)
    yield from _ends(artifact, log)
    yield from _samples(artifact, log)


def _take(log: _Log, kind: str, found: Found, source: Source) -> None:
    match kind:
        case "history":
            _take_history(log, found, source.record)
        case "config" | "run":
            log.config |= found
            log.sources |= dict.fromkeys(found, source)
        case "telemetry" | "header":
            log.versions |= {name: (str(version), source) for name, version in found.items()}
        case "metric":
            axis = str(found.get("step_metric", ""))
            if axis and not axis.startswith("_") and axis not in log.axes:
                log.axes.insert(0, axis)
        case "environment":
            log.environment |= found
            log.environment_source = source
        case "exit":
            code = found["exit_code"]
            log.exits.append((code if isinstance(code, int) else 0, source.record))
        case _:
            log.console += 1


def _take_history(log: _Log, found: Found, record: int) -> None:
    numbers = {name: value for name, value in found.items() if type(value) in {int, float}}
    entry = len(log.records)
    log.records.append(record)
    log.steps.append({name: step for name in ("_step", *log.axes) if (step := _step(numbers.get(name))) is not None})
    log.walls.append(_number(numbers.get("_timestamp")))
    log.epochs.append(_number(next((numbers[name] for name in EPOCHS if name in numbers), None)))
    for name, value in numbers.items():
        if not name.startswith("_") and name not in log.axes:
            column = log.metrics.setdefault(name, _Column())
            column.entries.append(entry)
            column.values.append(_number(value))


def _number(value: object) -> float:
    try:
        return float(value) if isinstance(value, (int, float)) else float("nan")
    except OverflowError:
        return float("nan")


def _step(value: object) -> int | None:
    number = _number(value)
    return int(number) if 0 <= number < MAX_STEP else None


def _surroundings(artifact: Artifact, log: _Log) -> Iterator[Fact]:
    for name, (version, source) in log.versions.items():
        yield from package(name, version, source, Standing.RECORDED)
    if log.environment:
        yield from facts_of_environment(log.environment, log.environment_source)
    try:
        yield from settings_of_config(log.config, log.sources)
    except MalformedError as error:
        yield Skip(artifact.path, f"configuration: {error}")


def _ends(artifact: Artifact, log: _Log) -> Iterator[Fact]:
    """Tell how the process ended: W&B writes an exit record unless it was killed."""
    source = artifact.at(RECORD, log.exits[-1][1]) if log.exits else Source(artifact.path)
    status = "no exit record" if not log.exits else "failed" if log.exits[-1][0] else "finished"
    yield Setting("setting", "wandb.status", status, source, Standing.RECORDED)
    for failed, kind in ((False, Kind.TRAINING_FINISHED), (True, Kind.SIGNAL)):
        exits = [(code, record) for code, record in log.exits if bool(code) == failed]
        if exits:
            yield Events(
                kind=kind,
                steps=np.full(len(exits), UNKNOWN_STEP, np.int64),
                values=np.array([code if failed else np.nan for code, _ in exits], np.float64),
                records=np.array([record for _, record in exits], np.int64),
                path=artifact.path,
                place=RECORD,
                text=f"W&B exit record: exit_code {exits[0][0]}",
            )


def _samples(artifact: Artifact, log: _Log) -> Iterator[Samples]:
    axis = next((name for name in log.axes if any(name in steps for steps in log.steps)), "_step")
    x = np.array([steps.get(axis, UNKNOWN_STEP) for steps in log.steps], np.int64)
    records = np.array(log.records, np.int64)
    walls = np.array(log.walls, np.float64)
    epochs = np.array(log.epochs, np.float64)
    for name in sorted(log.metrics):
        column = log.metrics[name]
        entries = np.array(column.entries, np.int64)
        yield Samples(
            name=canonical(name),
            steps=x[entries],
            values=np.array(column.values, np.float64),
            records=records[entries],
            path=artifact.path,
            place=RECORD,
            wall_times=walls[entries],
            epochs=epochs[entries] if not np.isnan(epochs[entries]).all() else None,
        )
