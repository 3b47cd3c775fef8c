"""Whether a run began, or went on, with weights that were never loaded."""

import numpy as np

from forensics.model import Explained, Run
from forensics.model.statistics import median
from forensics.names import LOSS
from forensics.rules._curves import from_first_entry, onset, series_of, shown
from forensics.rules._seen import Seen


def guesses(run: Run, explained: Explained) -> Seen | None:
    """Tell whether the loss was found at ln of the vocabulary size, or above it."""
    finding = explained.finding
    found = finding.symptom in {"loss-uniform", "loss-above-uniform"} and series_of(run, LOSS) is not None
    return Seen(True, finding.statement, finding.source, "loss of guessing") if found else None


AROUND = 3
"""Entries whose median is a level."""
LOST, NEAR_FIRST = 0.8, 1.3
"""Share of the progress that is gone, and how far above its first entries a loss may then stand."""


def all_lost(run: Run, explained: Explained) -> Seen | None:
    """Tell whether a loss is back at the level of its first entries where the run was resumed."""
    loss, step = series_of(run, LOSS), onset(explained)
    if explained.finding.symptom != "resume-jump" or loss is None or step is None:
        return None
    cut = int(np.searchsorted(loss.steps, step))
    known = np.isfinite(loss.values)
    before, after = loss.values[:cut][known[:cut]], loss.values[cut:][known[cut:]]
    if len(before) < 2 * AROUND or not len(after):
        return None
    began, old, new = (median(part) for part in (before[:AROUND], before[-AROUND:], after[:AROUND]))
    lost = began > old and new - old > LOST * (began - old) and new < NEAR_FIRST * began
    said = f"loss began at {shown(began)}, was at {shown(old)} before the restart and is at {shown(new)} behind it"
    return Seen(lost, said, loss.source_at(cut), "level behind the restart")


def from_the_start(run: Run, explained: Explained) -> Seen | None:
    """Tell whether the symptom holds from the first entry, or where the run was resumed and loaded anew."""
    if explained.finding.symptom == "resume-jump" and series_of(run, LOSS) is not None:
        return Seen(True, explained.finding.statement, explained.finding.source, "first entry")
    return from_first_entry(run, explained)
