"""Batches of tasks on the workers of a dask scheduler, which read the files themselves."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import forensics
from forensics.cluster import Cluster
from forensics.errors import ForensicsError, UsageError
from forensics.storage.file import File, Signature
from forensics.storage.locations import Root
from forensics.weights.ahead import Ahead
from forensics.weights.reading import Files
from forensics.weights.work import Done, Task, Worker, compiled, paths_of

BATCH_BYTES = 64 << 20
"""What a worker reads of each checkpoint for one answer: a file is opened once for it."""


class Answer(NamedTuple):
    """What a batch found, and what its files were known by where it was done."""

    done: Sequence[Done]
    signatures: Mapping[str, Signature]
    changed: Mapping[str, str]


class Ability(NamedTuple):
    """What a worker is: its version of this program, whether it compiles, what it sees of a file (or why not)."""

    version: str
    compiles: bool
    signature: Signature | str


def answers(
    cluster: Cluster, root: Root, files: Files, batches: Iterator[Sequence[Task]], kernels: bool
) -> Iterator[tuple[int, Answer]]:
    """Yield the number of each batch with what a worker found, in the order in which they are done.

    Raises `UsageError` when the workers cannot do it as this process would: another version, no compiler, other
    files; or when they are lost.
    """
    numbered = enumerate(batches)
    first = next(numbered, None)
    if first is None:
        return
    _check(cluster, root, files, first[1], kernels)
    everything = (job for jobs in ([first], numbered) for job in jobs)
    for (number, _), answer in cluster.spread(partial(_examined, root, kernels), everything):
        if isinstance(answer, Exception):
            told = (str(answer).splitlines() or [""])[0][:200]
            raise UsageError(f"the workers of {cluster.address} failed: {type(answer).__name__}: {told}")
        yield number, answer


def _examined(root: Root, kernels: bool, job: tuple[int, Sequence[Task]]) -> Answer:
    """Do a batch; runs in a thread of a worker."""
    _, batch = job
    files = Files(root)
    worker, lender = Worker(compiled() if kernels else None), Ahead(files, batch)
    try:
        done = [worker.do(lender, task) for task in batch]
    finally:
        files.close()
    return Answer(done, files.signatures, files.changed)


def _check(cluster: Cluster, root: Root, files: Files, batch: Sequence[Task], kernels: bool) -> None:
    path = min(paths_of(batch))
    here = files.signature(path)
    for found in cluster.everywhere(_ability, root, path, kernels):
        where = f"a worker of {cluster.address}"
        if found.version != forensics.__version__:
            raise UsageError(f"{where} has medforensics {found.version}, here it is {forensics.__version__}")
        if kernels and not found.compiles:
            raise UsageError(f"{where} has no numba, with which this data is counted: install medforensics[fast] there")
        if found.signature != here:
            seen = found.signature if isinstance(found.signature, str) else "it sees another file there"
            raise UsageError(f"{where} does not see {path} as it is here: {seen}; give a path or URL that both read")


def _ability(root: Root, path: str, kernels: bool) -> Ability:
    compiles = not kernels or compiled() is not None
    try:
        with File(root / path) as file:
            return Ability(forensics.__version__, compiles, file.signature)
    except ForensicsError as error:
        return Ability(forensics.__version__, compiles, str(error))
