"""Everything that a maintainer needs, as one archive to attach to an issue; never weights.

GitHub takes attachments up to 25 MB, as .zip, and inside it every type used here
(docs.github.com, "Attaching files": .md .html .txt .csv .json .log).
"""

import io
import zipfile
from collections.abc import Iterator, Sequence
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
    members = [*_reports(shown, excerpts, masked=redactor.identities), *_logs(excerpts)]
    many = any(c.table is not None and len(c.table) > TENSORS for c in shown.run.checkpoints)
    note = f"tensors.csv holds the {TENSORS:,} worst tensors of a checkpoint that has more." if many else ""
    return _archive(members, redactor, note)


def _reports(shown: Report, excerpts: Sequence[Excerpt], *, masked: bool) -> Iterator[tuple[str, str]]:
    run = shown.run
    yield "report.md", markdown.render(shown, masked=masked)
    yield "report.txt", terminal.render(shown, verbose=True)
    yield "report.json", json.render(shown) + "\n"
    yield "report.html", html.render(shown, masked=masked, excerpts=excerpts)
    yield "environment.json", environment.render(run, "json")
    yield "timeline.csv", timeline.render(run, (), "csv")
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


def _archive(members: Sequence[tuple[str, str]], redactor: Redactor, note: str) -> bytes:
    out = io.BytesIO()
    left: list[str] = []
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, text in members:
            data = text.encode("utf-8", "backslashreplace")
            if len(data) > MEMBER_BYTES or out.tell() + _packed(data) > MOST_BYTES:
                left.append(name)
            else:
                _write(archive, name, data)
        _write(archive, "README.txt", _readme(members, left, redactor, note).encode())
    return out.getvalue()


def _packed(data: bytes) -> int:
    import zlib

    return len(zlib.compress(data, 9))


def _write(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    info = zipfile.ZipInfo(name, EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    info.create_system = 3
    archive.writestr(info, data)


def _readme(members: Sequence[tuple[str, str]], left: Sequence[str], redactor: Redactor, note: str) -> str:
    lines = [f"Evidence of a training run, collected by medforensics {forensics.__version__}.", ""]
    lines += [name for name, _ in members if name not in left]
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
