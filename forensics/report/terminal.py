"""The report for a terminal: verdict first, 80 columns, colour only where there is a terminal."""

import io
from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from forensics.model import Hypothesis, Report
from forensics.report import _view as view
from forensics.report._safe import clean

WIDTH = 80
VERDICT_STYLE = {"broken": "bold red", "suspicious": "bold yellow", "healthy": "bold green", "unknown": "bold"}
SEVERITY_STYLE = {"error": "red", "warning": "yellow", "notice": "dim"}
SHOWN_SKIPS = 6


def render(report: Report, *, width: int = WIDTH, color: bool = False, verbose: bool = False) -> str:
    """Return the report as terminal text; escape sequences occur only when `color` is true."""
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
    for part in _parts(report, verbose):
        console.print(part)
    file = console.file
    assert isinstance(file, io.StringIO)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"


def _parts(report: Report, verbose: bool) -> Iterator[RenderableType]:
    verdict = Text(report.verdict.upper(), style=VERDICT_STYLE[report.verdict])
    yield Text.assemble(verdict, "  ", clean(report.headline, 2000))
    if report.findings:
        yield _title("What the run shows")
        yield _findings(report)
    shown = view.shown_hypotheses(report)
    if shown:
        yield _title("Why")
        for number, hypothesis in enumerate(shown, 1):
            yield _hypothesis(number, hypothesis)
    excluded = view.ruled_out(report)
    if excluded:
        yield Text(f"Ruled out: {', '.join(h.cause for h in excluded)}", style="dim")
    if report.run.checkpoints:
        yield _title("Checkpoints")
        yield _checkpoints(report)
    lines = list(view.environment_lines(report.run))
    if lines:
        yield _title("Environment, from the run (medforensics env RUN tells where each value was read)")
        yield _environment(lines)
    yield from _skips(report, verbose)
    for failure in report.failures:
        yield Text(f"internal error: {clean(failure)}", style="red")


def _title(text: str) -> RenderableType:
    return Padding(Text(text, style="bold"), (1, 0, 0, 0))


def _findings(report: Report) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    for f in report.findings:
        where = Text(f"\n{clean(str(f.source))}", style="dim")
        said = Text.assemble(Text(f.symptom, style="bold"), ": ", clean(f.statement, 1000), where)
        table.add_row(Text(f.severity, style=SEVERITY_STYLE[f.severity]), view.step_text(f), said)
    return table


def _hypothesis(number: int, h: Hypothesis) -> RenderableType:
    head = Text.assemble(f"{number}. ", Text(h.cause, style="bold"), f" ({h.code})  {view.score_text(h)}")
    lines: list[RenderableType] = [head, Padding(Text(f"{h.title}."), (0, 0, 0, 3))]
    if len(h.chain) > 1:
        lines.append(Padding(Text(view.chain_text(h), style="cyan"), (0, 0, 0, 3)))
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", no_wrap=True, min_width=6)
    table.add_column(ratio=1)
    for e in h.evidence:
        where = Text(f"\n{clean(str(e.source))}", style="dim") if e.source is not None else Text("")
        table.add_row(f"{e.points:+d}", Text.assemble(clean(e.statement, 1000), where))
    if h.missing:
        table.add_row("", Text(f"not recorded: {', '.join(h.missing)}", style="dim"))
    lines.append(table)
    lines.extend(_advice(h))
    return Padding(Group(*lines), (0, 0, 1, 0))


def _advice(h: Hypothesis) -> Iterator[RenderableType]:
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", no_wrap=True, min_width=6)
    table.add_column(ratio=1)
    for fix in h.fixes:
        reference = Text(f"\n{fix.reference}", style="dim") if fix.reference else Text("")
        table.add_row("fix", Text.assemble(clean(fix.action, 1000), reference))
    for e in h.experiments:
        table.add_row("try", Text.assemble(clean(e.action, 1000), Text(f" Expect: {clean(e.expect, 1000)}")))
    if table.row_count:
        yield table


def _checkpoints(report: Report) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    styles = {"clean": "green", "poisoned": "red", "damaged": "red", "incomplete": "yellow"}
    for c in report.run.checkpoints:
        table.add_row(clean(c.path), Text(c.status, style=styles.get(c.status, "")), view.checkpoint_line(c))
    good, bad = report.run.last_good_checkpoint, report.run.first_bad_checkpoint
    lines: list[RenderableType] = [table]
    if good is not None:
        lines.append(Text(f"last good: {clean(good.path)}", style="bold"))
    if bad is not None:
        lines.append(Text(f"first poisoned: {clean(bad.path)}", style="bold"))
    return Group(*lines)


def _environment(lines: list[tuple[str, str]]) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(ratio=1)
    for title, values in lines:
        table.add_row(title, values)
    return table


def _skips(report: Report, verbose: bool) -> Iterator[RenderableType]:
    groups = view.skip_groups(report.run.skips)
    if not groups:
        return
    yield _title("Not examined")
    for group in groups if verbose else groups[:SHOWN_SKIPS]:
        names = ", ".join(clean(what) for what in group.what) if verbose else view.some(group.what)
        yield Text(f"{names}: {clean(group.reason)}", style="dim")
    if not verbose and len(groups) > SHOWN_SKIPS:
        yield Text(f"and {len(groups) - SHOWN_SKIPS} more reasons (--verbose)", style="dim")


def brief(report: Report) -> str:
    """Return the verdict and the headline, one line each."""
    return f"{report.verdict}\n{clean(report.headline, 2000)}\n"
