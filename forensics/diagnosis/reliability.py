"""How often a word was right of runs that nobody had seen while the rules were written."""

import json
from functools import cache
from importlib.resources import files

from forensics.deferred.records import dataclass
from forensics.model import Hypothesis

LEAST = 20
"""Claims below which a share says nothing: its 95 % interval is wider than a quarter."""
SET = "first contact"


@dataclass(frozen=True, slots=True)
class Reliability:
    """Claims with one word at the head of a report: how many were right, of how many whose truth is known."""

    right: int
    of: int

    def __str__(self) -> str:
        return f"claims like this were right in {self.right} of {self.of} runs never seen before"


def reliability_of(hypothesis: Hypothesis) -> Reliability | None:
    """Return what was measured of the word of a cause; None for benign ones, for words never measured or too seldom."""
    counted = _measured().get(hypothesis.verdict)
    return None if hypothesis.benign or hypothesis.mechanism or counted is None or counted.of < LEAST else counted


@cache
def _measured() -> dict[str, Reliability]:
    """Read reliability.json, which `python benchmarks/first_contact.py reliability` writes from the record."""
    told = json.loads(files(__package__).joinpath("reliability.json").read_text(encoding="utf-8"))
    return {word: Reliability(**counts) for word, counts in told.items()}
