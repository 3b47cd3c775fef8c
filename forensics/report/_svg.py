"""A curve as a drawing that needs no script: one path, the onset as a line, a tick for each entry that is no number.

All words stand beside it, so that it can be stretched to any width; only numbers of ours get into the markup.
"""

import numpy as np

from forensics.model import NOUNS, Floats
from forensics.report._onset import Curve

WIDTH, HEIGHT = 600.0, 100.0
MARGIN = 4.0
LOG_RATIO = 100.0
"""Positive values that span more than this are drawn on a logarithmic axis, as in the terminal."""


def drawing(curve: Curve, onset: int | None) -> str:
    """Return an `<svg>` element; entries that are not finite leave a gap and a tick at the bottom."""
    across = _across(curve.steps.astype(np.float64), curve)
    finite = np.isfinite(curve.values)
    box = f"0 0 {WIDTH:.0f} {HEIGHT:.0f}"
    parts = [f'<svg class="curve" viewBox="{box}" preserveAspectRatio="none" aria-hidden="true">']
    if onset is not None and int(curve.steps[0]) <= onset <= int(curve.steps[-1]):
        x = float(_across(np.array([float(onset)]), curve)[0])
        parts.append(f'<path class="onset" d="M{x:.1f} 0V{HEIGHT:.0f}"/>')
    if finite.any():
        down = np.full(len(across), np.nan)
        down[finite] = _down(curve.values[finite])
        parts.append(f'<path class="line" d="{_path(across, down)}"/>')
    ticks = "".join(f"M{x:.1f} {HEIGHT - 10:.0f}v10" for x in across[~finite].tolist())
    if ticks:
        parts.append(f'<path class="bad" d="{ticks}"/>')
    return "".join([*parts, "</svg>"])


def overlay(good: Curve, bad: Curve, parted: int | None) -> str:
    """Return two curves of one metric on the same axes, BAD dashed; a dotted line where they part."""
    both = Curve(
        good.name,
        np.array([min(good.steps[0], bad.steps[0]), max(good.steps[-1], bad.steps[-1])]),
        np.concatenate([good.values, bad.values]),
        good.axis,
    )
    shown = both.values[np.isfinite(both.values)]
    box = f"0 0 {WIDTH:.0f} {HEIGHT:.0f}"
    parts = [f'<svg class="overlay" viewBox="{box}" preserveAspectRatio="none" aria-hidden="true">']
    if parted is not None:
        x = float(_across(np.array([float(parted)]), both)[0])
        parts.append(f'<path class="parted" d="M{x:.1f} 0V{HEIGHT:.0f}"/>')
    for label, curve in (("good", good), ("bad", bad)):
        across, finite = _across(curve.steps.astype(np.float64), both), np.isfinite(curve.values)
        down = np.full(len(across), np.nan)
        if finite.any():
            down[finite] = _down(curve.values[finite], shown)
            parts.append(f'<path class="{label}" d="{_path(across, down)}"/>')
        ticks = "".join(f"M{x:.1f} {HEIGHT - 10:.0f}v10" for x in across[~finite].tolist())
        if ticks:
            parts.append(f'<path class="ticks" d="{ticks}"/>')
    return "".join([*parts, "</svg>"])


def caption(curve: Curve, onset: int | None) -> str:
    """Say in words what the drawing shows."""
    noun = NOUNS[curve.axis][0]
    finite = curve.values[np.isfinite(curve.values)]
    said = f"{curve.name}, {noun} {int(curve.steps[0]):,} to {int(curve.steps[-1]):,}"
    if len(finite):
        said += f": {float(finite.min()):.4g} to {float(finite.max()):.4g}"
    if _logarithmic(finite):
        said += " (logarithmic)"
    if onset is not None:
        said += f"; the line marks {noun} {onset:,}"
    bad = len(curve.values) - len(finite)
    return f"{said}; {bad:,} entries are NaN or infinite (ticks)" if bad else said


def _across(steps: Floats, curve: Curve) -> Floats:
    first, last = float(curve.steps[0]), float(curve.steps[-1])
    share = (steps - first) / max(1.0, last - first)
    return np.asarray(MARGIN + share * (WIDTH - 2 * MARGIN))


def _logarithmic(values: Floats) -> bool:
    return bool(len(values)) and float(values.min()) > 0 and float(values.max()) / float(values.min()) > LOG_RATIO


def _down(values: Floats, among: Floats | None = None) -> Floats:
    """Return the height of finite values, 0 at the top, on the axis that holds `among` (the values themselves)."""
    among = values if among is None else among
    shown, whole = (np.log10(values), np.log10(among)) if _logarithmic(among) else (values, among)
    # Halves keep the span of two values near the largest double finite.
    low, span = float(whole.min()) / 2, float(whole.max()) / 2 - float(whole.min()) / 2
    share = (shown / 2 - low) / span if span > 0 else np.full(len(shown), 0.5)
    return np.asarray(MARGIN + (1 - share) * (HEIGHT - 2 * MARGIN))


def _path(across: Floats, down: Floats) -> str:
    """Return the points as a path that begins anew after every gap; a point alone is drawn as a dot."""
    parts: list[str] = []
    pen = False
    for x, y in zip(across.tolist(), down.tolist(), strict=True):
        if np.isnan(y):
            pen = False
        else:
            parts.append(f"{'L' if pen else 'M'}{x:.1f} {y:.1f}{'' if pen else 'h.1'}")
            pen = True
    return "".join(parts)
