"""Lines of the logs around what a report cites, and around the onset."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.diagnosis import judgement
from forensics.errors import ForensicsError
from forensics.formats.text import pieces
from forensics.limits import DEFAULT, Limits
from forensics.model import Report, Source
from forensics.redaction import Redactor
from forensics.report._onset import onset_on
from forensics.storage.file import File

CONTEXT = 12
"""Lines shown before and after each cited one."""
ENTRIES = 10
"""Entries of every metric that are followed to their lines on each side of the onset."""
MOST_BYTES = 512 << 10
SHOWN_FRAGMENTS = 3
"""Of a line that a progress bar overwrote, the last states are shown."""
_LINE = expression(r"line ([0-9]{1,12})")


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Numbered lines of one file; `left` says why nothing more could be shown."""

    path: str
    text: str
    left: str = ""


def excerpts(report: Report, limits: Limits = DEFAULT) -> Iterator[Excerpt]:
    """Yield an excerpt for each file that is cited by line; an unreadable file yields the reason."""
    for path, lines in sorted(cited(report).items()):
        try:
            with File(report.run.root / path) as file:
                yield _excerpt(file, path, _with_context(lines), limits)
        except ForensicsError as error:
            yield Excerpt(path, "", str(error))


def masked_excerpts(found: Sequence[Excerpt], redactor: Redactor) -> tuple[Excerpt, ...]:
    """Return the excerpts masked; the redactor learns from them first, so that it masks what they give away."""
    redactor.learn(line for excerpt in found for line in excerpt.text.splitlines())
    return tuple(replace(e, path=redactor(e.path), text=redactor(e.text), left=redactor(e.left)) for e in found)


def cited(report: Report) -> Mapping[str, Sequence[int]]:
    """Return the cited line numbers of each file, of findings, evidence, events and metrics around the onset."""
    found: dict[str, set[int]] = defaultdict(set)
    for source in _sources(report):
        line = _LINE.fullmatch(source.place)
        if line is not None:
            found[source.path].add(int(line[1]))
    return {path: sorted(lines) for path, lines in found.items()}


def _sources(report: Report) -> Iterator[Source]:
    yield from (finding.source for finding in report.findings)
    for hypothesis in report.hypotheses[:3]:
        yield from (e.source for e in hypothesis.evidence if e.source is not None)
    for events in report.run.timeline.events:
        yield from (events.source_at(i) for i in range(min(len(events), 2)))
    finding = judgement.onset(report)
    for series in report.run.timeline.series.values():
        onset = onset_on(series.axis, finding)
        middle = len(series) if onset is None else int(np.searchsorted(series.steps, onset))
        for i in range(max(0, middle - ENTRIES), min(len(series), middle + ENTRIES)):
            yield series.source_at(i)


def _with_context(lines: Sequence[int]) -> set[int]:
    return {near for line in lines for near in range(max(1, line - CONTEXT), line + CONTEXT + 1)}


def _excerpt(file: File, path: str, wanted: set[int], limits: Limits) -> Excerpt:
    shown: list[str] = []
    size, last, before = 0, max(wanted), 0
    for number, line in _lines(file, limits):
        if number > last:
            break
        if number not in wanted:
            continue
        if before and number != before + 1:
            shown.append("...")
        fragments = [f for f in line.decode("utf-8", "replace").split("\r") if f.strip()]
        text = f"{number:>8}  " + "\n          ".join(fragments[-SHOWN_FRAGMENTS:])
        size += len(text)
        if size > MOST_BYTES:
            return Excerpt(path, "\n".join(shown), f"cut after {MOST_BYTES >> 10} KiB")
        shown.append(text)
        before = number
    return Excerpt(path, "\n".join(shown))


def _lines(file: File, limits: Limits) -> Iterator[tuple[int, bytes]]:
    """Yield number (1-based, counting LF only, as the log reader cites them) and bytes of every line."""
    rest, number = b"", 0
    for piece in pieces(file, limits.text_line_bytes):
        *lines, rest = (rest + piece.data).split(b"\n")
        for line in lines:
            number += 1
            yield number, line
        rest = rest[-limits.text_line_bytes :]
    if rest:
        yield number + 1, rest
