"""A container as Docker and Podman tell of it: `docker inspect NAME`.

[{"Id": "d0f1..", "State": {"Status": "exited", "OOMKilled": false, "ExitCode": 139, "Error": "", ...}, ...}]

Source: moby 27 `api/types/container/state.go`. A code of 128 + n is signal n; a container that still runs has 0.
"""

from collections.abc import Iterator, Mapping

from forensics.deferred.patterns import expression
from forensics.formats.lenient_json import parse
from forensics.model import Artifact, Fact
from forensics.plugin import reader
from forensics.readers._events.rows import events
from forensics.readers._events.scan import of_lines
from forensics.storage.file import File

MOST_BYTES = 8 << 20
_STATE = expression(rb'"State"\s*:\s*\{[^{}]{0,2000}"ExitCode"\s*:')


def looks_like_container(head: bytes) -> bool:
    """Tell whether a file is what `docker inspect` prints of a container."""
    return head.lstrip()[:1] in {b"[", b"{"} and _STATE.search(head) is not None


@reader(
    "docker-inspect",
    sniff=looks_like_container,
    tested="written after captures of four public threads (tests/readers/test_clusters_and_containers.py) and moby 27",
)
def docker_inspect(artifact: Artifact) -> Iterator[Fact]:
    """`docker inspect` of the container: its exit code, whether the kernel killed it for memory, Docker's own error."""
    with File(artifact.location) as file:
        data = file.head(MOST_BYTES)
    found = parse(data).value
    text = "\n".join(line for each in (found if isinstance(found, list) else [found]) for line in _told(each))
    yield from events(of_lines(text.encode()), artifact.path, "state line {}")


def _told(container: object) -> Iterator[str]:
    """Yield what the state says of an end, in the words of `docker ps` and the kubelet."""
    state = container.get("State") if isinstance(container, Mapping) else None
    if not isinstance(state, Mapping) or state.get("Running") is True:
        return
    if state.get("OOMKilled") is True:
        yield "Reason: OOMKilled"
    yield f"Exit Code: {state.get('ExitCode', '')}"
    yield str(state.get("Error") or "")
