"""The sections of the terminal report, each as things that rich can print."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from forensics.model import Checkpoint, Evidence, Finding, Hypothesis, Report
from forensics.report import _view as view
from forensics.report._advice import Line, fix_lines, resume_line
from forensics.report._first import best_text, resume_text
from forensics.report._onset import coincidences
from forensics.report._safe import clean

SEVERITY_STYLE = {"error": "red", "warning": "yellow", "notice": "dim"}
STATUS_STYLE = {"clean": "green", "poisoned": "red", "damaged": "red", "incomplete": "yellow", "unsafe": "yellow"}
SHOWN_FINDINGS = 6
SHOWN_CHECKPOINTS = 6
SHOWN_RELATIVES = 2
SHOWN_FIXES = 3
SHOWN_EXPERIMENTS = 4


def title(text: str) -> RenderableType:
    return Padding(Text(text, style="bold"), (1, 0, 0, 0))


def rows(pairs: Sequence[tuple[str, str | Text]], style: str = "", gap: int = 2) -> RenderableType:
    table = Table.grid(padding=(0, gap))
    table.add_column(no_wrap=True, style=style)
    table.add_column(ratio=1, overflow="fold")
    for name, value in pairs:
        table.add_row(name, value)
    return table


def indented(item: RenderableType, columns: int = 3) -> RenderableType:
    return Padding(item, (0, 0, 0, columns))


def numbered(number: int, item: Text) -> RenderableType:
    """Return an entry of a list, its lines aligned behind the number."""
    return rows([(f"{number}.", item)], gap=1)


def findings(report: Report, verbose: bool) -> Iterator[RenderableType]:
    """Every error and warning, and the first notices."""
    if not report.findings:
        return
    yield title("What the run shows")
    shown = report.findings if verbose else report.findings[:SHOWN_FINDINGS]
    for finding in shown:
        yield _finding(finding)
    for sentence in coincidences(report):
        yield Text(clean(sentence, 1000))
    if len(shown) < len(report.findings):
        yield Text(f"and {len(report.findings) - len(shown)} more (--verbose)", style="dim")


def _finding(f: Finding) -> RenderableType:
    head = Text.assemble(
        (f.severity, SEVERITY_STYLE[f.severity]), "  ", (f.symptom, "bold"), f"  {view.step_text(f)}".rstrip()
    )
    said = Text.assemble(clean(f.statement, 1000), (f"  [{clean(str(f.source))}]", "dim"))
    return Group(head, indented(said))


def causes(report: Report, verbose: bool) -> Iterator[RenderableType]:
    """Rank 1 with everything that speaks for and against it; the others in a line each."""
    shown = view.shown_hypotheses(report)
    if not shown:
        return
    yield title("Why")
    for rank, hypothesis in enumerate(shown, 1):
        if rank == 1 or verbose:
            yield _argued(rank, hypothesis, report)
        else:
            head = f"{rank}. {hypothesis.cause}{view.standing_text(hypothesis)}"
            yield Group(Text(head), indented(Text(f"{hypothesis.title}.", style="dim")))
    yield from _excluded(report, shown[0], verbose)


def _argued(rank: int, h: Hypothesis, report: Report) -> RenderableType:
    head = Text.assemble(f"{rank}. ", (h.cause, "bold"), view.standing_text(h))
    lines: list[RenderableType] = [head, indented(Text(f"{h.title}."))]
    if len(h.chain) > 1:
        lines.append(indented(Text(view.chain_text(h), style="cyan")))
    for link, proof in view.proven(report, h):
        lines.append(indented(Text.assemble((link, "cyan"), " is established: ", _evidence(proof))))
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", no_wrap=True, min_width=6)
    table.add_column(ratio=1, overflow="fold")
    for e in view.argued(h):
        table.add_row(view.mark(e), _evidence(e))
    if h.would_decide:
        table.add_row("", Text(view.open_text(h), style="dim"))
    if h.missing:
        table.add_row("", Text(f"not recorded: {', '.join(h.missing)}", style="dim"))
    return Group(*lines, table)


def _evidence(e: Evidence) -> Text:
    where = "" if e.source is None else f"  [{clean(str(e.source))}]"
    return Text.assemble(clean(e.statement, 1000), (where, "dim"))


def _excluded(report: Report, top: Hypothesis, verbose: bool) -> Iterator[RenderableType]:
    """Tell what cannot be: all of it with --verbose, else the count and a few relatives of the first cause."""
    excluded = view.ruled_out(report)
    if not excluded:
        return
    if verbose:
        yield Text(f"Ruled out: {', '.join(h.cause for h in excluded)}", style="dim")
        return
    relatives = [h.cause for h in excluded if view.family(h) == view.family(top)][:SHOWN_RELATIVES]
    names = f", among them {', '.join(relatives)}" if relatives else ""
    count = "1 other cause" if len(excluded) == 1 else f"{len(excluded)} other causes"
    yield Text(f"Ruled out: {count}{names} (--verbose names all)", style="dim")


def remedies(report: Report, verbose: bool) -> Iterator[RenderableType]:
    """Yield what to change for the first cause, with lines to copy."""
    shown = view.shown_hypotheses(report)
    fixes = shown[0].fixes if shown else ()
    if not fixes:
        return
    yield title("What to change")
    for number, fix in enumerate(fixes if verbose else fixes[:SHOWN_FIXES], 1):
        yield numbered(number, Text(clean(fix.action, 1000)))
        for line in fix_lines(fix, report.run):
            yield indented(_to_copy(line))
        if fix.reference:
            yield indented(Text(fix.reference, style="dim", overflow="fold"))
    if not verbose and len(fixes) > SHOWN_FIXES:
        yield Text(f"and {len(fixes) - SHOWN_FIXES} more (--verbose)", style="dim")


def checkpoints(report: Report, verbose: bool, width: int) -> Iterator[RenderableType]:
    """Which checkpoints can be used, and how to go on from the last good one."""
    every = report.run.checkpoints
    if not every:
        return
    yield title("Checkpoints")
    shown = every if verbose else _telling(report, every)
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, max_width=40, overflow="ellipsis")
    table.add_column(no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    for c in shown:
        table.add_row(clean(c.path), Text(c.status, style=STATUS_STYLE.get(c.status, "")), view.checkpoint_line(c))
    yield table
    if len(shown) < len(every):
        yield Text(f"and {len(every) - len(shown)} more (--verbose)", style="dim")
    best = best_text(report)
    if best:
        yield Text.assemble(("Best: ", "bold"), f"{best}.")
    yield from _resume(report, width)


def _telling(report: Report, every: tuple[Checkpoint, ...]) -> tuple[Checkpoint, ...]:
    """Return the checkpoints around the change from good to bad, then the last ones, in their order."""
    if len(every) <= SHOWN_CHECKPOINTS:
        return every
    wanted = [report.run.last_good_checkpoint, report.run.first_bad_checkpoint, every[0]]
    chosen = [c for c in wanted if c is not None]
    for c in (*(c for c in every if c.status not in {"clean", "not examined"}), *reversed(every)):
        if len(chosen) >= SHOWN_CHECKPOINTS:
            break
        if not any(c is known for known in chosen):
            chosen.append(c)
    return tuple(c for c in every if any(c is known for known in chosen))


def _resume(report: Report, width: int) -> Iterator[RenderableType]:
    good, bad = report.run.last_good_checkpoint, report.run.first_bad_checkpoint
    if report.verdict == "healthy":
        return
    if good is None:
        examined = any(c.table is not None for c in report.run.checkpoints)
        yield Text("No good checkpoint: start from the base model." if examined else "No checkpoint was examined.")
        return
    yield Text.assemble(("Last good: ", "bold"), (clean(good.path), "bold"), f", {resume_text(good)}.")
    if bad is not None:
        yield Text(f"First poisoned: {clean(bad.path)}; do not resume from it or from a later one.")
    line = resume_line(report)
    if line is not None:
        anew = f" (without its {' and '.join(good.lacks)}, which begin anew)" if good.lacks else ""
        yield Text(f"With the cause removed, resume with{anew}")
        yield indented(_to_copy(line, width))


def _to_copy(line: Line, width: int = 0) -> Text:
    """Return a line to copy; one that is too wide goes on after a backslash, as a shell reads it."""
    text = line.text
    if width and len(text) > width - 3:
        text = text.replace(" ", " \\\n", 1)
    where = f"   # {line.where}" if line.where else ""
    return Text.assemble((text, "green"), (where, "dim"), overflow="fold")


def experiments(report: Report, verbose: bool) -> Iterator[RenderableType]:
    """Yield what to run next: to be sure of a cause, or to find one."""
    shown = view.shown_hypotheses(report)
    tries = shown[0].experiments if shown else ()
    if not tries:
        return
    yield title(view.experiments_title(shown[0]))
    for number, e in enumerate(tries if verbose else tries[:SHOWN_EXPERIMENTS], 1):
        yield numbered(number, Text(f"{clean(e.action, 1000)} Expect: {clean(e.expect, 1000)}."))
        for line in e.code.splitlines():
            yield indented(Text(clean(line, 400), style="green", overflow="fold"))
    if not verbose and len(tries) > SHOWN_EXPERIMENTS:
        yield Text(f"and {len(tries) - SHOWN_EXPERIMENTS} more (--verbose)", style="dim")
