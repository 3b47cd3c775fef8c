"""Reading a YAML artifact whole, within bounds."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from forensics.errors import LimitError
from forensics.model import Artifact, Skip
from forensics.storage.file import File

if TYPE_CHECKING:
    from forensics.formats.safe_yaml import Document


def load_yaml(artifact: Artifact) -> tuple["Document", dict[str, object] | None]:
    """Parse a YAML artifact; the mapping is None when the document is something else."""
    from forensics.formats.safe_yaml import parse

    with File(artifact.location) as file:
        if file.size > artifact.limits.yaml_bytes:
            raise LimitError(f"{artifact.path} has {file.size:,} bytes of YAML")
        document = parse(file.read(0, file.size), artifact.limits)
    return document, document.value if isinstance(document.value, dict) else None


def yaml_damage(artifact: Artifact, document: "Document") -> Iterator[Skip]:
    """Yield what a loader would not see as it was read here: broken, code in tags, keys given twice."""
    if document.broken_line is not None:
        yield Skip(artifact.path, f"stops being YAML in line {document.broken_line}; what stands before was read")
    if document.code:
        yield Skip(
            artifact.path,
            f"holds a python tag that names code ({', '.join(document.code)}): a program that loads it runs that; "
            "here it was read as plain data",
        )
    if document.duplicates:
        names = ", ".join(repr(name[:60]) for name in document.duplicates)
        yield Skip(artifact.path, f"holds duplicate keys ({names}); the last value counts")
