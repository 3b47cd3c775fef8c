"""`scan` and `diff` on a dask scheduler with worker processes: the same output, also when a worker is killed."""

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from safetensors.numpy import save_file

import forensics
from forensics import cluster as clusters
from forensics.cli import main
from forensics.weights import blocks, inspection, on_cluster
from range_server import serving
from weights.checkpoint_files import FIXTURES

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def scheduler() -> Iterator[Any]:
    # The workers are spawned and find these modules as this process does.
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    ) as made:
        yield made


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def saved(folder: Path, seed: int) -> Path:
    """Save large and small tensors: half a dozen tasks."""
    generator = np.random.default_rng(seed)
    folder.mkdir()
    large = {f"large.{i}": generator.standard_normal((500, 5_000 - 4_000 * i), np.float32) for i in range(2)}
    small = {f"small.{i}": generator.standard_normal(50_000, np.float32) for i in range(10)}
    save_file(large | small, folder / "model.safetensors")
    return folder


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_cluster, "BATCH_BYTES", 1 << 20)


@pytest.fixture
def short_waits() -> Iterator[None]:
    """Let results that died with a worker be asked for no longer than 2 s before they are made again."""
    import dask

    with dask.config.set({"distributed.comm.timeouts.connect": "2s"}):
        yield


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("command", ["scan", "diff"])
def test_a_cluster_prints_what_this_machine_prints(scheduler: Any, tmp_path: Path, command: str) -> None:
    words = (command, saved(tmp_path / "a", 1), saved(tmp_path / "b", 2), "--format", "json", "--top", "0")
    there = run(*words, "--cluster", scheduler.scheduler_address)
    here = run(*words)

    assert here.stdout == there.stdout
    assert here.exit_code == there.exit_code == 0


@pytest.mark.parametrize("case", ["dcp-columns", "zero3-tied", "zero2-tied-round-robin", "megatron-imitated"])
def test_layouts_of_many_pieces_are_the_same_there(scheduler: Any, case: str) -> None:
    words = ("scan", FIXTURES / case / "save", "--format", "json", "--top", "0")

    assert run(*words).stdout == run(*words, "--cluster", scheduler.scheduler_address).stdout


@pytest.mark.usefixtures("small_batches", "short_waits")
def test_a_killed_worker_changes_nothing(scheduler: Any, tmp_path: Path) -> None:
    """SIGKILL strikes the worker that begins the third task; another one does what it was at."""
    from killing_worker import KillOnce

    counted = tmp_path / "counted"
    counted.mkdir()
    words = ("scan", saved(tmp_path / "a", 3), "--format", "json", "--top", "0")
    here = run(*words)
    with distributed.Client(scheduler.scheduler_address, set_as_default=False) as client:
        client.register_plugin(KillOnce(counted, "forensics.weights.work:Worker", "do", 2), name="kill-once")
        before = set(client.scheduler_info(n_workers=-1)["workers"])
        there = run(*words, "--cluster", scheduler.scheduler_address)
        client.unregister_worker_plugin("kill-once")
        client.wait_for_workers(2)
        after = set(client.scheduler_info(n_workers=-1)["workers"])

    assert here.stdout == there.stdout
    assert here.exit_code == there.exit_code
    assert (counted / "2").exists()
    assert before != after


def test_workers_read_a_url_themselves(scheduler: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("aiohttp")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    saved(tmp_path / "a", 4)
    with serving(tmp_path) as server:
        words = ("scan", f"{server.url}/a/model.safetensors", "--format", "json")
        here = run(*words)
        there = run(*words, "--cluster", scheduler.scheduler_address)

    assert here.stdout == there.stdout
    assert '"tensors"' in here.stdout


def test_progress_is_told(scheduler: Any, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    with clusters.connected(scheduler.scheduler_address) as workers:
        inspection.scan(saved(tmp_path / "a", 5), progress=lambda _, *now: told.append(now), cluster=workers)

    assert told[-1][0] == told[-1][1] > 10_000_000


def test_workers_of_another_version_are_refused(
    scheduler: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forensics, "__version__", "99.0")
    done = run("scan", saved(tmp_path / "a", 6), "--cluster", scheduler.scheduler_address)

    assert done.exit_code == 2
    assert "here it is 99.0" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_workers_that_see_other_files_are_refused(
    scheduler: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the path is on a disk of this machine."""
    from forensics.weights.reading import Files

    original = Files.signature
    monkeypatch.setattr(Files, "signature", lambda self, path: (original(self, path)[0], -1))
    done = run("scan", saved(tmp_path / "a", 7), "--cluster", scheduler.scheduler_address)

    assert done.exit_code == 2
    assert "does not see" in done.stderr


class Here:
    """A cluster whose one worker is this process; `before` is done before each batch."""

    address = "here"

    def __init__(self, before: Callable[[], object] = int) -> None:
        self.before = before

    def everywhere(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        return [function(*arguments)]

    def spread(self, function: Callable[[Any], Any], jobs: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """Do the jobs from the last to the first."""
        for job in reversed(list(jobs)):
            self.before()
            yield job, function(job)


@pytest.mark.usefixtures("small_batches")
def test_what_is_done_first_is_not_added_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums over several tasks of one tensor are rounded alike whichever worker is the fastest."""
    monkeypatch.setattr(blocks, "TASK_BYTES", 1 << 20)
    path = saved(tmp_path / "a", 8)
    workers: Any = Here()
    (here,), _ = inspection.scan(path)
    (there,), _ = inspection.scan(path, cluster=workers)

    assert here.table is not None
    assert there.table is not None
    assert here.table.l2.tobytes() == there.table.l2.tobytes()
    assert here.table.mean.tobytes() == there.table.mean.tobytes()


def test_a_file_that_workers_see_replaced_is_no_evidence(tmp_path: Path) -> None:
    """This process still holds the old one open and sees no change."""
    path = saved(tmp_path / "a", 9) / "model.safetensors"
    new = saved(tmp_path / "b", 10) / "model.safetensors"
    workers: Any = Here(lambda: new.replace(path) if new.exists() else None)
    (checkpoint,), skips = inspection.scan(path, cluster=workers)

    assert checkpoint.table is not None
    assert set(checkpoint.table.nan.tolist()) == {None}
    assert any("changed while it was read" in skip.reason for skip in skips)


@pytest.mark.parametrize("command", ["scan", "diff"])
def test_no_scheduler_is_one_line(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "CONNECT_SECONDS", 0.2)
    done = run(command, "a", "b", "--cluster", "tcp://127.0.0.1:1")

    assert done.exit_code == 2
    assert done.stderr.startswith("medforensics: no dask scheduler answers at tcp://127.0.0.1:1")
    assert len(done.stderr.splitlines()) == 1


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    done = run("scan", "a", "--cluster", "tcp://127.0.0.1:1")

    assert done.exit_code == 2
    assert "medforensics[cluster]" in done.stderr
