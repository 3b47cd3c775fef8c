"""What the black box of one process wrote (docs/blackbox.md), in columns."""

from collections.abc import Mapping
from dataclasses import field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.records import dataclass
from forensics.model.facts import Events, Floats, Integers, Samples, Setting, Skip, Source

LOCAL, REDUCED = "local", "reduced"
_SEEN = {LOCAL: 1, REDUCED: 2}
_LENGTH = {LOCAL: 0, REDUCED: 2}
AT_STEP, PROBED, SHARD, MAXIMUM = 4, 8, 16, 32
SKIPPED, NONFINITE = 1, 2
UPDATE, WEIGHT, STILL = 4, 5, 6


@dataclass(frozen=True, slots=True)
class Recording:
    """The rows of one process, in the order they were written.

    `steps` (int64, n) are optimizer steps, `rows` their `seq`; `values` (float32, n x tensors x 7) and `marks` (int64,
    n x tensors) are the columns and flags of each tensor, `flags` (int64, n) those of the row; `hashes` (int64,
    n x tensors) of the probed weights. `order` numbers the tensors as their gradients came. `losses`, `scales` and
    `rates` (float64, n) are NaN where they were not told, `bad_losses` (bool, n) where the loss was NaN or Inf;
    `batches` maps a step to the check sums of its tokens.
    """

    path: str
    rank: int
    world: int
    start: float
    kind: str
    reduced_read: str
    accumulates: bool
    names: tuple[str, ...]
    dtypes: tuple[str, ...]
    probes: Integers
    order: Integers
    steps: Integers
    rows: Integers
    flags: Integers
    values: NDArray[np.float32]
    marks: Integers
    hashes: Integers
    losses: Floats
    bad_losses: NDArray[np.bool_]
    scales: Floats
    rates: Floats
    batches: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    capsule: str = ""
    optimizer: str = ""

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]

    def source(self, index: int) -> Source:
        """Return the place of a row."""
        return Source(
            self.path.replace(".meta.json", ".ring.npy"), f"step {int(self.steps[index])}", int(self.rows[index])
        )

    def seen(self, side: str) -> NDArray[np.bool_]:
        """Tell which gradients were seen before ("local") or after ("reduced") the reduction, (n, tensors)."""
        return np.asarray((self.marks & _SEEN[side]) != 0, dtype=bool)

    def length(self, side: str) -> NDArray[np.float32]:
        """Return the L2 norms, (n, tensors); what was not seen is 0."""
        return self.values[:, :, _LENGTH[side]]

    def nonfinite(self, side: str) -> NDArray[np.bool_]:
        """Tell which gradients hold NaN or Inf, (n, tensors)."""
        return self.seen(side) & ~np.isfinite(self.values[:, :, _LENGTH[side] + 1])

    def zero(self, side: str) -> NDArray[np.bool_]:
        """Tell which gradients are exactly zero, (n, tensors)."""
        read = (self.marks & MAXIMUM) != 0
        at = _LENGTH[side]
        return np.asarray(
            self.seen(side) & (self.values[:, :, at] == 0) & (~read | (self.values[:, :, at + 1] == 0)), dtype=bool
        )

    @property
    def probed(self) -> NDArray[np.bool_]:
        return np.asarray((self.marks & PROBED) != 0, dtype=bool)

    @property
    def skipped(self) -> NDArray[np.bool_]:
        """Tell which steps did not reach the optimizer, (n,)."""
        return np.asarray((self.flags & SKIPPED) != 0, dtype=bool)

    @property
    def overflowed(self) -> NDArray[np.bool_]:
        """Tell which steps a dynamic loss scale skipped, as it does when a gradient overflows, (n,)."""
        return np.asarray(self.skipped & (np.isnan(self.scales) | (self.scales > 1)) & ~self.bad_losses, dtype=bool)

    def first(self, mask: NDArray[np.bool_]) -> list[str]:
        """Return the names of the tensors in a mask (tensors,), in the order in which gradients came."""
        known = [int(i) for i in self.order if mask[i]]
        rest = [i for i in np.flatnonzero(mask).tolist() if i not in set(known)]
        return [self.names[i] for i in (*known, *rest)]


Fact: TypeAlias = Samples | Events | Setting | Skip | Recording
