"""Rows of a table and entries of a history are read at once: they tell what each tells by itself."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.model import Artifact, Fact, Samples
from forensics.readers import json_history, metrics_csv
from forensics.readers._columns import Columns
from forensics.readers._csv_rows import Header, take

CELLS = st.sampled_from(
    [
        *["", "1", "2", "3.5", "-1", "nan", "inf", "1e-4", " 7 ", "1_0", "0", "train", "tensor(0.5)", "1.#QNAN"],
        *[
            "2024-05-01 10:00:00",
            "1714557600.5",
            "1e300",
            "9007199254740993",
            "step",
            "loss",
            '"4"',
            "1,000",
            "x" * 201,
        ],
    ]
)
NUMBERS = st.sampled_from([0, 1, 2, 3, -1, 2.5, float("nan"), float("inf"), 1e-4, 1714557600.5, 2**53 + 1, 2**70])
HELD = NUMBERS | st.sampled_from([None, True, "3", "nan", "eval", [1.0], {"a": 1.0}])
NAMES = [
    "step",
    "epoch",
    "loss",
    "val_loss",
    "iter",
    "timestamp",
    "data",
    "wall_time",
    "round",
    "mode",
    "name",
    "value",
]


def told(facts: Sequence[Fact]) -> list[object]:
    """Return facts as what can be compared: arrays by their bytes, NaN and all."""
    return [
        (each.name, each.place, each.precision, each.axis, *map(_bytes, _columns(each)))
        if isinstance(each, Samples)
        else each
        for each in facts
    ]


def _columns(block: Samples) -> Iterator[object]:
    yield from (block.steps, block.values, block.records, block.wall_times, block.epochs)


def _bytes(column: object) -> bytes | None:
    return column.tobytes() if isinstance(column, np.ndarray) else None


def both(name: str, content: str, module: object, one_by_one: str) -> tuple[list[object], list[object]]:
    """Return what a file tells, and what it tells where nothing is read at once."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        Path(folder, name).write_text(content, encoding="utf-8")
        artifact = Artifact(Path(folder), name, len(content), 0.0)
        reader = metrics_csv.metrics_csv if module is metrics_csv else json_history.json_history
        at_once = told(list(reader.read(artifact)))
        patch.setattr(module, one_by_one, lambda *_: False)
        return at_once, told(list(reader.read(artifact)))


@given(
    st.lists(st.sampled_from([*NAMES, "", "run - loss"]), min_size=2, max_size=5, unique=True),
    st.lists(st.lists(CELLS, min_size=2, max_size=5), max_size=9),
    st.sampled_from(",;\t"),
    st.booleans(),
)
def test_rows_of_a_table(header: list[str], rows: list[list[str]], sign: str, ragged: bool) -> None:
    cut = rows if ragged else [(row * 3)[: len(header)] for row in rows]
    content = "\n".join(sign.join(row) for row in [header, *cut * 20, *([header] if ragged else []), *cut])

    at_once, alone = both("metrics.csv", content, metrics_csv, "take_all")

    assert at_once == alone


@given(
    st.lists(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True), min_size=1, max_size=3),
    st.data(),
)
def test_entries_of_a_history(shapes: list[list[str]], data: st.DataObject) -> None:
    numbers = data.draw(st.sampled_from([NUMBERS, NUMBERS, HELD]))
    rows = [{name: data.draw(numbers) for name in names} for names in shapes for _ in range(6)]

    at_once, alone = both("history.json", json.dumps(rows * 4), json_history, "_take_all")

    assert sorted(at_once, key=repr) == sorted(alone, key=repr)


@given(st.dictionaries(st.sampled_from(NAMES), st.lists(NUMBERS, min_size=20, max_size=20), min_size=1))
def test_lists_of_a_history(lists: dict[str, list[float]]) -> None:
    at_once, alone = both("history.json", json.dumps(lists), json_history, "_take_all")

    assert at_once == alone


def test_a_long_table_is_read_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only its first lines are not."""
    taken: list[int] = []

    def noted(header: Header, cells: Sequence[str], record: int, columns: Columns) -> None:
        taken.append(record)
        take(header, cells, record, columns)

    monkeypatch.setattr(metrics_csv, "take", noted)
    content = "step,loss,when\n" + "".join(f"{n},{n / 7},2024-05-01 10:00:{n % 60:02d}\n" for n in range(20_000))
    (tmp_path / "metrics.csv").write_text(content)

    facts = list(metrics_csv.metrics_csv.read(Artifact(tmp_path, "metrics.csv", len(content), 0.0)))

    assert len(taken) < 100
    assert [len(each.values) for each in facts if isinstance(each, Samples)] == [20_000]
