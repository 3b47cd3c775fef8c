"""From some point on the labels do not belong to their inputs."""

import math
from collections.abc import Iterator

import numpy as np

from forensics.model import Evidence, Experiment, Explained, Fix, Floats, Run
from forensics.model.statistics import median
from forensics.names import EVAL_LOSS, LOSS
from forensics.plugin import Condition, rule
from forensics.rules._curves import after, before, norm_is, norms_grew, onset, series_of, shown
from forensics.rules._rates import rate_jumped
from forensics.rules._seen import Seen, unless, weigh_no, weigh_yes

NEAR = 5
"""Entries on each side of the onset whose medians are compared."""
LEAP = 2.0
STEADY = 0.15
"""Relative spread of the entries after the onset below which the loss stands on its new level."""


def _sides(run: Run, explained: Explained) -> tuple[Floats, Floats] | None:
    loss, step = series_of(run, LOSS), onset(explained)
    if loss is None or step is None:
        return None
    old, new = before(loss, step)[-NEAR:], after(loss, step)[:NEAR]
    usable = len(old) >= 3 and len(new) >= 3 and bool(np.all(np.isfinite(old)) and np.all(np.isfinite(new)))
    return (old, new) if usable and bool(np.all(old > 0)) else None


def _leap(run: Run, explained: Explained) -> Seen | None:
    """Tell whether the loss changes its level from one entry to the next."""
    sides = _sides(run, explained)
    if sides is None:
        return None
    old, new = sides
    level, entered = median(new), float(new[0])
    said = f"loss leaps from {shown(float(old[-1]))} to {shown(entered)} in one entry"
    return Seen(entered > LEAP * float(old.max()) and entered > level / LEAP, said, None, "leap")


def _stands(run: Run, explained: Explained) -> Seen | None:
    """Tell whether the loss stays on its new level instead of climbing on."""
    sides = _sides(run, explained)
    if sides is None:
        return None
    new = sides[1][1:]
    spread = float(np.ptp(new)) / max(median(new), np.finfo(float).tiny)
    return Seen(spread < 2 * STEADY, f"loss then stays around {shown(median(new))}", None, "level")


def _worse_than_guessing(run: Run, explained: Explained) -> Seen | None:
    vocabulary = run.environment.number("model.vocab_size")
    sides = _sides(run, explained)
    if vocabulary is None or vocabulary < 2 or sides is None:
        return None
    level, uniform = median(sides[1]), math.log(vocabulary)
    said = f"loss is {shown(level)}, and ln({vocabulary:,.0f}) = {uniform:.2f} is what guessing gives"
    return Seen(level > 1.1 * uniform, said, None, "uniform")


def _evaluation_is_fine(run: Run, explained: Explained) -> Seen | None:
    evaluated, step = series_of(run, EVAL_LOSS), onset(explained)
    if evaluated is None or step is None:
        return None
    old, new = before(evaluated, step), after(evaluated, step)
    if not len(old) or not len(new) or not math.isfinite(float(new[0])):
        return None
    said = f"eval_loss is {shown(float(new[0]))} at the first evaluation after it, {shown(float(old[-1]))} before"
    return Seen(float(new[0]) < 1.3 * float(np.nanmin(old)), said, evaluated.source_at(len(old)), "eval_loss")


@rule(
    "DATA013",
    "labels-corrupted",
    explains=("loss-divergence", "loss-plateau"),
    helps=("loss", "grad_norm", "eval_loss", "learning_rate", "model.vocab_size"),
    references=("https://arxiv.org/abs/1611.03530",),
    requires=(
        Condition(
            "the loss leaps in one entry beside finite gradients",
            lambda run, e: unless(_leap(run, e), norm_is(run, e, "nonfinite", "sentinel", "zero")),
        ),
    ),
)
def labels_corrupted(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """From some point on the labels do not belong to their inputs: the data changed, not the model.

    ## What happens
    Rows were shuffled against each other, labels shifted twice or not at all, or another file began. The model
    predicts as well as before, but not these labels, so the loss leaps to the level of a confident wrong answer,
    which lies above that of guessing.

    ## How to tell
    The loss leaps in one entry to a new level and stays there; gradient norms were steady before, the learning
    rate did nothing; an evaluation on other data is still fine at first. A divergence grows over several entries.

    ## What to do
    Decode the samples around the onset, inputs beside labels.

    ## Sources
    Zhang et al., "Understanding deep learning requires rethinking generalization" (arXiv 1611.03530): random
    labels are learned by heart and leave the loss on others at or above that of guessing.
    """
    yield from weigh_yes(_leap(run, explained), 2, "a divergence takes several entries")
    yield from weigh_yes(_stands(run, explained), 1)
    yield from weigh_no(_stands(run, explained), -2, "it climbs on")
    yield from weigh_yes(_worse_than_guessing(run, explained), 2, "the answers are confident and wrong")
    yield from weigh_yes(_evaluation_is_fine(run, explained), 4, "the model is as good as before")
    grew = norms_grew(run, explained)
    yield from weigh_yes(grew, -2, "a divergence, not the data")
    yield from weigh_no(grew, 1, "the updates did not do it")
    yield from weigh_yes(rate_jumped(run, explained), -2, "the rate did it")
    yield Fix("Decode the samples that were used around the onset, inputs beside labels, and mend the data.")
    yield Experiment("Evaluate the checkpoint before the onset on the samples after it.", "their loss is as high", 1)
