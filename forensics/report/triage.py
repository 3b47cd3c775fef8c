"""Many runs: groups of the same story first, then a row a run."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from tabulate import tabulate

from forensics.fleet.group import ORDER, Group, groups_of
from forensics.fleet.row import VERSIONS, Row, row_to
from forensics.model import NOUNS
from forensics.redaction import Redactor
from forensics.report._mapped import mapped
from forensics.report._onset import duration
from forensics.report._safe import cell, clean, code, markdown

FORMAT = 1
FORMATS = ("table", "csv", "json", "markdown")
QUIET = ("healthy", "unknown")
"""Verdicts whose runs are counted, not listed, in a table."""
SHOWN = 15
"""Runs a group lists in a table or in Markdown; CSV and JSON hold all."""
INTERNAL = ("signature", "names", "parts")
"""Fields of a row that no output shows."""
HEADINGS = ("run", "onset", "cause", "last good checkpoint", "lost after it", "versions")


def masked(rows: Sequence[Row], redactor: Redactor) -> tuple[Row, ...]:
    """Return the rows masked. What one run gives away is masked in all: users and hosts also name folders."""
    if redactor.identities:
        for row in rows:
            for name, kind in row.names.items():
                redactor.learn_value(kind, name)
        redactor.learn(text for row in rows for text in (row.path, row.headline, row.note))
    return mapped(tuple(replace(row, names={}) for row in rows), redactor)


def render(rows: Sequence[Row], form: str) -> str:
    """Return the rows as a table, CSV, JSON or Markdown."""
    return {"table": _table, "csv": _csv, "json": _json, "markdown": _markdown}[form](rows)


def summary(rows: Sequence[Row]) -> str:
    """Return one sentence: how many runs, and what became of them.

    >>> summary([Row("a", "healthy"), Row("b", "broken"), Row("c", "healthy")])
    '3 runs: 1 broken, 2 healthy.'
    """
    counts = Counter[str](row.verdict for row in rows)
    told = ", ".join(f"{counts[v]:,} {v}" for v in ORDER if counts[v])
    return f"{len(rows):,} {'run' if len(rows) == 1 else 'runs'}: {told}."


def _title(group: Group) -> str:
    count = len(group.rows)
    parts = [f"{count:,} {'run' if count == 1 else 'runs'}", clean(group.title)]
    if group.fingerprint:
        parts.append(group.fingerprint)
    lost = []
    if group.steps_after:
        lost.append(f"{group.steps_after:,} steps")
    if group.seconds_after >= 1:
        lost.append(duration(group.seconds_after))
    if lost:
        parts.append(f"{', '.join(lost)} spent after the onset")
    return "  ".join(parts)


def _onset(row: Row) -> str:
    if row.onset is None:
        return ""
    if row.fine is None or row.fine >= row.onset - 1:
        return f"{NOUNS[row.axis][0]} {row.onset:,}"
    return f"{NOUNS[row.axis][0]} {row.fine + 1:,} to {row.onset:,}"


def _lost(row: Row) -> str:
    steps = "" if row.steps_after is None else f"{row.steps_after:,} steps"
    seconds = row.seconds_after
    return f"{steps}, {duration(seconds)}" if steps and seconds is not None and seconds >= 1 else steps


def _versions(row: Row) -> str:
    return ", ".join(f"{clean(name)} {clean(str(version), 30)}" for name, version in row.versions.items())


def _cause(row: Row) -> str:
    if row.note and row.cause is None:
        return clean(row.note, 120)
    return f"{row.cause} ({row.cause_verdict})" if row.cause and row.cause_verdict else row.cause or ""


def _cells(row: Row) -> list[str]:
    return [
        clean(row.path, 120),
        _onset(row),
        _cause(row),
        clean(row.last_good_checkpoint or "", 60),
        _lost(row),
        _versions(row),
    ]


def _table(rows: Sequence[Row]) -> str:
    parts = [summary(rows)]
    for group in groups_of(rows):
        if group.verdict in QUIET:
            continue
        shown = [_cells(row) for row in group.rows[:SHOWN]]
        table = tabulate(shown, headers=HEADINGS, disable_numparse=True, maxcolwidths=[40, 20, 40, 24, 24, 40])
        more = len(group.rows) - SHOWN
        left = f"\nand {more:,} more (--format csv or json has all)" if more > 0 else ""
        parts.append(f"{group.verdict.upper()}  {_title(group)}\n{table}{left}")
    return "\n\n".join(parts) + "\n"


def _csv(rows: Sequence[Row]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = [name for name in row_to(Row("", "unknown")) if name not in {"versions", *INTERNAL}]
    writer.writerow([*names, *VERSIONS])
    for row in rows:
        data = row_to(row)
        values = [data[name] for name in names] + [row.versions.get(name) for name in VERSIONS]
        writer.writerow([cell(v, 1000) if isinstance(v, str) else "" if v is None else v for v in values])
    return out.getvalue()


def _json(rows: Sequence[Row]) -> str:
    tree = {
        "format": FORMAT,
        "summary": summary(rows),
        "groups": [_group(group) for group in groups_of(rows)],
        "runs": [_run(row) for row in rows],
    }
    return json.dumps(tree, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _group(group: Group) -> dict[str, Any]:
    return {
        "fingerprint": group.fingerprint,
        "verdict": group.verdict,
        "title": clean(group.title),
        "runs": [clean(row.path, 1000) for row in group.rows],
        "steps_after": group.steps_after,
        "seconds_after": group.seconds_after,
    }


def _run(row: Row) -> dict[str, Any]:
    shown = {name: value for name, value in row_to(row).items() if name not in INTERNAL}
    data = {name: clean(value, 2000) if isinstance(value, str) else value for name, value in shown.items()}
    data["versions"] = {clean(name): clean(str(version)) for name, version in row.versions.items()}
    return data


def _markdown(rows: Sequence[Row]) -> str:
    return "\n".join(_markdown_lines(rows)) + "\n"


def _markdown_lines(rows: Sequence[Row]) -> Iterator[str]:
    yield f"## medforensics triage\n\n{summary(rows)}\n"
    for group in groups_of(rows):
        if group.verdict in QUIET:
            continue
        yield f"### {group.verdict}: {markdown(_title(group))}\n"
        yield f"| {' | '.join(HEADINGS)} |\n|---|---|---|---|---|---|"
        for row in group.rows[:SHOWN]:
            path, *others = _cells(row)
            yield f"| {code(path)} | {' | '.join(markdown(other) for other in others)} |"
        if len(group.rows) > SHOWN:
            yield f"\nand {len(group.rows) - SHOWN:,} more"
        yield ""
