"""The parts of the Markdown report, each a section of rows that may be cut at any row."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from forensics.deferred.records import dataclass
from forensics.diagnosis import judgement
from forensics.diagnosis.brevity import brief
from forensics.model import Checkpoint, Evidence, Finding, Hypothesis, Report
from forensics.report import _first as first
from forensics.report import _view as view
from forensics.report._advice import Line, fix_lines, resume_line
from forensics.report._chart import mermaid
from forensics.report._environment import ds_report, env_block
from forensics.report._onset import aftermath
from forensics.report._safe import clean, code, markdown

LINE = 100
"""Characters of a line of the first screen, as a comment on GitHub shows them without a break."""
ROWS = 40
"""Rows of one section at most: a page that a maintainer reads to its end."""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, rows that may be left out from the end, and what closes it."""

    head: str
    rows: tuple[str, ...]
    tail: str = ""
    most: int = ROWS
    more: str = "\n… and {} more"


def _folded(summary: str, rows: Iterator[str], *, columns: str = "", most: int = ROWS, more: str = "") -> Section:
    top = f"<details><summary>{summary}</summary>\n"
    head = f"{top}\n{columns}" if columns else top
    return Section(head, tuple(rows), "\n</details>\n", most, more or "\n… and {} more")


def overview(report: Report) -> Iterator[Section]:
    """Yield what, when, cause and what to keep, a line each, and the first thing to do with what to copy."""
    rows = [f"| **{row.word}** | {markdown(brief(row.said, LINE))} |" for row in first.rows(report)]
    remedy = first.remedy(report)
    if remedy is not None:
        rows.append(f"| **{remedy.word}** | {markdown(brief(remedy.said, LINE))} |")
    yield Section("| | |\n|---|---|", tuple(rows), "")
    if remedy is not None and remedy.lines:
        yield Section("```", tuple(map(_copied, remedy.lines)), "```\n")


def _copied(line: Line) -> str:
    where = f"   # {line.where}" if line.where else ""
    return f"{line.text.replace('`', chr(39))}{where}"


def basis(report: Report) -> Iterator[Section]:
    """Yield what was understood of the run and what was judged by."""
    yield Section("", tuple(f"**{row.word}** {markdown(row.said, 1000)}  " for row in first.basis(report)), "\n")


def cause(report: Report) -> Iterator[Section]:
    """Yield the first hypothesis with everything that speaks for and against it."""
    shown = view.shown_hypotheses(report)
    if shown:
        yield _argument("### Cause: ", shown[0], report)


def _argument(prefix: str, h: Hypothesis, report: Report) -> Section:
    chain = f"\n{' ← '.join(code(link) for link in reversed(h.chain))}\n" if len(h.chain) > 1 else ""
    standing = view.standing_text(h).replace("  ", ", ")
    head = f"{prefix}{h.cause}{standing}\n\n{markdown(h.title)}.\n{chain}"
    rows = [f"- {code(link)} is established: {_stated(proof)}" for link, proof in view.proven(report, h)]
    rows += [_evidence(e) for e in view.argued(h)]
    if h.would_decide:
        rows.append(f"- {markdown(view.open_text(h), 1000)}")
    if h.missing:
        rows.append(f"- not recorded: {', '.join(code(name) for name in h.missing)}")
    return Section(head, tuple(rows), "\n")


def _evidence(e: Evidence) -> str:
    mark = view.mark(e)
    return f"- {f'`{mark}` ' if mark else ''}{_stated(e)}"


def _stated(e: Evidence) -> str:
    where = f" ({code(str(e.source))})" if e.source is not None else ""
    return f"{markdown(e.statement, 600)}{where}"


def remedies(report: Report) -> Iterator[Section]:
    """Yield what to change, with blocks to copy."""
    shown = view.shown_hypotheses(report)
    if not shown or not shown[0].fixes:
        return
    rows = []
    for number, fix in enumerate(shown[0].fixes, 1):
        link = f" ([source]({fix.reference}))" if fix.reference.startswith("https://") else ""
        block = "".join(_block(line) for line in fix_lines(fix, report.run))
        rows.append(f"{number}. {markdown(fix.action, 800)}{link}{block}")
    yield Section("### What to change\n", tuple(rows), "\n")


def _block(line: Line) -> str:
    where = f"   # {line.where}" if line.where else ""
    # Four blanks keep the block inside its list entry; a fence longer than any run of backticks cannot be closed.
    return f"\n    ```\n    {line.text.replace('`', chr(39))}{where}\n    ```"


def onset(report: Report) -> Iterator[Section]:
    """Yield where it broke, what it cost, what else happened there, and the chart."""
    finding = judgement.onset(report)
    chart = mermaid(report)
    if finding is None:
        if chart:
            yield Section("### Loss\n", (), f"{chart}\n")
        return
    said = " ".join(aftermath(report))
    head = f"### Onset: {view.step_text(finding)}\n\n{markdown(said, 1000)}\n"
    yield Section(head, (), f"{chart}\n" if chart else "\n")


def findings(report: Report) -> Iterator[Section]:
    """Yield the symptoms as a table."""
    if report.findings:
        head = "### What the run shows\n\n| | symptom | onset | what | where |\n|---|---|---|---|---|"
        yield Section(head, tuple(_finding(f) for f in report.findings), "\n", 20)


def _finding(f: Finding) -> str:
    where = code(str(f.source), 200)
    return f"| {f.severity} | {code(f.symptom)} | {view.step_text(f)} | {markdown(f.statement, 600)} | {where} |"


def checkpoints(report: Report) -> Iterator[Section]:
    """Yield which checkpoints can be used and the command to go on."""
    every = report.run.checkpoints
    if not every:
        return
    head = f"### Checkpoints\n\n{_verdict(report)}\n| checkpoint | step | status | weights |\n|---|---|---|---|"
    yield Section(head, tuple(_checkpoint(c) for c in _worst_first(report)), "\n")


def _verdict(report: Report) -> str:
    good, bad = report.run.last_good_checkpoint, report.run.first_bad_checkpoint
    if report.verdict == "healthy":
        return ""
    said = f"Last good: {code(good.path)}, {first.resume_text(good)}. " if good is not None else "None is good. "
    if bad is not None:
        said += f"First poisoned: {code(bad.path)}. "
    line = resume_line(report)
    return said + (f"With the cause removed: {code(line.text)}\n" if line is not None else "\n")


def _worst_first(report: Report) -> tuple[Checkpoint, ...]:
    """Return the checkpoints in order; when a table would be too long, those around the change first."""
    every = report.run.checkpoints
    if len(every) <= ROWS:
        return every
    telling = (report.run.last_good_checkpoint, report.run.first_bad_checkpoint)
    return (*(c for c in telling if c is not None), *(c for c in every if not any(c is t for t in telling)))


def _checkpoint(c: Checkpoint) -> str:
    step = "" if c.step is None else str(c.step)
    return f"| {code(c.path, 200)} | {step} | {c.status} | {markdown(view.checkpoint_line(c), 600)} |"


def experiments(report: Report) -> Iterator[Section]:
    """Yield the runs that would tell the causes apart, or what to do where none is known."""
    shown = view.shown_hypotheses(report)
    if shown and shown[0].experiments:
        rows = (
            f"{number}. {markdown(e.action)} Expect: {markdown(e.expect)}.{_code(e.code)}"
            for number, e in enumerate(shown[0].experiments, 1)
        )
        yield Section(f"### {view.experiments_title(shown[0])}\n", tuple(rows), "\n", 12)


def _code(text: str) -> str:
    if not text:
        return ""
    lines = "".join(f"\n    {clean(line).replace('`', chr(39))}" for line in text.splitlines())
    return f"\n    ```{lines}\n    ```"


def others(report: Report) -> Iterator[Section]:
    """Yield the other causes that may be true, each folded."""
    for rank, h in enumerate(view.shown_hypotheses(report)[1:], 2):
        argument = _argument("", h, report)
        summary = f"{rank}. {h.cause}{view.standing_text(h).replace('  ', ', ')}: {markdown(h.title)}"
        rows = iter((*argument.rows, *(f"- fix: {markdown(fix.action)}" for fix in h.fixes)))
        yield _folded(summary, rows)


def excluded(report: Report) -> Iterator[Section]:
    """Yield the causes that cannot be, each with the reason."""
    out = view.ruled_out(report)
    if out:
        rows = (f"- {h.cause} ({h.code}): {markdown(_contradiction(h))}" for h in out)
        yield _folded(f"Ruled out: {len(out)}", rows, most=60)


def _contradiction(h: Hypothesis) -> str:
    return "" if h.contradiction is None else h.contradiction.statement


def environment(report: Report) -> Iterator[Section]:
    """Yield versions and hardware under the labels of `transformers-cli env`."""
    rows = env_block(report.run)
    if rows:
        yield _folded("Environment, from the run", iter(rows))


def ds_report_section(report: Report) -> Iterator[Section]:
    """Yield versions under the labels of `ds_report`."""
    rows = ds_report(report.run)
    if rows:
        yield Section("From the run:\n\n```", tuple(row.replace("`", "'") for row in rows), "```\n")


def settings(report: Report) -> Iterator[Section]:
    """Yield the settings that usually matter, each with the place where it was read."""
    rows = tuple(
        f"| {code(name, 100)} | {code(value, 200)} | {code(where, 200)} |"
        for name, value, where in view.environment_rows(report.run)
    )
    if rows:
        columns = "| | value | read in |\n|---|---|---|"
        yield _folded("Versions and settings, and where each was read", iter(rows), columns=columns, most=60)


def skips(report: Report) -> Iterator[Section]:
    """Yield what was not examined, by reason, and errors of ours."""
    groups = view.skip_groups(report.run.skips)
    rows = [f"- internal error: {markdown(failure)}" for failure in report.failures]
    rows += [f"- {markdown(group.reason)}: {markdown(view.some(group.what), 600)}" for group in groups]
    if rows:
        yield _folded("Not examined", iter(rows), most=30)


STORY = (overview, onset, basis, cause, remedies, experiments, checkpoints, findings)
"""What must be read: the first screen, the cause with its argument, the cure, what can be saved."""
DETAILS = (others, environment, settings, excluded, skips)
"""What may be looked up."""
PARTS: Mapping[str, Callable[[Report], Iterator[Section]]] = MappingProxyType(
    {
        "basis": basis,
        "cause": cause,
        "remedies": remedies,
        "onset": onset,
        "findings": findings,
        "checkpoints": checkpoints,
        "experiments": experiments,
        "others": others,
        "environment": environment,
        "settings": settings,
        "excluded": excluded,
        "skips": skips,
        "ds_report": ds_report_section,
    }
)
