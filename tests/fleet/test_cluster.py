"""The same triage on a dask scheduler."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from fleet.run_folders import DIED, write_run
from forensics.cli import main


@pytest.fixture
def scheduler() -> Iterator[str]:
    distributed = pytest.importorskip("distributed")
    # Worker threads of this process: no port beyond the scheduler's, no dashboard.
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None, protocol="tcp"
    ) as cluster:
        yield cluster.scheduler_address


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_gives_the_rows_of_this_machine(scheduler: str, tmp_path: Path) -> None:
    write_run(tmp_path / "died", DIED)
    write_run(tmp_path / "fine")
    arguments = ["triage", str(tmp_path), "--format", "json"]
    there = CliRunner().invoke(main, [*arguments, "--cluster", scheduler])
    here = CliRunner().invoke(main, [*arguments, "--jobs", "1"])

    assert there.stdout == here.stdout
    assert there.exit_code == here.exit_code == 1


def test_without_dask_the_message_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(tmp_path / "fine")
    monkeypatch.setitem(sys.modules, "distributed", None)
    done = CliRunner().invoke(main, ["triage", str(tmp_path), "--cluster", "tcp://127.0.0.1:1"])

    assert done.exit_code == 2
    assert "medforensics[cluster]" in done.stderr
