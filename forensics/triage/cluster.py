"""Many runs on the workers of a dask scheduler, which must see the same files under the same paths."""

from collections.abc import Iterable, Iterator

from forensics.errors import UsageError
from forensics.triage.row import Row
from forensics.triage.work import Task, analysed

AHEAD = 4
"""Tasks a thread of the cluster that are handed out at a time."""


def run_there(tasks: Iterable[Task], address: str) -> Iterator[Row]:
    """Yield the row of every task as it is done; raises `UsageError` when there is no dask or no scheduler."""
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise UsageError("--cluster needs dask.distributed: pip install 'medforensics[cluster]'") from error
    try:
        client = Client(address, timeout=10, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise UsageError(f"no dask scheduler answers at {address}: {error}") from error
    with client:
        pending = iter(tasks)
        size = max(sum(client.nthreads().values()), 1) * AHEAD
        futures = as_completed(loop=client.loop)
        names: dict[str, str] = {}

        def hand_out(count: int) -> None:
            for task, _ in zip(pending, range(count), strict=False):
                future = client.submit(analysed, task, pure=False, retries=0)
                names[future.key] = task.path
                futures.add(future)

        hand_out(size)
        for future in futures:
            failure = future.exception()
            path = names.pop(future.key)
            if failure is None:
                yield future.result()
            else:
                yield Row(path, "failed", note=f"on the cluster: {type(failure).__name__}", internal_errors=1)
            future.release()
            hand_out(1)
