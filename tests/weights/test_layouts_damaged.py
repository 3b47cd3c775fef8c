"""Any prefix and any flipped byte of any checkpoint fixture: a typed error inside, a problem or a right result outside.

`find_checkpoints` and the scan never raise because of a file, and what is cut off is told.
"""

import random
import shutil
from pathlib import Path

import pytest

from forensics.discovery.discover import discover
from forensics.errors import NothingReadableError
from forensics.model import Checkpoint
from forensics.weights import examine_checkpoints, find_checkpoints
from forensics.weights.inspection import scan
from weights.checkpoint_files import FIXTURES

ALIKE = ("zero/norm", "zero/layers", "zero/head", "verl-fsdp/save/global_step_3/actor/optim_world_size_2_rank_1")
"""Files of a save that are read like others of it."""
FILES = sorted(
    p
    for p in FIXTURES.rglob("save/**/*")
    if p.is_file() and p.stat().st_size > 64 and not any(part in str(p) for part in ALIKE)
)
FLIPS = 6
PREFIXES = 4


def case_of(file: Path) -> Path:
    return FIXTURES / file.relative_to(FIXTURES).parts[0]


def shown(file: Path) -> str:
    return str(file.relative_to(FIXTURES))


def examined(folder: Path) -> tuple[Checkpoint, ...]:
    checkpoints, _ = find_checkpoints(discover(folder).artifacts, loose=True)
    return examine_checkpoints(folder, checkpoints, "full")[0]


@pytest.fixture
def copied(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Copy the whole save that a file belongs to, and return the copy of the file."""
    file: Path = request.param
    shutil.copytree(case_of(file) / "save", tmp_path / "save")
    return tmp_path / "save" / file.relative_to(case_of(file) / "save")


@pytest.mark.parametrize("copied", FILES, ids=shown, indirect=True)
def test_no_flipped_byte_raises(copied: Path, tmp_path: Path) -> None:
    raw = copied.read_bytes()
    chance = random.Random(str(copied.name))
    for position in chance.sample(range(len(raw)), min(FLIPS, len(raw))):
        changed = bytearray(raw)
        changed[position] ^= 1 << chance.randrange(8)
        copied.write_bytes(changed)
        for checkpoint in examined(tmp_path / "save"):
            assert checkpoint.table is None or len(checkpoint.table) == len(checkpoint.records)


@pytest.mark.parametrize("copied", FILES, ids=shown, indirect=True)
def test_a_prefix_is_told_and_raises_nothing(copied: Path, tmp_path: Path) -> None:
    """A file that is cut costs a problem, a skip, or tensors that are no longer listed."""
    raw = copied.read_bytes()
    whole = examined(tmp_path / "save")
    chance = random.Random(str(copied.name))
    for size in sorted(chance.sample(range(len(raw)), PREFIXES)):
        copied.write_bytes(raw[:size])
        found = examined(tmp_path / "save")
        told = [problem for checkpoint in found for problem in checkpoint.problems]
        if copied.suffix in {".pt", ".distcp", ".safetensors", ".bin", ".ckpt", ".metadata"}:
            fewer = sum(len(c.records) for c in found) < sum(len(c.records) for c in whole)
            assert told or fewer, size


def test_scan_of_a_folder_with_rubbish_only_is_one_error(tmp_path: Path) -> None:
    for name in (".metadata", "__0_0.distcp", "common.pt"):
        (tmp_path / name).write_bytes(random.Random(name).randbytes(999))
    try:
        checkpoints, _ = scan(tmp_path)
    except NothingReadableError:
        return

    assert all(checkpoint.problems for checkpoint in checkpoints)


def test_a_file_of_holes_is_damage_and_is_not_read(tmp_path: Path) -> None:
    """A terabyte that the file system never kept is told at once."""
    header = b'{"w":{"dtype":"U8","shape":[1000000000000],"data_offsets":[0,1000000000000]}}'
    path = tmp_path / "model.safetensors"
    with path.open("wb") as stream:
        stream.write(len(header).to_bytes(8, "little") + header)
        stream.truncate(8 + len(header) + 10**12)
    if path.stat().st_blocks * 512 >= 10**12:
        pytest.skip("the file system keeps no holes")

    (checkpoint,), _ = scan(path)

    assert checkpoint.records == ()
    assert "is sparse: 1,000 GB declared" in checkpoint.problems[0].statement
