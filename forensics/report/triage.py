"""Many runs: one table with a line a run, and what each group of them has in common."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from forensics.fleet.group import ORDER, Group, groups_of
from forensics.fleet.row import VERSIONS, Row, row_to
from forensics.model import NOUNS
from forensics.redaction import Redactor
from forensics.report._mapped import mapped
from forensics.report._onset import duration
from forensics.report._safe import cell, clean, code, markdown

FORMAT = 2
"""Format 2: a group is one cause, whatever its settings; it has a `label`, and so has each run's `group`."""
SHOWN = 15
"""Runs a group lists in a table or in Markdown; CSV and JSON hold all."""
INTERNAL = ("signature", "names", "parts", "curve", "changed")
"""Fields of a row that no output shows."""
PATH, CAUSE = "run", "cause"
HEADINGS = ("group", PATH, "onset", CAUSE, "last good", "lost after it")
WIDTH = 100
LEAST_COLUMNS, LEAST_CELL, MOST_OF_A_CELL = 4, 12, 60


def masked(rows: Sequence[Row], redactor: Redactor) -> tuple[Row, ...]:
    """Return the rows masked. What one run gives away is masked in all: users and hosts also name folders."""
    if redactor.identities:
        for row in rows:
            for name, kind in row.names.items():
                redactor.learn_value(kind, name)
        redactor.learn(text for row in rows for text in (row.path, row.headline, row.note))
    return mapped(tuple(replace(row, names={}) for row in rows), redactor)


def render(rows: Sequence[Row], form: str, *, width: int = WIDTH) -> str:
    """Return the rows as a table no wider than `width`, as CSV, JSON or Markdown; the page is `fleet`'s."""
    if form == "table":
        return _table(rows, width)
    return {"csv": _csv, "json": _json, "markdown": _markdown}[form](rows)


def summary(rows: Sequence[Row]) -> str:
    """Return one sentence: how many runs, and what became of them.

    >>> summary([Row("a", "healthy"), Row("b", "broken"), Row("c", "healthy")])
    '3 runs: 1 broken, 2 healthy.'
    """
    counts = Counter[str](row.verdict for row in rows)
    told = ", ".join(f"{counts[v]:,} {v}" for v in ORDER if counts[v])
    return f"{len(rows):,} {'run' if len(rows) == 1 else 'runs'}: {told}."


def _title(group: Group) -> str:
    """Return what a group is: how many runs, what of, and what was spent after it began."""
    count = len(group.rows)
    lost = []
    if group.steps_after:
        lost.append(f"{group.steps_after:,} steps")
    if group.seconds_after >= 1:
        lost.append(duration(group.seconds_after))
    spent = f"; {', '.join(lost)} ran after it began" if lost else ""
    return f"{count:,} {'run' if count == 1 else 'runs'} {group.verdict}: {clean(group.title)}{spent}"


def onset_text(row: Row) -> str:
    """Return where a run began to go wrong, in words."""
    if row.onset is None:
        return ""
    if row.fine is None or row.fine >= row.onset - 1:
        return f"{NOUNS[row.axis][0]} {row.onset:,}"
    return f"{NOUNS[row.axis][0]} {row.fine + 1:,} to {row.onset:,}"


def lost_text(row: Row) -> str:
    """Return what a run spent after its onset."""
    steps = "" if row.steps_after is None else f"{row.steps_after:,} steps"
    seconds = row.seconds_after
    return f"{steps}, {duration(seconds)}" if steps and seconds is not None and seconds >= 1 else steps


def cause_text(row: Row) -> str:
    """Return the cause of a run and how sure it is; its symptom where the cause is unknown; else why it has no row."""
    if row.symptom is None:
        return clean(row.note, 200)
    if row.cause in {None, "unknown"}:
        return f"unknown ({row.symptom})"
    return f"{row.cause} ({row.cause_verdict})" if row.cause_verdict else str(row.cause)


def _cells(group: Group, row: Row) -> list[str]:
    good = clean(row.last_good_checkpoint or "", 60)
    return [group.label, clean(row.path, 200), onset_text(row), cause_text(row), good, lost_text(row)]


def _table(rows: Sequence[Row], width: int) -> str:
    """Return one table of the runs that something is wrong with, a line each, and a line for each group."""
    groups = [group for group in groups_of(rows) if group.label]
    lines = [summary(rows)]
    if groups:
        shown = [_cells(group, row) for group in groups for row in group.rows[:SHOWN]]
        lines += ["", *_aligned(shown, width)]
        several = [group for group in groups if len(group.rows) > 1]
        lines += ["", *(f"{group.label}  {_title(group)}" for group in several)] if several else []
        left = sum(max(0, len(group.rows) - SHOWN) for group in groups)
        if left:
            lines.append(f"{left:,} more runs of these groups are in --format csv, json or html.")
    return "\n".join(lines) + "\n"


def _aligned(cells: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """Yield the lines of a table no wider than `width`: columns from the right are left out, then cells are cut.

    Path and cause share what there is, each at least half of it if it needs that much.
    """
    columns = list(zip(HEADINGS, *cells, strict=True))
    columns = [column for column in columns if any(column[1:])]
    while len(columns) > LEAST_COLUMNS and sum(_width(column) + 2 for column in columns) - 2 > width:
        columns.pop()
    names = [column[0] for column in columns]
    widths = dict(zip(names, map(_width, columns), strict=True))
    if (over := sum(widths.values()) + 2 * (len(widths) - 1) - width) > 0 and {PATH, CAUSE} <= set(names):
        room = max(2 * LEAST_CELL, widths[PATH] + widths[CAUSE] - over)
        path, cause = widths[PATH], widths[CAUSE]
        widths[PATH] = min(path, max(room // 2, room - cause))
        widths[CAUSE] = min(cause, room - widths[PATH])
    for line in zip(*columns, strict=True):
        shown = [f"{_cut(cell, widths[name], name):<{widths[name]}}" for name, cell in zip(names, line, strict=True)]
        yield "  ".join(shown).rstrip()


def _width(column: Sequence[str]) -> int:
    return min(MOST_OF_A_CELL, max(map(len, column)))


def _cut(cell: str, room: int, column: str) -> str:
    """Shorten a cell: of a path the end tells most, of a cause its beginning and, in brackets, how sure it is."""
    if len(cell) <= room:
        return cell
    if column == PATH:
        return f"...{cell[3 - room :]}"
    certainty = cell[cell.rindex(" (") + 1 :] if cell.endswith(")") and " (" in cell else ""
    if room - len(certainty) < LEAST_CELL:
        certainty = ""
    return f"{cell[: room - 3 - len(certainty)]}...{certainty}"


def _csv(rows: Sequence[Row]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = [name for name in row_to(Row("", "unknown")) if name not in {"versions", *INTERNAL}]
    labels = _labels(rows)
    writer.writerow([*names, *VERSIONS, "group"])
    for row in rows:
        data = row_to(row)
        values = [data[name] for name in names] + [row.versions.get(name) for name in VERSIONS] + [labels[row.path]]
        writer.writerow([cell(v, 1000) if isinstance(v, str) else "" if v is None else v for v in values])
    return out.getvalue()


def _labels(rows: Sequence[Row]) -> dict[str, str]:
    return {row.path: group.label for group in groups_of(rows) for row in group.rows}


def _json(rows: Sequence[Row]) -> str:
    labels = _labels(rows)
    tree = {
        "format": FORMAT,
        "summary": summary(rows),
        "groups": [_group(group) for group in groups_of(rows)],
        "runs": [{**_run(row), "group": labels[row.path]} for row in rows],
    }
    return json.dumps(tree, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _group(group: Group) -> dict[str, Any]:
    return {
        "label": group.label,
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
    groups = [group for group in groups_of(rows) if group.label]
    if not groups:
        return
    yield f"| {' | '.join(HEADINGS)} |\n|---|---|---|---|---|---|"
    for group in groups:
        for row in group.rows[:SHOWN]:
            label, path, *others = _cells(group, row)
            yield f"| {label} | {code(path)} | {' | '.join(markdown(other) for other in others)} |"
    yield ""
    for group in groups:
        left = f" ({len(group.rows) - SHOWN:,} of them not shown)" if len(group.rows) > SHOWN else ""
        yield f"- **{group.label}** {markdown(_title(group))}{left}"
