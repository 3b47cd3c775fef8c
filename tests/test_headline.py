"""The headline of a run without a fault."""

import pytest

from forensics.diagnosis.headline import headline_of
from forensics.testing import make_run


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"max_steps": 36}, "over 3 of 36 planned steps"), ({"max_steps": 3}, "over 3 steps"), ({}, "over 3 steps")],
)
def test_a_run_that_ends_before_its_plan_says_so(settings: dict[str, int], words: str) -> None:
    """A process that was killed without a word leaves nothing else."""
    run = make_run(loss=[2.0, 1.5, 1.0], settings=settings)

    assert headline_of(run, "healthy", [], []) == f"Nothing is wrong: the loss went from 2 to 1 {words}."
