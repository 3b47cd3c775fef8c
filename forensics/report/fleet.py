"""A page of many runs: sorted, filtered, each with its loss in small; self-contained as the page of one run is."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

import forensics
from forensics.fleet.group import Group, groups_of
from forensics.fleet.row import Row
from forensics.report._assets import asset, policy, template
from forensics.report._onset import Curve, duration
from forensics.report._safe import clean
from forensics.report._svg import drawing
from forensics.report.triage import cause_text, lost_text, onset_text, summary

if TYPE_CHECKING:
    from jinja2 import Template

GRAVITY = {"broken": 0, "suspicious": 1, "failed": 2, "unreadable": 3, "unknown": 4, "healthy": 5}


def render(rows: Sequence[Row], *, pages: Mapping[str, str] | None = None) -> str:
    """Return the page. `pages` names the page of a run by its path, relative to where this one will lie."""
    scripts, styles = [asset("fleet.js")], [asset("fleet.css")]
    groups = groups_of(rows)
    links = pages or {}
    return _template().render(
        summary=summary(rows),
        groups=[_group(group) for group in groups],
        rows=[_row(group, row, links.get(row.path, "")) for group in groups for row in group.rows],
        verdicts=[verdict for verdict in GRAVITY if any(row.verdict == verdict for row in rows)],
        scripts=scripts,
        styles=styles,
        policy=policy(scripts, styles),
        version=forensics.__version__,
    )


def _group(group: Group) -> dict[str, Any]:
    spent = duration(group.seconds_after) if group.seconds_after >= 1 else ""
    return {
        "label": group.label,
        "several": bool(group.label) and len(group.rows) > 1,
        "verdict": group.verdict,
        "title": clean(group.title),
        "count": f"{len(group.rows):,}",
        "steps": f"{group.steps_after:,}" if group.steps_after else "",
        "spent": spent,
    }


def _row(group: Group, row: Row, link: str) -> dict[str, Any]:
    curve = _curve(row)
    return {
        "group": group.label,
        "verdict": row.verdict,
        "gravity": GRAVITY[row.verdict],
        "path": clean(row.path, 300),
        "link": link,
        "drawing": "" if curve is None else drawing(curve, row.onset),
        "last_loss": "" if curve is None else _last(curve),
        "onset": onset_text(row),
        "at": "" if row.onset is None else row.onset,
        "symptom": row.symptom or "",
        "cause": cause_text(row),
        "good": clean(row.last_good_checkpoint or "", 120),
        "lost": lost_text(row),
        "steps": row.steps_after or 0,
        "changed": _moment(row.changed),
    }


def _curve(row: Row) -> Curve | None:
    if len(row.curve) < 2:
        return None
    steps = np.array([step for step, _ in row.curve], dtype=np.int64)
    values = np.array([np.nan if value is None else value for _, value in row.curve], dtype=np.float64)
    return Curve("loss", steps, values, row.axis)


def _last(curve: Curve) -> str:
    value = float(curve.values[-1])
    return f"{value:.4g}" if np.isfinite(value) else "NaN"


def _moment(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, tz=timezone.utc).strftime("%Y-%m-%d %H:%M") if seconds > 0 else ""
    except (OverflowError, OSError, ValueError):
        return ""


@cache
def _template() -> "Template":
    return template("fleet.html.jinja")
