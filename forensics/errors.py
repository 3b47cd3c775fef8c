"""What can go wrong while reading, as one small family.

Each error carries a `slug`: the anchor of its paragraph in `docs/messages.md`. The command line turns
every one of them into a single line on stderr; inside `analyze` a malformed file becomes a `Skip` and costs
that file only. `contained` makes one of them out of everything else that a part of the work may raise.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

SHOWN_RUNS = 5


class ForensicsError(Exception):
    """Base of every error that a user may see."""

    slug = "error"


class UsageError(ForensicsError):
    """The call cannot be answered as it was made (exit code 2)."""

    slug = "usage"


class SeveralRunsError(UsageError):
    """A place holds several runs where one was asked for; `names` are theirs, as seen from the place."""

    def __init__(self, place: object, names: Sequence[str]) -> None:
        shown = ", ".join(names[:SHOWN_RUNS]) + (", ..." if len(names) > SHOWN_RUNS else "")
        super().__init__(f"{place} holds {len(names)} runs: {shown}; name one of them, or use `medforensics triage`")
        self.names = tuple(names)


class NothingReadableError(ForensicsError):
    """There is nothing in the directory that any reader understands (exit code 3)."""

    slug = "nothing-readable"


class UnreadableError(ForensicsError):
    """The operating system does not let the file be read, or it is no regular file."""

    slug = "unreadable"


class RemoteError(UnreadableError):
    """A store or server does not give what a URL names."""

    slug = "remote"


class AbsentError(RemoteError):
    """The store answers, and has nothing under this name."""


class MalformedError(ForensicsError):
    """The file says something about itself that cannot be true."""

    slug = "malformed"


class TruncatedError(MalformedError):
    """The file ends before the data that its own header promises."""

    slug = "truncated"


class PlaceholderError(MalformedError):
    """Something else was saved under this name: a Git LFS pointer, an HTML error page, zeros."""

    slug = "placeholder"


class LimitError(MalformedError):
    """Reading on would take more memory or work than `Limits` allows."""

    slug = "limit"


class InternalError(ForensicsError):
    """Code of ours failed on a part of the run; that part is missing, and the report says so."""

    slug = "internal"


class ChangedError(ForensicsError):
    """The file changed or shrank while it was read: the run may still be alive."""

    slug = "changed"


@contextmanager
def contained(what: str) -> Iterator[None]:
    """Turn what was not expected into an `InternalError` that names the part of the work: one part, not the report.

    Memory and recursion that run out are the input's doing and become a `LimitError`.
    """
    try:
        yield
    except ForensicsError:
        raise
    except (MemoryError, RecursionError) as error:
        raise LimitError(f"{what}: {type(error).__name__}, more than this machine gives") from error
    except Exception as error:
        said = f"{what} failed, which is an error of medforensics: {type(error).__name__}: {error}"
        raise InternalError(said) from error
