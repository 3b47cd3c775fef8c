"""One run as it went: each metric over optimizer steps, the events, the stretches between restarts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from forensics.model.facts import Events, Floats, Integers, Precision, Samples, Source

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Series:
    """One metric, merged over its sources: strictly rising optimizer steps, one value each.

    `origins` indexes `places`, pairs of (path, place template); with `records` it names where each value was
    read. `precisions` holds a `Precision` for each value.
    """

    name: str
    steps: Integers
    values: Floats
    wall_times: Floats
    records: Integers
    origins: NDArray[np.int32]
    precisions: NDArray[np.int8]
    places: tuple[tuple[str, str], ...]

    def __len__(self) -> int:
        return len(self.steps)

    def source_at(self, index: int) -> Source:
        path, place = self.places[int(self.origins[index])]
        record = int(self.records[index])
        return Source(path, place.format(record), record)

    def precision_at(self, index: int) -> Precision:
        return Precision(int(self.precisions[index]))

    def value_at(self, step: int) -> float | None:
        """Return the value logged for exactly this step, or None."""
        index = int(np.searchsorted(self.steps, step))
        if index < len(self.steps) and int(self.steps[index]) == step:
            return float(self.values[index])
        return None


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of optimizer steps between two restarts, both ends included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Two sources that give different values of one metric for the same step; both are kept."""

    metric: str
    step: int
    kept: float
    kept_source: Source
    other: float
    other_source: Source


@dataclass(frozen=True, slots=True)
class Timeline:
    """All series by canonical metric name, all events, the segments, and the samples they were merged from."""

    series: Mapping[str, Series] = field(default_factory=dict)
    events: tuple[Events, ...] = ()
    segments: tuple[Segment, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()
    samples: tuple[Samples, ...] = ()

    def __getitem__(self, name: str) -> Series:
        return self.series[name]

    def __contains__(self, name: object) -> bool:
        return name in self.series

    def get(self, name: str) -> Series | None:
        return self.series.get(name)

    def events_of(self, kind: str) -> Iterator[Events]:
        return (events for events in self.events if events.kind == kind)

    def count_of(self, kind: str) -> int:
        """Return how often an event happened: the largest count that one artifact saw, as several may see it."""
        return max((len(events) for events in self.events_of(kind)), default=0)

    @property
    def last_step(self) -> int | None:
        steps = [int(s.steps[-1]) for s in self.series.values() if len(s)]
        return max(steps) if steps else None

    @property
    def first_step(self) -> int | None:
        steps = [int(s.steps[0]) for s in self.series.values() if len(s)]
        return min(steps) if steps else None

    def frame(self) -> "pd.DataFrame":
        """Return a long table: step, metric, value, wall_time, source, rank, segment; every sample as read.

        `segment` numbers the segments from 0; it is -1 for a sample whose step is unknown or counted in samples.
        """
        import pandas as pd

        parts = [self._part(block) for block in self.samples]
        columns = ["step", "metric", "value", "wall_time", "source", "rank", "segment"]
        if not parts:
            return pd.DataFrame(columns=columns)
        return pd.concat([pd.DataFrame(part) for part in parts], ignore_index=True)[columns]

    def _part(self, block: Samples) -> dict[str, object]:
        size = len(block.steps)
        bounds = np.array([segment.last for segment in self.segments], dtype=np.int64)
        segment = np.searchsorted(bounds, block.steps, side="left")
        known = (block.steps >= 0) & (block.axis == "step") & (segment < len(bounds))
        nowhere = np.full(size, np.nan)
        return {
            "step": block.steps,
            "metric": block.name,
            "value": block.values,
            "wall_time": nowhere if block.wall_times is None else block.wall_times,
            "source": block.path,
            "rank": -1 if block.rank is None else block.rank,
            "segment": np.where(known, segment, -1),
        }

    def __repr__(self) -> str:
        events = sum(len(events) for events in self.events)
        steps = "no steps" if self.first_step is None else f"steps {self.first_step} to {self.last_step}"
        names = ", ".join([*list(self.series)[:4], *(["..."] if len(self.series) > 4 else [])])
        return f"<Timeline {len(self.series)} series ({names}): {steps}, {events} events>"
