"""Markdown for an issue: most important first, details folded."""

from collections.abc import Iterator

import forensics
from forensics.model import Checkpoint, Finding, Hypothesis, Report
from forensics.report import _view as view
from forensics.report._onset import coincidences, lost
from forensics.report._safe import code, markdown


def render(report: Report) -> str:
    """Return the report as GitHub-flavoured Markdown."""
    parts = [
        f"## medforensics: {report.verdict}\n\n{markdown(report.headline, 2000)}\n",
        *_circumstances(report),
        *_findings(report),
        *(line for rank, h in enumerate(view.shown_hypotheses(report), 1) for line in _hypothesis(rank, h)),
        *_checkpoints(report),
        *_excluded(report),
        *_environment(report),
        *_skips(report),
        f"\n<sub>medforensics {forensics.__version__}</sub>\n",
    ]
    return "\n".join(parts)


def _circumstances(report: Report) -> Iterator[str]:
    wasted, also = lost(report), coincidences(report)
    if wasted:
        yield f"{markdown(wasted)}.\n"
    if also:
        yield f"At the same time: {markdown('; '.join(also))}.\n"


def _findings(report: Report) -> Iterator[str]:
    if not report.findings:
        return
    yield "### What the run shows\n"
    yield "| | symptom | onset | what | where |\n|---|---|---|---|---|"
    for f in report.findings:
        yield _finding_row(f)
    yield ""


def _finding_row(f: Finding) -> str:
    where = code(str(f.source))
    return f"| {f.severity} | {code(f.symptom)} | {view.step_text(f)} | {markdown(f.statement, 1000)} | {where} |"


def _hypothesis(rank: int, h: Hypothesis) -> Iterator[str]:
    yield f"### {rank}. {h.cause} ({h.code}): {view.score_text(h)}\n"
    yield f"{markdown(h.title)}.\n"
    if len(h.chain) > 1:
        yield f"Chain: {' ← '.join(code(link) for link in reversed(h.chain))}\n"
    for e in h.evidence:
        where = f" ({code(str(e.source))})" if e.source is not None else ""
        yield f"- `{e.points:+d}` {markdown(e.statement, 1000)}{where}"
    if h.missing:
        yield f"- not recorded: {', '.join(code(name) for name in h.missing)}"
    if h.fixes:
        yield "\n**What to change**\n"
        for fix in h.fixes:
            reference = f" ([source]({fix.reference}))" if fix.reference else ""
            yield f"- {markdown(fix.action, 1000)}{reference}"
    if h.experiments:
        yield "\n**To be sure, cheapest first**\n"
        for number, experiment in enumerate(h.experiments, 1):
            yield f"{number}. {markdown(experiment.action, 1000)} Expect: {markdown(experiment.expect, 1000)}"
    yield ""


def _checkpoints(report: Report) -> Iterator[str]:
    checkpoints = report.run.checkpoints
    if not checkpoints:
        return
    yield "### Checkpoints\n"
    good, bad = report.run.last_good_checkpoint, report.run.first_bad_checkpoint
    if good is not None:
        yield f"Last good: {code(good.path)}. "
    if bad is not None:
        yield f"First poisoned: {code(bad.path)}."
    yield "\n| checkpoint | step | status | weights |\n|---|---|---|---|"
    for c in checkpoints:
        yield _checkpoint_row(c)
    yield ""


def _checkpoint_row(c: Checkpoint) -> str:
    step = "" if c.step is None else str(c.step)
    return f"| {code(c.path)} | {step} | {c.status} | {markdown(view.checkpoint_line(c), 1000)} |"


def _excluded(report: Report) -> Iterator[str]:
    excluded = view.ruled_out(report)
    if not excluded:
        return
    yield "<details><summary>Ruled out</summary>\n"
    for h in excluded:
        against = min(h.evidence, key=lambda e: e.points)
        yield f"- {h.cause} ({h.code}): {markdown(against.statement, 1000)}"
    yield "\n</details>\n"


def _environment(report: Report) -> Iterator[str]:
    rows = list(view.environment_rows(report.run))
    if not rows:
        return
    yield "<details><summary>Environment, from the run</summary>\n"
    yield "| | value | read in |\n|---|---|---|"
    for name, value, where in rows:
        yield f"| {code(name)} | {code(value)} | {code(where)} |"
    yield "\n</details>\n"


def _skips(report: Report) -> Iterator[str]:
    groups = view.skip_groups(report.run.skips)
    if not groups:
        return
    yield "<details><summary>Not examined</summary>\n"
    for group in groups:
        yield f"- {markdown(group.reason)}: {markdown(view.some(group.what), 1000)}"
    yield "\n</details>\n"
