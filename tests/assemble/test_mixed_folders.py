"""A folder of one run in which several programs wrote the same numbers: each counts once."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from forensics.investigate import read
from forensics.model import Run
from runs import HEALTHY, Case

CASES = [
    case
    for case in HEALTHY
    if list(case.run.rglob("events.out.tfevents.*")) and list(case.run.rglob("trainer_state.json"))
][:2]
NAMES = ("loss", "learning_rate", "grad_norm")


def _copies(run: Run, folder: Path) -> None:
    """Write what a run logged as exports of it: a table, JSON lines as of LLaMA-Factory, a history."""
    rows = [
        {"step": int(step), **{name: _at(run, name, int(step)) for name in NAMES if name in run.timeline}}
        for step in run.timeline["loss"].steps
    ]
    with (folder / "metrics.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    lines = [json.dumps({"current_steps": row.pop("step"), **row}) for row in [dict(row) for row in rows]]
    (folder / "trainer_log.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "history.json").write_text(json.dumps({"config": {}, "log": {"entries": rows}}))


def _at(run: Run, name: str, step: int) -> float | None:
    found = run.timeline[name]
    place = np.flatnonzero(found.steps == step)
    return float(found.values[place[0]]) if len(place) else None


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_number_that_many_files_tell_counts_once(case: Case, tmp_path: Path) -> None:
    """A log, the Trainer's state, an event file, a table, JSON lines and a history: no double, no restart."""
    alone = read(case.run)
    shutil.copytree(case.run, tmp_path / "run")
    _copies(alone, tmp_path / "run")
    mixed = read(tmp_path / "run")

    paths = {block.path for block in mixed.timeline.samples if block.name == "loss"}
    assert {"metrics.csv", "trainer_log.jsonl", "history.json"} <= paths
    for name in NAMES:
        if name in alone.timeline:
            assert mixed.timeline[name].steps.tolist() == alone.timeline[name].steps.tolist()
            assert np.allclose(mixed.timeline[name].values, alone.timeline[name].values, rtol=1e-3)
    assert len(mixed.timeline.segments) == len(alone.timeline.segments)
    assert not mixed.has("event resumed") or alone.has("event resumed")


def test_there_are_such_folders() -> None:
    assert CASES
