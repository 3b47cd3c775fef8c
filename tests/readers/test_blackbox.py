"""Records as the black box writes them, and as disks and copies leave them. No torch is needed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forensics.model import Artifact, Recording, Samples, Setting, Skip
from forensics.readers.blackbox import blackbox
from forensics.recorder.files import Files
from forensics.recorder.layout import COLUMNS

NAME = "rank00000-1790000000-1"


def write(folder: Path, rows: int = 3, **changes: Any) -> Files:
    """Write a record of two tensors with the recorder's own files."""
    files = Files(str(folder), NAME, 2)
    tensors = [{"name": n, "shape": [4], "dtype": "float32", "local": [4], "probe": [1, 4]} for n in ("a", "b")]
    meta = {
        "format": "blackbox", "version": 1, "columns": list(COLUMNS), "rank": 0, "world": 1, "start": 1.79e9,
        "kind": "single", "reduced_read": "step", "accumulates": True, "backward_order": [1, 0], "tensors": tensors,
        "versions": {"torch": "2.13.0", "numpy": None}, "ds_config": None,
    }  # fmt: skip
    files.write_json(".meta.json", meta | changes)
    for seq in range(1, rows + 1):
        row = np.zeros((), files.dtype)
        row["seq"], row["step"], row["x"][:, 0], row["x"][:, 7] = seq, seq, 3.0, 1 | 2 | 8 | 32
        files.write_row(row, ring=True)
        files.write_line(
            seq - 1, {"step": seq, "loss": "nan" if seq == 3 else 2.0, "lr": [1e-3], "ids_crc": ["aa"], "time": 5.0}
        )
    files.close()
    return files


def read(folder: Path, suffix: str = ".meta.json") -> list[Any]:
    return list(blackbox.read(Artifact(folder, NAME + suffix, 1, 0.0)))


def only(facts: list[Any]) -> Recording:
    (recording,) = [fact for fact in facts if isinstance(fact, Recording)]
    return recording


def test_rows_lines_and_meta_become_columns(tmp_path: Path) -> None:
    write(tmp_path)
    facts = read(tmp_path)
    recording = only(facts)

    assert (recording.steps.tolist(), recording.names, recording.order.tolist()) == ([1, 2, 3], ("a", "b"), [1, 0])
    assert (recording.bad_losses.tolist(), recording.rates.tolist()) == ([False, False, True], [1e-3] * 3)
    assert recording.batches == {1: ("aa",), 2: ("aa",), 3: ("aa",)}
    samples = {fact.name: fact.values.tolist() for fact in facts if isinstance(fact, Samples)}
    assert samples["recorded_grad_norm"] == [pytest.approx(3 * 2**0.5)] * 3
    assert samples["recorded_learning_rate"] == [1e-3] * 3
    settings = {fact.name: fact.value for fact in facts if isinstance(fact, Setting)}
    assert settings == {"torch": "2.13.0", "world_size": 1}


def test_the_engine_tells_its_stage(tmp_path: Path) -> None:
    write(tmp_path, kind="zero12", ds_config={"partition_gradients": True, "overlap_comm": False})
    settings = {fact.name: fact.value for fact in read(tmp_path) if isinstance(fact, Setting)}

    assert (settings["zero_optimization.stage"], settings["zero_optimization.overlap_comm"]) == (2, False)
    assert "recorded_grad_norm" not in {fact.name for fact in read(tmp_path) if isinstance(fact, Samples)}


def test_files_beside_meta_say_nothing_of_their_own(tmp_path: Path) -> None:
    write(tmp_path)

    assert read(tmp_path, ".ring.npy") == read(tmp_path, ".steps.jsonl") == []
    (tmp_path / f"{NAME}.meta.json").unlink()
    assert isinstance(read(tmp_path, ".ring.npy")[0], Skip)


def test_a_torn_row_is_left_out_and_told(tmp_path: Path) -> None:
    files = write(tmp_path)
    with (tmp_path / f"{NAME}.ring.npy").open("r+b") as ring:
        ring.seek(files.ring.head + files.dtype.itemsize + 60)
        ring.write(b"torn")
    facts = read(tmp_path)

    assert only(facts).steps.tolist() == [1, 3]
    assert [fact.reason for fact in facts if isinstance(fact, Skip)] == ["1 rows do not match their check sum"]


def test_a_cut_line_is_left_out(tmp_path: Path) -> None:
    write(tmp_path)
    log = tmp_path / f"{NAME}.steps.jsonl"
    log.write_bytes(log.read_bytes()[:-20] + b"\nno json\n[1]\n")

    assert only(read(tmp_path)).batches == {1: ("aa",), 2: ("aa",)}


@pytest.mark.parametrize("suffix", [".ring.npy", ".thin.npy", ".steps.jsonl"])
def test_what_is_missing_or_cut_is_a_skip_and_no_error(tmp_path: Path, suffix: str) -> None:
    write(tmp_path)
    file = tmp_path / (NAME + suffix)
    file.write_bytes(file.read_bytes()[:50])
    assert len(only(read(tmp_path)).names) == 2
    file.unlink()
    assert len(only(read(tmp_path)).names) == 2


@pytest.mark.parametrize(
    "changes",
    [{"format": "x"}, {"version": 2}, {"columns": []}],
    ids=["another format", "another version", "other columns"],
)
def test_what_is_not_this_format_is_a_skip(tmp_path: Path, changes: dict[str, Any]) -> None:
    write(tmp_path, **changes)

    assert [type(fact) for fact in read(tmp_path)] == [Skip]


def test_meta_that_lies_about_its_tensors_is_refused(tmp_path: Path) -> None:
    from forensics.errors import MalformedError

    write(tmp_path, tensors=[])
    with pytest.raises(MalformedError):
        read(tmp_path)
    meta = json.loads((tmp_path / f"{NAME}.meta.json").read_text())
    (tmp_path / f"{NAME}.meta.json").write_text(json.dumps(meta | {"tensors": [{}] * 3}))
    facts = read(tmp_path)
    assert len(only(facts)) == 0
    assert "other columns than its meta.json" in next(f.reason for f in facts if isinstance(f, Skip))
