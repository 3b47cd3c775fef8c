"""Runs in S3 over HTTP, judged as they are here: by this process, and by workers of which one is killed.

Skipped without `pip install 'moto[server]' s3fs`; the cluster needs dask.distributed too.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fleet.run_folders import DIED, write_run
from forensics.cli import main
from runs import FOUNDING


def triage(*words: object) -> dict[str, Any]:
    done = CliRunner().invoke(main, ["triage", *map(str, words), "-f", "json", "-q", "--no-redact"])
    assert done.exit_code == 1, done.output
    tree: dict[str, Any] = json.loads(done.stdout)
    for run in tree["runs"]:
        run.pop("changed", None)
    return tree


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("here") / "runs"
    for number in range(4):
        write_run(root / f"died-{number}", DIED)
        write_run(root / f"fine-{number}")
    shutil.copytree(FOUNDING.run, root / "llama" / "lora-17")
    return root


@pytest.fixture(scope="module")
def store(here: Path) -> Iterator[str]:
    """Serve the runs from S3; the URL is what fsspec and the worker processes find by their environment."""
    server_of = pytest.importorskip("moto.server").ThreadedMotoServer
    stores = pytest.importorskip("s3fs")
    server = server_of(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    known = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "NO_PROXY": "127.0.0.1",
    }
    with pytest.MonkeyPatch.context() as environment:
        for name, value in known.items():
            environment.setenv(name, value)
        made = stores.S3FileSystem(key="testing", secret="testing", endpoint_url=known["AWS_ENDPOINT_URL"])
        made.mkdir("team")
        made.put(str(here), "team/runs", recursive=True)
        yield "s3://team/runs"
    server.stop()


def test_runs_of_a_store_are_those_of_this_machine(here: Path, store: str) -> None:
    there = triage(store, "--jobs", "2")

    assert there == triage(here, "--jobs", "1")
    assert [run["path"] for run in there["runs"]].count("llama/lora-17") == 1


@pytest.mark.filterwarnings("ignore")
def test_workers_read_the_store_and_one_that_is_killed_changes_nothing(here: Path, store: str, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    from killing_worker import KillOnce

    counted = tmp_path / "counted"
    counted.mkdir()
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as cluster,
        distributed.Client(cluster.scheduler_address, set_as_default=False) as client,
    ):
        client.register_plugin(KillOnce(counted, "forensics.investigate", "investigate", 1), name="kill-once")
        before = set(client.scheduler_info(n_workers=-1)["workers"])
        there = triage(store, "--cluster", cluster.scheduler_address)
        client.unregister_worker_plugin("kill-once")
        client.wait_for_workers(2)
        after = set(client.scheduler_info(n_workers=-1)["workers"])

    assert (counted / "1").exists()
    assert before != after
    assert there == triage(here, "--jobs", "1")
