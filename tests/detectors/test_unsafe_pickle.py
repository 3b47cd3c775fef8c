"""A pickle that would run code is told as a warning wherever it lies; nothing is run, and no failure is named so."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import save_file

from forensics import analyze
from forensics.cli import main
from forensics.model import Report
from fuzz.hostile.assembled import (
    Member,
    call,
    mapping,
    name,
    number,
    pickled,
    storage,
    tensor,
    text,
    torch_members,
    torch_zip,
    zipped,
)

LOG = "".join(f"{{'loss': {2.5 - n / 50:.2f}, 'grad_norm': 1.0, 'epoch': {n / 10}}}\n" for n in range(40))
FILES = ["training_args.bin", "rng_state.pth", "rng_state_1.pth", "scheduler.pt", "optimizer.pt", "random_states_0.pkl"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run" / "checkpoint-5"
    folder.mkdir(parents=True)
    save_file({"w": np.ones(4, np.float32)}, folder / "model.safetensors")
    (tmp_path / "run" / "train.log").write_text(LOG)
    return tmp_path / "run"


def evil(marker: Path) -> bytes:
    run = call(name("posix", "system"), text(f"touch {marker}"))
    return torch_zip(pickled(mapping(output_dir=text("x"), learning_rate=number(0.1)) + run + b"0"))


def told(report: Report) -> list[str]:
    return [f.statement for f in report.findings if f.symptom == "unsafe-pickle" and f.severity == "warning"]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("folder", [".", "checkpoint-5", "other/deep"])
def test_every_pickle_of_a_run_is_looked_at(run: Path, file: str, folder: str) -> None:
    marker = run.parent / "marker"
    (run / folder).mkdir(parents=True, exist_ok=True)
    (run / folder / file).write_bytes(evil(marker))
    report = analyze(run)

    (statement,) = told(report)
    assert file in statement
    assert "posix.system" in statement
    assert report.verdict == "broken" or "asks for posix.system" in report.headline
    assert not marker.exists()


def test_the_log_comes_first(run: Path) -> None:
    (run / "training_args.bin").write_bytes(evil(run))
    (run / "train.log").write_text(f"{LOG}torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.\n")
    report = analyze(run)

    assert report.verdict == "broken"
    assert "memory ran out" in report.headline
    assert told(report)


def test_a_run_without_payloads_says_nothing(run: Path) -> None:
    saved = torch_zip(pickled(mapping(output_dir=text("x"), learning_rate=number(0.1))))
    for file in FILES:
        (run / "checkpoint-5" / file).write_bytes(saved)

    assert not told(analyze(run))


def test_a_file_that_cannot_be_read_is_left_to_its_reader(run: Path) -> None:
    (run / "rng_state.pth").write_bytes(b"\x80\x02]" + b"\x8e" + bytes(8))
    (run / "notes.data").write_bytes(b"plain text, no pickle")

    assert not told(analyze(run))


def test_scan_never_calls_such_a_checkpoint_clean(run: Path) -> None:
    weights = tensor(storage(elements=4))
    saved = pickled(mapping(w=weights) + call(name("posix", "system"), text("true")) + b"0")
    fine = run / "fine.pt"
    fine.write_bytes(torch_zip(pickled(mapping(w=weights))))
    (run / "bad.pt").write_bytes(zipped([*torch_members(saved), Member(name=b"archive/x", content=b"y")]))
    clean, unsafe = (CliRunner().invoke(main, ["scan", str(run / each), "-q"]) for each in ("fine.pt", "bad.pt"))

    assert (clean.exit_code, unsafe.exit_code) == (0, 1)
    assert "fine.pt: clean" in clean.output
    assert "bad.pt: unsafe" in unsafe.output
    assert "posix.system" in unsafe.output


def test_a_checkpoint_that_runs_code_is_not_the_last_good_one(run: Path) -> None:
    saved = pickled(mapping(w=tensor(storage(elements=4))) + call(name("posix", "system"), text("true")) + b"0")
    (run / "checkpoint-5" / "model.safetensors").unlink()
    (run / "checkpoint-5" / "pytorch_model.bin").write_bytes(torch_zip(saved))
    report = analyze(run)

    assert [c.status for c in report.run.checkpoints] == ["unsafe"]
    assert report.run.last_good_checkpoint is None
    assert report.verdict == "suspicious"
