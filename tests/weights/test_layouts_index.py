"""Shard indexes are a stranger's text: nothing that they name outside of the run is opened."""

import json
import os
from pathlib import Path

import pytest

from forensics.model import Checkpoint
from weights.checkpoint_files import only, statements

HEADER = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
SAFE = len(HEADER).to_bytes(8, "little") + HEADER + b"\0\0\x80\x3f"


def indexed(run: Path, shard: object) -> Checkpoint:
    """Return the checkpoint of an index that names a good shard and another one."""
    run.mkdir(exist_ok=True)
    (run / "model-00001-of-00002.safetensors").write_bytes(SAFE)
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": shard}}
    (run / "model.safetensors.index.json").write_text(json.dumps(index))
    return only(run)


@pytest.mark.parametrize(
    "shard", ["../secret.safetensors", "/etc/passwd", "/proc/self/environ", "x/../../secret.safetensors", "..\\a"]
)
def test_a_path_that_leads_outside_is_refused(tmp_path: Path, shard: str) -> None:
    (tmp_path / "secret.safetensors").write_bytes(SAFE)
    checkpoint = indexed(tmp_path / "run", shard)

    assert len(statements(checkpoint, "suspicious")) == 1
    assert "leads outside the run folder" in statements(checkpoint, "suspicious")[0]
    assert [record.name for record in checkpoint.records] == ["a"]


def test_a_link_that_leads_outside_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.safetensors").write_bytes(SAFE)
    run = tmp_path / "run"
    run.mkdir()
    (run / "model-00002-of-00002.safetensors").symlink_to(tmp_path / "secret.safetensors")
    checkpoint = indexed(run, "model-00002-of-00002.safetensors")

    assert "a link that leads outside the run folder" in statements(checkpoint, "suspicious")[0]
    assert [record.name for record in checkpoint.records] == ["a"]


def test_a_fifo_is_refused_and_does_not_block(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    os.mkfifo(run / "model-00002-of-00002.safetensors")
    checkpoint = indexed(run, "model-00002-of-00002.safetensors")

    assert "is not a regular file" in statements(checkpoint, "suspicious")[0]


def test_a_missing_shard_makes_the_checkpoint_incomplete(tmp_path: Path) -> None:
    checkpoint = indexed(tmp_path, "model-00002-of-00002.safetensors")

    assert statements(checkpoint, "incomplete") == ["1 of 2 shards are missing: model-00002-of-00002.safetensors"]


@pytest.mark.parametrize("shard", [None, 7, ["a"], {"a": 1}])
def test_an_entry_that_is_no_text_is_told(tmp_path: Path, shard: object) -> None:
    checkpoint = indexed(tmp_path, shard)

    assert "1 of 2 entries of the weight_map" in statements(checkpoint, "damaged")[0]


@pytest.mark.parametrize("text", ["[]", "{", '{"weight_map": 3}', ""])
def test_an_index_that_is_none_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "model-00001-of-00001.safetensors").write_bytes(SAFE)
    (tmp_path / "model.safetensors.index.json").write_text(text)

    assert statements(only(tmp_path)) != []
