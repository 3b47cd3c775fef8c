"""What was not counted is told as such: no number that stands for "nothing" reaches an output."""

import csv
import io
import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import save_file

from forensics.cli import main
from forensics.weights import examine, series
from runs import BROKEN, FOUNDING, HEALTHY, Case

MARKS = {-1, -2}
OF_THE_RUN = {"settings", "value", "values", "points", "score"}
"""Keys under which the run's own numbers stand, or points against a cause: those may be below zero."""


def marks(tree: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    if isinstance(tree, dict):
        for key, below in tree.items():
            if key not in OF_THE_RUN:
                yield from marks(below, (*path, key))
    elif isinstance(tree, list):
        for below in tree:
            yield from marks(below, path)
    elif isinstance(tree, (int, float)) and tree in MARKS:
        yield ".".join(path)


def said(*arguments: object) -> str:
    return CliRunner().invoke(main, [str(argument) for argument in arguments]).stdout


@pytest.fixture
def shrunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two checkpoints, of which the second is cut when its headers were read: its last tensor is gone."""
    for step in (5, 10):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        save_file({"a": np.ones((4, 2), np.float32), "b": np.ones(64, np.float32)}, folder / "model.safetensors")
        (folder / "trainer_state.json").write_text(json.dumps({"global_step": step, "log_history": []}))
    cut = tmp_path / "checkpoint-10" / "model.safetensors"
    size = cut.stat().st_size
    examined = series.examine_series

    def cutting(*given: Any, **options: Any) -> series.Examination:
        os.truncate(cut, size - 100)
        try:
            return examined(*given, **options)
        finally:
            os.truncate(cut, size)

    monkeypatch.setattr(examine, "examine_series", cutting)
    return tmp_path


def tensors(text: str) -> list[dict[str, Any]]:
    return [tensor for checkpoint in json.loads(text)["checkpoints"] for tensor in checkpoint["tensors"]]


def test_a_tensor_that_was_not_read_has_no_counts(shrunk: Path) -> None:
    both = shrunk / "checkpoint-5", shrunk / "checkpoint-10"
    found = tensors(said("scan", *both, "-f", "json"))
    unread = next(t for t in found if t["checkpoint"].endswith("checkpoint-10") and t["tensor"] == "b")

    assert {unread[key] for key in ("nan", "inf", "zero", "subnormal", "dead_rows", "same")} == {None}
    assert not list(marks(found))
    rows = list(csv.DictReader(io.StringIO(said("scan", *both, "-f", "csv"))))
    assert [row["nan"] for row in rows if row["tensor"] == "b"] == ["0", ""]
    assert not any(cell in {"-1", "-2", "-1.0"} for row in rows for cell in row.values())
    page = said("scan", *both)
    assert "not read" in page
    assert f"not examined: {both[1]}/model.safetensors: {both[1]}/model.safetensors ends at byte" in page


@pytest.mark.parametrize("form", ["terminal", "markdown", "html", "json"])
def test_no_report_shows_a_mark(shrunk: Path, form: str) -> None:
    text = said("analyze", shrunk, "-f", form)

    if form == "json":
        tree = json.loads(text)
        assert [c["tensors"]["unread"] for c in tree["checkpoints"]] == [0, 1]
        assert not list(marks(tree))
    else:
        text = re.sub(r"(?s)<(style|script)>.*?</\1>", "", text)
        assert "1 tensor" in text
        assert not re.search(r"(?<![-\w.])-[12](?![\w.-])", text)


@pytest.mark.parametrize("case", [*BROKEN, *HEALTHY], ids=str)
def test_no_json_of_a_run_holds_a_mark(case: Case) -> None:
    found = [json.loads(said(*how, "-f", "json")) for how in commands(case.run)]

    assert [list(marks(tree)) for tree in found] == [[]] * len(found)


def commands(run: Path) -> Sequence[Sequence[object]]:
    return [("analyze", run), ("timeline", run), ("timeline", run, "--samples"), ("env", run)]


def test_a_sample_without_a_rank_has_none() -> None:
    found = json.loads(said("timeline", FOUNDING.run, "--samples", "-f", "json"))

    assert set(found["rank"]) == {None}
    assert set(found["segment"]) == {0}
