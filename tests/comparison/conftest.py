"""One pair of run directories for all tests of the comparison."""

import pytest

from comparison.run_pair import Pair, write_pair


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return write_pair(tmp_path_factory.mktemp("pair"))
