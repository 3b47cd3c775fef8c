"""A measure over training data and the same over data held out, whatever both are called.

Boosting libraries and loops of one's own name the two alike but for one word: `train-logloss` and `valid-logloss`,
`training's auc` and `valid_0's auc`, `fit-logloss` and `hold-logloss`, CatBoost's `learn` and `test`. What is better,
higher or lower, the training one shows where its name does not: that is what is fitted.
"""

import re
from collections.abc import Container

from forensics.analysis.context import BETTER_HIGHER
from forensics.analysis.learning import ERROR, MOST, finite, rank
from forensics.deferred.patterns import expression
from forensics.model import Run, Series
from forensics.names import is_loss

HUMPS, WORDS = expression(r"(?<=[a-z])(?=[A-Z])"), expression(r"[^a-z@]+")
FITTED = frozenset({"train", "training", "fit", "fitting", "learn", "tr", "trn", "trained"})
KEPT = frozenset(
    {"val", "valid", "validation", "eval", "evaluation", "test", "testing", "te", "dev", "hold", "held", "out"}
    | {"holdout", "heldout", "oof", "unseen"}
)
SMALL_WORDS = frozenset({"s", "set", "on", "of", "the", "data", "avg", "mean"})
NO_MEASURE = expression(r"(?i:time|second|speed|sample|step|size|mem(?:ory)?(?![a-z])|count|token|batch|epoch)")
"""What is counted or timed beside a measure."""
LEAST, STEADY = 8, 0.6
"""Entries of a measure of training, and the rank correlation with time that shows which way it is better."""


def twin(run: Run, series: Series) -> Series | None:
    """Return the measure of training that a measure of held-out data has beside it; None where there is none."""
    own = _rest(series.name)
    if own is None or not own[0]:
        return None
    for name, other in sorted(run.timeline.series.items()):
        known = _rest(name)
        if known is not None and not known[0] and known[1] == own[1] and other.axis == series.axis and len(other) > 1:
            return other
    return None


def falls_when_better(run: Run, series: Series) -> bool | None:
    """Tell whether a measure of held-out data is better when lower, by its name or by its twin; None where unknown."""
    if is_loss(series.name) or ERROR.search(series.name):
        return True
    if BETTER_HIGHER.search(series.name):
        return False
    beside = twin(run, series)
    values = None if beside is None else finite(beside)
    if values is None or len(values) < LEAST:
        return None
    moved = rank(values[:: max(1, len(values) // MOST)])
    return moved < 0 if abs(moved) >= STEADY else None


def kept_apart(name: str) -> bool:
    """Tell whether a name says that its measure is over data held out from training."""
    rest = _rest(name)
    return rest is not None and rest[0] and not NO_MEASURE.search(name)


def of_training(run: Run, name: str) -> bool:
    """Tell whether a measure is over training data: its name says so, or the same is logged over held-out data."""
    rest = _rest(name)
    if rest is None or rest[0]:
        return False
    words = set(WORDS.split(HUMPS.sub(" ", name).lower()))
    return bool(words & FITTED) or any(
        _rest(other) == (True, rest[1]) for other in run.timeline.series if other != name
    )


def _rest(name: str) -> tuple[bool, frozenset[str]] | None:
    """Return whether a name says held out, and its words but for those that say so; None where it says both.

    `learn` and `test` alone are those of the objective, as `loss` is.
    """
    words = {word for word in WORDS.split(HUMPS.sub(" ", name).lower()) if word}
    kept, fitted = words & KEPT, words & FITTED
    rest = words - KEPT - FITTED - SMALL_WORDS - {"loss"}
    return None if kept and fitted else (bool(kept), frozenset(rest))


def is_term(name: str, names: Container[str]) -> bool:
    """Tell whether one of the names is the whole that a metric is a term of, as `loss` is of `loss_ce`.

    >>> is_term("eval_loss_ce", {"eval_loss", "loss"}), is_term("eval_loss", {"eval_loss", "loss"})
    (True, False)
    """
    return any(name[: bar.start()] in names for bar in re.finditer("_", name))
