"""A pod as Kubernetes tells of it: `kubectl get pod -o json`, `kubectl describe pod`, `kubectl get events`.

Source: Kubernetes 1.30 `core/v1/types.go` (PodStatus, ContainerStatus), `kubectl/pkg/describe/describe.go`. Fields
that count: status.reason and message, containerStatuses[].state and lastState .terminated (reason, exitCode).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from forensics.deferred.patterns import expression
from forensics.formats.lenient_json import parse
from forensics.model import Artifact, Fact
from forensics.plugin import reader
from forensics.readers._events.rows import events
from forensics.readers._events.scan import of_lines
from forensics.storage.file import File

MOST_BYTES = 8 << 20
JSON = (b"{", b"[")
"""A pod or a list of pods; `jq .status.containerStatuses` leaves a list of containers."""
_DESCRIBED = expression(
    rb"(?:\A|\n)Name: +\S+\n(?:[^\n]*\n){0,40}?Containers:\n|(?:\A|\n)LAST SEEN +TYPE +REASON +OBJECT"
)
_POD = expression(rb'"kind"\s*:\s*"(?:Pod|PodList|Event|EventList|List)"|"(?:containerStatuses|lastState)"\s*:')


def looks_like_pod(head: bytes) -> bool:
    """Tell whether a file is a pod as JSON or as kubectl describes it."""
    return _DESCRIBED.search(head) is not None or (head.lstrip()[:1] in JSON and _POD.search(head) is not None)


@reader(
    "kubernetes-pod",
    sniff=looks_like_pod,
    tested="captures of sixteen public threads (tests/data/witnesses.txt, test_clusters_and_containers.py)",
)
def kubernetes_pod(artifact: Artifact) -> Iterator[Fact]:
    """`kubectl get pod -o json`, `kubectl describe pod`, events: OOMKilled, Evicted, exit codes, lost nodes."""
    with File(artifact.location) as file:
        data = file.head(MOST_BYTES)
    text = "\n".join(_told(parse(data).value)) if data.lstrip()[:1] in JSON else data.decode("utf-8", "replace")
    yield from events(of_lines(text.encode()), artifact.path, "status line {}")


def _told(tree: object) -> Iterator[str]:
    """Yield what a pod or a list of pods and events says of an end, as lines that `kubectl describe` would print."""
    items = tree.get("items") if isinstance(tree, Mapping) else tree
    for item in items if isinstance(items, list) else [tree]:
        yield from _told_of(item)
        status = item.get("status") if isinstance(item, Mapping) else None
        if isinstance(item, Mapping) and isinstance(item.get("reason"), str):
            yield f"Warning {item['reason']} {item.get('message', '')}"
        if not isinstance(status, Mapping):
            continue
        if isinstance(status.get("reason"), str):
            yield f"Reason: {status['reason']}"
            yield str(status.get("message", ""))
        statuses = status.get("containerStatuses")
        for container in statuses if isinstance(statuses, list) else []:
            yield from _told_of(container)


def _told_of(container: object) -> Iterator[str]:
    ended = _ended(container)
    if ended is not None:
        yield f"Reason: {ended.get('reason', '')}"
        yield f"Exit Code: {ended.get('exitCode', '')}"


def _ended(container: object) -> Mapping[str, Any] | None:
    """Return how a container ended last: its state, or the state before it was started again."""
    for name in ("state", "lastState"):
        state = container.get(name) if isinstance(container, Mapping) else None
        ended = state.get("terminated") if isinstance(state, Mapping) else None
        if isinstance(ended, Mapping):
            return ended
    return None
