"""Logs and metrics that were packed one by one: `train.log.1.gz`, `metrics.jsonl.xz`, as logrotate leaves them.

An archive of many files is no part of a run: it is named as not read, and can be given alone.
"""

from collections.abc import Iterator
from pathlib import PurePosixPath

from forensics.errors import MalformedError
from forensics.model import Artifact, Skip
from forensics.plugin import Piece, document
from forensics.storage.packed import PackedFile

_TEXTS = r"(?:log|out|err|txt|jsonl|ndjson|json|csv|tsv|stdout|stderr)(?:[.-]\d{1,8})?"
_GZIP, _XZ = b"\x1f\x8b", b"\xfd7zXZ\x00"
MOST_BYTES = 256 << 20
"""Bytes of text that a packed file may become; what lies behind is not read."""


def _sniff(head: bytes) -> bool:
    return head.startswith((_GZIP, _XZ))


@document("packed-text", match=(rf"(?i)\.{_TEXTS}\.(?:gz|xz)$",), sniff=_sniff)
def packed_text(artifact: Artifact) -> Iterator[Piece | Skip]:
    """Text that was packed with gzip or xz, a log or metrics, read as the file that it was."""
    file = PackedFile(artifact.location, lambda _: MOST_BYTES, whole=False)
    try:
        if file.fault and not file.size:
            raise MalformedError(f"cannot be unpacked: {file.fault}")
        if file.fault:
            yield Skip(artifact.path, f"the end was not unpacked: {file.fault}")
        yield Piece(PurePosixPath(artifact.path).name.rpartition(".")[0], "", file=file)
    finally:
        file.close()
