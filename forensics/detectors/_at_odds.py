"""Two adversaries of which neither learns: both losses are those of a discriminator that tosses a coin, from the start.

A generator that has won stands there too, but gets there by learning, and its opponent goes on trying: the losses of
balanced adversaries scatter.
"""

import re

import numpy as np

from forensics.analysis.learning import finite
from forensics.deferred.patterns import expression
from forensics.detectors._wording import number
from forensics.model import Floats, Run, Series
from forensics.model.statistics import median

DISCRIMINATOR = expression(
    r"(?:^|[/_ ])(?:d|dis|disc|discriminator|critic)[/_ ]?(?:loss|err|cost)"
    r"|(?:loss|err|cost)[/_ ]?(?:d|dis|disc\w{0,10})$",
    re.IGNORECASE,
)
GENERATOR = expression(
    r"(?:^|[/_ ])(?:g|gen|generator)[/_ ]?(?:loss|err|cost)|(?:loss|err|cost)[/_ ]?(?:g|gen\w{0,10})$", re.IGNORECASE
)
LEAST, NEAR, SHARE, SOON = 15, 0.03, 0.9, 0.15
"""Entries, how near to the level of a coin they are, how many of them are, and from which part of the run on."""
COINS = (2 * float(np.log(2)), float(np.log(2)))
"""Loss of a discriminator: the sum over real and made examples, or their mean."""


def never_at_odds(run: Run) -> tuple[Series, str] | None:
    """Return the loss of a discriminator that is a coin from its first entries on, and how to say so."""
    found = {
        which: [
            s
            for name, s in sorted(run.timeline.series.items())
            if (which.search(name) or which.search(s.logged_as or "")) and len(s) >= LEAST
        ]
        for which in (DISCRIMINATOR, GENERATOR)
    }
    for series in found[DISCRIMINATOR]:
        level = median(finite(series)[-LEAST:]) if len(finite(series)) >= LEAST else 0.0
        coin = min(COINS, key=lambda each: abs(each - level))
        for other in found[GENERATOR]:
            if _rests_at(finite(series), coin) and _rests_at(finite(other), COINS[1]):
                return series, (
                    f"{series.logged_as or series.name} rests at {number(level)} and {other.logged_as or other.name} "
                    f"at {number(median(finite(other)))} from the start on: a coin tells real from made as well "
                    "(ln 2 is 0.6931)"
                )
    return None


def _rests_at(values: Floats, level: float) -> bool:
    """Tell whether a loss lies at a level from its first entries on; the noise of a batch may lead it away for one."""
    if len(values) < LEAST:
        return False
    near = np.abs(values - level) <= NEAR * level
    since = near[int(SOON * len(values)) :]
    return float(since.mean()) >= SHARE
