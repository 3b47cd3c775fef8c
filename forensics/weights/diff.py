"""What changed from one checkpoint to another."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from forensics.deferred.records import dataclass
from forensics.model.facts import Floats
from forensics.model.tensors import Role, TensorRecord, Trained
from forensics.model.weights import Depth, TensorTable
from forensics.storage.locations import Root
from forensics.weights.series import Progress, scan_series

Key: TypeAlias = tuple[str, Role]


@dataclass(frozen=True, slots=True)
class Difference:
    """Two checkpoints side by side.

    `before` and `table` (the later one, with its columns of change) have a row a tensor of their checkpoint. The
    tuples hold names of tensors, in the order of the checkpoint that has them; a tensor counts as another one
    when its role differs.
    """

    before: TensorTable
    table: TensorTable
    added: tuple[str, ...]
    removed: tuple[str, ...]
    reshaped: tuple[str, ...]
    retyped: tuple[str, ...]

    @property
    def moved(self) -> Floats:
        """Share of elements whose bits changed, a row of `table` (n,); NaN where nothing was compared."""
        return 1.0 - self.table.same.over(self.table.elements)

    @property
    def relative_change(self) -> Floats:
        """L2 norm of the change over that of the tensor before, a row of `table` (n,); NaN if unknown."""
        rows = {key: row for row, key in enumerate(_keys(self.before))}
        found = [rows.get(key, -1) for key in _keys(self.table)]
        norms = np.append(self.before.l2, np.nan)[found]
        relative = np.full(len(self.table), np.nan)
        np.divide(self.table.change_l2, norms, out=relative, where=norms > 0)
        return relative


def diff(  # noqa: PLR0913  # options, by keyword
    root: Root,
    before: Sequence[TensorRecord],
    after: Sequence[TensorRecord],
    *,
    depth: Depth = "full",
    threads: int | None = None,
    progress: Progress | None = None,
    trained: Callable[[TensorRecord], Trained] | None = None,
) -> Difference:
    """Compare two checkpoints tensor by tensor, reading each byte once."""
    first, second = scan_series(root, [before, after], depth=depth, threads=threads, progress=progress, trained=trained)
    old = {(record.name, record.role): record for record in before}
    new = {(record.name, record.role): record for record in after}
    both = [(old[key], record) for key, record in new.items() if key in old]
    return Difference(
        before=first,
        table=second,
        added=tuple(name for name, role in new if (name, role) not in old),
        removed=tuple(name for name, role in old if (name, role) not in new),
        reshaped=tuple(now.name for was, now in both if was.shape != now.shape),
        retyped=tuple(now.name for was, now in both if was.dtype != now.dtype),
    )


def _keys(table: TensorTable) -> list[Key]:
    return list(zip(table.names, table.roles, strict=True))
