"""Sentences of an account that state a fault of the training."""

from collections.abc import Iterator

import numpy as np

from forensics.model import UNKNOWN_STEP, Artifact, Events, Fact
from forensics.names import Kind
from forensics.plugin import reader
from forensics.readers._environment import LINE, read_lines


@reader("reported", match=(r"/told\.account$",), alone=True, tested="bodies of public issues")
def reported(artifact: Artifact) -> Iterator[Fact]:
    """Sentences of an issue in which its author says what became of the training: a loss of NaN, a run that hangs.

    It is told as reported and not seen in numbers. Conditions, questions, wishes, denials, quotes and what is over
    say nothing; nor do pages of a project, lists of changes, papers and dialogues.
    """
    told = [(line.number, line.text) for line in read_lines(artifact) if line.text.strip()]
    records = np.array([number for number, _ in told], dtype=np.int64)
    if told:
        yield Events(
            kind=Kind.REPORTED,
            steps=np.full(len(told), UNKNOWN_STEP, dtype=np.int64),
            values=np.full(len(told), np.nan),
            records=records,
            path=artifact.path,
            place=LINE,
            text=told[0][1],
            texts=tuple(text for _, text in told),
        )
