"""The first screen as text, 24 rows of 80 columns: what `print(report)` shows and every terminal report begins with."""

import textwrap
from collections.abc import Iterator

import numpy as np
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from forensics.diagnosis import judgement
from forensics.diagnosis.brevity import brief, essence
from forensics.model import Report
from forensics.report import _first as first
from forensics.report import _view as view
from forensics.report._onset import curves, onset_on
from forensics.report._plot import ASCII, UNICODE, plot
from forensics.report._safe import clean

WIDTH = 80
ROWS = 23
"""Lines at most: the prompt takes the last one of 24."""
INDENT = 10
SHOWN_LINES = 2
"""Lines to copy on the first screen; more stand in their own section."""
MOST_HEIGHT, LEAST_HEIGHT = 6, 3
AROUND = 4
"""Lines around the rows of a plot: an empty one, the title, the axis, the steps."""
SLACK = 12
"""Columns that the ends of wrapped lines may leave empty."""
ANSWER_LINES, BASIS_LINES = 2, 3
"""Lines at most of what happened, and of what was read and checked; any other answer has one."""
VERDICT_STYLE = {"broken": "bold red", "suspicious": "bold yellow", "healthy": "bold green", "unknown": "bold"}


def render(report: Report, *, width: int = WIDTH, unicode: bool = True) -> str:
    """Return the first screen without colours; no line is wider than `width`."""
    return "\n".join(line.plain.rstrip() for line in lines(report, width, unicode=unicode)) + "\n"


def lines(report: Report, width: int, *, unicode: bool) -> Iterator[Text]:
    """Yield the lines of the first screen, at most `ROWS`, each cut to `width`."""
    told = [*_answer(report, width), *_remedy(report, width)]
    basis = list(_basis(report, width))
    yield from told
    yield from _curve(report, width, ROWS - len(told) - len(basis), unicode=unicode)
    yield from basis


def _answer(report: Report, width: int) -> Iterator[Text]:
    root = clean(str(report.run.root), 400)
    room = width - len(report.verdict) - 2
    shown = root if cell_len(root) <= room else f"...{root[3 - room :]}"
    yield Text.assemble((report.verdict.upper(), VERDICT_STYLE[report.verdict]), "  ", (shown, "dim"))
    for row in first.rows(report):
        lines = _whole(row.said, width - INDENT) if row.word == "what" else [_cut(row.said, width - INDENT)]
        for number, line in enumerate(lines):
            yield Text.assemble((f"{row.word if not number else '':<{INDENT}}", "bold"), line)


def _remedy(report: Report, width: int) -> Iterator[Text]:
    remedy = first.remedy(report)
    if remedy is None:
        return
    yield Text.assemble((f"{remedy.word:<{INDENT}}", "bold"), _cut(remedy.said, width - INDENT))
    if len(remedy.lines) > SHOWN_LINES or any(cell_len(line.text) > width - 3 for line in remedy.lines):
        return  # cut, it would be no line to copy: the whole report has it
    for line in remedy.lines:
        where = f"   # {line.where}" if line.where and len(line.text) + len(line.where) + 8 <= width else ""
        yield Text.assemble("   ", (line.text, "green"), (where, "dim"))


def _curve(report: Report, width: int, room: int, *, unicode: bool) -> Iterator[Text]:
    """Yield the curve around the onset as high as there is room for, nothing where that is too little."""
    finding = judgement.onset(report)
    curve = next(curves(report), None)
    if curve is None:
        return
    around = AROUND + bool((~np.isfinite(curve.values)).any())
    height = min(MOST_HEIGHT, room - around)
    if height < LEAST_HEIGHT:
        return
    ink = UNICODE if unicode else ASCII
    yield Text()
    title, *drawn = plot(curve, onset_on(curve.axis, finding), min(width, WIDTH), ink=ink, height=height)
    began = "" if finding is None else f"Onset: {view.step_text(finding)}; "
    yield Text(f"{began}{title}"[:width])
    for line in drawn:
        yield Text(line)
    if height + around < room:
        yield Text()


def _basis(report: Report, width: int) -> Iterator[Text]:
    for row in first.basis(report):
        wrapped = textwrap.wrap(row.said, width - INDENT) or [""]
        for number, line in enumerate(wrapped[:BASIS_LINES]):
            more = "..." if number == BASIS_LINES - 1 and len(wrapped) > BASIS_LINES else ""
            said = line if not more else f"{line[: width - INDENT - 2].rpartition(' ')[0].rstrip(' ,(')}{more}"
            yield Text.assemble((f"{row.word if not number else '':<{INDENT}}", "dim"), (said, "dim"))


def _whole(said: str, room: int) -> list[str]:
    """Return what happened: on one line where that says it but for asides, else on as many as it may have."""
    if cell_len(essence(said)) > room:
        lines = Text(_cut(said, ANSWER_LINES * room - SLACK)).wrap(Console(), room)
        if len(lines) <= ANSWER_LINES:
            return [line.plain.rstrip() for line in lines]
    return [_cut(said, room)]


def _cut(said: str, room: int) -> str:
    """Return what is said on one line of `room` columns; wide characters take two."""
    cut = brief(said, room)
    while cell_len(cut) > room:
        cut = brief(said, len(cut) - (cell_len(cut) - room + 1) // 2)
    return cut
