"""The fixture runs and their truth files, for the tests that walk them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RUNS = ROOT / "fixtures" / "runs"


@dataclass(frozen=True, slots=True)
class Case:
    """A run that a real framework wrote, and what was done to it, as measured with torch."""

    name: str
    folder: Path
    truth: dict[str, Any]

    @property
    def run(self) -> Path:
        return self.folder / "run"

    def __str__(self) -> str:
        return self.name


def cases(kind: str) -> list[Case]:
    return list(_cases(RUNS / kind))


def _cases(folder: Path) -> Iterator[Case]:
    for truth in sorted(folder.glob("*/truth.json")):
        yield Case(truth.parent.name, truth.parent, json.loads(truth.read_text()))


BROKEN = cases("broken")
HEALTHY = cases("healthy")
FOUNDING = next(case for case in BROKEN if case.name == "ds-zero12-comm-corruption")
