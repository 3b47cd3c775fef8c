"""Whether a run began, or went on, with weights that were never loaded."""

from forensics.model import Explained, Run
from forensics.names import LOSS
from forensics.rules._curves import from_first_entry, series_of
from forensics.rules._seen import Seen


def guesses(run: Run, explained: Explained) -> Seen | None:
    """Tell whether the loss was found at ln of the vocabulary size, or above it."""
    finding = explained.finding
    found = finding.symptom in {"loss-uniform", "loss-above-uniform"} and series_of(run, LOSS) is not None
    return Seen(True, finding.statement, finding.source, "loss of guessing") if found else None


def from_the_start(run: Run, explained: Explained) -> Seen | None:
    """Tell whether the symptom holds from the first entry, or where the run was resumed and loaded anew."""
    if explained.finding.symptom == "resume-jump" and series_of(run, LOSS) is not None:
        return Seen(True, explained.finding.statement, explained.finding.source, "first entry")
    return from_first_entry(run, explained)
