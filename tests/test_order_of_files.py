"""The same files in any order give the same report."""

import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import forensics.investigate as pipeline
from forensics.discovery.discover import Discovery, discover
from forensics.report import json as json_report
from forensics.report import markdown
from runs import BROKEN, FOUNDING, HEALTHY

CASES = (FOUNDING, BROKEN[0], BROKEN[-1], HEALTHY[0])


def shuffled(seed: int) -> Any:
    def found(*arguments: Any) -> Discovery:
        whole = discover(*arguments)
        artifacts = list(whole.artifacts)
        random.Random(seed).shuffle(artifacts)
        return replace(whole, artifacts=tuple(artifacts))

    return found


def reports(path: Path) -> tuple[str, str]:
    report = pipeline.investigate(path, weights="quick")
    # The list of artifacts is in the order of discovery by its nature; reports do not show it.
    return json_report.render(report), markdown.render(report)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_shuffled_files_give_the_same_report(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = reports(case.run)
    for seed in (1, 2, 3):
        monkeypatch.setattr(pipeline, "discover", shuffled(seed))
        assert reports(case.run) == expected


def test_several_attempts_and_trackers_in_any_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two logs, two event files and the states of checkpoints: the attempts are put in order by themselves."""
    shutil.copytree(FOUNDING.run, tmp_path / "run")
    log = (tmp_path / "run" / "train.log").read_text()
    (tmp_path / "run" / "train_again.log").write_text(log[: len(log) // 2])
    (events,) = (tmp_path / "run").rglob("events.out.tfevents.*")
    data = events.read_bytes()
    (events.parent / f"{events.name}.again").write_bytes(data[: len(data) * 2 // 3])
    expected = reports(tmp_path / "run")
    for seed in (4, 5, 6):
        monkeypatch.setattr(pipeline, "discover", shuffled(seed))
        assert reports(tmp_path / "run") == expected
