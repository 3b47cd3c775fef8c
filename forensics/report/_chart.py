"""The loss around the onset as a mermaid chart, which GitHub draws inside an issue.

The grammar of `xychart-beta` (mermaid, packages/mermaid/src/diagrams/xychart/parser/xychart.jison) knows plain
decimal numbers only: no exponents, no NaN, no gaps. So bars mark the onset and every entry that is not finite, and
the line is held at the last finite value under them.
Points stand at equal distances whatever their steps are, so the steps are made even first.
"""

from dataclasses import replace

import numpy as np

from forensics.diagnosis import judgement
from forensics.model import NOUNS, Floats, Report
from forensics.names import LOSS
from forensics.report._onset import Curve, curves, onset_on

POINTS = 60
LARGEST = 1e9
LOG_RATIO = 1000.0


def mermaid(report: Report) -> str:
    """Return the chart as a fenced block with a line that explains it; empty when there is nothing to draw."""
    finding = judgement.onset(report)
    curve = next((c for c in curves(report, POINTS // 2, POINTS // 2) if c.name == LOSS), None)
    if curve is None or len(curve.steps) < 3 or not np.isfinite(curve.values).any():
        return ""
    logarithmic = _logarithmic(curve.values)
    curve = _evenly(curve)
    values = np.log10(curve.values) if logarithmic else curve.values
    if float(np.max(np.abs(values[np.isfinite(values)]))) > LARGEST:
        return ""
    named = replace(curve, name="log10 of the loss" if logarithmic else "loss", values=values)
    return _block(named, onset_on(curve.axis, finding))


def _logarithmic(values: Floats) -> bool:
    finite = values[np.isfinite(values)]
    return bool(np.all(finite > 0)) and float(finite.max() / finite.min()) > LOG_RATIO


def _block(curve: Curve, onset: int | None) -> str:
    finite = np.isfinite(curve.values)
    low, high = float(curve.values[finite].min()), float(curve.values[finite].max())
    margin = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    bottom, top = (0.0 if low >= 0 and low < (high - low) else low - margin), high + margin
    marked = ~finite
    at = -1 if onset is None else int(np.searchsorted(curve.steps, onset))
    if 0 <= at < len(marked):
        marked[at] = True
    noun = NOUNS[curve.axis][0]
    title = f"{curve.name} by {noun}" if onset is None else f"{curve.name} by {noun}, onset at {noun} {onset}"
    lines = [
        "```mermaid",
        _palette(bars=bool(marked.any())),
        "xychart-beta",
        f'    title "{title}"',
        f'    x-axis "{noun}" {int(curve.steps[0])} --> {int(curve.steps[-1])}',
        f'    y-axis "{curve.name}" {_number(bottom)} --> {_number(top)}',
    ]
    if marked.any():
        lines.append(f"    bar [{', '.join(_number(top) if m else _number(bottom) for m in marked)}]")
    lines += [f"    line [{', '.join(_number(v) for v in _held(curve.values, low))}]", "```"]
    return "\n".join(lines) + (_caption(onset, bool((~finite).any())))


def _palette(*, bars: bool) -> str:
    """Return colours that are seen on a light and on a dark page; the first of mermaid's own is nearly white."""
    colors = "#e8a19b, #3577c0" if bars else "#3577c0"
    return f'%%{{init: {{"themeVariables": {{"xyChart": {{"plotColorPalette": "{colors}"}}}}}}}}%%'


def _evenly(curve: Curve) -> Curve:
    """Return the curve with evenly spaced steps, as the chart draws its points; each takes the nearest entry."""
    steps = np.linspace(curve.steps[0], curve.steps[-1], len(curve.steps)).round().astype(np.int64)
    after = np.clip(np.searchsorted(curve.steps, steps), 1, len(curve.steps) - 1)
    nearer = np.where(steps - curve.steps[after - 1] < curve.steps[after] - steps, after - 1, after)
    return replace(curve, steps=steps, values=curve.values[nearer])


def _caption(onset: int | None, nonfinite: bool) -> str:
    told = [
        *(["the onset"] if onset is not None else []),
        *(["entries that are NaN or infinite"] if nonfinite else []),
    ]
    return f"\n\nBars mark {' and '.join(told)}." if told else ""


def _held(values: Floats, start: float) -> list[float]:
    held, last = [], start
    for value in values.tolist():
        last = value if np.isfinite(value) else last
        held.append(last)
    return held


def _number(value: float) -> str:
    text = f"{value:.5f}".rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text
