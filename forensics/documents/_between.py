"""What stands between two entries of a text, read once more: only where something asks for it."""

from collections.abc import Iterator, Sequence

from forensics.formats.text import numbered_lines
from forensics.model import Artifact
from forensics.plugin import Document, Piece
from forensics.storage.file import File

LARGEST = 64 << 20
"""Bytes of a text that is read a second time."""
LINES, CHARACTERS = 40, 400
"""Lines that are kept of what stands between two entries, and how much of each."""


def lines_between(
    artifact: Artifact, document: Document | None, place: str, spans: Sequence[tuple[int, int]]
) -> list[list[str]]:
    """Return the lines of a text that stand between two records, for each pair of them; none of a large text.

    `place` names the lines that are counted, as the samples of a document name them. Raises `ForensicsError`.
    """
    found: list[list[str]] = [[] for _ in spans]
    if artifact.size > LARGEST:
        return found
    wanted = {number: at for at, (first, last) in enumerate(spans) for number in range(first + 1, last)[:LINES]}
    for number, line in _lines(artifact, document, place):
        at = wanted.get(number)
        if at is not None:
            found[at].append(line[:CHARACTERS])
    return found


def _lines(artifact: Artifact, document: Document | None, place: str) -> Iterator[tuple[int, str]]:
    if document is None:
        with File(artifact.location) as file:
            for number, line in numbered_lines(file, artifact.limits.text_line_bytes):
                yield number, line.decode("utf-8", "replace")
        return
    for piece in document.split(artifact):
        if isinstance(piece, Piece) and piece.place == place:
            yield from enumerate(piece.text.split("\n"), piece.first)
