"""Trackio's database, `<project>.db`: one a project, all its runs in it (trackio 0.43, `sqlite_storage.py`).

    metrics   run_name "run-a", step 10, timestamp "2026-11-23T21:00:21+00:00", metrics {"train/loss":2.5}
    configs   run_name "run-a", config {"learning_rate":0.00001, "_Username": null}

NaN and infinities are texts, "NaN", "Infinity". Keys of a configuration with a leading underscore are Trackio's.
"""

import json
from collections.abc import Iterator

from forensics.errors import MalformedError
from forensics.formats.sqlite_tables import Database, Value, is_sqlite, opened
from forensics.model import Artifact, Fact, Setting, Skip, Source
from forensics.plugin import reader
from forensics.readers._tracked import Metrics, epoch_of, number, seconds
from forensics.readers._wandb import settings_of_config

PLACE = "metrics row {}"
MAX_ROWS = 2_000_000
OF_OTHERS = frozenset({"latest_metrics", "experiment"})
"""Tables of MLflow and of Aim and old SwanLab, whose readers take those."""


@reader("trackio", match=(r"(^|/)trackio/[^/]+\.db$",), sniff=is_sqlite, binary=True, tested="trackio 0.43.0")
def trackio(artifact: Artifact) -> Iterator[Fact]:
    """Trackio databases: metrics and configuration of the newest run in them."""
    with opened(artifact.local, artifact.limits) as database:
        if {"run_name", "metrics"} <= set(database.tables.get("metrics", ())):
            yield from _read(artifact, database)
        elif not set(database.tables) & OF_OTHERS:
            told = ", ".join(sorted(database.tables)[:5])
            yield Skip(artifact.path, f"an SQLite database of no tracker that is known; its tables: {told or 'none'}")


def _read(artifact: Artifact, database: Database) -> Iterator[Fact]:
    columns = ("id", "run_name", "timestamp", "step", "metrics")
    by_run: dict[str, list[tuple[Value, ...]]] = {}
    for row in database.rows("metrics", columns, "id", MAX_ROWS):
        by_run.setdefault(str(row[1]), []).append(row)
    configs = list(database.rows("configs", ("id", "run_name", "config"), "id", MAX_ROWS))
    chosen = max(by_run, key=lambda name: str(by_run[name][-1][2]), default=str(configs[-1][1]) if configs else "")
    for other in sorted(by_run):
        if other != chosen:
            yield Skip(f"{artifact.path}, run {other}", f"another run; {chosen}, the newest, was read")
    yield from _metrics(artifact, by_run.get(chosen, []))
    for identity, name, config in configs:
        if str(name) == chosen:
            yield from _settings(artifact, config, int(identity or 0))


def _metrics(artifact: Artifact, rows: list[tuple[Value, ...]]) -> Iterator[Fact]:
    metrics = Metrics()
    bad = 0
    for identity, _, stamp, step, packed in rows:
        found = _object(packed)
        bad += found is None
        for name, held in (found or {}).items():
            value = number(held)
            if value is not None:
                record, wall = int(identity or 0), seconds(stamp)
                metrics.add(name, value, step=step, record=record, wall=wall, epoch=epoch_of(found or {}))
    if bad:
        yield Skip(artifact.path, f"{bad:,} rows of metrics are no JSON objects")
    yield from metrics.samples(artifact.path, PLACE)


def _settings(artifact: Artifact, config: Value, identity: int) -> Iterator[Setting | Skip]:
    found = _object(config)
    source = Source(artifact.path, f"configs row {identity}", identity)
    kept = {name: value for name, value in (found or {}).items() if not name.startswith("_")}
    try:
        yield from settings_of_config(kept, dict.fromkeys(kept, source))
    except MalformedError as error:
        yield Skip(artifact.path, f"configuration: {error}")


def _object(packed: Value) -> dict[str, object] | None:
    try:
        found = json.loads(packed) if isinstance(packed, (str, bytes)) else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


@reader("sqlite-log", match=(r"\.(db|sqlite3?)-(wal|shm|journal)$",))
def sqlite_log(artifact: Artifact) -> Iterator[Fact]:
    """Write-ahead logs of databases: read together with them."""
    database = artifact.local.with_name(artifact.local.name.rpartition("-")[0])
    if artifact.path.endswith("-wal") and not database.is_file():
        yield Skip(artifact.path, "a write-ahead log without its database")
