"""What shows that a model guesses: its accuracy is that of guessing, or never changes."""

import math
import re

import numpy as np

from forensics.model import Floats, Run

NEAR = 0.05
SAME = 3
ACCURACY = re.compile(r"(?:^|[/_ .])acc(?:uracy)?(?:$|[/_ .@\d])|top[_-]?1(?:$|\D)|prec@1(?:$|\D)", re.IGNORECASE)


def guessing(run: Run, level: float) -> str:
    """Return in words which accuracy shows that a loss which stands at `level` is that of guessing; else nothing.

    It is 1/K, within 5 %, of K classes whose logarithm the loss is (shares and per cent), or it is one and the same
    number, neither 0 nor 1, in three evaluations and more: one class is predicted whatever the input.
    """
    for name, series in run.timeline.series.items():
        known = series.values[np.isfinite(series.values)]
        if len(known) < 2 or not ACCURACY.search(name):
            continue
        if (classes := _classes(level, known)) > 1:
            return f", and {name} is {float(np.median(known)):.3g}: both are those of guessing among {classes} classes"
        if len(known) >= SAME and float(np.ptp(known)) == 0 and 0 < float(known[0]) < 1:
            return (
                f", and {name} is {float(known[0]):.3g} in all of {len(known)} evaluations: one answer to every input"
            )
    return ""


def _classes(level: float, known: Floats) -> int:
    """Return the number of classes whose logarithm the loss and whose share the accuracy is; 0 for none."""
    classes = round(math.exp(min(level, 10.0)))
    share = float(np.median(known)) * classes
    if classes < 2 or abs(level - math.log(classes)) > NEAR * level or float(known.max()) * classes >= 2 * share:
        return 0
    return classes if min(abs(share - 1), abs(share / 100 - 1)) <= NEAR else 0
