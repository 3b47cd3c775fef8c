"""What a reader may say: samples, events, settings, skips, each with the place it was read from."""

from collections.abc import Mapping
from dataclasses import replace
from enum import IntEnum
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.records import dataclass
from forensics.errors import UnreadableError
from forensics.limits import DEFAULT, Limits
from forensics.storage.locations import Held, Packed, Place, Root

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
Scalar: TypeAlias = str | int | float | bool | None
Axis: TypeAlias = Literal["step", "entry", "epoch", "samples", "tokens", "seconds"]
Group: TypeAlias = Literal["package", "hardware", "setting", "variable", "command"]

UNKNOWN_STEP = -1

NOUNS: Mapping[Axis, tuple[str, str]] = {
    "step": ("step", "steps"),
    "entry": ("entry", "entries"),
    "epoch": ("epoch", "epochs"),
    "samples": ("sample", "samples"),
    "tokens": ("token", "tokens"),
    "seconds": ("second", "seconds"),
}
"""What one place on an axis is called, and several."""


class Precision(IntEnum):
    """How exactly a source wrote its numbers; the more exact source wins when several agree on a step."""

    FOUR_DIGITS = 0
    """transformers >= 5.0 prints `%.4g` (`trainer_callback.ProgressCallback.on_log`)."""
    FOUR_DECIMALS = 1
    """transformers < 5.0 rounds the loss with `round(..., 4)` (`Trainer._maybe_log_save_evaluate`)."""
    SINGLE = 2
    """float32, as TensorBoard's `simple_value` stores it."""
    DOUBLE = 3


class Standing(IntEnum):
    """How good a witness a setting is for the run that died; the higher outranks the lower."""

    INFERRED = 0
    """Deduced from the look of something (quoted values mean transformers >= 5); never shown as recorded."""
    INTENDED = 1
    """A lock file, a Dockerfile, a launch script: what somebody meant to use."""
    CONFIGURED = 2
    """A configuration file, or an environment captured beside the run."""
    RECORDED = 3
    """Written by the run itself: a field of its checkpoint, its log, its event file."""
    EFFECTIVE = 4
    """The value in force as the engine printed or saved it, defaults resolved."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a fact was read: path relative to the run, place within, record number."""

    path: str
    place: str = ""
    record: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.place}" if self.place else self.path


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file as it was discovered. `path` is relative to `root`, with POSIX separators; sizes in bytes."""

    root: Root
    path: str
    size: int
    modified: float
    limits: Limits = DEFAULT

    @property
    def location(self) -> Place | Held | Packed:
        return self.root / self.path

    @property
    def local(self) -> Path:
        """The location, for libraries that open paths themselves. Raises `UnreadableError` when it is a URL."""
        place = self.location
        if not isinstance(place, Path):
            raise UnreadableError(f"{place.name} can be read from a folder of this machine only")
        return place

    def at(self, place: str = "", record: int = 0) -> Source:
        return Source(self.path, place.format(record), record)


@dataclass(frozen=True, slots=True)
class Samples:
    """A block of one metric from one artifact, in the order it was written.

    `steps` (int64) are places on `axis`: optimizer steps, or the samples, tokens or seconds that the source counts;
    `UNKNOWN_STEP` where it does not say. A reader counts no entries: `assemble` does, where no step is known.
    `values` (float64) keeps NaN and infinities. `records` (int64) number the lines or entries, and
    `place.format(record)` names one. `wall_times` are seconds since the epoch, `epochs` as the trainer printed
    them; both may be absent. All arrays have shape (n,) and are treated as read-only.
    """

    name: str
    steps: Integers
    values: Floats
    records: Integers
    path: str
    place: str
    precision: Precision = Precision.DOUBLE
    wall_times: Floats | None = None
    epochs: Floats | None = None
    rank: int | None = None
    axis: Axis = "step"
    logged_as: str = ""
    """The name in the source, where a term of the loss was taken for the loss."""

    def take(self, chosen: NDArray[np.bool_] | Integers) -> "Samples":
        """Return the chosen entries: a mask (bool, (n,)) or their indices (int64); the block itself where all are."""
        every = chosen if chosen.dtype == np.bool_ else chosen == np.arange(len(chosen))
        if len(chosen) == len(self.steps) and every.all():
            return self
        return replace(
            self,
            steps=self.steps[chosen],
            values=self.values[chosen],
            records=self.records[chosen],
            wall_times=None if self.wall_times is None else self.wall_times[chosen],
            epochs=None if self.epochs is None else self.epochs[chosen],
        )


@dataclass(frozen=True, slots=True)
class Order:
    """Where events of a text stand among the metrics of the same text; columns of shape (n,).

    `before` and `after` are the steps logged last before and first after each event, `UNKNOWN_STEP` where none was;
    `entries_after` counts the lines with metrics that follow, and `entries` all of the text.
    """

    before: Integers
    after: Integers
    entries_after: Integers
    entries: int


@dataclass(frozen=True, slots=True)
class Events:
    """Every occurrence of one kind of event in one artifact, in the order it was written.

    `steps` is `UNKNOWN_STEP` where the log does not tell; `values` holds the number that belongs to the kind
    (a loss scale, a mismatch), NaN where there is none. `text` is the first occurrence as it was written, `texts`
    every one where they were kept. `ranks` names the writer of each (-1 where it is not told), `rank` the only one.
    `order` places them among the metrics of the same artifact.
    """

    kind: str
    steps: Integers
    values: Floats
    records: Integers
    path: str
    place: str
    text: str = ""
    rank: int | None = None
    ranks: Integers | None = None
    texts: tuple[str, ...] = ()
    order: "Order | None" = None

    def __len__(self) -> int:
        return len(self.records)

    def text_at(self, index: int) -> str:
        """Return an occurrence as it was written, the first one where no others were kept."""
        return (self.texts[index] if self.texts else "") or self.text

    def source_at(self, index: int) -> Source:
        record = int(self.records[index])
        return Source(self.path, self.place.format(record), record)


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that was set, installed or present when the run ran.

    Names are dotted: HF arguments bare (`learning_rate`), a DeepSpeed configuration by its own keys
    (`zero_optimization.stage`), a model configuration under `model.`, an adapter under `adapter.`, an optimizer
    parameter group under `optimizer.`, an accelerate configuration under `accelerate.`. Packages are canonical
    names (PEP 503) with their version as text.
    """

    group: Group
    name: str
    value: Scalar
    source: Source
    standing: Standing


@dataclass(frozen=True, slots=True)
class Skip:
    """Something that was not examined, and why. Reported, never dropped.

    `internal` tells that code of ours failed on it; such a skip is a failure of the report too. `lost` tells that a
    part of the run's own record is missing, so that nothing which was read speaks for the rest.
    """

    what: str
    reason: str
    internal: bool = False
    lost: bool = False
