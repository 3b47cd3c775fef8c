"""Which optimizer step a metric dictionary belongs to, when it does not say.

tqdm draws its bar anew right after it has let a dictionary through (`tqdm.external_write_mode`), so the counter of
the training bar that follows is the step; the bar before may be late: tqdm draws at most ten times a second. Where
standard output was buffered, dictionaries come in bursts and bars tell nothing: there the printed epoch times the
steps per epoch must do, and where that is not fine enough the step stays unknown.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.records import dataclass
from forensics.model import UNKNOWN_STEP, Floats, Integers, Precision
from forensics.model.order import Item, among, counted, distinct, end_to_end
from forensics.model.statistics import median
from forensics.names import LOSS, canonical
from forensics.readers.text.found import SettingRow
from forensics.readers.text.rows import Rows, disorder

# Share of dictionaries whose bar must agree with their epoch before bars are believed.
AGREEMENT = 0.8
# Share of dictionaries that must have a bar of their own: with buffered output only the last of a burst has one.
FOLLOWED = 0.5
# Epochs jump by up to a partial accumulation cycle at their ends (`Trainer`, steps in epoch not divisible).
EPOCH_SLACK = 0.02
# Entries and distance from which on a grid of logging steps is told from chance.
GRID_ENTRIES = 6
GRID_SPACING = 3


@dataclass(frozen=True, slots=True)
class DictRows:
    """Metric dictionaries of one shape with the progress bars around them.

    `before` (n, 2) holds counter and total of the bar on the same line, `after` (n, 2 * BARS_AFTER) those of the
    bars drawn next, -1 where there is none. `echoed` tells that a logger printed them beside the Trainer.
    """

    rows: Rows
    before: Integers
    after: Integers
    echoed: bool
    quoted: bool


@dataclass(frozen=True, slots=True)
class Schedule:
    """What the log says about the length of the run; `totals` of all runs in the file, None when they differ."""

    totals: frozenset[int]
    steps_per_epoch: float | None


def schedule_of(settings: Sequence[SettingRow]) -> Schedule:
    """Take the schedule from the block `***** Running training *****`."""

    def numbers(name: str) -> set[float]:
        return {float(row.value) for row in settings if row.name == name and isinstance(row.value, int | float)}

    totals, epochs, per_epoch = (
        numbers("max_steps"),
        numbers("num_train_epochs"),
        numbers("num_update_steps_per_epoch"),
    )
    steps: float | None = None
    if len(per_epoch) == 1:
        steps = per_epoch.pop()
    elif len(totals) == 1 and len(epochs) == 1 and (count := next(iter(epochs))) > 0:
        steps = next(iter(totals)) / count
    return Schedule(frozenset(int(total) for total in totals if total > 0), steps if steps and steps > 0 else None)


def resolve(tables: Sequence[DictRows], schedule: Schedule) -> Iterator[Rows]:
    """Yield the rows of all dictionaries with their steps, metrics apart that were printed less exactly."""
    kept = [table for table in _without_echoes(tables) if len(table.rows)]
    if not kept:
        return
    order = disorder(end_to_end([table.rows.at for table in kept]))

    def column(parts: Sequence[NDArray[Item]]) -> NDArray[Item]:
        whole = end_to_end(parts)
        return whole if order is None else whole[order]

    epochs = column([table.rows.epochs for table in kept])
    quoted = column([np.broadcast_to(np.bool_(table.quoted), len(table.rows)) for table in kept])
    named = column([table.rows.steps for table in kept])
    before = column([table.before for table in kept])
    after = column([table.after for table in kept])
    shown = _from_bars(before, after, epochs, schedule)
    resolution = np.where(quoted, _four_digit_unit(epochs), 0.005)
    settled = np.where(named != UNKNOWN_STEP, named, _settled(shown, epochs, resolution, schedule))
    trained = column([np.broadcast_to(np.bool_(_of_training(table)), len(table.rows)) for table in kept])
    steps = np.empty_like(settled)
    steps[slice(None) if order is None else order] = np.where(
        named != UNKNOWN_STEP, settled, _on_grid(settled, trained)
    )
    position = 0
    for table in kept:
        size = len(table.rows)
        yield from _by_precision(replace(table.rows, steps=steps[position : position + size]), table.quoted)
        position += size


def _without_echoes(tables: Sequence[DictRows]) -> list[DictRows]:
    """Drop dictionaries that a logger printed beside the Trainer's own (LLaMA-Factory's LogCallback)."""
    echoed = sum(len(table.rows) for table in tables if table.echoed)
    plain = sum(len(table.rows) for table in tables) - echoed
    return list(tables) if plain < echoed else [table for table in tables if not table.echoed]


def _four_digit_unit(epochs: Floats) -> Floats:
    """Return half a unit of the last of four significant digits."""
    with np.errstate(divide="ignore", invalid="ignore"):
        exponent = np.floor(np.log10(np.abs(epochs)))
    unit: Floats = np.where(np.isfinite(exponent), 0.5 * 10.0 ** (np.nan_to_num(exponent) - 3), 0.0)
    return unit


def _from_bars(before: Integers, after: Integers, epochs: Floats, schedule: Schedule) -> Integers:
    """Return the counter of the training bar after each dictionary, else before it on the line, else unknown."""
    counters, totals = after[:, 0::2], after[:, 1::2]
    training = training_totals(totals, before[:, 1], schedule)
    steps = np.full(len(before), UNKNOWN_STEP, dtype=np.int64)
    if not training:
        return steps
    wanted = np.array(sorted(training), dtype=np.int64)
    late = np.where(among(before[:, 1], wanted), before[:, 0], UNKNOWN_STEP)
    for column in reversed(range(counters.shape[1])):
        hit = among(totals[:, column], wanted)
        steps[hit] = counters[hit, column]
    # Copies of terminals lose the bars that were drawn over: then the one on the same line is all there is.
    if (steps == UNKNOWN_STEP).all() or _misfit(late, epochs) < _misfit(steps, epochs):
        return late
    return _with_late_bars(steps, late)


def _with_late_bars(steps: Integers, late: Integers) -> Integers:
    """Where no bar follows (the end of an excerpt), take the bar before, moved on as far as elsewhere."""
    both = (steps != UNKNOWN_STEP) & (late != UNKNOWN_STEP)
    behind = distinct(steps[both] - late[both])
    if behind.size != 1 or behind[0] < 0:
        return steps
    return np.where((steps == UNKNOWN_STEP) & (late != UNKNOWN_STEP), late + behind[0], steps)


def _misfit(steps: Integers, epochs: Floats) -> float:
    """Return how far steps are from proportional to the epochs, in steps; infinite when few are known."""
    known = (steps > 0) & np.isfinite(epochs) & (epochs > 0)
    if known.sum() < 3 or known.sum() < FOLLOWED * len(steps):
        return float("inf")
    ratio = median(steps[known] / epochs[known])
    return float(np.mean(np.abs(steps[known] - epochs[known] * ratio)))


def training_totals(after: Integers, before: Integers, schedule: Schedule) -> set[int]:
    """Tell the training bar from nested ones: by the printed number of steps, else as the most frequent total."""
    counts = _counts(after) or _counts(before)
    known = schedule.totals & set(counts)
    if known or not counts:
        return set(known)
    most = max(counts.values())
    return {max(total for total, count in counts.items() if count == most)}


def _counts(totals: Integers) -> dict[int, int]:
    found = totals[totals > 1]
    if found.size and (found == found[0]).all():
        return {int(found[0]): found.size}
    values, counts = counted(found)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def _settled(shown: Integers, epochs: Floats, resolution: Floats, schedule: Schedule) -> Integers:
    """Believe the bars where the epochs agree, fill the rest from the epochs."""
    timed = np.isfinite(epochs)
    known = (shown > 0) & timed
    per_epoch = schedule.steps_per_epoch
    unknown = np.full_like(shown, UNKNOWN_STEP)
    if known.any() and known.sum() >= FOLLOWED * timed.sum():
        predicted, ratio = _predicted(shown, epochs, known, resolution)
        if ratio is None:
            return shown
        slack = _slack(epochs, resolution, ratio)
        agrees = known & (np.abs(shown - predicted) <= slack)
        if agrees.sum() >= AGREEMENT * known.sum():
            trusted = np.where(agrees | ~timed, shown, UNKNOWN_STEP)
            if per_epoch is not None and _fits(trusted, epochs, resolution, per_epoch, agrees):
                return _filled(trusted, epochs * per_epoch, resolution * per_epoch)
            # Two rounded ends over the span of the epochs make the ratio itself uncertain.
            span = float(np.ptp(epochs[agrees]))
            doubt = 2 * float(resolution[agrees].max()) / span if span else np.inf
            return _filled(trusted, predicted, (resolution + np.abs(epochs) * doubt) * ratio)
    elif not timed.any():
        return shown
    return unknown if per_epoch is None else _filled(unknown, epochs * per_epoch, resolution * per_epoch)


def _fits(steps: Integers, epochs: Floats, resolution: Floats, per_epoch: float, where: NDArray[np.bool_]) -> bool:
    return bool((np.abs(steps - epochs * per_epoch) <= 1 + resolution * per_epoch)[where].all())


def _predicted(
    shown: Integers, epochs: Floats, known: NDArray[np.bool_], resolution: Floats
) -> tuple[Floats, float | None]:
    """Return the steps that the epochs let expect, and the steps per epoch, None when the epochs cannot tell.

    A run that is resumed with `ignore_data_skip` counts its epochs anew while its steps go on: every stretch of
    rising epochs has a first step of its own.
    """
    at = np.flatnonzero(known)
    falls = np.diff(epochs[at]) < -2 * resolution[at][1:]
    stretches = np.split(at, np.flatnonzero(falls) + 1)
    ratios = [
        (shown[part[-1]] - shown[part[0]]) / (epochs[part[-1]] - epochs[part[0]])
        for part in stretches
        if epochs[part[-1]] > epochs[part[0]]
    ]
    positive = at[epochs[at] > 0]
    if not ratios and not positive.size:
        return epochs, None
    ratio = median(ratios or shown[positive] / epochs[positive])
    starts = np.array([part[0] for part in stretches])
    begins = [median(shown[part] - epochs[part] * ratio) for part in stretches]
    # Epochs count from the first step of the run, unless the steps clearly say otherwise.
    slacks = [float(np.max(_slack(epochs[part], resolution[part], ratio))) for part in stretches]
    offsets = np.array([0.0 if abs(each) <= slack else each for each, slack in zip(begins, slacks, strict=True)])
    which = np.maximum(np.searchsorted(starts, np.arange(len(shown)), side="right") - 1, 0)
    return epochs * ratio + offsets[which], ratio


def _slack(epochs: Floats, resolution: Floats, ratio: float) -> Floats:
    """Return by how much a true step may miss the expected one: its own epoch and the ratio are both rounded."""
    slack: Floats = 1 + 2 * resolution * ratio + EPOCH_SLACK * np.abs(epochs) * ratio
    return slack


def _filled(steps: Integers, guess: Floats, slack: Floats) -> Integers:
    """Fill unknown steps where the expected step, or the even spacing of the entries, leaves only one choice."""
    filled = steps.copy()
    missing = (steps == UNKNOWN_STEP) & np.isfinite(guess)
    exact = missing & (slack + 0.05 < 0.5) & (np.abs(guess - np.rint(guess)) < 0.45) & (guess > 0.5)
    filled[exact] = np.rint(guess[exact]).astype(np.int64)
    left = np.flatnonzero(missing & ~exact)
    spacing = _spacing(filled, guess, slack) if left.size else 0
    if spacing:
        near = np.rint(guess[left] / spacing) * spacing
        sure = (np.abs(near - guess[left]) <= slack[left] + 1) & (near > 0)
        filled[left[sure]] = near[sure].astype(np.int64)
    return filled


def _spacing(steps: Integers, guess: Floats, slack: Floats) -> int:
    """Return `logging_steps` when all entries lie on its multiples and only one multiple fits each, else 0."""
    known = steps[steps > 0]
    if known.size > 1:
        gaps = np.diff(distinct(known))
        spacing = int(gaps.min()) if gaps.size else 0
        on_grid = spacing > 0 and bool((known % spacing == 0).all())
    else:
        finite = distinct(guess[np.isfinite(guess)])
        spacing = round(float(finite[-1]) / finite.size) if finite.size > 2 else 0
        on_grid = spacing > 0 and bool(
            (np.abs(finite - spacing * np.arange(1, finite.size + 1)) <= slack.max() + 1).all()
        )
    return spacing if on_grid and 2 * (float(np.nanmax(slack)) + 1) < spacing else 0


def _of_training(table: DictRows) -> bool:
    return any(canonical(name) == LOSS for name in table.rows.names)


def _on_grid(steps: Integers, trained: NDArray[np.bool_]) -> Integers:
    """Move entries that a late bar put one step beside a multiple of `logging_steps` onto it.

    The Trainer logs the loss where the step is a multiple of `logging_steps` (`DefaultFlowCallback.on_step_end`);
    most entries tell the distance. The first and the last entry may stand elsewhere (`logging_first_step`).
    """
    at = np.flatnonzero(trained & (steps > 0))
    if at.size < GRID_ENTRIES:
        return steps
    found = steps[at]
    spacing = int(median(np.diff(found)))
    if spacing < GRID_SPACING:
        return steps
    near = np.rint(found / spacing).astype(np.int64) * spacing
    inner = near[1:-1]
    apart = np.abs(found - near)[1:-1]
    if np.count_nonzero(apart) > 0.5 * apart.size or apart.max() > 1 or distinct(inner).size < inner.size:
        return steps
    moved = steps.copy()
    moved[at[1:-1]] = inner
    return moved


def _by_precision(rows: Rows, quoted: bool) -> Iterator[Rows]:
    if quoted:
        yield replace(rows, precision=Precision.FOUR_DIGITS)
        return
    rounded = [
        index for index, name in enumerate(rows.names) if canonical(name) == LOSS and _is_rounded(rows.values[:, index])
    ]
    exact = [index for index in range(len(rows.names)) if index not in rounded]
    for indices, precision in ((rounded, Precision.FOUR_DECIMALS), (exact, Precision.DOUBLE)):
        if indices:
            names = tuple(rows.names[index] for index in indices)
            yield replace(rows, names=names, values=rows.values[:, indices], precision=precision)


def _is_rounded(values: Floats) -> bool:
    finite = values[np.isfinite(values)]
    return bool((finite == np.round(finite, 4)).all())
