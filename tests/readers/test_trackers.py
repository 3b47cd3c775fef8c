"""Comet, SwanLab, Trackio, MLflow's database, Aim, `args.json`: exact values, steps, sources, and damage told.

The layouts are those that comet_ml 3.58.8, swanlab 0.7.20 (version 1) and 0.10.3 (version 2), trackio 0.43.0 and
mlflow-skinny 3.17.2 wrote; ms-swift's and Aim's are made by their source.
"""

import io
import json
import sqlite3
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import forensics
from forensics.errors import ForensicsError, MalformedError
from forensics.formats.sqlite_tables import opened
from forensics.investigate import read
from forensics.model import Events, Samples, Skip
from forensics.readers.aim import aim
from forensics.readers.comet_offline import comet_offline
from forensics.readers.mlflow_database import mlflow_database
from forensics.readers.swanlab import swanlab_config, swanlab_log, swanlab_metadata
from forensics.readers.swift_args import swift_args
from forensics.readers.trackio import trackio
from readers.reading import artifact_of, facts_of, samples_of, settings_of, skips_of

NAN = float("nan")


def table_of(samples: Samples) -> list[tuple[int, float, int]]:
    rows = zip(samples.steps.tolist(), samples.values.tolist(), samples.records.tolist(), strict=True)
    return [(step, None if np.isnan(value) else value, record) for step, value, record in rows]  # type: ignore[misc]  # NaN as None


def message(kind: str, **payload: object) -> dict[str, object]:
    return {"payload": payload, "type": kind}


def metric(name: str, value: object, step: int | None, epoch: float | None = None, **more: object) -> dict[str, object]:
    held = {"epoch": epoch, "metricName": name, "metricValue": value, "step": step}
    return message("metric_msg", local_timestamp=1795467623843, metric=held, **more)


COMET = [
    message("installed_packages", installed_packages=["torch==2.13.0+cu126", "transformers==4.48.0"]),
    message("system_details", python_version="3.11.7", os="Linux-6.1", command=["train.py", "--lr", "1e-5"]),
    message("gpu_static_info", gpu_static_info=[{"name": "NVIDIA H100"}, {"name": "NVIDIA H100"}]),
    metric("sys.cpu.percent.avg", 0.5, None),
    message("parameter_msg", param={"paramName": "model|model_type", "paramValue": "llama", "source": "manual"}),
    message("parameter_msg", param={"paramName": "args/bf16", "paramValue": True, "source": "manual"}),
    message("parameter_msg", param={"paramName": "curr_step", "paramValue": 10, "source": "auto-logged"}),
    metric("train/loss", 2.5, 10, 0.1),
    metric("train/loss", "NaN", 20, 0.2),
    metric("grad_norm", 0.5, 10, context="train"),
    message("standard_output", output="torch.OutOfMemoryError: CUDA out of", stderr=True),
    message("standard_output", output=" memory. Tried to allocate 2.00 GiB.\n", stderr=True),
]
KEY = "8fa33b149e4a4dfb81cda64022f29352"


def comet_archive(messages: list[dict[str, object]], method: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("experiment.json", json.dumps({"offline_id": KEY}))
        archive.writestr("messages.json", "".join(json.dumps(m) + "\n" for m in messages))
    return out.getvalue()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_comet_metrics_have_values_steps_epochs_and_messages(method: int, tmp_path: Path) -> None:
    facts = facts_of(comet_offline, tmp_path, f"{KEY}.zip", comet_archive(COMET, method))
    samples = samples_of(facts)
    loss = samples["loss"]

    assert sorted(samples) == ["grad_norm", "loss"]
    assert table_of(loss) == [(10, 2.5, 8), (20, None, 9)]
    assert loss.epochs is not None
    assert loss.epochs.tolist() == [0.1, 0.2]
    assert loss.wall_times is not None
    assert loss.wall_times.tolist() == [1795467623.843] * 2
    assert (loss.path, loss.place) == (f"{KEY}.zip", "message {}")


def test_comet_parameters_packages_hardware_and_console(tmp_path: Path) -> None:
    facts = facts_of(comet_offline, tmp_path, f"{KEY}.zip", comet_archive(COMET))
    told = {(group, name): (value, place) for group, name, value, place, _ in settings_of(facts)}
    kinds = {fact.kind: fact.place for fact in facts if isinstance(fact, Events)}

    assert told["package", "torch"] == ("2.13.0+cu126", "message 1")
    assert told["package", "python"] == ("3.11.7", "message 2")
    assert told["hardware", "gpu_count"] == (2, "message 3")
    assert told["command", "launch"] == ("train.py --lr 1e-5", "message 2")
    assert told["setting", "model.model_type"] == ("llama", "message 5")
    assert told["setting", "bf16"] == (True, "message 6")
    assert ("setting", "curr_step") not in told
    assert kinds["out-of-memory"].startswith("console line")


def test_comet_is_read_in_place_and_named_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the archive in a folder nor the archive by itself is unpacked to a disk."""
    (tmp_path / f"{KEY}.zip").write_bytes(comet_archive(COMET))
    monkeypatch.setattr("tempfile.TemporaryDirectory", lambda **_: pytest.fail("unpacked"))

    assert read(tmp_path).timeline["loss"].steps.tolist() == [10, 20]
    assert read(tmp_path / f"{KEY}.zip").timeline["loss"].steps.tolist() == [10, 20]


def test_another_archive_is_no_experiment(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("messages.json", "[1, 2]\nno json\n")

    assert skips_of(facts_of(comet_offline, tmp_path, f"{KEY}.zip", out.getvalue())) == [
        (f"{KEY}.zip", "an archive without the messages of a Comet experiment")
    ]


def test_lines_that_are_no_messages_are_counted(tmp_path: Path) -> None:
    text = json.dumps(metric("loss", 1.0, 1)) + "\nnot json\n[]\n"

    assert skips_of(facts_of(comet_offline, tmp_path, "messages.json", text)) == [
        ("messages.json", "2 messages are no JSON objects")
    ]


def framed(records: list[bytes], version: int) -> bytes:
    """Frame records as `swanlab/sdk/internal/core_python/store` does: no record here crosses a block."""
    out = b":SWL\xd6\xe1" + bytes([version])
    for payload in records:
        out += struct.pack("<IHB", zlib.crc32(b"\x01" + payload), len(payload), 1) + payload
    return out


def json_scalar(key: str, step: int, data: object) -> bytes:
    held = {"index": step, "data": data, "create_time": "2026-11-23T21:04:38.985104+00:00"}
    return json.dumps({"model_type": "Scalar", "data": {"metric": held, "key": key, "step": step, "epoch": 1}}).encode()


def json_log(text: str) -> bytes:
    return json.dumps({"model_type": "Log", "data": {"message": text, "epoch": 1, "level": "INFO"}}).encode()


FOOTER = b'{"model_type": "Footer", "data": {"success": true, "create_time": "2026-11-23T21:04:39+00:00"}}\n'
JSON_LOG = [
    b'{"model_type": "Header", "data": {"backup_type": "DEFAULT"}}\n',
    json_scalar("train/loss", 10, 2.5),
    json_scalar("__swanlab__.cpu.pct", 0, 100.0),
    json_scalar("train/loss", 20, "NaN"),
    json_log("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."),
    FOOTER,
]
PROTOBUF_LOG = [
    # As swanlab 0.10.3 wrote them: train/loss 2.5 at step 10, NaN at step 30, and the end of the run.
    bytes.fromhex(
        "080c120c08e6d292d806109 0c49e8201".replace(" ", "")
        + "6a290a0a747261696e2f6c6f7373100a1801220c08e6d292d80610c0fc8981012a09090000000000000440"
    ),
    bytes.fromhex(
        "0811120c08e6d292d8061080eaa18201"
        "6a290a0a747261696e2f6c6f7373101e1801220c08e6d292d80610b8b19581012a0909000000000000f87f"
    ),
    bytes.fromhex(
        "08feffffffffffffffff01120c08e6d292d80610d8f3b082015a100801 1a0c08e6d292d8061088eaae8201".replace(" ", "")
    ),
]


@pytest.mark.parametrize("version", [0, 1])
def test_swanlab_logs_of_json_records(version: int, tmp_path: Path) -> None:
    facts = facts_of(swanlab_log, tmp_path, "run-1/backup.swanlab", framed(JSON_LOG, version))
    samples = samples_of(facts)
    walls = samples["loss"].wall_times

    assert sorted(samples) == ["loss"]
    assert table_of(samples["loss"]) == [(10, 2.5, 2), (20, None, 4)]
    assert walls is not None
    assert walls.tolist() == pytest.approx([1795467878.985104] * 2, abs=1e-6)
    assert settings_of(facts) == [("setting", "swanlab.status", "finished", "", "RECORDED")]
    assert {fact.kind for fact in facts if isinstance(fact, Events)} == {"out-of-memory"}


def test_swanlab_logs_of_protobuf_records(tmp_path: Path) -> None:
    facts = facts_of(swanlab_log, tmp_path, "run-1/run-1.swanlab", framed(PROTOBUF_LOG, 2))
    loss = samples_of(facts)["loss"]

    assert table_of(loss) == [(10, 2.5, 1), (30, None, 2)]
    assert loss.wall_times is not None
    assert loss.wall_times[0] == pytest.approx(1795467622.270696, abs=1e-6)
    assert settings_of(facts)[0][2] == "finished"


def test_a_swanlab_log_that_was_cut_off_has_no_end(tmp_path: Path) -> None:
    facts = facts_of(swanlab_log, tmp_path, "a.swanlab", framed(JSON_LOG, 1)[: -len(FOOTER) + 5])

    assert settings_of(facts)[0][2] == "no end record"
    assert table_of(samples_of(facts)["loss"]) == [(10, 2.5, 2), (20, None, 4)]
    assert len(skips_of(facts)) == 1


@pytest.mark.parametrize("head", [b":SWL\xd6\xe1\x03", b"SQLite format 3\0", b":W&B\xe1\xbe\x00"])
def test_an_unknown_version_of_swanlab_is_named(head: bytes, tmp_path: Path) -> None:
    with pytest.raises(MalformedError, match=r"version 3|0\.5 or older|no log of SwanLab"):
        facts_of(swanlab_log, tmp_path, "a.swanlab", head + bytes(100))


@settings(max_examples=60, deadline=None)
@given(at=st.integers(7, 900), value=st.integers(0, 255))
def test_a_changed_byte_of_a_swanlab_log_never_invents_a_value(
    at: int, value: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = bytearray(framed(JSON_LOG, 1))
    data[min(at, len(data) - 1)] = value
    facts = facts_of(swanlab_log, tmp_path_factory.mktemp("s"), "a.swanlab", bytes(data))
    loss = samples_of(facts).get("loss")

    assert loss is None or set(table_of(loss)) <= {(10, 2.5, 2), (10, 2.5, 1), (20, None, 4), (20, None, 3)}


def test_the_files_beside_a_swanlab_log(tmp_path: Path) -> None:
    config = "learning_rate:\n  desc: ''\n  sort: 0\n  value: 1.0e-05\n"
    metadata = {
        "hardware": {"accelerators": [{"name": "NVIDIA H100"}]},
        "runtime": {"os": "Linux", "python_version": "3.11.7", "command": "train.py --lr 1e-5"},
        "swanlab": {"version": "0.10.3"},
    }
    folder = "run-20261123_210022-21g4nfme/files"
    told = settings_of(facts_of(swanlab_config, tmp_path, f"{folder}/config.yaml", config))
    other = settings_of(facts_of(swanlab_metadata, tmp_path, f"{folder}/swanlab-metadata.json", json.dumps(metadata)))

    assert told == [("setting", "learning_rate", 1e-05, "learning_rate", "RECORDED")]
    assert [(group, name, value) for group, name, value, _, _ in other] == [
        ("package", "python", "3.11.7"),
        ("package", "swanlab", "0.10.3"),
        ("hardware", "os", "Linux"),
        ("hardware", "gpu", "NVIDIA H100"),
        ("hardware", "gpu_count", 1),
        ("command", "launch", "train.py --lr 1e-5"),
    ]


TRACKIO = """
CREATE TABLE metrics (id INTEGER PRIMARY KEY, run_id TEXT NOT NULL, timestamp TEXT NOT NULL, run_name TEXT NOT NULL,
    step INTEGER NOT NULL, metrics TEXT NOT NULL);
CREATE TABLE configs (id INTEGER PRIMARY KEY, run_id TEXT, run_name TEXT, config TEXT, created_at TEXT);
INSERT INTO metrics VALUES (1, 'x', '2026-11-23T21:00:21+00:00', 'old', 5, '{"train/loss":9.0}');
INSERT INTO metrics VALUES (2, 'y', '2026-11-23T22:00:21+00:00', 'new', 10, CAST('{"train/loss":2.5}' AS BLOB));
INSERT INTO metrics VALUES (3, 'y', '2026-11-23T22:00:22+00:00', 'new', 20, '{"train/loss":"NaN","note":"x"}');
INSERT INTO metrics VALUES (4, 'y', '2026-11-23T22:00:23+00:00', 'new', 20, '{"eval/loss":"-Infinity"}');
INSERT INTO metrics VALUES (5, 'y', '2026-11-23T22:00:24+00:00', 'new', 30, 'no json');
INSERT INTO configs VALUES (1, 'x', 'old', '{"bf16":false}', '');
INSERT INTO configs VALUES (2, 'y', 'new', '{"bf16":true,"_Username":"someone"}', '');
"""
MLFLOW = """
CREATE TABLE runs (run_uuid TEXT, name TEXT, status TEXT, start_time INTEGER);
CREATE TABLE latest_metrics (key TEXT, value REAL);
CREATE TABLE metrics (key TEXT, value REAL, timestamp INTEGER, run_uuid TEXT, step INTEGER, is_nan INTEGER);
CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT);
INSERT INTO runs VALUES ('a', 'first', 'FINISHED', 1), ('b', 'second', 'RUNNING', 2);
INSERT INTO metrics VALUES ('loss', 9.0, 1000, 'a', 1, 0), ('loss', 2.5, 2000, 'b', 10, 0),
    ('loss', 0, 3000, 'b', 20, 1), ('loss', -1.7976931348623157e308, 4000, 'b', 30, 0);
INSERT INTO params VALUES ('learning_rate', '1e-05', 'b'), ('bf16', 'True', 'b'), ('bf16', 'False', 'a');
"""


def database(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()
    return path


def test_trackio_rows_of_the_newest_run(tmp_path: Path) -> None:
    data = database(tmp_path / "made.db", TRACKIO).read_bytes()
    facts = facts_of(trackio, tmp_path, "trackio/tiny.db", data)
    samples = samples_of(facts)

    assert table_of(samples["loss"]) == [(10, 2.5, 2), (20, None, 3)]
    assert table_of(samples["eval_loss"]) == [(20, -np.inf, 4)]
    assert settings_of(facts) == [("setting", "bf16", True, "configs row 2", "RECORDED")]
    assert skips_of(facts) == [
        ("trackio/tiny.db, run old", "another run; new, the newest, was read"),
        ("trackio/tiny.db", "1 rows of metrics are no JSON objects"),
    ]


def test_rows_in_the_write_ahead_log_are_read_and_nothing_is_written(tmp_path: Path) -> None:
    """A database whose writer was killed has its newest rows in `-wal`; they are read from a private copy."""
    path = tmp_path / "run" / "trackio" / "tiny.db"
    database(path, TRACKIO)
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("INSERT INTO metrics VALUES (6, 'y', '2026-11-23T22:01:00', 'new', 40, '{\"train/loss\":1.5}')")
    killed = tmp_path / "killed" / "trackio"
    killed.mkdir(parents=True)
    for file in path.parent.iterdir():
        if not file.name.endswith("-shm"):
            (killed / file.name).write_bytes(file.read_bytes())
    writer.close()
    before = {file.name: file.read_bytes() for file in killed.iterdir()}
    found = read(killed.parent).timeline["loss"]

    assert found.steps.tolist() == [10, 20, 40]
    assert {file.name: file.read_bytes() for file in killed.iterdir()} == before


def test_mlflow_rows_of_the_newest_run(tmp_path: Path) -> None:
    data = database(tmp_path / "made.db", MLFLOW).read_bytes()
    facts = facts_of(mlflow_database, tmp_path, "mlflow.db", data)
    told = [(name, value) for _, name, value, _, _ in settings_of(facts)]

    assert table_of(samples_of(facts)["loss"]) == [(10, 2.5, 2), (20, None, 3), (30, -np.inf, 4)]
    assert told == [("mlflow.status", "running"), ("bf16", True), ("learning_rate", 1e-05)]
    assert skips_of(facts) == [("mlflow.db, run first", "another run; second, the newest, was read")]


def test_a_database_of_something_else_is_named(tmp_path: Path) -> None:
    data = database(tmp_path / "made.db", "CREATE TABLE cookies (a TEXT)").read_bytes()

    assert skips_of(facts_of(trackio, tmp_path, "a.db", data)) == [
        ("a.db", "an SQLite database of no tracker that is known; its tables: cookies")
    ]
    assert facts_of(mlflow_database, tmp_path, "b.db", data) == []


def test_a_view_is_never_asked(tmp_path: Path) -> None:
    script = "CREATE TABLE base (a TEXT); CREATE VIEW metrics AS SELECT a AS metrics, a AS run_name FROM base;"
    with opened(database(tmp_path / "a.db", script)) as found:
        assert list(found.tables) == ["base"]
        assert list(found.rows("metrics", ("metrics",), "", 10)) == []


@settings(max_examples=40, deadline=None)
@example(at=3799, value=b"\x80", size=8193)  # a column's name that is no UTF-8
@given(at=st.integers(0, 12_000), value=st.binary(min_size=1, max_size=40), size=st.integers(0, 13_000))
def test_a_damaged_database_is_a_typed_error(
    at: int, value: bytes, size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("d")
    data = bytearray(database(folder / "made.db", TRACKIO).read_bytes())
    data[at : at + len(value)] = value
    try:
        found = facts_of(trackio, folder, "a.db", bytes(data[:size]))
    except ForensicsError:
        return
    assert isinstance(found, list)


def test_aim_is_named_and_its_marker_told(tmp_path: Path) -> None:
    data = database(
        tmp_path / "made.db",
        "CREATE TABLE run (id INTEGER, hash TEXT, name TEXT); INSERT INTO run VALUES (1, 'abc', 'first')",
    ).read_bytes()
    (skip,) = facts_of(aim, tmp_path, ".aim/run_metadata.sqlite", data)
    marker = facts_of(aim, tmp_path, ".aim/meta/progress/abc", "x")

    assert isinstance(skip, Skip)
    assert "RocksDB" in skip.reason
    assert skip.reason.endswith("it holds 1 runs: first")
    assert settings_of(marker) == [("setting", "aim.status", "in progress", "", "RECORDED")]


def test_an_aim_repository_is_one_place_and_its_databases_are_no_logs(tmp_path: Path) -> None:
    """The files that aim 3.29.1 writes: RocksDB's own logs make neither runs nor series."""
    for name in ("meta/chunks/4f15/000008.log", "meta/index/000005.log", "seqs/chunks/4f15/000008.log"):
        path = tmp_path / ".aim" / name
        path.parent.mkdir(parents=True)
        path.write_text("{'loss': 1.0, 'epoch': 0.1}\n")
    (tmp_path / ".aim" / "VERSION").write_text("0.1.0\n")
    (tmp_path / "train.log").write_text("{'loss': 2.0, 'epoch': 0.1}\n{'loss': 1.5, 'epoch': 0.2}\n")
    run = forensics.read(tmp_path)

    assert run.frame()["value"].tolist()[:2] == [2.0, 1.5]
    assert {"train.log"} == set(run.frame()["source"])
    assert any("RocksDB" in skip.reason for skip in run.skips)


def test_arguments_of_ms_swift(tmp_path: Path) -> None:
    held = {
        "swift_version": "3.8.1",
        "learning_rate": 1e-4,
        "global_world_size": 8,
        "rank": 0,
        "lora_target_modules": ["q", "v"],
        "hub_token": "hf_abcdefghijklmnopqrstuvwxyz",
    }
    facts = facts_of(swift_args, tmp_path, "v0-1/args.json", json.dumps(held))

    assert [(group, name, value) for group, name, value, _, _ in settings_of(facts)] == [
        ("package", "ms-swift", "3.8.1"),
        ("setting", "learning_rate", 1e-4),
        ("setting", "world_size", 8),
        ("setting", "lora_target_modules", "q, v"),
        ("setting", "hub_token", "<redacted>"),
    ]
    with pytest.raises(MalformedError):
        list(swift_args.read(artifact_of(tmp_path, "w/args.json", "[1]")))


def test_the_log_of_a_trackers_client_is_not_the_run(tmp_path: Path) -> None:
    """A traceback of SwanLab's or W&B's own client is no crash of the training."""
    text = (
        "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\nModuleNotFoundError: No module named 'b'\n"
    )
    for path in ("swanlog/run-20261123_210022-ab/debug/debug.log", "wandb/debug-internal.log", "logs/debug.log"):
        artifact_of(tmp_path, path, text)
    artifact_of(tmp_path, "train.log", "{'loss': 1.5, 'grad_norm': 0.1, 'learning_rate': 1e-05, 'epoch': 0.1}\n")
    run = read(tmp_path)

    assert not run.has("event traceback")
    assert [s.reason for s in run.skips if "debug" in s.what] == ["the log of the tracker's own client"] * 3
