"""Golden files: what a test expects, accepted with `pytest --accept` and reviewed in the commit."""

import difflib
from collections.abc import Callable
from pathlib import Path

import pytest


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
