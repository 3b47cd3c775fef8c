"""What a number says that was printed with few decimals."""

import numpy as np

from forensics.model import Series

UNITS = 2
"""The last values above 0 are one or two units of the last digit."""
STANDS = 3
"""Entries that the last value above 0 stands: a value that moves on with each entry is finer than its digits."""
LASTS = 2
"""How much longer than that the zeros may last: a cosine is below half a unit 1.4 times as long as it prints one."""


def rounded_away(series: Series) -> bool:
    """Tell whether the zeros at the end of a series are values too small for the decimals that it is printed with.

    `0.00000004` goes to `0.00000001`, each for many entries, and then to `0.00000000`: all values are whole multiples
    of a power of ten, the last ones above 0 are one or two of it, and the zeros last no longer than they would by
    rounding. A schedule that ended stays at 0 far longer, or fell to it from a value with more digits.
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
    return stands >= STANDS and len(values) - 1 - int(above[-1]) <= LASTS * stands
