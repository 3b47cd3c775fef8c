"""What the environment readers share: bounded text lines, and packages and hardware as settings."""

import re
from collections.abc import Iterator

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.formats.flatten import flatten, scalar
from forensics.formats.lenient_json import Document, load
from forensics.formats.text import decoded
from forensics.model import Artifact, Scalar, Setting, Skip, Source, Standing
from forensics.storage.file import File

LINE = "line {}"

ABSENT = frozenset(
    {
        "",
        "n/a",
        "na",
        "none",
        "null",
        "no",
        "not found",
        "not installed",
        "not installed (na)",
        "could not collect",
        "no cuda",
        "unknown",
        "<fill in>",
    }
)
"""How the capturing tools say that there is no value."""

_ANSI = expression(r"\x1b\[[0-9;?]{0,32}[ -/]{0,8}[@-~]|\x1b\][^\x07\n]{0,256}\x07")
_BREAK = expression(r"\r\n|\r|\n")
# A rank or host prefix of a launcher, before a line that was printed by every process.
_PREFIX = expression(r"^(?:\[default\d+\]:|\[rank\d+\]:)\s?")
EXACT = expression(r"(?:^|[\s\"'])([A-Za-z0-9][\w.\-]{0,80})(?:\[[\w,]{0,60}\])?==(\d[\w.!+\-]{0,80})(?![\w.*])")
"""A requirement of one version, as it is given to an installer."""
_VERSION = expression(r"\d[\w.!+*\-]{0,99}")
_JOINTS = expression(r"[-_.]+")
_CUDA_TAG = expression(r"\+cu(\d{2,3})(\d)\b")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text, stripped of colours and rank prefixes. `number` counts from 1."""

    number: int
    text: str


def sniffed(data: bytes) -> str:
    """Return the head of a file as the text that a sniff searches, colours removed."""
    return _ANSI.sub("", decoded(data)).replace("\r", "\n")


def read_head(artifact: Artifact) -> bytes:
    """Return the file up to `Limits.small_file_bytes`; a capture lies at the beginning of a longer log."""
    with File(artifact.location) as file:
        return file.head(artifact.limits.small_file_bytes)


def too_long(artifact: Artifact, what: str) -> Iterator[Skip]:
    """Yield a skip when `read_head` did not read all of the file."""
    limit = artifact.limits.small_file_bytes
    if artifact.size > limit:
        yield Skip(artifact.path, f"only the first {limit >> 20} MiB were searched for {what}")


def split_lines(data: bytes, longest: int) -> Iterator[Line]:
    """Yield the lines of a text; CR, LF and CRLF end one. Lines are cut at `longest` characters."""
    for number, line in enumerate(_BREAK.split(decoded(data)), start=1):
        kept = line[:longest]
        if "\x1b" in kept:
            kept = _ANSI.sub("", kept)
        yield Line(number, (_PREFIX.sub("", kept) if kept.startswith("[") else kept).rstrip())


def read_lines(artifact: Artifact) -> Iterator[Line]:
    return split_lines(read_head(artifact), artifact.limits.text_line_bytes)


def distribution_name(name: str) -> str:
    """Return the name of a distribution as an index writes it (PEP 503); `packaging.utils` costs 8 ms to import.

    >>> distribution_name("Flash_Attn"), distribution_name("ruamel..yaml")
    ('flash-attn', 'ruamel-yaml')
    """
    return _JOINTS.sub("-", name).lower()


def package(name: str, version: str, source: Source, standing: Standing) -> Iterator[Setting]:
    """Yield a package, and what its version tells about CUDA and NCCL; nothing when it was not installed."""
    version = version.strip().rstrip(",;")
    if version.lower() in ABSENT or not _VERSION.fullmatch(version):
        return
    canonical = distribution_name(name.strip())
    yield Setting("package", canonical, version, source, standing)
    if canonical == "torch" and (tag := _CUDA_TAG.search(version)):
        # pytorch.org wheels carry the CUDA they were built with: +cu118, +cu121.
        yield Setting("hardware", "cuda", f"{tag[1]}.{tag[2]}", source, standing)
    if canonical.startswith("nvidia-nccl-cu"):
        yield Setting("hardware", "nccl", version, source, standing)


def hardware(name: str, value: Scalar, source: Source, standing: Standing = Standing.CONFIGURED) -> Iterator[Setting]:
    """Yield a hardware fact unless the tool said that there is none."""
    if isinstance(value, str):
        value = value.strip()
        if value.lower() in ABSENT:
            return
    yield Setting("hardware", name, scalar(name, value), source, standing)


def settings(artifact: Artifact, value: object, standing: Standing, prefix: str = "") -> Iterator[Setting]:
    """Yield every value of a nested configuration, its place being its own dotted name; raises like `flatten`."""
    for place, held in flatten(value):
        if place:
            name = f"{prefix}.{place}" if prefix else place
            yield Setting("setting", name, held, Source(artifact.path, place), standing)


def load_object(artifact: Artifact) -> tuple[Document, dict[str, object] | None]:
    """Parse a JSON artifact; the mapping is None when the document is something else."""
    with File(artifact.location) as file:
        document = load(file, artifact.limits)
    value = document.value
    return document, value if isinstance(value, dict) else None


def damage(artifact: Artifact, document: Document, kept: str) -> Iterator[Skip]:
    """Yield a skip that says where the JSON breaks off and what was kept of it."""
    if document.broken_at is not None:
        where = f"breaks off at byte {document.broken_at:,} of {document.size:,}"
        yield Skip(artifact.path, f"{where}; {kept}")
    if document.duplicates:
        yield Skip(artifact.path, f"{document.duplicates:,} duplicate keys; the last one was used")


def in_checkpoint(path: str) -> bool:
    """Tell whether a path lies in a folder that the Trainer wrote for one step."""
    return re.search(r"(^|/)(tmp-)?checkpoint-\d+/", path) is not None
