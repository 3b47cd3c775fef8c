"""Reading a text as a log, and asking what it told."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from forensics.limits import DEFAULT, Limits
from forensics.model import Artifact, Events, Fact, Samples, Scalar, Setting, Skip
from forensics.readers.text_log import read_text


@dataclass
class Told:
    """The facts of one log, by kind."""

    facts: list[Fact]

    def samples(self, name: str, rank: int | None = None) -> Samples:
        (found,) = [f for f in self.facts if isinstance(f, Samples) and f.name == name and f.rank == rank]
        return found

    def names(self) -> set[str]:
        return {fact.name for fact in self.facts if isinstance(fact, Samples)}

    def points(self, name: str, rank: int | None = None) -> list[tuple[int, float]]:
        block = self.samples(name, rank)
        return list(zip(block.steps.tolist(), block.values.tolist(), strict=True))

    def events(self, kind: str) -> Events:
        (found,) = [fact for fact in self.facts if isinstance(fact, Events) and fact.kind == kind]
        return found

    def kinds(self) -> set[str]:
        return {fact.kind for fact in self.facts if isinstance(fact, Events)}

    def settings(self) -> dict[str, Scalar]:
        return {f"{f.group}:{f.name}": f.value for f in self.facts if isinstance(f, Setting)}

    def setting(self, name: str) -> list[Setting]:
        return [fact for fact in self.facts if isinstance(fact, Setting) and fact.name == name]

    def skips(self) -> list[Skip]:
        return [fact for fact in self.facts if isinstance(fact, Skip)]


def read_log(  # noqa: PLR0913, PLR0917  (each is a way to cut the same text)
    text: str | bytes,
    limits: Limits = DEFAULT,
    chunk_bytes: int = 1 << 20,
    processes: int = 1,
    ahead: int = 1 << 17,
    stretch_bytes: int = 1 << 24,
) -> Told:
    """Read a text as a log that lies in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "train.log")
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        artifact = Artifact(path.parent, path.name, path.stat().st_size, 0.0, limits)
        return Told(list(read_text(artifact, chunk_bytes, processes, ahead, stretch_bytes)))
