"""Secrets that the files of a run name, so that they are masked where they stand without their name.

A report quotes lines of a log that nobody collected before it was written: the line `WANDB_API_KEY=...` far above an
exception gives away what the exception repeats. Every text of the run is looked through once, at about 170 MB/s.
"""

from collections.abc import Iterable, Iterator

from forensics.deferred.patterns import expression
from forensics.errors import ForensicsError
from forensics.model import Artifact
from forensics.redaction import secrets
from forensics.storage.file import File
from forensics.storage.locations import RemotePath

MOST_BYTES = 4 << 20
"""Of one file: secrets stand where environments and arguments are printed, at its beginning."""
MOST_IN_ALL = 64 << 20
MOST_VALUES = 1_000
MOST_OF_A_LINE = 2_000
HEAD_BYTES = 4_096
_NAMED = expression(
    rb"(?:pass(?:word|wd|phrase|code)|pwd|secret|token|credential|cookie|webhook|authorization|dsn"
    rb"|connection[_-]?string|key)[a-z0-9_]{0,30}[\"']?\]?(?:\s{0,4}[:=]|\s{1,3}[^\s])"
)


def secrets_of(artifacts: Iterable[Artifact]) -> tuple[str, ...]:
    """Return the values behind names of secrets in the texts among the files, each once. Raises nothing."""
    found: dict[str, None] = {}
    left = MOST_IN_ALL
    for artifact in artifacts:
        if left <= 0 or len(found) >= MOST_VALUES:
            break
        if not artifact.size or isinstance(artifact.location, RemotePath):
            continue
        try:
            with File(artifact.location) as file:
                if b"\0" in file.head(HEAD_BYTES):
                    continue
                data = file.read(0, min(file.size, MOST_BYTES, left))
        except ForensicsError:
            continue  # told where it is read
        left -= len(data)
        found.update(dict.fromkeys(secrets_in(data)))
    return tuple(found)[:MOST_VALUES]


_IN_A_URL = expression(rb"://[^\s/@\"'<>:]{0,100}:([^\s/@\"'<>]{3,200})@")
"""The password of a user in front of a host, which an exception may repeat without the URL."""


def secrets_in(data: bytes) -> Iterator[str]:
    r"""Yield the values behind names of secrets in a text.

    >>> list(secrets_in(b"export DB_PASSWORD=tr0ub4dor-and-3\\npad_token=<pad> max_tokens=2048"))
    ['tr0ub4dor-and-3']
    """
    for match in _IN_A_URL.finditer(data):
        password = match[1].decode("utf-8", "replace")
        if secrets.is_secret_value("password", password):
            yield password
    behind = -1
    for match in _NAMED.finditer(data.lower()):
        if match.start() < behind:
            continue
        start = data.rfind(b"\n", max(0, match.start() - MOST_OF_A_LINE), match.start()) + 1
        start = max(start, match.start() - 200)
        behind = start + MOST_OF_A_LINE
        end = data.find(b"\n", match.end(), behind)
        behind = end if end >= 0 else behind
        line = data[start:behind].decode("utf-8", "replace")
        for first, last in secrets.assigned(line):
            yield line[first:last].strip("\"' ")
