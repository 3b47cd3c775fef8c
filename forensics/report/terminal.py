"""The report for a terminal: verdict first, 80 columns, colour only where there is a terminal."""

import io
from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.text import Text

from forensics.diagnosis import judgement
from forensics.model import Report
from forensics.report import _terminal_parts as parts
from forensics.report import _view as view
from forensics.report import screen
from forensics.report._mapped import mapped
from forensics.report._onset import curves, onset_on
from forensics.report._plot import ASCII, UNICODE, plot
from forensics.report._safe import ascii_only, clean
from forensics.report._whole import contained

WIDTH = 80
SHOWN_SKIPS = 4


def render(
    report: Report, *, width: int = WIDTH, color: bool = False, verbose: bool = False, unicode: bool = True
) -> str:
    """Return the report as terminal text, no line wider than `width`.

    Escape sequences occur only when `color` is true, characters beyond ASCII only when `unicode` is.
    """
    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=color,
        color_system="standard" if color else None,
        legacy_windows=False,
        highlight=False,
        emoji=False,
        markup=False,
    )
    for part in _parts(report if unicode else mapped(report, ascii_only), verbose, width, unicode):
        console.print(part)
    file = console.file
    assert isinstance(file, io.StringIO)
    text = file.getvalue() if unicode else ascii_only(file.getvalue())
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def _parts(report: Report, verbose: bool, width: int, unicode: bool) -> Iterator[RenderableType]:
    yield from contained(screen.lines, _failed, report, width, unicode=unicode)
    yield from contained(parts.causes, _failed, report, verbose)
    yield from contained(parts.remedies, _failed, report, verbose)
    yield from contained(parts.experiments, _failed, report, verbose)
    yield from contained(parts.checkpoints, _failed, report, verbose, width)
    yield from contained(parts.findings, _failed, report, verbose)
    yield from contained(_curves, _failed, report, width, unicode)
    yield from contained(_environment, _failed, report)
    yield from contained(_skips, _failed, report, verbose)
    yield from map(_failed, report.failures)


def _failed(failure: str) -> Text:
    return Text(f"internal error: {clean(failure)}", style="red")


def _environment(report: Report) -> Iterator[RenderableType]:
    lines = list(view.environment_lines(report.run))
    if lines:
        yield parts.title("Environment, from the run (medforensics env RUN tells where each was read)")
        yield parts.rows(lines, "dim")


def _curves(report: Report, width: int, unicode: bool) -> Iterator[RenderableType]:
    """Yield the other curve around the onset; the first stands on the first screen."""
    finding = judgement.onset(report)
    if finding is None:
        return
    for curve in list(curves(report))[1:2]:
        lines = plot(curve, onset_on(curve.axis, finding), min(width, WIDTH), ink=UNICODE if unicode else ASCII)
        yield Padding(Text("\n".join(lines), no_wrap=True, overflow="crop"), (1, 0, 0, 0))


def _skips(report: Report, verbose: bool) -> Iterator[RenderableType]:
    groups = view.skip_groups(report.run.skips)
    if not groups:
        return
    yield parts.title("Not examined")
    for group in groups if verbose else groups[:SHOWN_SKIPS]:
        names = ", ".join(clean(what) for what in group.what) if verbose else view.some(group.what)
        yield Text(f"{names}: {clean(group.reason)}", style="dim")
    if not verbose and len(groups) > SHOWN_SKIPS:
        yield Text(f"and {len(groups) - SHOWN_SKIPS} more reasons (--verbose)", style="dim")
