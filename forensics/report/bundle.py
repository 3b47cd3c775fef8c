"""Everything that a maintainer needs, as one archive to attach to an issue; never weights.

GitHub takes attachments up to 25 MB, as .zip, and inside it every type used here
(docs.github.com, "Attaching files": .md .html .txt .csv .json .log).
"""

import io
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import PurePosixPath

import forensics
from forensics.model import Report
from forensics.redaction import NOT_MASKED, Redactor
from forensics.report import environment, html, json, markdown, masked_by, tensors, terminal, timeline
from forensics.report._safe import clean
from forensics.report.excerpts import Excerpt, masked_excerpts

MOST_BYTES = 24 << 20
MEMBER_BYTES = 64 << 20
"""Of one file before compression: nothing that a person or an editor still opens."""
TENSORS = 10_000
"""Rows of a checkpoint in the table of tensors, the worst of them: what a spreadsheet opens at once."""
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that zip knows: the same run always gives the same archive."""


def render(report: Report, found: Sequence[Excerpt], redactor: Redactor) -> bytes:
    """Return the archive. `report` and `found` are masked here, with the same tokens."""
    excerpts = masked_excerpts(found, redactor)
    shown = masked_by(report, redactor)
    members = chain(_reports(shown, excerpts, masked=redactor.identities), _logs(excerpts))
    many = any(c.table is not None and len(c.table) > TENSORS for c in shown.run.checkpoints)
    note = f"tensors.csv holds the {TENSORS:,} worst tensors of a checkpoint that has more." if many else ""
    return _archive(members, redactor, note)


def _reports(shown: Report, excerpts: Sequence[Excerpt], *, masked: bool) -> Iterator[tuple[str, str | Iterable[str]]]:
    run = shown.run
    yield "report.md", markdown.render(shown, masked=masked)
    yield "report.txt", terminal.render(shown, verbose=True)
    yield "report.json", json.render(shown) + "\n"
    yield "report.html", html.render(shown, masked=masked, excerpts=excerpts)
    yield "environment.json", environment.render(run, "json")
    yield "timeline.csv", timeline.pieces(run, ())
    if any(c.table is not None for c in run.checkpoints):
        yield "tensors.csv", tensors.render(run.checkpoints, (), tensors.Choice(most=TENSORS), "csv")


def _logs(excerpts: Sequence[Excerpt]) -> Iterator[tuple[str, str]]:
    for number, excerpt in enumerate(excerpts, 1):
        name = PurePosixPath(clean(excerpt.path, 200)).name
        safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in name)[:80].strip(".") or "log"
        head = f"# excerpt of {clean(excerpt.path)}: lines that the report cites, with their neighbours\n"
        left = f"# {clean(excerpt.left)}\n" if excerpt.left else ""
        lines = "\n".join(clean(line, 4000) for line in excerpt.text.split("\n"))
        yield f"logs/{number:02}-{safe}.log", f"{head}{left}{lines}\n"


def _archive(members: Iterable[tuple[str, str | Iterable[str]]], redactor: Redactor, note: str) -> bytes:
    """Write the members one by one; of none more is held than a piece of it, and what it is packed to."""
    out = io.BytesIO()
    kept: list[str] = []
    left: list[str] = []
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, text in members:
            whole = _write(archive, out, name, [text] if isinstance(text, str) else text)
            (kept if whole else left).append(name)
        _write(archive, out, "README.txt", [_readme(kept, left, redactor, note)])
    return out.getvalue()


def _write(archive: zipfile.ZipFile, out: io.BytesIO, name: str, pieces: Iterable[str]) -> bool:
    """Write a member; take it back, and return False, where it or the archive becomes too large."""
    info = zipfile.ZipInfo(name, EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    info.create_system = 3
    begin, size = out.tell(), 0
    with archive.open(info, "w") as member:
        for piece in pieces:
            encoded = piece.encode("utf-8", "backslashreplace")
            size += len(encoded)
            if size > MEMBER_BYTES or out.tell() > MOST_BYTES:
                break
            member.write(encoded)
    fits = size <= MEMBER_BYTES and out.tell() <= MOST_BYTES
    if not fits:  # the directory, which is written last, does not know of it, and the next one takes its place
        archive.filelist.remove(info)
        del archive.NameToInfo[name]
        archive.start_dir = begin
        out.seek(begin)
        out.truncate()
    return fits


def _readme(kept: Sequence[str], left: Sequence[str], redactor: Redactor, note: str) -> str:
    lines = [f"Evidence of a training run, collected by medforensics {forensics.__version__}.", ""]
    lines += kept
    lines += [f"{name}: left out, the archive would be too large" for name in left]
    lines += ["", note] if note else []
    lines += ["", "It holds no weights and no file of the run as a whole. Start with report.html or report.md."]
    if redactor.identities:
        lines += [
            "",
            "Masked: secrets, users, hosts, addresses, paths, ids, as <kind-number>.",
            f"Not masked: {NOT_MASKED}.",
        ]
    else:
        lines += ["", "Secrets are masked; users, hosts, paths and ids are not (--no-redact)."]
    return "\n".join(lines) + "\n"
