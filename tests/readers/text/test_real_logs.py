"""Logs that real frameworks wrote, against the trainer state of the same run."""

import json
from pathlib import Path

import numpy as np
import pytest

from forensics.model import Artifact, Samples
from forensics.readers.text_log import read_text

RUNS = Path(__file__).parents[3] / "fixtures" / "runs"
LOGS = sorted(log for log in RUNS.glob("*/*/run/*.log") if (log.parent / "trainer_state.json").is_file())


@pytest.mark.parametrize("log", LOGS, ids=[log.parents[1].name for log in LOGS])
def test_steps_and_values_equal_the_trainer_state(log: Path) -> None:
    """The console has the same steps as the trainer's own history, and its values as far as they were printed."""
    rows = json.loads((log.parent / "trainer_state.json").read_text())["log_history"]
    read = {
        fact.name: fact
        for fact in read_text(Artifact(log.parent, log.name, log.stat().st_size, 0.0))
        if isinstance(fact, Samples)
    }

    for name in ("loss", "eval_loss", "grad_norm", "learning_rate"):
        history = [(row["step"], row[name]) for row in rows if name in row]
        if history:
            told = {int(step): value for step, value in zip(read[name].steps, read[name].values, strict=True)}
            assert set(dict(history)) <= set(told)
            expected = np.array([value for _, value in history], dtype=np.float64)
            found = np.array([told[step] for step, _ in history])
            np.testing.assert_allclose(found, expected, rtol=6e-4, atol=6e-5)
