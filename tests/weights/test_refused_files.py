"""What the library of a format refuses to load is not called clean, whatever the tensors that are left hold."""

import json
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors import SafetensorError
from safetensors.torch import load_file

from forensics import scan
from forensics.cli import main

FOUR = {"dtype": "F32", "shape": [4]}
HEADERS = {
    "whole": ('{"a": A, "b": B}', 32),
    "a hole": ('{"a": A, "b": C}', 48),
    "an overlap": ('{"a": A, "b": D}', 32),
    "bytes behind": ('{"a": A, "b": B}', 40),
    "a name twice": ('{"a": A, "a": A}', 16),
}
OFFSETS = {"A": [0, 16], "B": [16, 32], "C": [32, 48], "D": [8, 24]}


def loads(path: Path) -> bool:
    try:
        load_file(path)
    except SafetensorError:
        return False
    return True


@pytest.mark.parametrize("case", HEADERS)
def test_a_safetensors_file_that_the_library_does_not_open(case: str, tmp_path: Path) -> None:
    text, size = HEADERS[case]
    for letter, offsets in OFFSETS.items():
        text = text.replace(f" {letter}", " " + json.dumps({**FOUR, "data_offsets": offsets}))
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text.encode() + b"\x01" * size)
    (checkpoint,), _ = scan(path)

    assert checkpoint.status == ("clean" if loads(path) else "damaged")
    assert CliRunner().invoke(main, ["scan", str(path)]).exit_code == (0 if loads(path) else 1)


@pytest.mark.parametrize("instead", [b"J\xff\xff\xff\xff\x85", b"K\x01K\x01\x86", b"X\x01\x00\x00\x001\x85", None])
def test_a_torch_file_with_a_tensor_that_cannot_be(instead: bytes | None, tmp_path: Path) -> None:
    """A negative stride, two for one size, one that is a text; and the file as it was saved."""
    path = tmp_path / "pytorch_model.bin"
    torch.save({"good": torch.ones(2), "w": torch.ones(4)}, tmp_path / "saved")
    with zipfile.ZipFile(tmp_path / "saved") as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if instead is not None and name.endswith("data.pkl"):
                before, after = data.rsplit(b"K\x01\x85", 1)
                data = before + instead + after
            new.writestr(name, data)
    (checkpoint,), _ = scan(path)

    assert checkpoint.status == ("clean" if instead is None else "damaged")
    assert CliRunner().invoke(main, ["scan", str(path)]).exit_code == (instead is not None)


def test_a_torch_file_with_two_archives_in_it(tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    torch.save({"w": torch.ones(4)}, tmp_path / "saved")
    with zipfile.ZipFile(tmp_path / "saved") as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
            new.writestr(f"other/{name.partition('/')[2]}", old.read(name))
    with pytest.raises(RuntimeError):
        torch.load(path, weights_only=True)

    assert CliRunner().invoke(main, ["scan", str(path)]).exit_code == 1
    assert scan(path)[0][0].status == "damaged"


def test_what_could_not_be_examined_is_no_success(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    shape = [1] * 10_000
    text = json.dumps({"a": {"dtype": "F32", "shape": shape, "data_offsets": [0, 4]}})
    path.write_bytes(struct.pack("<Q", len(text)) + text.encode() + bytes(4))
    done = CliRunner().invoke(main, ["scan", str(path)])

    assert done.exit_code == 1
    assert "not examined" in done.stdout
    assert "suspicious" not in done.stdout
