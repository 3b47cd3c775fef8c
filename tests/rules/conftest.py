"""Fixtures of the tests of rules."""

import pytest

from forensics.model import Run
from forensics.testing import make_run
from rules.rule_judging import Judge, argue


@pytest.fixture(name="judge")
def fixture_judge() -> Judge:
    """Ask a rule; the helper of every table in this folder."""
    return argue


@pytest.fixture(name="nothing_recorded")
def fixture_nothing_recorded() -> Run:
    """Return a run of which nothing is known."""
    return make_run()
