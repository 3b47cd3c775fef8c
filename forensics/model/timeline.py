"""One run as it went: each metric over optimizer steps, the events, the stretches between restarts."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.records import dataclass
from forensics.model.facts import Axis, Events, Floats, Integers, Precision, Samples, Source
from forensics.model.order import among

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Series:
    """One metric, merged over its sources: strictly rising places on `axis`, one value each.

    `steps` are optimizer steps where `axis` is "step", and the number of the entry, the epoch, the samples, tokens or
    seconds counted so far where it is not. Places of two series can be compared only on one axis.
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
    axis: Axis = "step"
    logged_as: str = ""
    """The name in the source, where a term of the loss was taken for the loss."""

    def __len__(self) -> int:
        return len(self.steps)

    def source_at(self, index: int) -> Source:
        path, place = self.places[int(self.origins[index])]
        record = int(self.records[index])
        return Source(path, place.format(record), record)

    def tells(self, source: Source) -> bool:
        """Tell whether one of the entries was read at this very place."""
        numbers = [
            number
            for number, (path, place) in enumerate(self.places)
            if path == source.path and place.format(source.record) == source.place
        ]
        return bool(numbers) and bool(np.any((self.records == source.record) & among(self.origins, np.array(numbers))))

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
    """A stretch of the timeline's axis (see `Timeline.axis`) between two restarts, both ends included.

    One that a later one overwrote as a whole comes before it: a table to which a second training was appended.
    """

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
    """All series by canonical metric name, all events, the segments, and the samples they were merged from.

    `excerpt` tells that what was logged begins in the middle of a run: its first entry is not the first of training.
    """

    series: Mapping[str, Series] = field(default_factory=dict)
    events: tuple[Events, ...] = ()
    segments: tuple[Segment, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()
    samples: tuple[Samples, ...] = ()
    excerpt: bool = False
    _made: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def once(self, name: str, make: Callable[[], T]) -> T:
        """Return what `make` works out of this timeline, which does not change: it is called the first time only."""
        if name not in self._made:
            self._made[name] = make()
        made: T = self._made[name]
        return made

    def __getitem__(self, name: str) -> Series:
        return self.series[name]

    def __contains__(self, name: object) -> bool:
        return name in self.series

    def get(self, name: str) -> Series | None:
        return self.series.get(name)

    def beside(self, series: Series, name: str) -> Series | None:
        """Return the metric of this name if its places can be compared with those of `series`, else None."""
        other = self.series.get(name)
        return other if other is not None and other.axis == series.axis else None

    @property
    def axis(self) -> Axis:
        """What the run is counted in: "step" as soon as one metric has steps, else as most entries are counted."""
        counts = Counter[Axis]()
        for series in self.series.values():
            counts[series.axis] += len(series)
        if counts["step"] or not counts:
            return "step"
        return max(counts, key=lambda axis: (counts[axis], axis))

    def events_of(self, kind: str) -> Iterator[Events]:
        return (events for events in self.events if events.kind == kind)

    def count_of(self, kind: str) -> int:
        """Return how often an event happened: the largest count that one artifact saw, as several may see it."""
        return max((len(events) for events in self.events_of(kind)), default=0)

    @property
    def last_step(self) -> int | None:
        """The last optimizer step that a metric was logged for; None where no steps are known."""
        return self.last if self.axis == "step" else None

    @property
    def first_step(self) -> int | None:
        """The first optimizer step that a metric was logged for; None where no steps are known."""
        return self.first if self.axis == "step" else None

    @property
    def last(self) -> int | None:
        """The last place on the timeline's axis."""
        return max((int(s.steps[-1]) for s in self._on_axis()), default=None)

    @property
    def first(self) -> int | None:
        """The first place on the timeline's axis."""
        return min((int(s.steps[0]) for s in self._on_axis()), default=None)

    def _on_axis(self) -> Iterator[Series]:
        axis = self.axis
        return (series for series in self.series.values() if len(series) and series.axis == axis)

    def frame(self) -> "pd.DataFrame":
        """Return a long table: step, entry, metric, value, wall_time, source, rank, segment; every sample as read.

        `step` is the optimizer step, missing where none is known; `entry` is then the place on the axis that the
        sample is counted on (its number, epoch, samples seen), missing where it has none. `rank` is missing where the
        source names none. `segment` numbers the segments from 0, missing for a sample that belongs to none.
        """
        import pandas as pd

        parts = [self._part(block) for block in self.samples]
        columns = ["step", "entry", "metric", "value", "wall_time", "source", "rank", "segment"]
        if not parts:
            return pd.DataFrame(columns=columns)
        return pd.concat([pd.DataFrame(part) for part in parts], ignore_index=True)[columns]

    def _part(self, block: Samples) -> dict[str, object]:
        import pandas as pd

        size = len(block.steps)
        # Of attempts that were overwritten no entry is in a series.
        over = sum(any(later.first <= s.first for later in self.segments[i + 1 :]) for i, s in enumerate(self.segments))
        bounds = np.array([segment.last for segment in self.segments[over:]], dtype=np.int64)
        segment = np.searchsorted(bounds, block.steps, side="left")
        placed = block.steps >= 0
        known = placed & (block.axis == self.axis) & (segment < len(bounds))
        nowhere = np.full(size, np.nan)
        places, steps = pd.Series(block.steps, dtype="Int64"), block.axis == "step"
        return {
            "step": places.where(placed & steps),
            "entry": places.where(placed & (not steps)),
            "metric": block.name,
            "value": block.values,
            "wall_time": nowhere if block.wall_times is None else block.wall_times,
            "source": block.path,
            "rank": pd.Series([block.rank] * size, dtype="Int64"),
            "segment": pd.Series(segment + over, dtype="Int64").where(known),
        }

    def __repr__(self) -> str:
        events = sum(len(events) for events in self.events)
        steps = "no steps" if self.first_step is None else f"steps {self.first_step} to {self.last_step}"
        names = ", ".join([*list(self.series)[:4], *(["..."] if len(self.series) > 4 else [])])
        return f"<Timeline {len(self.series)} series ({names}): {steps}, {events} events>"
