"""The page of an issue as a browser saves it: `<pre>` blocks, tables and prose become the text they were made from."""

from collections.abc import Iterator

from forensics.documents._markdown import split
from forensics.model import Artifact, Skip
from forensics.plugin import Piece, document
from forensics.storage.file import File

PLACE = "line {} of the text"


def _sniff(head: bytes) -> bool:
    start = head.lstrip(b"\xef\xbb\xbf \r\n\t")[:400].lower()
    return start.startswith((b"<!doctype html", b"<html")) and b"medforensics" not in head


@document("pasted-html", match=(r"(?i)\.html?$", r"(?:^|/)stdin\.log$"), sniff=_sniff, limit="archive_bytes")
def pasted_html(artifact: Artifact) -> Iterator[Piece | Skip]:
    """HTML of an issue or a forum: what is written there is read like the text of an issue."""
    from forensics.documents._html import lines_of

    most = artifact.limits.small_file_bytes
    with File(artifact.location) as file:
        text = file.head(most).decode("utf-8", "replace")
        if file.size > most:
            yield Skip(artifact.path, f"only the first {most >> 20} MiB were read")
    yield from split(lines_of(text), PLACE)
