"""Counts of which some were never taken: a column in which "not counted" is no number."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.records import dataclass
from forensics.model.facts import Floats, Integers

Numbers: TypeAlias = int | Integers | NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """A count a row, shape (n,): `values` (int64) where `known` (bool), and nothing elsewhere.

    A row that was not counted answers None, adds nothing to a sum and fulfils no comparison; `values` is 0 there,
    so that nothing which passes over the type can take a mark for a count. Both are for reading only.

    >>> counts = Counts.of([4, None])
    >>> counts.tolist(), counts[1], (counts > 3).tolist(), (counts < 3).tolist(), counts.equal(4).tolist()
    ([4, None], None, [True, False], [False, False], [True, False])
    """

    values: Integers
    known: NDArray[np.bool_]

    def __post_init__(self) -> None:
        known, values = np.asarray(self.known, dtype=bool), np.asarray(self.values, dtype=np.int64)
        values = values if known.all() else np.where(known, values, 0)
        object.__setattr__(self, "known", known)
        # Most columns of a healthy checkpoint are zeros: one number stands for all.
        object.__setattr__(self, "values", values if values.any() else np.broadcast_to(np.int64(0), values.shape))

    @classmethod
    def of(cls, counts: "list[int | None]") -> "Counts":
        """Make a column of numbers and None."""
        known = np.array([count is not None for count in counts], dtype=bool)
        return cls(np.array([count or 0 for count in counts], dtype=np.int64), known)

    @classmethod
    def none(cls, rows: int) -> "Counts":
        """Make a column in which nothing was counted."""
        return cls(np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=bool))

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, row: int) -> int | None:
        return int(self.values[row]) if self.known[row] else None

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.values + other.values, self.known & other.known)

    def __gt__(self, other: Numbers) -> NDArray[np.bool_]:
        return np.asarray(self.known & (self.values > other), dtype=bool)

    def __ge__(self, other: Numbers) -> NDArray[np.bool_]:
        return np.asarray(self.known & (self.values >= other), dtype=bool)

    def __lt__(self, other: Numbers) -> NDArray[np.bool_]:
        return np.asarray(self.known & (self.values < other), dtype=bool)

    def equal(self, other: Numbers) -> NDArray[np.bool_]:
        return np.asarray(self.known & (self.values == other), dtype=bool)

    def taken(self, rows: Integers) -> "Counts":
        """Return some of the rows, in the order given."""
        return Counts(self.values[rows], self.known[rows])

    def over(self, elements: Integers) -> Floats:
        """Return shares of `elements`, shape (n,): NaN where nothing was counted or there is no element."""
        share = np.full(len(self), np.nan)
        np.divide(self.values, elements, out=share, where=self.known & (elements > 0))
        return share

    def tolist(self) -> list[int | None]:
        rows = zip(self.values.tolist(), self.known.tolist(), strict=True)
        return [value if known else None for value, known in rows]
