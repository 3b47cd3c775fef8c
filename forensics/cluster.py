"""A running dask scheduler: how it is reached, and how work is handed to its workers."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

from forensics.errors import UsageError

AHEAD = 4
"""Jobs a thread of the cluster that are handed out at a time."""
CONNECT_SECONDS = 10
Job = TypeVar("Job")
Result = TypeVar("Result")


class Cluster:
    """The workers of a scheduler. A worker that dies has its jobs done by another; see `distributed`'s resilience."""

    def __init__(self, client: Any, address: str) -> None:  # noqa: ANN401  (dask is untyped)
        self._client, self.address = client, address

    def spread(
        self, function: Callable[[Job], Result], jobs: Iterable[Job]
    ) -> Iterator[tuple[Job, Result | Exception]]:
        """Yield each job with what the function returned, or raised, in the order in which they are done."""
        from distributed import as_completed

        pending = iter(jobs)
        futures = as_completed(loop=self._client.loop)
        under_way: dict[str, Job] = {}

        def hand_out(count: int) -> None:
            for job in islice(pending, count):
                future = self._client.submit(function, job, pure=False)
                under_way[future.key] = job
                futures.add(future)

        hand_out(max(sum(self._client.nthreads().values()), 1) * AHEAD)
        for future in futures:
            job = under_way.pop(future.key)
            yield job, _outcome(future)
            future.release()
            hand_out(1)

    def everywhere(self, function: Callable[..., Result], *arguments: object) -> list[Result]:
        """Return what the function says on each worker.

        Raises `UsageError` when there is no worker, or one cannot run it.
        """
        try:
            self._client.wait_for_workers(1, timeout=CONNECT_SECONDS)
            return list(self._client.run(function, *arguments).values())
        except TimeoutError as error:
            raise UsageError(f"the scheduler at {self.address} has no worker") from error
        except Exception as error:  # what the other side raises comes back as it is
            told = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            raise UsageError(
                f"the workers of {self.address} cannot do it ({told}); install medforensics there"
            ) from error


def _outcome(future: Any) -> Any:  # noqa: ANN401  (dask is untyped)
    from concurrent.futures import CancelledError

    try:
        failure = future.exception()
    except (CancelledError, OSError, TimeoutError) as error:
        return RuntimeError(f"the scheduler was lost ({type(error).__name__})")
    return future.result() if failure is None else failure


@contextmanager
def connected(address: str) -> Iterator[Cluster]:
    """Connect to a scheduler. Raises `UsageError` when there is no dask or no scheduler answers."""
    try:
        from distributed import Client
    except ImportError as error:
        raise UsageError("--cluster needs dask.distributed: pip install 'medforensics[cluster]'") from error
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise UsageError(f"no dask scheduler answers at {address}: {error}") from error
    with client:
        yield Cluster(client, address)


@contextmanager
def perhaps_connected(address: str | None) -> Iterator[Cluster | None]:
    """Connect where an address is given."""
    if address is None:
        yield None
        return
    with connected(address) as cluster:
        yield cluster
