"""The recorder changes nothing: not the numbers, not the waits, not the messages; and it never raises (A10 to A13)."""

import contextlib
import errno
import os
import resource
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recorder.recorder_records import launch, records

torch = pytest.importorskip("torch")

from forensics.investigate import read  # noqa: E402
from forensics.recorder import BlackBox  # noqa: E402
from forensics.recorder.files import Files, Ring  # noqa: E402
from forensics.recorder.layout import row_dtype  # noqa: E402


@pytest.mark.parametrize("kind", ["single", "ddp", "fsdp2"])
def test_losses_and_weights_are_the_same_to_the_last_bit(cases: Path, kind: str) -> None:
    for rank in range(1 if kind == "single" else 2):
        without = torch.load(cases / f"plain-{kind}" / f"truth.{rank}.pt", weights_only=True)
        with_box = torch.load(cases / f"boxed-{kind}" / f"truth.{rank}.pt", weights_only=True)

        assert without["losses"] == with_box["losses"]
        assert all(torch.equal(without["weights"][n], with_box["weights"][n]) for n in without["weights"])


def trained(
    folder: Path | None, steps: int = 4, touch: Callable[[int], None] | None = None, **options: Any
) -> list[float]:
    """Train a small model for some steps; return its losses."""
    torch.manual_seed(3)
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.GELU(), torch.nn.Linear(16, 4))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    box = None if folder is None else BlackBox(model, optimizer, folder, **options)
    losses = []
    for step in range(1, steps + 1):
        loss = model(torch.randn(4, 8)).square().mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()
        optimizer.zero_grad()
        if touch is not None:
            touch(step)
        if box is not None:
            box.step(step=step, loss=loss)
        losses.append(float(loss.detach()))
    return losses


def test_a_step_with_a_closure_reads_no_gradient_of_the_step_before(tmp_path: Path) -> None:
    """The optimizer's hook comes before the closure, in which the backward pass runs."""
    torch.manual_seed(3)
    model = torch.nn.Linear(4, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    box = BlackBox(model, optimizer, tmp_path / "box")

    def closure() -> Any:
        optimizer.zero_grad()
        loss = model(torch.randn(2, 4)).square().mean()
        loss.backward()
        box.read_reduced(at_step=False)
        return loss

    for step in (1, 2):
        box.step(step=step, loss=optimizer.step(closure))

    (record,) = records(tmp_path / "box")
    np.testing.assert_array_equal(record.column("reduced_l2"), record.column("local_l2"))
    assert np.all(record.column("local_l2") > 0)


def test_no_value_is_waited_for(tmp_path: Path) -> None:
    """On a GPU each `_local_scalar_dense` is a wait for the device; the recorder makes none."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Count(TorchDispatchMode):  # type: ignore[misc, unused-ignore]
        """Counts operations by name."""

        def __init__(self) -> None:
            super().__init__()
            self.calls: Counter[str] = Counter()

        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.calls[function.__name__] += 1
            return function(*args, **(kwargs or {}))

    def reads(folder: Path | None) -> int:
        with Count() as count:
            trained(folder)
        return sum(n for name, n in count.calls.items() if "_local_scalar_dense" in name)

    assert reads(tmp_path / "box") == reads(None)


def test_a_folder_that_cannot_be_made_costs_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way")

    assert trained(tmp_path / "file" / "box") == trained(None)
    told = capfd.readouterr().err.splitlines()
    assert len(told) == 1
    assert told[0].startswith("blackbox: off, training goes on (NotADirectoryError")


def test_a_full_disk_leaves_no_empty_ring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(file: int, offset: int, length: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)

    assert trained(tmp_path / "box") == trained(None)
    assert list((tmp_path / "box").iterdir()) == []
    assert capfd.readouterr().err.count("\n") == 1


def test_a_disk_with_little_room_gets_a_small_ring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    allocate = os.posix_fallocate

    def little(file: int, offset: int, length: int) -> None:
        if length > 40_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        allocate(file, offset, length)

    monkeypatch.setattr(os, "posix_fallocate", little)

    assert trained(tmp_path / "box") == trained(None)
    (record,) = records(tmp_path / "box")
    assert (record.meta["ring"], len(record.rows)) == (64, 4)
    assert "64 rows instead" in capfd.readouterr().err


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Return a function that mounts a file system in memory with some options; skipped where that is not allowed."""
    places: list[Path] = []

    def mount(options: str) -> Path:
        place = tmp_path / f"mounted{len(places)}"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("file systems may not be mounted here")
        places.append(place)
        return place

    yield mount
    for place in places:
        subprocess.run(["umount", "--lazy", str(place)], check=True)  # the ring stays mapped


def test_a_file_system_without_room_turns_it_off(
    mounted: Callable[[str], Path], capfd: pytest.CaptureFixture[str]
) -> None:
    place = mounted("size=8k")

    assert trained(place / "box") == trained(None)
    told = capfd.readouterr().err.splitlines()
    assert len(told) == 1
    assert told[0].startswith("blackbox: ")


def test_a_file_system_that_fills_up_meanwhile_leaves_the_ring(
    mounted: Callable[[str], Path], capfd: pytest.CaptureFixture[str]
) -> None:
    place = mounted("size=4m")

    def fill(step: int) -> None:
        if step == 3:
            with contextlib.suppress(OSError), (place / "others").open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))

    assert trained(place / "box", steps=400, touch=fill) == trained(None, steps=400)
    (record,) = read(place / "box").recordings
    assert record.steps.tolist() == list(range(1, 401))
    told = capfd.readouterr().err.splitlines()
    assert len([line for line in told if "the ring goes on" in line]) == 1


def test_a_file_system_that_may_not_be_written_costs_one_line(
    mounted: Callable[[str], Path], capfd: pytest.CaptureFixture[str]
) -> None:
    place = mounted("ro")

    assert trained(place / "box") == trained(None)
    told = capfd.readouterr().err.splitlines()
    assert len(told) == 1
    assert "Read-only file system" in told[0]


def test_a_file_size_limit_turns_it_off_and_training_goes_on(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
        losses = trained(tmp_path / "box")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)

    assert losses == trained(None)
    assert capfd.readouterr().err.count("\n") == 1


def test_a_full_log_leaves_the_ring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    write = os.write

    def fails(file: int, raw: bytes) -> int:
        if b'"step": 3' in raw:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(file, raw)

    monkeypatch.setattr(os, "write", fails)
    trained(tmp_path / "box", steps=6)

    (record,) = records(tmp_path / "box")
    assert (len(record.lines), record.rows["step"].tolist()) == (2, [1, 2, 3, 4, 5, 6])
    assert capfd.readouterr().err.count("the ring goes on") == 1


def test_an_error_of_ours_never_reaches_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object, row: object, *, ring: bool) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(Files, "write_row", broken)

    assert trained(tmp_path / "box") == trained(None)


def test_a_forked_worker_writes_nothing(tmp_path: Path) -> None:
    def fork(step: int) -> None:
        if step != 2:
            return
        child = os.fork()
        if child == 0:
            box.step(step=99, loss=1.0)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0

    torch.manual_seed(0)
    model = torch.nn.Linear(4, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    box = BlackBox(model, optimizer, tmp_path / "box")
    for step in (1, 2, 3):
        model(torch.ones(1, 4)).sum().backward()
        optimizer.step()
        fork(step)
        box.step(step=step, loss=0.5)

    (record,) = records(tmp_path / "box")
    assert record.rows["step"].tolist() == [1, 2, 3]


def test_two_boxes_in_one_folder_overwrite_nothing(tmp_path: Path) -> None:
    trained(tmp_path / "box")
    import time

    time.sleep(1.1)
    trained(tmp_path / "box")

    assert [len(record.rows) for record in records(tmp_path / "box")] == [4, 4]


def test_the_ring_keeps_the_last_rows_and_the_thin_one_every_64th(tmp_path: Path) -> None:
    trained(tmp_path / "box", steps=700)

    (record,) = records(tmp_path / "box")
    thin = np.load(next((tmp_path / "box").glob("*.thin.npy")))
    assert record.rows["step"].tolist() == list(range(700 - 511, 701))
    assert thin["step"][thin["seq"] > 0].tolist() == list(range(1, 701, 64))


KILLED = Path(__file__).parent / "killed.py"


def test_a_kill_loses_at_most_the_row_of_the_step_that_was_running(tmp_path: Path) -> None:
    """A9: SIGKILL at a random moment; `BLACKBOX_KILLS=50` is the number of the acceptance case."""
    kills = int(os.environ.get("BLACKBOX_KILLS", "8"))
    (done,) = launch(KILLED, str(tmp_path), str(kills))

    told = [line.split() for line in done.stdout.splitlines()]
    assert len(told) == kills
    for folder, counted in told:
        (record,) = records(Path(folder))
        assert record.torn == 0
        assert 0 <= len(record.rows) - int(counted) <= 1
        assert len(record.lines) >= int(counted) - 1


@pytest.mark.parametrize("cut", [8, 40, 100])
def test_a_row_that_a_kill_cuts_is_an_empty_slot(cut: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel may end a process between two pages of one write; a kill at random times hardly ever meets it."""
    dtype = row_dtype(3)
    ring = Ring(tmp_path / "ring.npy", dtype, 4)
    row = np.zeros((), dtype)
    row["seq"] = 1
    ring.write(0, row.tobytes())
    write = os.pwrite

    def killed(file: int, raw: bytes, place: int) -> int:
        write(file, raw[:cut], place)
        raise SystemExit

    monkeypatch.setattr(os, "pwrite", killed)
    row["seq"] = 2
    with pytest.raises(SystemExit):
        ring.write(1, row.tobytes())

    assert np.load(tmp_path / "ring.npy")["seq"].tolist() == [1, 0, 0, 0]
