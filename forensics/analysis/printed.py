"""What a number says that was printed with few decimals."""

import numpy as np

from forensics.model import Floats, Series

UNITS = 2
"""The last values above 0 are one or two units of the last digit."""
STANDS = 3
"""Entries that the last value above 0 stands: a value that moves on with each entry is finer than its digits."""
LASTS = 2
"""How much longer than that the zeros may last: a cosine is below half a unit 1.4 times as long as it prints one."""

CUTS, SAME = 2, 0.01
"""Cuts by one factor that show how a rate is scheduled, and how near to each other they are."""


def rounded_away(series: Series) -> bool:
    """Tell whether the zeros at the end of a series are values too small for the decimals that it is printed with.

    `0.00000004` goes to `0.00000001`, each for many entries, and then to `0.00000000`: all values are whole multiples
    of a power of ten, the last ones above 0 are one or two of it, and the zeros last no longer than they would by
    rounding. A schedule that ended stays at 0 far longer, or fell to it from a value with more digits. A rate that is
    cut by the same factor time and again, to `0.00100`, `0.00010` and `0.00001`, may stay there: one cut more is none.
    """
    values = series.values
    above = np.flatnonzero(values > 0)
    if len(above) == 0 or not bool(np.isfinite(values).all()):
        return False
    last = float(values[above[-1]])
    unit = 10.0 ** np.floor(np.log10(last) + 1e-9)
    multiples = values / unit
    if multiples[above[-1]] > UNITS + 1e-6 or not bool(np.all(np.abs(multiples - np.rint(multiples)) < 1e-6)):
        return False
    other = np.flatnonzero(np.abs(values[: above[-1] + 1] - last) > unit / 4)
    stands = int(above[-1] - other[-1]) if len(other) else 0
    lasts = len(values) - 1 - int(above[-1]) <= LASTS * stands
    return stands >= STANDS and (lasts or _cut_once_more(values[: above[-1] + 1], unit))


def _cut_once_more(values: Floats, unit: float) -> bool:
    """Tell whether a rate that was cut by one factor twice or more would be printed as 0 after one cut more."""
    levels = values[np.flatnonzero(np.diff(values, append=np.inf))]
    if len(levels) <= CUTS or not bool((levels[-CUTS - 1 :] > 0).all()):
        return False
    factors = levels[-CUTS:] / levels[-CUTS - 1 : -1]
    same = bool(np.all(np.abs(factors - factors[-1]) < SAME * factors[-1]))
    return same and float(levels[-1] * factors[-1]) < unit / 2
