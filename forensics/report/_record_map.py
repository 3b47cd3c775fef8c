"""Norms of gradients over tensors and steps, as rows of pixels: where it began, and in what order it spread."""

import base64
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forensics.analysis.recorded import Attempt, attempts
from forensics.model import Floats, Run
from forensics.model.recording import LOCAL, REDUCED
from forensics.report._safe import clean

COLUMNS, ROWS = 160, 80
PALE, DEEP = np.array([222, 235, 247]), np.array([8, 48, 107])
BAD, ZERO = np.array([214, 39, 40, 255]), np.array([255, 215, 120, 255])
TITLES = {LOCAL: "before the reduction, the largest rank", REDUCED: "after the reduction"}
ALONE = {LOCAL: "in the backward pass", REDUCED: "at the optimizer's step"}


def record_maps(run: Run) -> list[dict[str, Any]]:
    """Return a map of each side of the reduction of the last attempt: title, first and last step, rows of pixels.

    A row is a tensor in backward order, or several of them where there are many: `name`, `image` (a PNG as data URL,
    one pixel high), `words` for who cannot see it.
    """
    found = attempts(run)
    if not found:
        return []
    attempt = found[-1]
    names = attempt.ranks[0].first(np.ones(len(attempt.ranks[0].names), dtype=bool))
    steps = attempt.ranks[0].steps
    titles = TITLES if attempt.several else ALONE
    return [
        {
            "title": f"Gradient norms {titles[side]}",
            "first": int(steps[0]),
            "last": int(steps[-1]),
            "rows": _rows(_norms(attempt, side, names), names, steps.tolist()),
        }
        for side in (LOCAL, REDUCED)
        if any(bool(r.seen(side).any()) for r in attempt.ranks)
    ]


def _norms(attempt: Attempt, side: str, names: list[str]) -> Floats:
    """Return norms of shape (tensors, steps of rank 0): the largest over ranks, NaN where any is not finite.

    What no rank saw is minus one.
    """
    steps = attempt.ranks[0].steps
    norms = np.full((len(names), len(steps)), -1.0)
    for recording in attempt.ranks:
        rows = {step: i for i, step in enumerate(recording.steps.tolist())}
        at = np.array([rows.get(step, -1) for step in steps.tolist()])
        order = [recording.names.index(name) for name in names]
        lengths = np.where(
            recording.nonfinite(side), np.nan, np.where(recording.seen(side), recording.length(side), -1.0)
        )
        norms = np.maximum(norms, np.where(at[None, :] >= 0, lengths[at][:, order].T, -1.0))
    return norms


def _rows(norms: Floats, names: list[str], steps: list[int]) -> list[dict[str, Any]]:
    usable = norms[np.isfinite(norms) & (norms > 0)]
    low, high = (float(np.log10(usable.min())), float(np.log10(usable.max()))) if usable.size else (0.0, 1.0)
    folded = _folded(norms, COLUMNS, axis=1)
    rows = []
    for part in np.array_split(np.arange(len(names)), min(ROWS, len(names))):
        line = folded[part].max(axis=0)
        first, last = names[int(part[0])], names[int(part[-1])]
        title = first if len(part) == 1 else f"{first} to {last}"
        rows.append({"name": clean(title, 120), "image": _image(line, low, high), "words": _words(norms[part], steps)})
    return rows


def _folded(norms: Floats, most: int, axis: int) -> Floats:
    """Take the largest of neighbouring columns until there are at most `most`; NaN wins."""
    if norms.shape[axis] <= most:
        return norms
    edges = np.linspace(0, norms.shape[axis], most, endpoint=False).astype(int)
    return np.asarray(np.maximum.reduceat(norms, edges, axis=axis), dtype=np.float64)


def _image(line: Floats, low: float, high: float) -> str:
    share = (np.log10(np.where(line > 0, line, 1.0)) - low) / max(high - low, 1e-9)
    colours = np.zeros((len(line), 4), dtype=np.uint8)
    colours[:, :3] = np.clip(PALE + (DEEP - PALE) * np.clip(share, 0, 1)[:, None], 0, 255)
    colours[:, 3] = np.where(line == -1, 0, 255)
    colours[line == 0] = ZERO
    colours[np.isnan(line)] = BAD
    return f"data:image/png;base64,{base64.b64encode(png(colours[None])).decode()}"


def _words(norms: Floats, steps: list[int]) -> str:
    bad = np.flatnonzero(np.isnan(norms).any(axis=0))
    finite = norms[np.isfinite(norms) & (norms >= 0)]
    span = f"{finite.min():.3g} to {finite.max():.3g}" if finite.size else "nothing finite"
    return span + (f", not finite from step {steps[int(bad[0])]} on" if bad.size else "")


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Return an RGBA image of shape (height, width, 4) as a PNG file (RFC 2083)."""
    height, width, _ = pixels.shape

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    lines = b"".join(b"\0" + row.tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines, 9)) + chunk(b"IEND", b"")
