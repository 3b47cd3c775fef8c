"""`medforensics compare GOOD BAD`: two runs side by side."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from forensics.comparison import WeightsCompared
    from forensics.model import Run


def compare(good: Path, bad: Path, form: str, output: IO[str], *, weights: bool, quiet: bool) -> int:
    """Judge both runs, write what differs, and return the exit code."""
    from forensics import catalog
    from forensics.comparison import Side
    from forensics.comparison import compare as compared
    from forensics.investigate import investigate
    from forensics.progress import reporter
    from forensics.report import comparison as page

    with reporter(quiet=quiet) as progress:
        sides = [
            Side(str(path), investigate(path, weights="auto" if weights else "off", progress=progress))
            for path in (good, bad)
        ]
    looked = _weights([side.report.run for side in sides]) if weights else None
    output.write(page.render(compared(sides[0], sides[1], catalog.rules(), weights=looked), form))
    return 0


def _weights(runs: Sequence["Run"]) -> "WeightsCompared | None":
    from forensics import inspection
    from forensics.comparison import compare_weights
    from forensics.comparison.weights import common_step

    pair = common_step(runs[0], runs[1])
    if pair is None:
        return None
    one, other = pair
    scanned, _ = inspection.compare([runs[0].root / one.path, runs[1].root / other.path])
    named = [replace(c, path=path.path, step=path.step) for c, path in zip(scanned, pair, strict=True)]
    return compare_weights(named[0], named[1]) if named[1].table is not None else None
