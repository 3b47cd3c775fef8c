"""Logs and metrics that were packed one by one: `train.log.1.gz`, `metrics.jsonl.xz`, as logrotate leaves them.

An archive of many files is no part of a run: it is named as not read, and can be given alone.
"""

import lzma
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath

from forensics.errors import MalformedError
from forensics.model import Artifact, Skip
from forensics.plugin import Piece, document
from forensics.storage.file import File

_TEXTS = r"(?:log|out|err|txt|jsonl|ndjson|json|csv|tsv|stdout|stderr)(?:[.-]\d{1,8})?"
_GZIP, _XZ = b"\x1f\x8b", b"\xfd7zXZ\x00"
_GZIP_HEADER = 31
"""`wbits` of zlib that ask for the header of gzip."""
MOST_BYTES = 256 << 20
"""Bytes of text that a packed file may become; what lies behind is not read."""
_MOST_MEMORY = 256 << 20


def _sniff(head: bytes) -> bool:
    return head.startswith((_GZIP, _XZ))


@document("packed-text", match=(rf"(?i)\.{_TEXTS}\.(?:gz|xz)$",), sniff=_sniff)
def packed_text(artifact: Artifact) -> Iterator[Piece | Skip]:
    """Text that was packed with gzip or xz, a log or metrics, read as the file that it was."""
    with File(artifact.location) as file:
        packed = file.read(0, file.size)
    try:
        text, whole = _unpacked(packed)
    except (zlib.error, lzma.LZMAError) as error:
        raise MalformedError(f"cannot be unpacked: {error}") from error
    if not whole:
        yield Skip(artifact.path, "the end was not unpacked: it is cut short, or too large")
    yield Piece(PurePosixPath(artifact.path).name.rpartition(".")[0], text.decode("utf-8", "replace"))


def _unpacked(packed: bytes) -> tuple[bytes, bool]:
    """Return what was packed, one stream behind the other, and whether that is all of it."""
    parts: list[bytes] = []
    left = MOST_BYTES
    while packed.startswith((_GZIP, _XZ)):
        if packed.startswith(_GZIP):
            gzip = zlib.decompressobj(wbits=_GZIP_HEADER)
            parts.append(gzip.decompress(packed, left))
            done, packed = gzip.eof, gzip.unused_data
        else:
            xz = lzma.LZMADecompressor(memlimit=_MOST_MEMORY)
            parts.append(xz.decompress(packed, left))
            done, packed = xz.eof, xz.unused_data
        left -= len(parts[-1])
        if not done or left <= 0:
            return b"".join(parts), False
    return b"".join(parts), True
