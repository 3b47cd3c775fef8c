"""W&B: the transaction log, one written by wandb 0.31 offline and others made to the format, and the files."""

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from event_records import message, varint
from forensics.errors import MalformedError
from forensics.formats.wandb_log import BLOCK_BYTES, MAGIC
from forensics.model import Events, Fact, Precision, Samples
from forensics.names import Kind
from forensics.plugin import Reader
from forensics.readers.wandb_files import wandb_config, wandb_metadata, wandb_summary
from forensics.readers.wandb_offline import wandb_log
from readers.reading import facts_of, samples_of, settings_of, skips_of

NAME = "run-0p9ucopp.wandb"
REAL = (Path(__file__).parents[1] / "data/wandb" / NAME).read_bytes()


def chunk(kind: int, payload: bytes) -> bytes:
    return struct.pack("<IHB", zlib.crc32(bytes([kind]) + payload), len(payload), kind) + payload


def log_of(*records: bytes) -> bytes:
    """Frame records as the format says, splitting those that do not fit in a block."""
    made = bytearray(MAGIC)
    for record in records:
        rest, first = record, True
        while first or rest:
            room = BLOCK_BYTES - len(made) % BLOCK_BYTES
            if room < 7:
                made += bytes(room)
                continue
            part, rest = rest[: room - 7], rest[room - 7 :]
            made += chunk({(True, False): 1, (True, True): 2, (False, True): 3}.get((first, bool(rest)), 4), part)
            first = False
    return bytes(made)


def item(name: str, value: object, *, nested: bool = True) -> bytes:
    return message(2 if nested else 1, name.encode()) + message(16, json.dumps(value).encode())


def history(*, nested: bool = True, **values: object) -> bytes:
    return message(
        2, b"".join(message(1, item(name.replace("__", "/"), v, nested=nested)) for name, v in values.items())
    )


def read(data: bytes, root: Path) -> list[Fact]:
    return facts_of(wandb_log, root, NAME, data)


def found_of(facts: list[Fact]) -> dict[tuple[str, str], object]:
    return {(group, name): value for group, name, value, _, _ in settings_of(facts)}


def test_real_offline_log(tmp_path: Path) -> None:
    """A log that wandb 0.31 wrote offline gives every value at its global step, NaN and Inf included."""
    facts = read(REAL, tmp_path)
    samples = samples_of(facts)
    loss = samples["loss"]
    expected = [float("nan") if i == 10 else float("inf") if i == 11 else 2.0 / i for i in range(1, 13)]

    assert sorted(samples) == ["epoch", "eval_loss", "grad_norm", "learning_rate", "loss"]
    np.testing.assert_array_equal(expected, loss.values)
    assert loss.steps.tolist() == [10 * i for i in range(1, 13)]
    assert loss.records.tolist() == [15, 20, 25, 30, 35, 40, 48, 53, 58, 63, 68, 73]
    assert samples["eval_loss"].steps.tolist() == [60, 120]
    assert samples["learning_rate"].values.tolist() == [2e-5 * (1 - i / 12) for i in range(1, 13)]
    assert (loss.precision, loss.axis, loss.place) == (Precision.DOUBLE, "step", "record {}")
    assert loss.epochs is not None
    assert loss.epochs.tolist() == [i / 12 for i in range(1, 13)]
    assert loss.wall_times is not None
    assert bool(np.all(np.diff(loss.wall_times) > 0))


def test_real_offline_log_surroundings(tmp_path: Path) -> None:
    """Configuration, versions and the exit record of a real log; console text is only counted."""
    facts = read(REAL, tmp_path)
    (finished,) = [fact for fact in facts if isinstance(fact, Events)]

    assert found_of(facts) == {
        ("package", "wandb"): "0.31.0",
        ("package", "python"): "3.11.7",
        ("package", "transformers"): "4.57.1",
        ("setting", "learning_rate"): 2e-5,
        ("setting", "bf16"): True,
        ("setting", "output_dir"): "out",
        ("setting", "hub_token"): None,
        ("setting", "model.transformers_version"): "4.57.1",
        ("setting", "model.hidden_size"): 16,
        ("setting", "model.model_type"): "llama",
        ("setting", "model.num_parameters"): 1024,
        ("setting", "wandb.status"): "finished",
    }
    assert (finished.kind, finished.records.tolist()) == (Kind.TRAINING_FINISHED, [79])
    assert ["console text" in reason for _, reason in skips_of(facts)] == [True]


def test_killed_run(tmp_path: Path) -> None:
    """A log cut within a record gives what is whole before, tells the torn end, and has no exit record."""
    cut = REAL[: len(REAL) * 2 // 3]
    facts = read(cut, tmp_path)

    assert found_of(facts)["setting", "wandb.status"] == "no exit record"
    assert [fact for fact in facts if isinstance(fact, Events)] == []
    assert 0 < len(samples_of(facts)["loss"].steps) < 12
    assert "ends inside" in skips_of(facts)[0][1]


def test_failed_run(tmp_path: Path) -> None:
    """An exit code other than 0 is an event with that code."""
    facts = read(log_of(history(loss=1.0, _step=3), message(18, b"\x08" + varint(-9))), tmp_path)
    (failed,) = [fact for fact in facts if isinstance(fact, Events)]

    assert (failed.kind, failed.values.tolist(), failed.records.tolist()) == (Kind.SIGNAL, [-9.0], [2])
    assert found_of(facts)["setting", "wandb.status"] == "failed"


def test_records_that_straddle_blocks(tmp_path: Path) -> None:
    """Records split over several blocks, and blocks that end in padding, are joined again."""
    long = history(loss=1.5, note="x" * 100_000, _step=0)
    records = [history(loss=float(i), _step=i, pad="y" * (i * 37 % 500)) for i in range(1, 400)]
    samples = samples_of(read(log_of(long, *records), tmp_path))

    assert samples["loss"].values.tolist() == [1.5, *map(float, range(1, 400))]
    assert samples["loss"].records.tolist() == list(range(1, 401))


@pytest.mark.parametrize(
    ("records", "steps"),
    [
        (
            [history(loss=1, _step=0, train__global_step=10), history(loss=2, _step=1, train__global_step=20)],
            [10, 20],
        ),
        ([history(loss=1, _step=0, trainer__global_step=5), history(loss=2, _step=1)], [5, -1]),
        ([history(loss=1, _step=7), history(loss=2, _step=8)], [7, 8]),
        ([message(12, message(4, b"tokens/step")), history(loss=1, _step=0, tokens__step=4)], [4]),
        ([history(loss=1, _step=3, nested=False)], [3]),
        ([message(2, message(1, item("loss", 1)) + message(2, b"\x08\x06"))], [6]),
    ],
)
def test_x_axis(records: list[bytes], steps: list[int], tmp_path: Path) -> None:
    """Steps are the declared metric, else a global step that was logged, else the count of log calls."""
    assert samples_of(read(log_of(*records), tmp_path))["loss"].steps.tolist() == steps


def test_plain_numbers_in_history(tmp_path: Path) -> None:
    """Items that hold a number, a zigzag integer or "NaN" instead of a JSON number are read; text is no metric."""
    made = b"".join(
        message(1, message(1, name) + value)
        for name, value in (
            (b"number", b"\x31" + struct.pack("<d", 0.1)),
            (b"integer", b"\x28" + varint(5)),
            (b"text", message(7, b"abc")),
            (b"quoted", message(16, b'"NaN"')),
            (b"flag", b"\x20\x01"),
            (b"_step", message(16, b"2")),
        )
    )
    samples = samples_of(read(log_of(message(2, made)), tmp_path))

    assert {name: str(block.values[0]) for name, block in samples.items()} == {
        "number": "0.1",
        "integer": "-3.0",
        "quoted": "nan",
    }


def test_environment(tmp_path: Path) -> None:
    """The environment record gives Python, GPUs and the command; host, user and secrets are left out."""
    words = [b"--lr", b"2e-5", b"--hub_token", b"hf_secret", b"--wandb_api_key=abc"]
    made = message(2, b"CPython 3.10.15") + message(6, b"train.py") + message(12, b"host7") + message(13, b"ann")
    made += b"".join(message(5, word) for word in words) + message(18, b"NVIDIA A100") + b"\x98\x01\x08"
    made += message(25, b"12.4")
    found = found_of(read(log_of(message(26, made)), tmp_path))

    assert found["hardware", "gpu"] == "NVIDIA A100"
    assert found["hardware", "gpu_count"] == 8
    assert found["hardware", "driver_cuda"] == "12.4"
    assert found["package", "python"] == "3.10.15"
    assert found["command", "launch"] == "train.py --lr 2e-5 --hub_token <redacted> --wandb_api_key=<redacted>"
    assert "host7" not in str(found)
    assert "ann" not in str(found)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(REAL) - 1), st.integers(1, 255), st.booleans())
def test_any_damage(tmp_path: Path, at: int, change: int, cut: bool) -> None:
    """A cut or a changed byte anywhere gives a subset of the values, and a changed byte within is told."""
    data = REAL[:at] if cut else REAL[:at] + bytes([REAL[at] ^ change]) + REAL[at + 1 :]
    facts = read(data, tmp_path)
    whole = samples_of(read(REAL, tmp_path))
    told = [reason for _, reason in skips_of(facts) if "console" not in reason]

    assert cut or told
    for block in (fact for fact in facts if isinstance(fact, Samples)):
        known = dict(zip(whole[block.name].records.tolist(), whole[block.name].values.tolist(), strict=True))
        kept = dict(zip(block.records.tolist(), block.values.tolist(), strict=True))
        assert len(kept) <= len(known)
        if cut:
            np.testing.assert_array_equal([known[record] for record in kept], list(kept.values()))


def test_what_comes_after_a_bad_block(tmp_path: Path) -> None:
    """A damaged chunk costs the rest of its block; from the next block on records are read again."""
    data = bytearray(log_of(*(history(loss=float(i), _step=i, pad="z" * 900) for i in range(100))))
    data[500] ^= 1
    facts = read(bytes(data), tmp_path)
    values = samples_of(facts)["loss"].values.tolist()

    assert values == [float(i) for i in range(100 - len(values), 100)]
    assert 60 < len(values) < 70
    assert skips_of(facts)[0][1] == "the chunk at byte 7 fails its CRC: the rest of its block was not read"


def test_other_content(tmp_path: Path) -> None:
    """A file of another kind under this name is told, and content tells a log under another name."""
    assert "no W&B transaction log" in skips_of(read(b"hello world", tmp_path))[0][1]
    assert wandb_log.sniff is not None
    assert [wandb_log.sniff(REAL[:100]), wandb_log.sniff(b"hello")] == [True, False]


METADATA = {
    "os": "Linux-5.15.0-1064-azure-x86_64-with-glibc2.35",
    "python": "CPython 3.10.15",
    "program": "/src/train.py",
    "args": ["--bf16", "true"],
    "gpu": "NVIDIA A100-SXM4-80GB",
    "gpu_count": 8,
    "cudaVersion": "12.4",
    "host": "node01",
}


def test_metadata(tmp_path: Path) -> None:
    """`wandb-metadata.json` gives the platform, GPUs and the command line, recorded by the run itself."""
    facts = facts_of(wandb_metadata, tmp_path, "files/wandb-metadata.json", json.dumps(METADATA))

    assert settings_of(facts) == [
        ("package", "python", "3.10.15", "", "RECORDED"),
        ("hardware", "os", METADATA["os"], "", "RECORDED"),
        ("hardware", "gpu", "NVIDIA A100-SXM4-80GB", "", "RECORDED"),
        ("hardware", "gpu_count", 8, "", "RECORDED"),
        ("hardware", "driver_cuda", "12.4", "", "RECORDED"),
        ("command", "launch", "/src/train.py --bf16 true", "", "RECORDED"),
    ]


CONFIG = """wandb_version: 1

_wandb:
  desc: null
  value:
    cli_version: 0.19.1
    python_version: 3.10.15
    t:
      "4": 3.10.15
      "5": 0.19.1
      "6": 4.48.0
learning_rate:
  desc: null
  value: 2.0e-05
model_type:
  value: llama
deepspeed:
  value:
    zero_optimization:
      stage: 2
"""


def test_config(tmp_path: Path) -> None:
    """`config.yaml` is unwrapped; its telemetry names the versions of Python, W&B and Transformers."""
    path = "wandb/run-20250501_100000-ab12cd34/files/config.yaml"
    facts = facts_of(wandb_config, tmp_path, path, CONFIG)

    assert wandb_config.takes(path)
    assert not wandb_config.takes("config.yaml")
    assert found_of(facts) == {
        ("package", "python"): "3.10.15",
        ("package", "wandb"): "0.19.1",
        ("package", "transformers"): "4.48.0",
        ("setting", "learning_rate"): 2e-5,
        ("setting", "model.model_type"): "llama",
        ("setting", "zero_optimization.stage"): 2,
    }


def test_summary(tmp_path: Path) -> None:
    """Totals of a finished Trainer are samples at the last step; last values of unknown steps are settings."""
    summary = {"train/global_step": 120, "train/train_loss": 1.93, "train/loss": "NaN", "_step": 13, "_wandb": {}}
    facts = facts_of(wandb_summary, tmp_path, "files/wandb-summary.json", json.dumps(summary))
    (total,) = [fact for fact in facts if isinstance(fact, Samples)]

    assert (total.name, total.steps.tolist(), total.values.tolist()) == ("train_loss", [120], [1.93])
    assert found_of(facts) == {
        ("setting", "wandb.summary.train.global_step"): 120,
        ("setting", "wandb.summary.train.loss"): "NaN",
    }


@pytest.mark.parametrize("reader", [wandb_metadata, wandb_config, wandb_summary])
def test_other_documents(reader: Reader, tmp_path: Path) -> None:
    """A document that is no mapping is refused with a typed error."""
    with pytest.raises(MalformedError):
        facts_of(reader, tmp_path, "files/wandb", "[1, 2]")
