"""Two runs side by side: the sentence first, then what matters, then where the metrics part."""

import json
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tabulate import tabulate

from forensics.comparison import Comparison, Difference, Divergence, RecordsCompared, Side, WeightsCompared
from forensics.model import NOUNS, Axis
from forensics.redaction import Redactor
from forensics.report._mapped import mapped
from forensics.report._masking import masked_by, masked_value
from forensics.report._safe import clean, code, markdown
from forensics.report.json import number

FORMAT = 1
SHOWN_WIDTH = 400
SHOWN_OTHER = 10
"""Differences that no rule knows of, shown in the table; JSON has them all."""
WORDS = {"decides": "decides", "counts": "counts", "concerned": "looked at", "other": ""}


def masked(comparison: Comparison, redactor: Redactor) -> Comparison:
    """Return the comparison masked by a redactor that has learnt from both runs.

    Where people and places are masked, the runs are called by their part in the comparison.
    """
    differences = tuple(_masked_difference(d, redactor) for d in comparison.differences)
    good, bad = (
        Side(label if redactor.identities else redactor(side.name), masked_by(side.report, redactor))
        for label, side in (("GOOD", comparison.good), ("BAD", comparison.bad))
    )
    rest = replace(comparison, good=good, bad=bad, differences=())
    return replace(mapped(rest, redactor), differences=mapped(differences, redactor))


def _masked_difference(d: Difference, redactor: Redactor) -> Difference:
    good, bad = (masked_value(d.group, d.name, value, redactor) for value in (d.good, d.bad))
    return replace(d, good=good, bad=bad)


def render(comparison: Comparison, form: str) -> str:
    """Return the comparison as a table, Markdown or JSON; the page is `comparison_page`'s."""
    if form == "json":
        return json.dumps(tree(comparison), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return _markdown(comparison) if form == "markdown" else _table(comparison)


def tree(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as plain data."""
    cause = comparison.cause
    return {
        "format": FORMAT,
        "headline": clean(comparison.headline, 2000),
        "good": _side(comparison, "good"),
        "bad": _side(comparison, "bad"),
        "symptom": comparison.symptom,
        "cause": None if cause is None else {"cause": cause.cause, "code": cause.code, "verdict": cause.verdict},
        "differences": [_difference(d) for d in comparison.differences],
        "metrics": [_divergence(d) for d in comparison.divergences],
        "weights": _weights(comparison.weights),
        "records": _records(comparison.records),
    }


def _side(comparison: Comparison, which: str) -> dict[str, Any]:
    side = comparison.good if which == "good" else comparison.bad
    report = side.report
    return {"path": clean(side.name), "verdict": report.verdict, "headline": clean(report.headline, 2000)}


def _difference(d: Difference) -> dict[str, Any]:
    return {
        "group": d.group,
        "name": clean(d.name),
        "good": _plain(d.good),
        "bad": _plain(d.bad),
        "good_source": None if d.good_source is None else clean(str(d.good_source)),
        "bad_source": None if d.bad_source is None else clean(str(d.bad_source)),
        "relevance": d.relevance,
        "points": d.points,
        "why": clean(d.why),
        "code": d.code or None,
    }


def _plain(value: object) -> object:
    if isinstance(value, str):
        return clean(value)
    return number(value) if isinstance(value, float) else value


def _divergence(d: Divergence) -> dict[str, Any]:
    return {
        "metric": clean(d.metric),
        "aligned": d.aligned,
        **_places(d),
        "good": number(d.good),
        "bad": number(d.bad),
        "factor": None if d.factor is None else number(d.factor),
    }


def _places(d: Divergence) -> dict[str, Any]:
    if d.axis == "step":
        return {"differs_from": d.differs_from, "parts_from": d.parts_from, "step": d.step}
    nowhere: dict[str, Any] = {"differs_from": None, "parts_from": None, "step": None, "axis": d.axis}
    return nowhere | {"differs_from_entry": d.differs_from, "parts_from_entry": d.parts_from, "entry": d.step}


def _records(records: RecordsCompared | None) -> dict[str, Any] | None:
    if records is None:
        return None
    return {
        "sentence": clean(records.sentence, 2000),
        "comparable": records.comparable,
        "aligned": records.aligned,
        "tolerance": records.tolerance,
        "step": records.step,
        "other_step": records.other_step,
        "tensor": None if records.tensor is None else clean(records.tensor),
        "column": records.column,
        "good": None if records.good is None else number(records.good),
        "bad": None if records.bad is None else number(records.bad),
    }


def _weights(weights: WeightsCompared | None) -> dict[str, Any] | None:
    if weights is None:
        return None
    return {
        "step": weights.step,
        "good": clean(weights.good),
        "bad": clean(weights.bad),
        "tensors": weights.tensors,
        "differ": weights.differ,
        "poisoned": weights.poisoned,
        "largest": None if weights.largest is None else clean(weights.largest),
        "relative_change": number(weights.relative_change),
    }


def _shown(comparison: Comparison) -> tuple[Sequence[Difference], int]:
    """Return the differences worth a row, and how many are left: those of both sides that a rule knows first."""
    known = [d for d in comparison.differences if d.relevance != "other"]
    other = [d for d in comparison.differences if d.relevance == "other"]
    shown = [*known, *[d for d in other if d.recorded_twice][:SHOWN_OTHER]]
    return shown, len(comparison.differences) - len(shown)


def rows_of(comparison: Comparison) -> tuple[list[list[str]], int]:
    """Return a row of texts for each difference worth one, in the order of `HEADINGS`, and how many are left."""
    shown, left = _shown(comparison)
    return [_row(d) for d in shown], left


def _row(d: Difference) -> list[str]:
    return [WORDS[d.relevance], clean(d.name, 60), _value(d, "good"), _value(d, "bad"), _why(d)]


def _why(d: Difference) -> str:
    return f"{d.code}: {clean(d.why, 200)}" if d.code else ""


def _value(d: Difference, which: str) -> str:
    source, value = (d.good_source, d.good) if which == "good" else (d.bad_source, d.bad)
    return "(not recorded)" if source is None else clean(str(value), 40)


HEADINGS = ("", "what differs", "GOOD", "BAD", "why it matters")
METRIC_HEADINGS = ("metric", "common entries", "first differs at", "parts at", "GOOD there", "BAD there")


def _metric_row(d: Divergence) -> list[str]:
    return [
        clean(d.metric),
        f"{d.aligned:,}",
        _place(d.axis, d.differs_from, "never"),
        _place(d.axis, d.parts_from, "never" if d.differs_from is None else "not beyond noise"),
        f"{d.good:.6g}",
        f"{d.bad:.6g}",
    ]


def _place(axis: Axis, place: int | None, otherwise: str) -> str:
    return otherwise if place is None else f"{NOUNS[axis][0]} {place:,}"


def weights_line(weights: WeightsCompared) -> str:
    largest = ""
    if weights.largest is not None:
        largest = f"; the largest relative difference is {weights.relative_change:.3g} in {clean(weights.largest)}"
    bad = f"; {weights.poisoned} of BAD's hold NaN or Inf" if weights.poisoned else ""
    return (
        f"Weights after step {weights.step:,} ({clean(weights.good)}, {clean(weights.bad)}):"
        f" {weights.differ} of {weights.tensors} tensors differ{bad}{largest}."
    )


def _table(comparison: Comparison) -> str:
    shown, left = _shown(comparison)
    parts = [clean(comparison.headline, 2000), _sides(comparison)]
    if shown:
        rows = [_wrapped(_row(d), (0, 34, 20, 20, 48)) for d in shown]
        parts.append(tabulate(rows, headers=HEADINGS, disable_numparse=True))
    if left:
        parts.append(f"and {left} more that no rule knows of or one run did not record (--format json has all)")
    if comparison.divergences:
        metric_rows = [_metric_row(d) for d in comparison.divergences]
        parts.append(tabulate(metric_rows, headers=METRIC_HEADINGS, disable_numparse=True))
    if comparison.weights is not None:
        parts.append(weights_line(comparison.weights))
    if comparison.records is not None:
        parts.append(f"The records: {clean(comparison.records.sentence, 2000)}.")
    return "\n\n".join(parts) + "\n"


def _sides(comparison: Comparison) -> str:
    rows = [
        [label, side.report.verdict, named(label, side, 80), clean(side.report.headline, 300)]
        for label, side in (("GOOD", comparison.good), ("BAD", comparison.bad))
    ]
    return tabulate([_wrapped(row, (0, 0, 30, 60)) for row in rows], tablefmt="plain", disable_numparse=True)


def _wrapped(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    """Return the cells in lines of these widths, 0 for as they are.

    Not by `maxcolwidths`: tabulate 0.9 takes a cell that says "True" for a truth value and fails to wrap it.
    """
    return [textwrap.fill(cell, width) if width else cell for cell, width in zip(row, widths, strict=True)]


def named(label: str, side: Side, limit: int) -> str:
    """Return what a run is called; nothing when that is its label, as in a masked comparison."""
    return "" if side.name == label else clean(side.name, limit)


def _markdown(comparison: Comparison) -> str:
    shown, left = _shown(comparison)
    lines = [f"## {markdown(comparison.headline, 2000)}\n"]
    for label, side in (("GOOD", comparison.good), ("BAD", comparison.bad)):
        name = f" {code(side.name)}," if named(label, side, SHOWN_WIDTH) else ""
        lines.append(f"- {label}:{name} {side.report.verdict}: {markdown(side.report.headline, 1000)}")
    if shown:
        lines.append(f"\n| {' | '.join(HEADINGS)} |\n|---|---|---|---|---|")
        lines.extend(_markdown_row(d) for d in shown)
    if left:
        lines.append(f"\nand {left} more that no rule knows of or one run did not record.")
    if comparison.divergences:
        lines.append(f"\n| {' | '.join(METRIC_HEADINGS)} |\n|---|---|---|---|---|---|")
        lines.extend(f"| {' | '.join(_metric_row(d))} |" for d in comparison.divergences)
    if comparison.weights is not None:
        lines.append(f"\n{markdown(weights_line(comparison.weights), 1000)}")
    if comparison.records is not None:
        lines.append(f"\nThe records: {markdown(comparison.records.sentence, 1000)}.")
    return "\n".join(lines) + "\n"


def _markdown_row(d: Difference) -> str:
    word, _, good, bad, why = _row(d)
    return f"| {word} | {code(d.name, 60)} | {code(good)} | {code(bad)} | {markdown(why)} |"
