"""The cases of the recorder, run once a session, and the folder that all test processes share."""

from pathlib import Path

import pytest

from recorder.recorder_records import Opened, all_cases, records

pytest.importorskip("torch")


@pytest.fixture(scope="session")
def cases(tmp_path_factory: pytest.TempPathFactory, worker_id: str = "master") -> Path:
    base = tmp_path_factory.getbasetemp()
    return all_cases(base.parent if base.name.startswith("popen-") else base)


@pytest.fixture
def case(cases: Path, request: pytest.FixtureRequest) -> list[Opened]:
    """The records of the case that the test names as its parameter, by rank."""
    return records(cases / request.param / "blackbox")
