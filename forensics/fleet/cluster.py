"""Many runs on the workers of a dask scheduler, which must see the same files under the same paths."""

from collections.abc import Iterable, Iterator

from forensics.cluster import connected
from forensics.fleet.row import Row
from forensics.fleet.work import Task, analysed


def run_there(tasks: Iterable[Task], address: str) -> Iterator[Row]:
    """Yield the row of every task as it is done; raises `UsageError` when there is no dask or no scheduler."""
    with connected(address) as cluster:
        for task, answer in cluster.spread(analysed, tasks):
            if isinstance(answer, Row):
                yield answer
            else:
                yield Row(task.path, "failed", note=f"on the cluster: {type(answer).__name__}", internal_errors=1)
