"""What a log tells of the data beside the loss: their extremes, their lengths."""

import re

import numpy as np

from forensics.deferred.patterns import expression
from forensics.model import Explained, Run, Series
from forensics.names import EPOCH, EVAL_LOSS, GRAD_NORM, LEARNING_RATE, LOSS, LOSS_SCALE, Kind, is_loss
from forensics.rules._curves import onset, shown
from forensics.rules._seen import Seen, held
from forensics.rules._told import said

LEAST = 10
"""Entries besides the bad one that show what is usual."""
FAR = 20.0
"""How many times the usual extreme a value of the data must be to be the odd one."""
OF_DATA = expression(
    r"input|target|label|batch|sample|image|pixel|audio|wave|feature|token|seq|len|data"
    r"|(?:^|[/_|. ])[xy](?:$|[/_|. ])",
    re.IGNORECASE,
)
OF_COST = expression(r"time|sec|/s$|mem|speed|thr|tps|mfu|flop|eta|size|seen|consumed|total|num_input", re.IGNORECASE)
"""Names of what is measured of the computation, or counts on through the run, and is no property of one batch."""
OTHERS = frozenset({LOSS, EVAL_LOSS, GRAD_NORM, LEARNING_RATE, LOSS_SCALE, EPOCH})


def odd_input(run: Run, explained: Explained) -> Seen | None:
    """Tell whether a quantity of the data was odd in the entry where the NaN begins, and in no other.

    Weights that are NaN stay so: what is a number again in the next entry does not hang on them, so it is the data.
    None where no such quantity is logged in every entry around it.
    """
    step, looked = onset(explained), None
    loss = run.timeline.get(LOSS)
    if step is None or loss is None:
        return None
    at = {step, *loss.steps[max(int(np.searchsorted(loss.steps, step)) - 1, 0) :][:1].tolist()}
    for name, series in run.timeline.series.items():
        if name in OTHERS or is_loss(name) or not OF_DATA.search(name) or OF_COST.search(name):
            continue
        place = np.flatnonzero(np.isin(series.steps, list(at)))
        if len(series) <= LEAST or not len(place):
            continue
        odd = _odd(series)
        if odd is not None and odd in place.tolist():
            value = shown(float(series.values[odd]))
            said = f"{name} is {value} at step {series.steps[odd]}, where it begins, and in no other entry"
            return Seen(True, said, series.source_at(odd), "data of the step")
        looked = looked or Seen(False, f"{name} is as ever at step {step}", series.source_at(int(place[0])), "data")
    return looked


UNSEEN = expression("invalid value encountered in|Mean of empty slice|without any observed values")
"""numpy and scikit-learn, where what is normalised has no spread, no value or a NaN."""


def missing_values(run: Run, explained: Explained) -> Seen | None:
    """Tell whether the log's own look at the data shows missing values and the loss is no number from the start on."""
    if not _never_a_number(run, explained):
        return None
    for events in run.timeline.events_of(Kind.COLUMN_FILLED):
        fewest, most = int(np.argmin(events.values)), float(np.max(events.values))
        if events.values[fewest] < most:
            row = " ".join((events.texts or (events.text,) * len(events))[fewest].split())
            told = f"a column has {most - events.values[fewest]:,.0f} of {most:,.0f} values missing: “{row[:80]}”"
            return Seen(True, told, events.source_at(fewest), "missing values")
    return None


def spoiled_values(run: Run, explained: Explained) -> Seen | None:
    """Tell whether a library met a NaN, in the data or in a metric, while the loss is no number from the start on."""
    return held(said(run, Kind.FRAMEWORK_WARNING, UNSEEN)) if _never_a_number(run, explained) else None


def _never_a_number(run: Run, explained: Explained) -> bool:
    loss = run.timeline.get(LOSS)
    return explained.name == "loss-nan" and loss is not None and len(loss) > 0 and not np.isfinite(loss.values).any()


def _odd(series: Series) -> int | None:
    """Return the one entry that is no number, zero or twenty times the largest of the others; None without one."""
    values = series.values
    for bad in (~np.isfinite(values), values == 0):
        if int(bad.sum()) == 1:
            return int(np.argmax(bad))
        if bad.any():
            return None
    size = np.abs(values)
    largest = int(np.argmax(size))
    return largest if size[largest] > FAR * float(np.max(np.delete(size, largest))) else None
