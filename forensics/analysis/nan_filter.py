"""What `logging_nan_inf_filter` of the Trainer makes of a loss that turns NaN, forwards and backwards.

With the filter on (the default since transformers 4.11.0, `Trainer._inner_training_loop`) a NaN or Inf loss of a
micro-step is replaced by `tr_loss / (1 + global_step - globalstep_last_logged)`. When the loss is NaN from a step
boundary on, after j finite optimizer steps of a window of L, with G micro-steps an optimizer step and l the true
mean loss, the sum j*l grows by the factor (i+2)/(i+1) at each NaN micro-step while i optimizer steps of the
window are done, G times for every i from j to L-1. The product telescopes:

    shown = l * j * ((L+1) / (j+1))**G / L

and every later entry shows 0.0. G = 1 gives a mild dip, G = 8 an absurd entry (121,489.6 for l = 1.4509, L = 10,
j = 1, as transformers 4.57.6 and 5.23.0 print on a CPU). Each rank filters its own loss and the mean over ranks is
printed, so that one bad rank among several gives a mixture which this does not describe.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from forensics.deferred.records import dataclass
from forensics.model import Floats, Integers

PLAUSIBLE = (0.3, 6.0)
"""Means that a language model's cross-entropy takes while it is fine-tuned; 6 is below ln of most vocabularies."""
LONGEST_WINDOW = 10_000
"""Steps of the longest window that is decoded; a longer one leaves too many readings to be of use."""
COMMON_WINDOWS = (1, 2, 5, 10, 20, 25, 50, 100, 500)
COMMON_ACCUMULATIONS = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True, slots=True)
class Decoding:
    """One way to read a contaminated entry: `finite_steps` of its window were finite, with mean `loss`."""

    finite_steps: int
    loss: float
    window: int
    accumulation: int


def factor(finite_steps: Integers, window: int, accumulation: int) -> Floats:
    """Return shown / true for each number of finite steps in 0..window; float64, inf where it overflows.

    >>> import numpy as np
    >>> float(factor(np.array([1]), 10, 8)[0]).__round__()
    83734
    """
    if window < 1 or accumulation < 1:
        raise ValueError(f"window {window} and accumulation {accumulation} must be positive")
    steps = np.asarray(finite_steps, dtype=np.float64)
    with np.errstate(over="ignore", divide="ignore"):
        grown = accumulation * np.log((window + 1) / (steps + 1))
        return np.asarray(np.exp(np.log(steps) + grown - np.log(window)), dtype=np.float64)


def shown(loss: float, finite_steps: int, window: int, accumulation: int) -> float:
    """Return the entry that the Trainer prints for a true mean `loss`."""
    return loss * float(factor(np.array([finite_steps]), window, accumulation)[0])


def candidates(
    entry: float, window: int, accumulation: int, plausible: tuple[float, float] = PLAUSIBLE
) -> tuple[Decoding, ...]:
    """Return every number of finite steps in 1..window that explains `entry` by a plausible true loss.

    Empty for a window of more than `LONGEST_WINDOW` steps.

    More than one is an honest answer: neighbouring counts give similar losses when the window is long.
    """
    if not np.isfinite(entry) or entry <= 0 or window > LONGEST_WINDOW:
        return ()
    counts = np.arange(1, window + 1, dtype=np.int64)
    losses = entry / factor(counts, window, accumulation)
    fits = (losses >= plausible[0]) & (losses <= plausible[1])
    return tuple(
        Decoding(int(count), float(loss), window, accumulation)
        for count, loss in zip(counts[fits], losses[fits], strict=True)
    )


def explanations(
    entry: float,
    windows: Sequence[int] = COMMON_WINDOWS,
    accumulations: Sequence[int] = COMMON_ACCUMULATIONS,
    plausible: tuple[float, float] = PLAUSIBLE,
) -> Iterator[Decoding]:
    """Yield the candidates for every given window and accumulation, when one or both are unknown."""
    for window in windows:
        for accumulation in accumulations:
            yield from candidates(entry, window, accumulation, plausible)
