"""What was found among counted entries is told in entries, by whichever detector or rule."""

from pathlib import Path

import pytest

from counted import lines
from forensics.analysis.places import axis_at, on, place, placed
from forensics.assemble import assemble
from forensics.model import Axis, Finding, Run, Source


def run() -> Run:
    """Return a run whose losses are counted and whose evaluations have steps."""
    return assemble(Path("run"), (), (lines("loss", [4, 5, 6]), lines("eval_loss", [7], steps=[300])))


@pytest.mark.parametrize(
    ("source", "axis"),
    [
        (Source("train.log", "line 5", 5), "entry"),
        (Source("train.log", "line 7", 7), "step"),
        (Source("train.log", "line 8", 8), "step"),
        (Source("other.log", "line 5", 5), "step"),
        (Source("train.log", "event 5", 5), "step"),
        (None, "step"),
    ],
    ids=["an entry", "a step", "no entry", "another file", "another place", "nowhere"],
)
def test_the_axis_is_that_of_the_entry_at_the_source(source: Source | None, axis: Axis) -> None:
    assert axis_at(run(), source) == axis


def test_a_finding_is_put_where_its_source_is() -> None:
    """Whatever a detector calls a step, only what was read beside a step is one."""
    of_an_entry = Finding("x", "error", "NaN from step 2 to the end", Source("train.log", "line 5", 5), 2, (1, 2))
    of_a_step = Finding("x", "error", "NaN from step 300", Source("train.log", "line 7", 7), 300)

    found = placed(run(), of_an_entry)
    assert (found.axis, found.statement, found.step) == ("entry", "NaN from entry 2 to the end", 2)
    assert placed(run(), of_a_step) is of_a_step


@pytest.mark.parametrize(
    ("axis", "said", "expected"),
    [
        ("entry", "first at step 3, steps 3 to 9", "first at entry 3, entries 3 to 9"),
        ("epoch", "it comes every 10 steps", "it comes every 10 epochs"),
        ("samples", "from step 4096 on", "from sample 4096 on"),
        ("entry", "logging_steps 5; every step is logged", "logging_steps 5; every step is logged"),
        ("step", "from step 3", "from step 3"),
    ],
)
def test_the_noun_beside_a_number_is_that_of_the_axis(axis: Axis, said: str, expected: str) -> None:
    assert on(axis, said) == expected


def test_places_in_words() -> None:
    assert [place(axis, 1200) for axis in ("step", "entry", "tokens")] == ["step 1200", "entry 1200", "token 1200"]
