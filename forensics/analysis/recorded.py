"""What the black boxes of one run say together: attempts, ranks, and the first step that was not finite."""

from collections.abc import Iterator

import numpy as np

from forensics.deferred.records import dataclass
from forensics.model import Recording, Run
from forensics.model.recording import LOCAL, REDUCED


@dataclass(frozen=True, slots=True)
class Attempt:
    """The recordings of one start of the run, by rank."""

    ranks: tuple[Recording, ...]

    @property
    def complete(self) -> bool:
        """Whether every rank left a record with rows."""
        return len([r for r in self.ranks if len(r)]) == self.ranks[0].world

    @property
    def several(self) -> bool:
        return self.ranks[0].world > 1

    @property
    def sharded(self) -> bool:
        """Whether a rank holds only a part of each weight."""
        return self.ranks[0].kind in {"fsdp1", "fsdp2", "zero3"}

    def common(self) -> list[int]:
        """Return the steps of which every recorded rank has a row."""
        steps = set(self.ranks[0].steps.tolist())
        for recording in self.ranks[1:]:
            steps &= set(recording.steps.tolist())
        return sorted(steps)


def attempts(run: Run) -> list[Attempt]:
    """Group the recordings by start of the run; ranks that lie in one folder are no restarts of one another."""
    groups: list[list[Recording]] = []
    for recording in run.recordings:
        if not len(recording):
            continue
        place = next(
            (
                group
                for group in reversed(groups)
                if group[0].world == recording.world
                and recording.rank not in {r.rank for r in group}
                and (group[0].folder == recording.folder or group[0].names == recording.names)
            ),
            None,
        )
        if place is None:
            groups.append([recording])
        else:
            place.append(recording)
    return [Attempt(tuple(sorted(group, key=lambda r: r.rank))) for group in groups]


@dataclass(frozen=True, slots=True)
class Break:
    """The first step of an attempt at which a gradient was not finite.

    `local` and `reduced` are pairs of a recording and the names of its tensors that were not finite before and after
    the reduction, in backward order. `until` is the last such step, None when it never ended.
    """

    attempt: Attempt
    step: int
    local: tuple[tuple[Recording, tuple[str, ...]], ...]
    reduced: tuple[tuple[Recording, tuple[str, ...]], ...]
    loss_bad: bool
    skipped: bool
    until: int | None


def index_of(recording: Recording, step: int) -> int | None:
    """Return the last row of this step."""
    found = np.flatnonzero(recording.steps == step)
    return int(found[-1]) if len(found) else None


def breaks(run: Run) -> Iterator[Break]:
    """Yield of each attempt the break that it never recovered from, or else its first one."""
    for attempt in attempts(run):
        bad: dict[int, bool] = {}
        for recording in attempt.ranks:
            wrong = recording.nonfinite(LOCAL).any(axis=1) | recording.nonfinite(REDUCED).any(axis=1)
            wrong &= ~recording.overflowed
            for step, one in zip(recording.steps.tolist(), wrong.tolist(), strict=True):
                bad[step] = bad.get(step, False) or one
        steps = sorted(bad)
        wrong_steps = [step for step in steps if bad[step]]
        if not wrong_steps:
            continue
        first, until = wrong_steps[0], wrong_steps[-1]
        lasting = bad[steps[-1]]
        if lasting:
            fine = [step for step in steps if not bad[step]]
            first = next(s for s in steps if not fine or s > fine[-1])
        yield _break(attempt, first, None if lasting else until)


def _break(attempt: Attempt, step: int, until: int | None) -> Break:
    local: list[tuple[Recording, tuple[str, ...]]] = []
    reduced: list[tuple[Recording, tuple[str, ...]]] = []
    loss_bad = skipped = False
    for recording in attempt.ranks:
        at = index_of(recording, step)
        if at is None:
            continue
        for side, found in ((LOCAL, local), (REDUCED, reduced)):
            names = recording.first(recording.nonfinite(side)[at])
            if names:
                found.append((recording, tuple(names)))
        loss_bad |= bool(recording.bad_losses[at])
        skipped |= bool(recording.skipped[at])
    return Break(attempt, step, tuple(local), tuple(reduced), loss_bad, skipped, until)


def made_by_reduction(found: Break) -> bool:
    """Tell whether every rank's gradients were finite before the reduction, and not after it."""
    attempt = found.attempt
    if not attempt.several or not attempt.complete or found.local or not found.reduced:
        return False
    rows = [(r, index_of(r, found.step)) for r in attempt.ranks]
    known = all(at is not None and bool(r.seen(LOCAL)[at].any()) for r, at in rows)
    return known and all(r.reduced_read != "step" for r, _ in rows)


def again(old: Recording, new: Recording) -> list[tuple[int, int]]:
    """Return pairs of steps with one batch, from the first step of the new attempt on, while they follow each other."""
    seen: dict[tuple[str, ...], int] = {}
    for step, sums in sorted(old.batches.items()):
        if sums in seen:
            return []
        seen[sums] = step
    pairs: list[tuple[int, int]] = []
    for step, sums in sorted(new.batches.items()):
        was = seen.get(sums)
        if was is None or was == step or (pairs and was <= pairs[-1][0]):
            break
        pairs.append((was, step))
    return pairs
