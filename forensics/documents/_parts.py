"""A piece of a document as an artifact, and what was read of it told as of the document."""

import re
from dataclasses import replace

from forensics.model import Artifact, Fact, Recording, Setting, Skip, Source
from forensics.plugin import Piece
from forensics.storage.file import File
from forensics.storage.locations import Held, Packed

LINE = "line {}"


def part_of(artifact: Artifact, piece: Piece) -> Artifact:
    """Return the artifact that readers get, below the path of its document: in memory, or read as it is unpacked."""
    if piece.file is not None:
        place = Packed(piece.file, piece.name)
        return Artifact(place, f"{artifact.path}/{piece.name}", piece.file.size, artifact.modified, artifact.limits)
    data = piece.text.encode("utf-8", "surrogatepass")
    return Artifact(Held(data), f"{artifact.path}/{piece.name}", len(data), artifact.modified, artifact.limits)


def head_of(part: Artifact, piece: Piece, size: int) -> bytes:
    """Return the first bytes of a piece by which readers know it, without the blank lines before them."""
    if piece.file is None:
        return piece.text.lstrip("\n")[:size].encode("utf-8", "replace")
    with File(part.location) as file:
        return file.head(size).lstrip(b"\n")


def relocated(fact: Fact, document: Artifact, piece: Piece) -> Fact:
    """Return the fact with its place in the document.

    A line of the piece is a line there; any other place (a key of a configuration, an entry of a history) is told
    behind the line where the piece begins.
    """
    start = piece.place.format(piece.first + _blank_lines(piece.text))
    if isinstance(fact, Skip):
        if fact.what != f"{document.path}/{piece.name}":
            return fact
        return Skip(document.path, f"{start}: {fact.reason}")
    if isinstance(fact, Setting):
        return replace(fact, source=_source(fact.source, document, piece, start))
    if isinstance(fact, Recording):
        return fact
    if fact.place == LINE:
        return replace(fact, path=document.path, place=piece.place, records=fact.records + (piece.first - 1))
    return replace(fact, path=document.path, place=f"{start}, {fact.place}")


def _source(source: Source, document: Artifact, piece: Piece, start: str) -> Source:
    if re.fullmatch(r"line \d+", source.place):
        line = source.record + piece.first - 1
        return Source(document.path, piece.place.format(line), line)
    return Source(document.path, f"{start}, {source.place}" if source.place else start, source.record)


def _blank_lines(text: str) -> int:
    """Return how many empty lines a text begins with."""
    return len(text) - len(text.lstrip("\n"))
