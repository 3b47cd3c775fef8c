"""What all tests share: golden files, accepted with `pytest --accept`, and how properties are drawn.

Properties draw the same examples on every run, so that a red run is the fault of the change at hand;
`pytest --hypothesis-profile explore` looks for new ones.
"""

import difflib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--accept", action="store_true", help="write what is printed now as the expected text")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Compare a text with a file; the difference is shown, and written to the file with --accept."""

    def compare(path: Path, actual: str) -> None:
        if request.config.getoption("--accept"):
            path.write_text(actual)
        expected = path.read_text() if path.exists() else ""
        changed = difflib.unified_diff(expected.splitlines(), actual.splitlines(), "expected", "actual", lineterm="")

        assert expected == actual, "\n".join(changed)

    return compare
