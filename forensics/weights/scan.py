"""One checkpoint, looked at alone."""

from collections.abc import Callable, Sequence

from forensics.model.tensors import TensorRecord, Trained
from forensics.model.weights import Depth, TensorTable
from forensics.storage.locations import Root
from forensics.weights.series import Progress, scan_series


def scan(  # noqa: PLR0913  # options, by keyword
    root: Root,
    records: Sequence[TensorRecord],
    *,
    depth: Depth = "full",
    threads: int | None = None,
    progress: Progress | None = None,
    trained: Callable[[TensorRecord], Trained] | None = None,
) -> TensorTable:
    """Return the table of the records; see `series.examine_series` for what stands in rows that failed."""
    (table,) = scan_series(root, [records], depth=depth, threads=threads, progress=progress, trained=trained)
    return table
