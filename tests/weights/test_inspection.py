"""`scan` and `diff` on their own, and the recount with torch."""

import builtins
import struct
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from forensics.cli import main
from forensics.errors import NothingReadableError, UsageError
from forensics.weights import inspection
from weights.checkpoint_files import FIXTURES

torch = pytest.importorskip("torch")
save_file: Any = pytest.importorskip("safetensors.torch").save_file


def special(path: Path) -> Path:
    """Save a file with one of everything that is counted."""
    values = torch.tensor([1.0, float("nan"), float("inf"), -float("inf"), 0.0, -0.0, 1e-40, 3.0])
    save_file({"f32": values, "bf16": values.bfloat16(), "i64": torch.tensor([0, 5])}, path)
    return path


@pytest.mark.parametrize("case", sorted(folder.name for folder in FIXTURES.iterdir() if folder.is_dir()))
def test_torch_counts_the_same_in_every_layout(case: str) -> None:
    scanned, _ = inspection.scan(FIXTURES / case / "save")
    for checkpoint, seen in inspection.verify(scanned):
        assert (seen.differing, seen.unchecked) == ((), ())
        assert seen.checked == len(checkpoint.records)


def test_torch_counts_the_same_of_special_values(tmp_path: Path) -> None:
    scanned, _ = inspection.scan(special(tmp_path / "model.safetensors"))
    ((_, seen),) = inspection.verify(scanned)

    assert (seen.checked, seen.differing) == (3, ())


def test_a_count_that_differs_is_told(tmp_path: Path) -> None:
    """The file changes between the scan and the recount."""
    path = special(tmp_path / "model.safetensors")
    scanned, _ = inspection.scan(path)
    raw = bytearray(path.read_bytes())
    at = raw.index(struct.pack("<ff", 1.0, float("nan")))
    raw[at : at + 4] = bytes(4)
    path.write_bytes(raw)
    ((_, seen),) = inspection.verify(scanned)

    assert seen.differing == ("f32: zero 2 here, 3 by torch",)


def test_without_torch_the_option_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *rest: Any, **how: Any) -> Any:
        if name == "torch":
            raise ImportError(name)
        return real(name, *rest, **how)

    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(builtins, "__import__", missing)

    with pytest.raises(UsageError, match=r"needs torch, which is not installed"):
        inspection.verify(())


def test_the_command_prints_what_torch_counted(tmp_path: Path) -> None:
    path = special(tmp_path / "model.safetensors")
    done = CliRunner().invoke(main, ["scan", str(path), "--verify-with-torch", "--quiet"])

    assert "torch counted 3 tensors, 0 differ" in done.stderr
    assert done.exit_code == 1  # the file holds NaN


def test_two_checkpoints_are_compared(tmp_path: Path) -> None:
    save_file({"a": torch.ones(3), "b": torch.ones(2)}, tmp_path / "one.safetensors")
    save_file({"a": torch.tensor([1.0, 1, 2]), "b": torch.ones(2)}, tmp_path / "two.safetensors")
    (_, after), _ = inspection.compare([tmp_path / "one.safetensors", tmp_path / "two.safetensors"])

    assert after.table is not None
    assert after.table.same.tolist() == [2, 2]
    assert after.table.change_max.tolist() == [1.0, 0.0]


def test_a_folder_of_several_checkpoints_must_be_named(tmp_path: Path) -> None:
    for step in (1, 2):
        (tmp_path / f"checkpoint-{step}").mkdir()
        save_file({"a": torch.ones(3)}, tmp_path / f"checkpoint-{step}/model.safetensors")

    with pytest.raises(UsageError, match="holds 2 checkpoints"):
        inspection.compare([tmp_path, tmp_path / "checkpoint-1"])


def test_nothing_there_is_its_own_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")

    with pytest.raises(NothingReadableError, match="no checkpoint in"):
        inspection.scan(tmp_path)


SYSTEM = b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00id\x85R."


@pytest.mark.parametrize("name", ["training_args.bin", "optimizer.pt", "rng_state_0.pth", "state/scaler.pickle"])
def test_a_save_with_a_payload_beside_its_weights_is_not_clean(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "save"
    (folder / name).parent.mkdir(parents=True)
    save_file({"a": torch.ones(3)}, folder / "model.safetensors")
    (folder / name).write_bytes(SYSTEM)
    done = CliRunner().invoke(main, ["scan", str(tmp_path), "--quiet"])

    assert done.exit_code == 1
    assert f"unsafe: {folder}/{name} asks for os.system" in done.stdout
    assert "clean" not in done.stdout


@pytest.mark.parametrize("name", ["training_args.bin", "objects.pickle", "cache.dill"])
@pytest.mark.parametrize("command", ["scan", "analyze"])
def test_a_pickle_that_is_named_alone_tells_its_payload(tmp_path: Path, name: str, command: str) -> None:
    (tmp_path / name).write_bytes(SYSTEM)
    done = CliRunner().invoke(main, [command, str(tmp_path / name)])

    assert done.exit_code == (1 if command == "scan" else 0)
    assert f"{name} asks for os.system" in done.stdout
    assert "no reader knows" not in done.stdout


def test_files_are_named_as_the_user_named_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "out" / "checkpoint-5"
    folder.mkdir(parents=True)
    save_file({"a": torch.ones(3)}, folder / "model.safetensors")
    (folder / "training_args.bin").write_bytes(b"\x80\x02}.")
    monkeypatch.chdir(tmp_path)
    named, absolute = (CliRunner().invoke(main, ["scan", str(place)]).stdout for place in ("out/checkpoint-5", folder))

    assert "incomplete: out/checkpoint-5 has no trainer_state.json" in named
    assert f"incomplete: {folder} has no trainer_state.json" in absolute
