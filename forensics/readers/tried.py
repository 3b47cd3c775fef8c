"""Sentences of an account that tell what its author tried: releases and settings, and how each went."""

from collections.abc import Iterator

import numpy as np

from forensics.model import UNKNOWN_STEP, Artifact, Events, Fact, Group, Setting, Standing
from forensics.names import Kind
from forensics.plugin import reader
from forensics.readers._environment import LINE, read_lines
from forensics.signatures.reported import BETWEEN
from forensics.signatures.tried import Trial, trials_in


@reader("tried", match=(r"/tried\.account$",), alone=True, tested="bodies of public issues")
def tried(artifact: Artifact) -> Iterator[Fact]:
    """Sentences of an issue in which its author tells of trials: with one release it works, with another it fails.

    What fails is how the run was set up, so it counts as intended where nothing better is on file; a switch that is
    off, or one of several values that fail, sets nothing.
    """
    lines = [(line.number, line.text) for line in read_lines(artifact) if line.text.strip()]
    told = [(number, sentence) for number, text in lines for sentence in text.split(BETWEEN)]
    if not told:
        return
    yield Events(
        kind=Kind.TRIED,
        steps=np.full(len(told), UNKNOWN_STEP, dtype=np.int64),
        values=np.full(len(told), np.nan),
        records=np.array([number for number, _ in told], dtype=np.int64),
        path=artifact.path,
        place=LINE,
        text=told[0][1],
        texts=tuple(text for _, text in told),
    )
    trials = [(number, trial) for number, sentence in told for trial in trials_in(sentence)]
    for number, trial in trials:
        failed = {other.value for _, other in trials if other[:2] == trial[:2] and not other.works}
        if failed == {trial.value} and not trial.works and _sets(trial):
            group: Group = "package" if trial.group == "package" else "setting"
            value = {"true": True}.get(trial.value, trial.value)
            yield Setting(group, trial.name, value, artifact.at(LINE, number), Standing.INTENDED)


def _sets(trial: Trial) -> bool:
    return trial.value != "false" and not trial.value.startswith("not ") and " " not in trial.name
