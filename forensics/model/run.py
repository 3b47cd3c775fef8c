"""All that was read of one run."""

from dataclasses import field
from typing import TYPE_CHECKING

from forensics.deferred.records import dataclass
from forensics.model.ending import Attempt, Ending
from forensics.model.environment import Environment
from forensics.model.facts import Artifact, Skip
from forensics.model.recording import Recording
from forensics.model.timeline import Timeline
from forensics.model.weights import Checkpoint
from forensics.storage.locations import Place

if TYPE_CHECKING:
    import pandas as pd


UNBOUNDED_STEPS = 1 << 53
"""Over an iterable dataset the Trainer plans 2**63 - 1 steps, which says nothing."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run directory, read: timeline, environment, checkpoints in step order, and what was not examined.

    `attempts` are its launches with how each ended, the last one last. `hidden` holds values that no output may
    show: what its files say behind names of secrets. `trainings` are those of a log that holds several, one behind the
    other (folds, a sweep), each read by itself; the timeline above is then that of the last one.
    `siblings` are the timelines of all trainings of the log that this one is one of.
    """

    root: Place
    timeline: Timeline = field(default_factory=Timeline)
    environment: Environment = field(default_factory=Environment)
    checkpoints: tuple[Checkpoint, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    skips: tuple[Skip, ...] = ()
    frameworks: tuple[str, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    recordings: tuple[Recording, ...] = ()
    hidden: tuple[str, ...] = field(default=(), repr=False)
    trainings: tuple["Run", ...] = field(default=(), repr=False)
    siblings: tuple[Timeline, ...] = field(default=(), repr=False)

    def has(self, name: str) -> bool:
        """Tell whether the run recorded something.

        `name` is a metric or a setting, "package NAME", "hardware NAME", "event KIND", or one of "events",
        "checkpoints" (any was found), "weights" (any was scanned), "optimizer" (any optimizer state was read),
        "recordings" (a black box was read).
        """
        kind, _, rest = name.partition(" ")
        if kind == "event":
            return any(self.timeline.events_of(rest))
        if kind == "package" and rest:
            return self.environment.best(rest, "package") is not None
        if kind == "hardware" and rest:
            return self.environment.best(rest, "hardware") is not None
        wholes = {
            "events": bool(self.timeline.events),
            "recordings": any(len(recording) for recording in self.recordings),
            "checkpoints": bool(self.checkpoints),
            "weights": any(c.table is not None for c in self.checkpoints),
            "optimizer": any(c.optimizer is not None for c in self.checkpoints),
        }
        if name in wholes:
            return wholes[name]
        return name in self.timeline or self.environment.best(name) is not None

    def frame(self) -> "pd.DataFrame":
        """Return every sample as a long table; see `Timeline.frame`."""
        return self.timeline.frame()

    @property
    def ending(self) -> Ending | None:
        """How the last attempt ended; None where no attempt is known."""
        return self.attempts[-1].ending if self.attempts else None

    @property
    def planned_steps(self) -> int | None:
        """The planned number of steps: as it was set, else as the totals beside the counters of a log tell it."""
        return _planned(self, "max_steps")

    @property
    def planned_epochs(self) -> int | None:
        """The planned number of epochs, by the same sources."""
        return _planned(self, "num_train_epochs")

    @property
    def last_good_checkpoint(self) -> Checkpoint | None:
        """The newest clean checkpoint before every poisoned one that a run can go on from.

        Where none holds all that a resume reads, it is the newest clean one; `Checkpoint.lacks` tells what is missing.
        """
        good: Checkpoint | None = None
        for checkpoint in self.checkpoints:
            if checkpoint.status == "poisoned":
                break
            if checkpoint.status == "clean" and (good is None or _use(checkpoint) >= _use(good)):
                good = checkpoint
        return good

    @property
    def first_bad_checkpoint(self) -> Checkpoint | None:
        return next((c for c in self.checkpoints if c.status == "poisoned"), None)

    def __repr__(self) -> str:
        held = f"{len(self.timeline.series)} series, {len(self.checkpoints)} checkpoints"
        return f"<Run {self.root}: {held}, {len(self.artifacts)} files, {len(self.skips)} skips>"


def _planned(run: Run, name: str) -> int | None:
    for each in (name, f"inferred.{name}"):
        planned = run.environment.number(each)
        if planned is not None and 0 < planned < UNBOUNDED_STEPS:
            return int(planned)
    return None


def _use(checkpoint: Checkpoint) -> tuple[bool, bool]:
    return checkpoint.resumable, not checkpoint.lacks
