"""Two runs on one page: the sentence, both curves of each metric drawn over each other, and what differs."""

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

import forensics
from forensics.comparison import Comparison, Divergence
from forensics.comparison.metrics import COMPARED
from forensics.model import NOUNS, Series
from forensics.model.order import distinct
from forensics.report._assets import asset, policy, template
from forensics.report._onset import Curve
from forensics.report._safe import clean
from forensics.report._svg import overlay
from forensics.report.comparison import HEADINGS, SHOWN_WIDTH, named, rows_of, weights_line

if TYPE_CHECKING:
    from jinja2 import Template

POINTS = 800
"""Entries of a curve that are drawn: more than a page is wide shows nothing more."""


def render(comparison: Comparison) -> str:
    """Return the page: self-contained, without a script, nothing loaded."""
    styles = [asset("comparison.css")]
    rows, left = rows_of(comparison)
    lines = [] if comparison.weights is None else [weights_line(comparison.weights)]
    if comparison.records is not None:
        lines.append(f"The records: {clean(comparison.records.sentence, 2000)}.")
    return _template().render(
        headline=clean(comparison.headline, 2000),
        sides=[
            {
                "label": label,
                "verdict": side.report.verdict,
                "name": named(label, side, SHOWN_WIDTH),
                "headline": clean(side.report.headline, 1000),
            }
            for label, side in (("GOOD", comparison.good), ("BAD", comparison.bad))
        ],
        curves=[_drawn(comparison, name) for name in COMPARED if _both(comparison, name)],
        headings=HEADINGS,
        rows=rows,
        left=left,
        lines=lines,
        styles=styles,
        policy=policy([], styles),
        version=forensics.__version__,
    )


def _both(comparison: Comparison, name: str) -> bool:
    one, other = (side.report.run.timeline.get(name) for side in (comparison.good, comparison.bad))
    return one is not None and other is not None and one.axis == other.axis and min(len(one), len(other)) > 1


def _drawn(comparison: Comparison, name: str) -> dict[str, Any]:
    one, other = (_curve(side.report.run.timeline[name]) for side in (comparison.good, comparison.bad))
    found = next((d for d in comparison.divergences if d.metric == name), None)
    first, last = (min(one.steps[0], other.steps[0]), max(one.steps[-1], other.steps[-1]))
    return {
        "metric": clean(name),
        "drawing": overlay(one, other, None if found is None else found.parts_from),
        "span": f"{NOUNS[one.axis][0]} {int(first):,} to {int(last):,}",
        "parted": _parted(found),
    }


def _parted(found: Divergence | None) -> str:
    if found is None:
        return "The runs have no entry in common."
    noun = NOUNS[found.axis][0]
    there = f"GOOD has {found.good:.6g} at {noun} {found.step:,}, BAD {found.bad:.6g}."
    if found.parts_from is not None:
        return f"They part at {noun} {found.parts_from:,} (the dotted line): {there}"
    if found.differs_from is None:
        return f"They are the same in all {found.aligned:,} common entries."
    return f"They differ from {noun} {found.differs_from:,} on, not beyond their noise: {there}"


def _curve(series: Series) -> Curve:
    """Return a curve thinned evenly; its first and last entry stay."""
    kept = distinct(np.linspace(0, len(series) - 1, min(POINTS, len(series))).astype(np.int64))
    return Curve(series.name, series.steps[kept], series.values[kept], series.axis)


@cache
def _template() -> "Template":
    return template("comparison.html.jinja")
