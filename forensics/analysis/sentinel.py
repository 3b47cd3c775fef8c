"""Gradient norms that are no norms: sqrt(k), which DeepSpeed <= 0.19.6 reports for k non-finite groups.

`get_grad_norm_direct` and its kin replace the norm of a parameter group that is NaN or Inf by -1, and the global
norm is sqrt(sum n_i^2); so k bad groups give sqrt(k) in float64 (1.4142135623730951) or float32
(1.4142135381698608). transformers >= 5.0 prints it with four digits (`1.414`).
"""

import numpy as np

from forensics.model import Floats, Integers, Precision

MOST_GROUPS = 64
"""Parameter groups looked for; layer-wise learning rates make a few dozen."""
RELATIVE = 1e-6
"""float32 rounds sqrt(k) by less than 6e-8; a real norm comes this close by chance once in some 10,000 times."""


def groups(values: Floats, precision: Precision = Precision.DOUBLE) -> Integers:
    """Return for each value the k whose square root it is, 0 where there is none; int64, (n,).

    >>> import numpy as np
    >>> groups(np.array([1.0, 1.4142135381698608, 1.5, np.nan])).tolist()
    [1, 2, 0, 0]
    """
    values = np.asarray(values, dtype=np.float64)
    possible = np.isfinite(values) & (values > 0.5) & (values < np.sqrt(MOST_GROUPS) + 0.5)
    squares = np.where(possible, values, 0.0) ** 2
    nearest = np.rint(squares)
    roots = np.sqrt(nearest)
    tolerance = 6e-4 if precision is Precision.FOUR_DIGITS else RELATIVE * np.maximum(roots, 1.0)
    close = possible & (nearest >= 1) & (nearest <= MOST_GROUPS) & (np.abs(values - roots) <= tolerance)
    return np.where(close, nearest, 0).astype(np.int64)
