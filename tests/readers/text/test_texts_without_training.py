"""Texts that count and measure, and none of which tells of a training: no series, no finding."""

from pathlib import Path

import numpy as np
import pytest

import forensics
from forensics.errors import NothingReadableError
from forensics.readers.text.evidence import learns, of_a_training
from forensics.readers.text.rows import Rows, plain_rows
from readers.text.counting_texts import TEXTS

HELD = [(name, suffix) for name in TEXTS for suffix in ("log", "csv", "jsonl") if suffix == "log" or "," in TEXTS[name]]


@pytest.mark.parametrize(("name", "suffix"), HELD)
def test_what_counts_and_measures_is_no_training(tmp_path: Path, name: str, suffix: str) -> None:
    """Neither a series nor a finding, whatever the file is called."""
    (tmp_path / f"output.{suffix}").write_text(TEXTS[name])
    try:
        report = forensics.analyze(tmp_path)
    except NothingReadableError:
        return

    assert {series.name for series in report.run.timeline.samples} == set()
    assert report.findings == ()


def test_there_are_fifty_such_texts() -> None:
    """The share of false series is told of them."""
    assert len(TEXTS) >= 50


def table(name: str, values: list[float], steps: list[int] | None = None) -> Rows:
    at = np.arange(len(values))
    return plain_rows((name,), np.array(values)[:, None], at, at, np.array(steps or [-1] * len(values)))


ORDERLESS = [0.81, 0.74, 0.88, 0.79, 0.84, 0.72, 0.86, 0.78]
LEARNT = [0.31, 0.44, 0.52, 0.6, 0.64, 0.69, 0.71, 0.72]


@pytest.mark.parametrize(
    ("of", "tells"),
    [
        (table("loss", [2.0, 3.0]), True),
        (table("learning_rate", [1e-3]), True),
        (table("reward", [1.0, 5.0]), True),
        (table("accuracy", ORDERLESS), False),
        (table("accuracy", LEARNT), True),
        (table("accuracy", [0.7, 0.8, 0.9], [100, 200, 300]), True),
        (table("accuracy", [0.7, 0.8, 0.9], [1, 2, 3]), False),
        (table("throughput", LEARNT, [*range(10, 90, 10)]), False),
        (table("samples_per_second", LEARNT, [*range(10, 90, 10)]), False),
        (table("elo", [812.0, 816.0, 809.0], [10, 20, 30]), True),
        (table("elo", [812.0, 812.0, 812.0], [10, 20, 30]), False),
        (table("elo", [1.0, 2.0, 3.0], [10, 20, 30]), False),
        (table("fitness", LEARNT), True),
        (table("fitness", [2.0, 4.0, 5.0, 7.0, 8.0, 9.0, 11.0, 12.0]), False),
        (table("batch", [10.0, 20.5, 30.0], [10, 20, 30]), False),
        (table("loss", []), False),
        (table("MAPE", ORDERLESS), False),
        (table("MAPE", LEARNT[::-1]), True),
    ],
)
def test_one_sign_of_a_training_is_enough_for_a_text(of: Rows, tells: bool) -> None:
    """And numbers of a machine beside it stay."""
    other = table("latency", [3.5, 4.5], [1, 2])

    assert of_a_training([other, of]) == ([other, of] if tells else [])


def test_chance_is_no_curve() -> None:
    """Of numbers in any order about one set in fifty is taken for a curve."""
    rng = np.random.default_rng(7)
    taken = sum(learns(rng.normal(size=12)) for _ in range(2000))

    assert taken < 80
    assert learns(np.array([*LEARNT, np.nan]))
    assert not learns(np.full(8, 0.5))
