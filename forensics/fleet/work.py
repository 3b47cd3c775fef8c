"""The work itself: one run to one row, in whatever process it happens."""

import hashlib
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from forensics.deferred.records import dataclass
from forensics.discovery.discover import discover
from forensics.discovery.remote import discover_remote
from forensics.errors import ForensicsError, NothingReadableError, SeveralRunsError
from forensics.fleet.row import Row, row_of
from forensics.model import Artifact
from forensics.storage.locations import Place, RemotePath
from forensics.weights import WeightsDepth


@dataclass(frozen=True, slots=True)
class Task:
    """One run to analyse: `path` is what the row is called, `location` where it lies, `seconds` its time limit."""

    path: str
    location: Place
    apart: tuple[str, ...] = ()
    weights: WeightsDepth = "quick"
    seconds: float = 60.0


class OutOfTime(BaseException):
    """The time of a run is up. No `Exception`, so that nothing that tolerates faults catches it."""


def analysed(task: Task) -> Row:
    """Analyse one run; whatever happens, there is a row."""
    from forensics.investigate import investigate

    try:
        with _limited(task.seconds):
            report = investigate(task.location, weights=task.weights, apart=task.apart)
            return row_of(task.path, report, signature_of(task))
    except OutOfTime:
        return Row(task.path, "failed", note=f"not done within {task.seconds:g} s")
    except NothingReadableError as error:
        return Row(task.path, "unreadable", note=str(error), signature=signature_of(task))
    except ForensicsError as error:
        parts = error.names if isinstance(error, SeveralRunsError) else ()
        return Row(task.path, "unreadable", note=str(error), parts=parts)
    except MemoryError:
        return Row(task.path, "failed", note="not enough memory")
    except Exception as error:  # noqa: BLE001  (one broken run never stops the rest; the row tells it)
        return Row(task.path, "failed", note=f"{type(error).__name__}: {error}", internal_errors=1)


def newest_of(task: Task) -> float:
    """Return when a file of a run was last written, in seconds since 1970; 0 where none can be listed."""
    try:
        return max((artifact.modified for artifact in _files(task)), default=0.0)
    except ForensicsError:
        return 0.0


def signature_of(task: Task) -> str:
    """Return a name for the files of a run as they are: paths, sizes and times of change."""
    try:
        found = _files(task)
    except ForensicsError:
        return ""
    digest = hashlib.sha256(f"{task.weights} {task.apart}".encode())
    for artifact in found:
        digest.update(f"{artifact.path}\0{artifact.size}\0{artifact.modified}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]


def _files(task: Task) -> tuple[Artifact, ...]:
    place = task.location
    return discover_remote(place)[1] if isinstance(place, RemotePath) else discover(place).artifacts


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raise `OutOfTime` in the code inside when its time is up; only a main thread can be interrupted."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
