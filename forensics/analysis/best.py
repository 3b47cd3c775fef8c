"""Which checkpoint did best in evaluation, and how much of its lead is noise."""

import numpy as np

from forensics.model import Best, Checkpoint, Floats, Run, Series
from forensics.model.statistics import median
from forensics.names import EVAL_LOSS

FEWEST = 6
"""Evaluations from which their noise is estimated: four second differences."""
NORMAL = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


def best_checkpoint(run: Run) -> Best | None:
    """Return the saved checkpoint with the best evaluation; None where no evaluation belongs to one.

    The metric is what the run chose its best model by (`metric_for_best_model`), else the evaluation loss. A
    poisoned, damaged or incomplete checkpoint is never the best.
    """
    series, rising = _metric(run)
    if series is None:
        return None
    sign = -1.0 if rising else 1.0
    saved = [
        (sign * value, c, value)
        for c in run.checkpoints
        if c.step is not None and _usable(c) and (value := series.value_at(c.step)) is not None and np.isfinite(value)
    ]
    if not saved:
        return None
    _, checkpoint, value = min(saved, key=lambda entry: entry[0])
    finite = np.isfinite(series.values)
    at = int(np.argmin(np.where(finite, sign * series.values, np.inf)))
    best_step, best_value = int(series.steps[at]), float(series.values[at])
    saved_at = checkpoint.step if checkpoint.step is not None else best_step
    return Best(checkpoint.path, saved_at, series.name, value, noise(series.values), best_step, best_value)


def _usable(checkpoint: Checkpoint) -> bool:
    return checkpoint.status in {"clean", "not examined"}


def _metric(run: Run) -> tuple[Series | None, bool]:
    """Return the metric that the best model is chosen by, and whether larger is better."""
    asked = run.environment.best("metric_for_best_model")
    name = str(asked.value).removeprefix("eval_") if asked is not None and asked.value else "loss"
    series = run.timeline.get(f"eval_{name}")
    if name == "loss" or series is None:
        chosen = run.timeline.get(EVAL_LOSS)
        return (chosen if chosen is not None and chosen.axis == "step" and len(chosen) else None), False
    rising = run.environment.best("greater_is_better")
    # The Trainer takes a metric that does not end in "loss" for one that rises (TrainingArguments.__post_init__).
    return series, not name.endswith("loss") if rising is None else str(rising.value).lower() == "true"


def noise(values: Floats) -> float | None:
    """Return the standard deviation of one evaluation around its trend; None for fewer than `FEWEST` finite ones.

    Second differences take a straight trend out and have six times the variance of one value (1 + 4 + 1); their
    median absolute deviation is not moved by one leap.

    >>> noise(np.array([1.0, 0.9, 0.8, 0.7, 0.6, 0.5])) < 1e-12
    True
    """
    finite = values[np.isfinite(values)]
    if len(finite) < FEWEST:
        return None
    second = np.diff(finite, n=2)
    return float(NORMAL * median(np.abs(second - median(second))) / np.sqrt(6.0))
