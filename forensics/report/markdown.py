"""Markdown for an issue: most important first, details folded, never longer than GitHub takes.

An issue or a comment holds 65,536 characters; the cap is kept by construction, whatever the run holds.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import forensics
from forensics.model import Report
from forensics.redaction import NOT_MASKED
from forensics.report import _markdown_sections as sections
from forensics.report._markdown_sections import Section
from forensics.report._safe import markdown
from forensics.report._templates import TEMPLATES
from forensics.report._whole import contained

MAX_CHARS = 60_000
SMALLEST = 2_000
"""Below this not even verdict, cause and fix fit."""
LEAST_LEFT = 300


def render(report: Report, *, max_chars: int = MAX_CHARS, template: str | None = None, masked: bool = False) -> str:
    """Return the report as GitHub-flavoured Markdown of at most `max_chars` characters.

    `template` puts it under the headings of a project's bug form (`_templates.TEMPLATES`); `masked` says that the
    report was masked, and the footer then tells what was not.
    """
    max_chars = max(max_chars, SMALLEST)
    footer = _footer(masked)
    told = "" if template is None else f"{markdown(report.headline, 1000)}\n\n"
    head = f"## medforensics: {report.verdict}\n\n{told}"
    ordered = _ordered(report) if template is None else _templated(report, template)
    return head + _fitted(ordered, max_chars - len(head) - len(footer)) + footer


def _footer(masked: bool) -> str:
    told = f" Masked values are shown as &lt;kind-number&gt;. Not masked: {NOT_MASKED}." if masked else ""
    return f"\n<sub>medforensics {forensics.__version__}, read from what the run left behind.{told}</sub>\n"


def _ordered(report: Report) -> list[Section]:
    return _whole((*sections.STORY, *sections.DETAILS), report)


def _whole(makers: Iterable[Callable[[Report], Iterator[Section]]], report: Report) -> list[Section]:
    """Return the sections; one that fails is a line."""
    return [section for make in makers for section in contained(make, _failed, report)]


def _failed(failure: str) -> Section:
    return Section(f"- internal error: {markdown(failure, 1000)}", ())


def _templated(report: Report, template: str) -> list[Section]:
    """Return the sections under the headings of a bug form; what no heading asks for comes last."""
    made: list[Section] = []
    for heading, parts in TEMPLATES[template]:
        made.append(Section(f"### {heading}", ()))
        made.extend(_whole((sections.PARTS[part] for part in parts), report))
    used = {part for _, parts in TEMPLATES[template] for part in parts}
    return [*made, *_whole((make for name, make in sections.PARTS.items() if name not in used), report)]


def _fitted(ordered: Sequence[Section], room: int) -> str:
    """Return the sections in order, each cut at a row when the room ends; what is left out is counted."""
    parts: list[str] = []
    for section in ordered:
        text = _cut(section, room)
        parts.append(text)
        room -= len(text)
    return "".join(parts)


def _cut(section: Section, room: int) -> str:
    fixed = len(section.head) + len(section.tail) + LEAST_LEFT
    if fixed > room:
        return ""
    if not section.rows and not section.tail:
        return f"{section.head}\n\n"
    kept = list(_kept(section.rows[: section.most], room - fixed))
    missing = len(section.rows) - len(kept)
    more = f"{section.more.format(f'{missing:,}')}\n" if missing else ""
    return f"{section.head}\n{''.join(f'{row}{chr(10)}' for row in kept)}{more}{section.tail}\n"


def _kept(rows: Sequence[str], room: int) -> Iterator[str]:
    for row in rows:
        room -= len(row) + 1
        if room < 0:
            return
        yield row
