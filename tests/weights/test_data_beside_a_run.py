"""Arrays and token files beside a run are data: no checkpoint is made of them unless they show that they are one."""

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forensics import analyze
from forensics.discovery.discover import discover
from forensics.weights.find import find_checkpoints

RECORDED = Path(__file__).parent.parent.parent / "fixtures" / "runs" / "healthy" / "recorded-ddp" / "run" / "blackbox"
LOG = "".join(f"{{'loss': {2 - 0.1 * step:.1f}, 'step': {step}}}\n" for step in range(1, 9))
FEATURES = np.array([[0.5, np.nan], [0.0, 1.0]], dtype=np.float32)
WEIGHTS: dict[str, Any] = {"layer_0/kernel": np.ones((2, 2), np.float32), "layer_0/bias": np.zeros(2, np.float32)}
Write = Callable[[Path], object]

DATA: dict[str, Write] = {
    "data/train.bin": lambda path: np.arange(1000, dtype=np.uint16).tofile(path),
    "vocab.bin": lambda path: path.write_text("a\nb\n"),
    "features.npy": lambda path: np.save(path, FEATURES),
    "best_predictions.npy": lambda path: np.save(path, FEATURES),
    "split.npz": lambda path: np.savez(path, x=FEATURES, y=np.zeros(4)),
    "dataset.pkl": lambda path: path.write_bytes(pickle.dumps({"x": FEATURES, "names": ["a"]})),
    "bin/launch.pt": lambda path: path.write_text("#!/bin/bash\necho launched\n"),
    "lib/_editable.pth": lambda path: path.write_text("import _editable\n"),
}
CHECKPOINTS: dict[str, Write] = {
    "model.npz": lambda path: np.savez(path, x=FEATURES),
    "saved.npz": lambda path: np.savez(path, **WEIGHTS),
    "checkpoints/a.npy": lambda path: np.save(path, FEATURES),
    "best.pt": lambda path: path.write_text("<not a torch file>"),
    "step_100.pt": lambda path: path.write_bytes(b"\x00" * 64),
    "model.bin": lambda path: path.write_text("Not Found"),
}


def written(folder: Path, name: str, write: Write) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path)
    (folder / "train.log").write_text(LOG)
    return path


@pytest.mark.parametrize("name", DATA)
def test_data_beside_a_run_are_no_checkpoint(tmp_path: Path, name: str) -> None:
    """Nothing is found wrong, nothing is listed as a checkpoint, and the file is named as not examined, once."""
    written(tmp_path, name, DATA[name])

    report = analyze(tmp_path)

    assert report.run.checkpoints == ()
    assert [finding.symptom for finding in report.findings if finding.severity == "error"] == []
    assert len([skip for skip in report.run.skips if skip.what == name]) == 1


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_what_shows_that_it_is_a_checkpoint_is_one(tmp_path: Path, name: str) -> None:
    written(tmp_path, name, CHECKPOINTS[name])

    found, _ = find_checkpoints(discover(tmp_path).artifacts, loose=True)

    assert [checkpoint.path for checkpoint in found] == [name]


@pytest.mark.parametrize("name", ["features.npy", "split.npz"])
def test_a_file_that_was_asked_for_is_examined(tmp_path: Path, name: str) -> None:
    report = analyze(written(tmp_path, name, DATA[name]))

    assert [finding.symptom for finding in report.findings] == ["weights-nan"]


def test_data_beside_a_black_box_alone_are_no_checkpoint(tmp_path: Path) -> None:
    """A file that is the only one left to the layouts was not asked for by that."""
    shutil.copytree(RECORDED, tmp_path / "blackbox")
    np.arange(1000, dtype=np.uint16).tofile(tmp_path / "train.bin")

    assert analyze(tmp_path).run.checkpoints == ()
