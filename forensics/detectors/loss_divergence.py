"""The loss rises and stays up: what was learned is lost again."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from forensics.analysis import context, robust
from forensics.analysis.learning import running_sum
from forensics.analysis.steered import steered
from forensics.analysis.tails import loss_tail
from forensics.deferred.patterns import expression
from forensics.detectors._descent import burst, given_back
from forensics.detectors._divergence import Found, diverged, levels_of
from forensics.detectors._regained import regained
from forensics.detectors._wording import number
from forensics.model import Finding, Run, Series, Severity
from forensics.model.statistics import median
from forensics.names import EVAL_LOSS, EVALUATION, GRAD_NORM, LOSS, TRAIN_LOSS, is_loss
from forensics.plugin import detector

TERM = expression(r"(?:^|[/_ ])loss$|^loss[/_ ]\w{1,20}$", re.IGNORECASE)
ASIDE = expression(r"kl|aux|reg|entropy|z_loss|balanc|commit|smooth|scale", re.IGNORECASE)
"""Terms that grow by design: their weight is raised, or they are no aim of training, or no loss (`loss_scale`)."""
ENDLESS, TIMES, LEVEL = 1e3, 5.0, 5
"""How low a loss without a floor has fallen, how many times the third before and the first third its last third is."""
FASTEST, FASTER = 10, 1.5
"""Entries, and how many times its first one, a loss has fallen below 0; how many times as far in its last third."""
WON, UP, NEVER = 0.01, 3.0, 20
"""What is left of the loss of one of two adversaries, how many times its first level the other's is, and entries."""
BALANCE = expression(
    r"balanc\w{0,10}[/_ ]?(?:loss|aux)|(?:moe|router)[/_ ]?aux[/_ ]?loss|(?:loss|aux)[/_ ]?balanc", re.IGNORECASE
)
FEW, BEYOND = 3, 1e20
"""A loss that was never lower: no data have units in which errors of 1e10 are right ones."""
NORMS = 5.0
"""How many times its level at the best loss the gradient norm has, where the rise of a small loss is no wobble."""


@detector("loss-divergence")
def loss_divergence(run: Run) -> Iterator[Finding]:
    """Find a loss that ends far above its best level and does not come back.

    Levels are medians of bins, a hundred bins at most and at least five entries each (twenty entries have four),
    so that no single entry counts; the last level is the lowest of the last tenth of the levels, at least two.
    It is dated to the entry after the last one no higher than the best bin's highest, plus two deviations.
    Source: runmedic 0.1.1, share of the progress lost: 50 % is a warning, 100 % an error. Progress is the first
    level minus the best before the rise. Besides, the end must be 1.5 times the best (2 times for an error; 1.25 times
    where all progress and a whole 1 of loss is lost: ln(vocabulary) is 11, not 2) and six point-to-point deviations
    above it.
    1.12 times is enough where the best level lies in the first third of a log and all of the last third clears it by
    ten deviations of all entries (1 of 594 faulty runs, 0 of 908 healthy ones).
    Minimum: 20 finite entries; in a shorter log the loss must leap to more than three times all that came before
    and stay there: an error with three entries before and two after, else a warning. With four entries before and
    three after, a quarter more than all before is enough where the later half is at twice the best. A loss that
    only ever rises is a warning: by a tenth over ten entries and more, to twice its first level over five. In a
    longer log a leap to more than ten times all before counts from the third entry on, while the first two bins
    last: the bins of such a log hold no good level any more. From ten entries on the level is lost where, from the
    second entry on, all that follows is above 1.5 times the best so far and its median above 2.5 times and 1 more (3 of
    59 faulty runs that were called healthy, 0 of 350 healthy ones and 46 hard negatives). In four to nine entries a
    last one of 1.2 times the first, 1 above it and the highest of all, is a warning (1 and 0). In six to nine entries
    the level is lost where at least two before lie below half of all three and more that follow. A loss that was never
    again near its first level, all that follows above 1.15 times and half of it above 1.3 times that and 0.2 more, is
    a warning from five entries on. A loss that two entries in a row take down from its first level, to less than half
    of it, and that is never again below that level in all of at least three quarters that follow, is an error: what
    was learned is gone. A steady rise by 15 % over ten levels that costs a quarter of the progress, one by 30 % and a
    whole 1 over seven, and a log whose last three entries lie a quarter above the highest of the twenty before, half
    above their median, are warnings.
    A level of a log of 20 entries and more that is lost for a quarter of it (more than a tenth where it doubles), all
    entries above 1.2 times and the middle one above 1.4 times and 1 more, or half of what it had gained, is a warning
    wherever the loss ends, and an error above its first entry: a rate that was too high comes down with its schedule,
    and a worse model comes back (3 of 508 faulty runs that no other rule names, 0 of 447 healthy ones).
    A loss of eight entries and more, positive or not, that gives back half of its descent and ends above its best level
    by six deviations, and by 8 % and 0.1 where it is positive, is a warning (`_descent`: 0 of 342 healthy runs, 7 of 36
    small faulty ones of ours); and so are two entries in a row of a log of 5 to 19, a fifth of it, above twice all
    before them, wherever it ends.
    Three entries and more that are all above 1e20 are an error.
    Beside a sum that falls, a term that ends at three times its best and twice its first level is a warning.
    Where the terms of a loss were logged and no sum, each is judged, and is a warning at most, unless the others fell
    by more since than it rose (the residual of a network that learns physics is 0 before it learns the data); of two
    adversaries (a generator, a discriminator) it is one where the loss of one is below a hundredth of its first in the
    middle of the last third, and a fiftieth in all of it, and that of the other at three times its first level and
    still rising: no gradient is left to learn from. A loss of balance between experts that ends at three times its
    first level is one too, whatever the sum does.
    A loss below -1000 whose last third is five times as low as the one before falls without end: an error. A warning is
    one of ten entries and more that ends below -10, ten times as low as it began, whose last third is twice as low as
    the one before and fell half as far again (a likelihood that is minimised; 0 of 507 healthy runs).
    Silenced by: a policy-gradient trainer; for all but what was given back a loss with negative values, whose ratios
    mean nothing; one that is printed as the sum since the beginning, as of word vectors, whose parts get smaller; for
    a level that comes back, a loss that falls at once, as on the data of another task.
    A notice where something that the program steers moves one way meanwhile: the weight of a term, the share of teacher
    forcing, a stage (`analysis.steered`).
    Known false alarms: a curriculum that no number tells of; a rise below 0.1 is a notice unless the
    gradient norm ends at five times what it was when the loss left its level.
    Measured: as written it is silent on 133 healthy runs (27 of the fixtures, 73 of first contact, 33 further public
    ones); the counts above are those of the simulation that chose the thresholds (docs/design/0004-evidence.md).
    """
    series = run.timeline.get(LOSS)
    if context.policy_gradient(run) or (series is not None and running_sum(series.values)):
        return
    yield from _unbalanced(run)
    if context.adversarial(run) and (series is None or context.of_an_adversary(series)):
        yield from _won([s for name, s in sorted(run.timeline.series.items()) if _plays(s) and _counts(name)])
        return
    if series is not None and len(series):
        found = _judged(series)
        if found is None and (endless := _without_end(series)) is not None:
            yield endless
            return
        if found is not None:
            yield _by_design(run, series, _finding(series, (_with_the_norm(run, series, found), *found[1:])))
        elif (lost := _for_long(run, series)) is not None:
            yield _by_design(run, series, lost)
        else:
            yield from _one_task_lost(run)
        return
    terms = {name: run.timeline[name] for name in sorted(run.timeline.series) if TERM.search(name)}
    rising = [(s, found) for name, s in terms.items() if _counts(name) and (found := _judged(s))]
    rising = [(s, found) for s, found in rising if not _paid_for(s, found[1], terms)]
    if rising:
        first, (severity, index, best, level) = min(rising, key=lambda each: int(each[0].steps[each[1][1]]))
        yield _finding(first, ("warning" if severity == "error" else severity, index, best, level))


def _by_design(run: Run, series: Series, found: Finding) -> Finding:
    """Return a rise as a notice where the program raised the loss itself, as by the weight of one of its terms."""
    moved = steered(run, series, int(np.searchsorted(series.steps, found.step or 0)))
    return replace(found, severity="notice", statement=f"{found.statement}; {moved}") if moved else found


def _without_end(series: Series) -> Finding | None:
    """Tell of a loss that falls ever faster below 0: a sign is wrong, or nothing bounds what is maximised.

    A density has a floor that its logarithm reaches ever more slowly; WGAN critics have names of adversaries.
    """
    values = series.values[np.isfinite(series.values)]
    third = len(values) // 3
    if len(values) < FASTEST or values[-1] > -FASTEST * max(1.0, abs(float(values[0]))):
        return None
    parts = [median(part) for part in (values[:third], values[third:-third], values[-third:])]
    far = len(values) >= NEVER and values[-1] <= min(-ENDLESS, -TIMES * abs(parts[0]))
    far = far and parts[2] <= TIMES * min(parts[1], -1.0)
    faster = parts[2] <= 2 * min(parts[1], -1.0) and parts[1] - parts[2] >= FASTER * (parts[0] - parts[1])
    if parts[1] >= parts[0] or not (far or faster):
        return None
    index = int(np.argmax(series.values < -max(1.0, 2 * float(np.abs(values[:LEVEL]).max()))))
    return Finding(
        symptom="loss-divergence",
        severity="error" if far else "warning",
        statement=f"the loss falls ever faster, from {number(float(values[0]))} to {number(float(values[-1]))}: "
        "nothing bounds it from below, as where its sign is wrong",
        source=series.source_at(index),
        step=int(series.steps[index]),
        step_range=(int(series.steps[index - 1]) if index else None, int(series.steps[index])),
    )


def _for_long(run: Run, series: Series) -> Finding | None:
    """Tell of a level that was lost for a good part of the run, or of losses beyond all units from first to last."""
    found = None if context.adversarial(run) else regained(series, context.recorded(run, EVAL_LOSS))
    if found is not None:
        told = (
            f"the loss rises from {number(found[2])} to {number(found[3])} and stays there for a good part of the run"
        )
        return replace(_finding(series, found), statement=f"{told}, from step {int(series.steps[found[1]])} on")
    values = series.values[np.isfinite(series.values)]
    if len(values) < FEW or float(values.min()) < BEYOND:
        return None
    return Finding(
        symptom="loss-divergence",
        severity="error",
        statement=f"the loss lies between {number(float(values.min()))} and {number(float(values.max()))} in all of "
        f"{len(values)} entries: training had diverged before the first one, or its inputs have absurd units",
        source=series.source_at(0),
        step=int(series.steps[0]),
        step_range=(None, int(series.steps[0])),
    )


def _unbalanced(run: Run) -> Iterator[Finding]:
    """Tell of a loss that is 1 while the experts share the work, and their number once one of them has all."""
    for name in sorted(run.timeline.series):
        series = run.timeline[name]
        values = series.values[np.isfinite(series.values)]
        if not BALANCE.search(name) or len(values) < NEVER or float(values.min()) <= 0:
            continue
        tenth = len(values) // 10
        first, level = median(values[:tenth]), median(values[-tenth:])
        high = np.flatnonzero(series.values > (first + level) / 2)
        if level > UP * first and float(values[-tenth:].min()) > 2 * first:
            yield _finding(series, ("warning", int(high[0]), first, level))
            return


def _one_task_lost(run: Run) -> Iterator[Finding]:
    """Tell of a term that rises to twice its first level and three times its best while the sum falls."""
    if context.adversarial(run):
        return
    for name in sorted(run.timeline.series):
        series = run.timeline[name]
        if name in {LOSS, TRAIN_LOSS} or not TERM.search(name) or not _counts(name):
            continue
        found = _judged(series) if len(series) >= NEVER else None
        if found is not None and found[0] == "error" and found[3] > max(UP * found[2], 2 * float(series.values[0])):
            yield _finding(series, ("warning", *found[1:]))
            return


def _paid_for(rising: Series, index: int, terms: Mapping[str, Series]) -> bool:
    """Tell whether the others fell by more than a term rose since it left its level: the whole got better."""
    beside = [s for name, s in terms.items() if _counts(name) and len(s) == len(rising) and s.axis == rising.axis]
    before, last = slice(max(0, index - LEVEL), max(1, index)), slice(-max(1, len(rising) // 10), None)
    moved = [median(s.values[last]) - median(s.values[before]) for s in beside]
    return sum(move for move in moved if np.isfinite(move)) <= 0


def _plays(series: Series) -> bool:
    return is_loss(series.name) or context.of_an_adversary(series)


def _counts(name: str) -> bool:
    """Tell whether a term is an aim of training: neither of an evaluation, nor raised by design."""
    return not ASIDE.search(name) and not EVALUATION.search(name)


def _won(terms: Sequence[Series]) -> Iterator[Finding]:
    """Tell of two adversaries of which one has nothing left to lose, to the end, while the other only loses."""
    for winner in terms:
        for loser in terms:
            won, lost = (s.values[np.isfinite(s.values)] for s in (winner, loser))
            if min(len(won), len(lost)) < NEVER or won.min() < 0 or lost.min() <= 0:
                continue
            down, up = robust.trend(won), robust.trend(lost)
            begun = median(lost[: max(1, len(lost) // 10)])
            late = won[-len(won) // 3 :]
            gone = median(late) < WON * float(won[0]) and float(late.max()) < 2 * WON * float(won[0])
            if gone and down.falls and up.end > max(UP * begun, 1.05 * up.start):
                yield _finding(loser, ("warning", int(np.argmax(loser.values > UP * begun)), begun, up.end))
                return


def _with_the_norm(run: Run, series: Series, found: Found) -> Severity:
    """Return how grave a rise is: that of a small loss is, where the gradient norm rises many times with it."""
    norms = run.timeline.beside(series, GRAD_NORM)
    if found[0] != "notice" or norms is None or not len(norms):
        return found[0]
    known = norms.values[np.isfinite(norms.values)]
    some = max(5, len(known) // 10)
    before = known[: int(np.searchsorted(norms.steps, series.steps[found[1]]))]
    rose = len(before) >= some and median(known[-some:]) > NORMS * float(levels_of(before)[0].min())
    return "warning" if rose else "notice"


def _judged(series: Series) -> Found | None:
    """Return how a loss diverged before it was lost; its index is one of the series."""
    tail = loss_tail(series)
    finite = np.flatnonzero(np.isfinite(series.values[: len(series) if tail is None else tail.index]))
    # A first 0 before any other number is what a meter or a bar was set up with, no level of a loss.
    finite = finite[1:] if len(finite) > 1 and not series.values[finite[0]] and series.values[finite[1]] else finite
    values = series.values[finite]
    found = diverged(values) or given_back(values) or burst(values)
    return None if found is None else (found[0], int(finite[found[1]]), *found[2:])


def _finding(series: Series, found: Found) -> Finding:
    severity, index, best, level = found
    step, known = int(series.steps[index]), np.flatnonzero(np.isfinite(series.values[:index]))
    name = "the loss" if series.name == LOSS else series.name
    return Finding(
        symptom="loss-divergence",
        severity=severity,
        statement=f"{name} rises from {number(best)} to {number(level)} and does not come back; "
        f"it leaves its level at step {step}",
        source=series.source_at(index),
        step=step,
        step_range=(int(series.steps[known[-1]]) if len(known) else None, step),
    )
