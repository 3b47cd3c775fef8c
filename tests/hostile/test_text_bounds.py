"""Texts of which each line differs cost what their size costs, and no more: in units that the same run measures.

A unit is the processor time that one regular expression takes to part a megabyte into words. The inputs of
`python -m fuzz.hostile` may take 2 s and 10 s a gigabyte, which are some 40 units where these were measured; half as
many again are left for a machine that does other things too.
"""

import re
import time
from pathlib import Path

import pytest

from forensics import analyze
from forensics.model import Artifact, Fact, Samples, Skip
from forensics.readers.text import entries
from forensics.readers.text.names import Shape, shape_of
from forensics.readers.text_log import read_text
from fuzz.hostile.case import Payload
from fuzz.hostile.inputs import Input
from fuzz.hostile.parser_cases import inputs
from fuzz.hostile.text_cases import inputs as text_inputs
from fuzz.hostile.watch import DEATH, DEATH_FILE

UNITS = 60
WORDS = re.compile(rb"\w+|\s+|.")
TEXT = b"step 12 | loss: 2.31, grad_norm = 0.71 (lr 1e-4)\n" * 20_000


def unit() -> float:
    begin = time.process_time()
    assert sum(1 for _ in WORDS.finditer(TEXT)) > 10_000
    return time.process_time() - begin


def named(*names: str) -> dict[str, Input]:
    every = [*inputs(), *text_inputs(Payload("/nowhere"))]
    return {name: next(one for one in every if one.name == name) for name in names}


TEXTS = named(
    "100,000 names of metrics",
    "100,000 shapes of lines",
    "prefixes of 16,384 ranks",
    "lists nested",
    "columns of 500,000",
    "300,000 rows",
    "60,000 tracebacks",
    "a million short lines",
    "a million lines of steps",
)


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_takes_no_longer_than_its_size_allows(name: str, tmp_path: Path) -> None:
    warm, folder = tmp_path / "warm", tmp_path / "run"
    for place in (warm, folder):
        place.mkdir()
        (place / DEATH_FILE).write_bytes(DEATH)
    analyze(warm)
    TEXTS[name].make(folder)

    before = unit()
    begin = time.process_time()
    analyze(folder)
    spent = time.process_time() - begin

    assert spent < UNITS * max(before, unit())


def lines(count: int, line: str) -> bytes:
    return "".join(line.replace("#", str(number)) for number in range(count)).encode()


def read(folder: Path, content: bytes) -> list[Fact]:
    (folder / "train.log").write_bytes(content)
    return list(read_text(Artifact(folder, "train.log", len(content), 0.0)))


@pytest.fixture
def taught(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The shapes that were learnt, in their order."""
    shapes: list[bytes] = []

    def noted(key: bytes) -> Shape:
        shapes.append(key)
        return shape_of(key)

    monkeypatch.setattr(entries, "shape_of", noted)
    return shapes


@pytest.mark.parametrize("times", [1, 2, 3])
def test_names_that_never_end_are_learnt_until_they_are_too_many(
    times: int, tmp_path: Path, taught: list[bytes]
) -> None:
    """However often they come: they differ in the digits of a name, not in a number."""
    facts = read(tmp_path, lines(12_000, "step # metric_#: 0.5\n") * times)

    assert entries.MOST_LEARNT <= len(taught) <= 4 * entries.MOST_LEARNT  # each of two passes
    assert any("lines were passed over" in each.reason for each in facts if isinstance(each, Skip))


def test_what_comes_often_is_learnt_beside_names_that_never_end(tmp_path: Path) -> None:
    entry = lines(200, "iteration # | lm loss: 2.5#\n")

    facts = read(tmp_path, lines(12_000, "step # metric_#: 0.5\n") * 2 + entry)

    assert [len(each.values) for each in facts if isinstance(each, Samples) and each.name == "loss"] == [
        200 - entries.RARE + 1
    ]
