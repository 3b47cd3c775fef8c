"""What trackers have in common: columns of metrics that grow entry by entry, and console text they captured."""

from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from datetime import datetime

import numpy as np

from forensics.deferred.records import dataclass
from forensics.formats.text import AHEAD, BEHIND, pieces, windows
from forensics.formats.wandb_records import NONFINITE
from forensics.model import UNKNOWN_STEP, Artifact, Events, Fact, Samples, Setting, Standing
from forensics.names import canonical
from forensics.readers.text.found import Found
from forensics.readers.text.scan import scan_window
from forensics.readers.text.settled import facts
from forensics.storage.file import File

MAX_STEP = 1 << 62
EPOCHS = ("train/epoch", "epoch")


@dataclass(slots=True)
class _Column:
    steps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    records: list[int] = field(default_factory=list)
    walls: list[float] = field(default_factory=list)
    epochs: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Metrics:
    """Metrics by the name that the tracker gave them, in the order they were written."""

    columns: dict[str, _Column] = field(default_factory=dict)

    def add(  # noqa: PLR0913  (the columns of a sample)
        self,
        name: str,
        value: float,
        *,
        step: object,
        record: int,
        wall: float = float("nan"),
        epoch: float = float("nan"),
    ) -> None:
        column = self.columns.setdefault(name, _Column())
        known = isinstance(step, int) and 0 <= step < MAX_STEP
        column.steps.append(int(step) if known else UNKNOWN_STEP)  # type: ignore[call-overload]  # an integer, as `known` says
        column.values.append(value)
        column.records.append(record)
        column.walls.append(wall)
        column.epochs.append(epoch)

    def samples(self, path: str, place: str) -> Iterator[Samples]:
        for name in sorted(self.columns):
            column = self.columns[name]
            walls, epochs = np.array(column.walls, np.float64), np.array(column.epochs, np.float64)
            yield Samples(
                name=canonical(name),
                steps=np.array(column.steps, np.int64),
                values=np.array(column.values, np.float64),
                records=np.array(column.records, np.int64),
                path=path,
                place=place,
                wall_times=None if np.isnan(walls).all() else walls,
                epochs=None if np.isnan(epochs).all() else epochs,
            )


def number(value: object) -> float | None:
    """Return a number as trackers write it, "NaN" and "Infinity" as text included; None for anything else."""
    if isinstance(value, str):
        return NONFINITE.get(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def epoch_of(metrics: Mapping[str, object]) -> float:
    found = next((number(metrics[name]) for name in EPOCHS if name in metrics), None)
    return float("nan") if found is None else found


def seconds(stamp: object) -> float:
    """Return a time stamp of ISO 8601 in seconds since the epoch; NaN when it is none."""
    try:
        return datetime.fromisoformat(str(stamp).replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError):
        return float("nan")


def console_facts(artifact: Artifact, text: bytes) -> Iterator[Fact]:
    """Read console text that a tracker captured as the log that it is; lines count from its beginning."""
    whole = Found()
    file = File.of_bytes(text, artifact.location)
    for window in windows(pieces(file, artifact.limits.text_line_bytes), AHEAD, BEHIND):
        whole.extend(scan_window(window))
    for fact in facts(whole, artifact.path):
        if isinstance(fact, (Samples, Events)):
            yield replace(fact, place=f"console {fact.place}")
        elif isinstance(fact, Setting):
            yield replace(fact, source=replace(fact.source, place=f"console {fact.source.place}".rstrip()))
        else:
            yield fact


def state_facts(artifact: Artifact, tracker: str, state: str, place: str) -> Iterator[Fact]:
    """Yield how a tracker says that its run ended: a setting, and an event where it failed or was killed.

    "finished" is no proof: MLflow's exit handler calls every run so that nobody ended (`fluent.py`, _safe_end_run).
    """
    yield Setting("setting", f"{tracker.lower()}.status", state, artifact.at(place), Standing.RECORDED)
    told = {"failed": "failed", "crashed": "failed", "killed": "killed", "aborted": "killed"}.get(state)
    if told is not None:
        yield Events(
            kind=f"tracker-{told}",
            steps=np.full(1, UNKNOWN_STEP, np.int64),
            values=np.full(1, np.nan),
            records=np.zeros(1, np.int64),
            path=artifact.path,
            place=place,
            text=f"{tracker} status: {state}",
        )
