"""What somebody tried who knew the other classes: formats of neighbours, lies in lies, races, numbers that overflow."""

import gzip
import io
import json
import lzma
import os
import sqlite3
import struct
import tarfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from fuzz.hostile.assembled import (
    Member,
    call,
    mapping,
    name,
    numbers,
    pickled,
    storage,
    tensor,
    text,
    torch_zip,
    zipped,
)
from fuzz.hostile.case import Payload
from fuzz.hostile.inputs import Input, files, written
from fuzz.hostile.machine_cases import changed_while_read
from fuzz.hostile.text_cases import STEPS
from fuzz.hostile.weights_cases import safetensors

Contents = dict[str, bytes | Callable[[], bytes]]
HUGE = ("1e308", "-1e308", "1e999", "-1", "9" * 19, "9" * 5_000, "nan", "-9223372036854775808", "9223372036854775807")
"""Places in a run that overflow a float, an integer of 64 bits, and what Python turns into a number at all."""
TURNED = "\u2066\u202e\u200f\u061c\u2069"
"""Marks that turn the direction of a line, or hide in it."""


def _tensors() -> Iterator[tuple[str, Contents]]:
    sparse = call(
        name("torch._utils", "_rebuild_sparse_tensor"),
        name("torch", "sparse_coo"),
        b"(" + tensor(storage(kind="LongStorage")) + tensor() + numbers(1 << 60, 1 << 60) + b"\x88t",
    )
    quantised = call(
        name("torch._utils", "_rebuild_qtensor"),
        storage(kind="QInt8Storage"),
        numbers(0),
        numbers(-4),
        numbers(-1),
        b")",
    )
    yield (
        "checkpoint-5/pytorch_model.bin",
        {
            "a sparse tensor of 2^120 elements": torch_zip(pickled(mapping(w=sparse))),
            "a quantised tensor of negative size": torch_zip(pickled(mapping(w=quantised))),
            "strides that go back": torch_zip(pickled(mapping(w=tensor(shape=(4,), strides=(-1,), offset=3)))),
            "an offset of 2^62": torch_zip(pickled(mapping(w=tensor(offset=1 << 62)))),
            "a shape of 1e308": torch_zip(pickled(mapping(w=tensor(shape=(1e308,))))),
            "names that turn and colour": torch_zip(
                pickled(b"}(" + b"".join(text(f"\x1b]0;x\x07{TURNED}{n}") + tensor() for n in range(50)) + b"u")
            ),
        },
    )
    packed = {
        "w.qweight": {"dtype": "I32", "shape": [1 << 40, 0], "data_offsets": [0, 0]},
        "w.scales": {"dtype": "F16", "shape": [0, 1 << 62], "data_offsets": [0, 0]},
        "w.quant_state.bitsandbytes__nf4": {"dtype": "U8", "shape": [16], "data_offsets": [0, 16]},
    }
    yield (
        "checkpoint-5/model.safetensors",
        {
            "quantised heads of no bytes": safetensors(packed),
            "half a byte": safetensors({"w": {"dtype": "F4", "shape": [3], "data_offsets": [0, 2]}}),
            "a dtype of colours": safetensors({"w": {"dtype": "\x1b[31mF32", "shape": [4], "data_offsets": [0, 16]}}),
            "names that turn": safetensors(
                {f"{TURNED}{n}": {"dtype": "U8", "shape": [1], "data_offsets": [n, n + 1]} for n in range(16)}
            ),
            "20,000 empty experts": lambda: safetensors(
                {f"e.{n}.w": {"dtype": "F32", "shape": [0, n], "data_offsets": [0, 0]} for n in range(20_000)}, 0
            ),
        },
    )
    gguf = b"GGUF" + struct.pack("<I", 3)
    yield (
        "model.gguf",
        {
            "GGUF of 2^63 tensors": gguf + struct.pack("<QQ", 1 << 63, 1 << 63) + bytes(64),
            "GGUF of a name of 2^60": gguf + struct.pack("<QQQ", 1, 1, 1 << 60) + b"x",
            "GGUF of nested arrays": gguf + struct.pack("<QQQ", 1, 1, 1) + b"a" + struct.pack("<IIQ", 9, 9, 1) * 9_000,
        },
    )
    yield (
        "flax_model.msgpack",
        {"msgpack of 2^32 items": b"\xdd\xff\xff\xff\xff" * 1_000, "msgpack nested": b"\x91" * 200_000},
    )
    yield (
        "metrics.parquet",
        {"Parquet of a footer of 4 GB": b"PAR1" + bytes(64) + struct.pack("<I", 0xFFFFFFF0) + b"PAR1"},
    )
    yield "state.arrow", {"Arrow of a negative length": b"ARROW1\0\0" + struct.pack("<i", -1) * 4 + b"ARROW1"}
    yield "model.h5", {"HDF5 of nothing": b"\x89HDF\r\n\x1a\n" + b"\xff" * 4_096}


def _numbers() -> Iterator[tuple[str, Contents]]:
    yield (
        "train.log",
        {
            "steps that overflow": "".join(
                f"{{'loss': {2 - n / 9}, 'step': {huge}, 'epoch': {huge}}}\nstep {huge} loss {huge}\n"
                for n, huge in enumerate(HUGE)
            ).encode(),
            "sizes that overflow": "".join(
                f"torch.OutOfMemoryError: CUDA out of memory. Tried to allocate {huge} GiB. GPU 0 has a total capacity "
                f"of {huge} GiB of which {huge} MiB is free.\n"
                for huge in HUGE
            ).encode(),
            "times that overflow": "".join(
                f"[{year}-13-45 99:99:99,999] step 1 loss 2.0\n[rank0]:[E{year}] Timeout(ms)={huge}\n"
                for year in (0, 99_999, 9_999)
                for huge in HUGE
            ).encode(),
            "100 MB of bars in one line": lambda: b" 10%|#         | 1/10 [00:01<00:09, loss=2.5]\r" * 2_100_000,
            "colours in 20,000 lines": (b"\x1b[31m{'loss': 2.5}\x1b[0m\x1b]8;;http://x\x07" * 3 + b"\n") * 20_000,
            "directions in every line": (TURNED.join("{'loss': 2.5, 'epoch': 0.1}") + "\n").encode() * 3_000,
            "20,000 errors behind each other": b'Traceback (most recent call last):\n  File "a.py", line 1, in f\n'
            + b"ValueError: x\n\nDuring handling of the above exception, another exception occurred:\n\n" * 20_000,
            "a frame repeated": b"Traceback (most recent call last):\n"
            + b'  File "a.py", line 1, in f\n    f()\n' * 60_000
            + b"RecursionError: maximum recursion depth exceeded\n",
            "a template that fills itself": b"loss {0.__class__.__mro__} {loss!r:>9999999999} %s %n $(id) ${jndi:ldap://x}\n"
            * 500,
        },
    )
    state = {"global_step": -5, "max_steps": 1e308, "num_train_epochs": -1, "best_metric": 1e308}
    yield (
        "checkpoint-5/trainer_state.json",
        {
            "states that overflow": (
                json.dumps(state)[:-1]
                + ', "log_history": ['
                + ",".join(f'{{"loss": {h}, "step": {h}, "epoch": {h}}}' for h in HUGE if h != "nan")
                + "]}"
            ).encode(),
            "steps that fall": lambda: json.dumps(
                {"log_history": [{"loss": 2.0, "step": 200_000 - n} for n in range(100_000)]}
            ).encode(),
        },
    )
    rows = "".join(f"{huge},{huge},{huge}\n" for huge in HUGE).encode()
    yield (
        "metrics.csv",
        {
            "rows that overflow": b"step,loss,epoch\n" + rows,
            "50,000 columns of one name": b"step," + b"loss," * 50_000 + b"\n" + b"1," * 50_001 + b"\n",
            "all delimiters": b",;\t|:" * 200_000 + b"\n" + b",;\t|:" * 200_000,
        },
    )
    yield (
        "metrics.jsonl",
        {"lines that overflow": b"".join(b'{"step": %s, "loss": %s}\n' % (h.encode(), h.encode()) for h in HUGE)},
    )
    yield (
        "0123456789abcdef0123456789abcdef/metrics/loss",
        {"MLflow lines that overflow": "".join(f"{huge} {huge} {huge}\n" for huge in HUGE).encode() * 200},
    )
    yield (
        "config.json",
        {
            "a model that overflows": b'{"model_type": "llama", "hidden_size": 1e308, "vocab_size": -1, "num_layers": '
            + b"9" * 4_000
            + b', "num_heads": 0, "quantization_config": {"quant_method": "awq", "bits": 0, "group_size": -1}}'
        },
    )
    yield (
        "latest",
        {"DeepSpeed: outside": b"../../../../etc", "DeepSpeed: of colours": f"\x1b[2J{TURNED}global_step5".encode()},
    )
    yield "latest_checkpointed_iteration.txt", {"Megatron: a step of 100,000 digits": b"9" * 100_000}


def _settings(payload: Payload) -> Iterator[tuple[str, Contents]]:
    keys = "".join(f"  k{n}: {n}\n" for n in range(4_000))
    yield (
        "mkdocs.yml",
        {
            "merged 4,000 times": f"base: &b\n{keys}all:\n".encode() + b"  - <<: *b\n" * 4_000,
            "merges of merges": b"a0: &a0 {x: 1}\n"
            + "".join(f"a{n}: &a{n}\n  <<: [*a{n - 1}, *a{n - 1}, *a{n - 1}]\n" for n in range(1, 60)).encode(),
            "100,000 anchors": "".join(f"k{n}: &a{n} {n}\n" for n in range(50_000)).encode(),
            "functions of mkdocs": b"emoji: !!python/name:os.system\nenv: !ENV [HF_TOKEN, x]\n"
            b"learning_rate: !!python/object/apply:eval ['" + payload.code.encode() + b"']\n",
            "a number of 5,000 digits": b"learning_rate: "
            + b"9" * 5_000
            + b"\nmax_steps: 0x"
            + b"f" * 5_000
            + b"\nwarmup: "
            + b"9:" * 5_000
            + b"9\n",
            "dates that are none": b"a: 99999-99-99\nb: 2024-13-45T99:99:99+99:99\nc: 0000-00-00\n",
        },
    )
    yield (
        ".hydra/config.yaml",
        {
            "interpolations that turn in a circle": b"a: ${b}\nb: ${a}\nlr: ${oc.env:HF_TOKEN}\nx: "
            + b"${" * 20_000
            + b"\n"
        },
    )
    yield (
        "train.py",
        {
            "a power of powers": b"from transformers import TrainingArguments\nlr = 9**9**9**9\n"
            b"args = TrainingArguments(learning_rate=lr, "
            b"output_dir='a' * 10**12, seed=1 << 10**9, max_steps=(10**9)**(10**9), num_train_epochs=range(10**18))\n",
            "names in a circle": b"a = b\nb = a\nc = c + 1\nfrom transformers import TrainingArguments\n"
            b"TrainingArguments(learning_rate=a, seed=c)\n",
            "f-strings in f-strings": b"x = f\"{'a' * 10**9:>{10**9}}\"\nlearning_rate = float('9' * 10**9)\n",
            "a rate of 5,000 digits": b"learning_rate = " + b"9" * 5_000 + b"\n",
        },
    )
    yield (
        "train.sh",
        {
            "arithmetic and braces": b"#!/bin/bash\nN=$((2**9999999999))\n"
            b"echo {1..1000000000}{1..1000000000}\nA=${A:=$(id)}\n"
            + f"torchrun --nproc_per_node $N train.py --lr $(({'(' * 5_000} --name `{payload.command}`\n".encode(),
            "defaults within defaults": b"torchrun train.py --lr " + b"${A:-" * 30_000 + b"\n",
        },
    )
    yield (
        "uv.lock",
        {
            "100,000 packages of an environment": lambda: "".join(
                f'[[package]]\nname = "p{n}"\nversion = "1"\n' for n in range(40_000)
            ).encode()
        },
    )
    yield (
        "pod.json",
        {
            "20,000 containers": lambda: json.dumps(
                {
                    "kind": "Pod",
                    "apiVersion": "v1",
                    "metadata": {},
                    "status": {
                        "containerStatuses": [
                            {
                                "name": f"c{n}",
                                "image": f"nvcr.io/nvidia/pytorch:{n}",
                                "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": -(10**30)}},
                            }
                            for n in range(20_000)
                        ]
                    },
                }
            ).encode()
        },
    )
    yield (
        "nccl_trace_rank_0.json",
        {
            "collectives of 1e308": lambda: json.dumps(
                {
                    "version": "2.4",
                    "pg_config": {},
                    "entries": [
                        {
                            "collective_seq_id": 1e308,
                            "pg_id": -1,
                            "state": "scheduled",
                            "profiling_name": "nccl:x",
                            "input_sizes": [[1 << 80]],
                            "frames": [{"name": "f", "filename": "a", "line": 10**30}] * 3,
                        }
                        for _ in range(5_000)
                    ],
                }
            ).encode()
        },
    )


def _told() -> Iterator[tuple[str, Contents]]:
    fences = "".join(f'```json\n{{"a{n}": {{"learning_rate": 0.{n}}}}}\n```\n' for n in range(20_000))
    yield (
        "issue.md",
        {
            "20,000 configurations": fences.encode(),
            "20,000 programs": "".join(
                f"```python\nTrainingArguments(learning_rate=0.{n})\n```\n" for n in range(20_000)
            ).encode(),
            "fences of all lengths": "".join("`" * (3 + n % 5_000) + "\n" for n in range(4_000)).encode(),
            "directions": f"# {TURNED}Loss is NaN\n```\n{{'loss': nan, '{TURNED}x': 1}}\n```\n".encode() * 50,
        },
    )
    written_cells = [
        {
            "cell_type": "code",
            "source": f"%%writefile f{n}.yaml\nlearning_rate: 0.{n}\nbf16: true\nmax_steps: 5\n",
            "outputs": [],
        }
        for n in range(20_000)
    ]
    yield (
        "train.ipynb",
        {
            "20,000 files written": lambda: json.dumps({"nbformat": 4, "cells": written_cells}).encode(),
            "sources that are numbers": b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": 1, "outputs": 7}, '
            b'5, null, {"cell_type": [], "source": [[["x"]]], "outputs": [{"data": {"text/html": {"a": 1}}}]}]}',
        },
    )


def _wal(folder: Path) -> None:
    """Leave a database of MLflow as a writer that was killed leaves it: with its log and a journal that is hot."""
    inside = folder / "made"
    inside.mkdir()
    held = sqlite3.connect(inside / "mlflow.db")
    held.execute("PRAGMA journal_mode=WAL")
    held.execute("CREATE TABLE runs (run_uuid TEXT, name TEXT, status TEXT, start_time INT, end_time INT)")
    held.execute("INSERT INTO runs VALUES ('a', 'b', 'FAILED', 1, 2)")
    held.commit()
    for ending in ("", "-wal"):
        (folder / f"mlflow.db{ending}").write_bytes((inside / f"mlflow.db{ending}").read_bytes())
    held.close()
    for path in inside.iterdir():
        path.unlink()
    inside.rmdir()


def _database(*statements: str, journal: bytes = b"") -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        held = sqlite3.connect(folder / "mlflow.db")
        for statement in statements:
            held.execute(statement)
        held.commit()
        held.close()
        if journal:
            (folder / "mlflow.db-journal").write_bytes(journal)

    return make


def _databases() -> Iterator[tuple[str, Callable[[Path], object]]]:
    runs = "CREATE TABLE runs (run_uuid TEXT, name TEXT, status TEXT, start_time INT, end_time INT)"
    hot = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + struct.pack(">IIIII", 1, 0, 2, 512, 4_096) + bytes(484) + bytes(4_104)
    yield "a log of a killed writer", _wal
    yield "a hot journal", _database(runs, "INSERT INTO runs VALUES ('a', 'b', 'FAILED', 1, 2)", journal=hot)
    yield (
        "triggers and blobs",
        _database(
            runs,
            "CREATE TABLE metrics (key, value, timestamp, run_uuid, step, is_nan)",
            "CREATE TRIGGER t AFTER INSERT ON metrics BEGIN INSERT INTO metrics SELECT * FROM metrics; END",
            "INSERT INTO runs VALUES (x'ff', 1e308, NULL, -1, 'x')",
            "INSERT INTO metrics VALUES (x'00ff', 'abc', 1e308, x'ff', 9223372036854775807, 'x')",
            "INSERT INTO metrics VALUES (zeroblob(9000000), zeroblob(9000000), 1, x'ff', 1e308, 0)",
        ),
    )
    yield (
        "columns that compute",
        _database(
            runs,
            "CREATE TABLE metrics (key TEXT AS (hex(zeroblob(1000000))), value REAL, timestamp INT, run_uuid TEXT, "
            "step INT, is_nan INT)",
            "INSERT INTO runs VALUES ('a', 'b', 'FAILED', 1, 2)",
            *["INSERT INTO metrics (value, run_uuid, step) VALUES (1, 'a', 1)"] * 400,
        ),
    )


def _tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member, content in members:
            archive.addfile(member, io.BytesIO(content))
    return made.getvalue()


def _member(path: str, size: int = 0, **changed: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(path)
    made.size = size
    for field, value in changed.items():
        setattr(made, field, value)
    return made


def _sparse(real: int, pieces: int) -> bytes:
    """Return a tar of an old sparse file of GNU: a map of pieces, and how large it says to be."""
    head = bytearray(_member("run/train.log", 512).tobuf(tarfile.GNU_FORMAT))
    head[156:157] = b"S"
    for number in range(4):
        head[386 + 24 * number : 410 + 24 * number] = b"%011o\0%011o\0" % (number * 512, 512)
    head[482:483] = b"\1" if pieces else b"\0"
    head[483:495] = b"\x80" + real.to_bytes(11, "big")
    head[148:156] = b"        "
    head[148:156] = b"%06o\0 " % sum(head)
    more = (b"%011o\0%011o\0" % (0, 0) * 21 + b"\1" + bytes(7)) * pieces
    return bytes(head) + more + STEPS.ljust(512, b"\0")[:512] + bytes(1_024)


def _archives() -> Iterator[tuple[str, str, Callable[[], bytes]]]:
    log = _member("run/train.log", len(STEPS))
    yield "tar, a sparse file of 2^80", "run.tar", lambda: _sparse((1 << 80) - 1, 0)
    yield "tar, a sparse map of 200,000 pieces", "run.tar", lambda: _sparse(1 << 40, 10_000)
    yield (
        "tar, a negative size",
        "run.tar",
        lambda: bytes(bytearray(_tar_of((log, STEPS)))[:124] + b"\xff" * 12 + _tar_of((log, STEPS))[136:]),
    )
    yield (
        "tar, names in PAX that lead outside",
        "run.tar",
        lambda: _tar_of((_member("run/a.log", len(STEPS), pax_headers={"path": "../../escaped.log"}), STEPS)),
    )
    yield (
        "tar, a PAX header of 32 MB",
        "run.tar",
        lambda: _tar_of((_member("run/a.log", len(STEPS), pax_headers={"comment": "x" * (32 << 20)}), STEPS)),
    )
    yield (
        "tar, 30,000 fields of PAX",
        "run.tar",
        lambda: _tar_of((_member("run/a.log", len(STEPS), pax_headers={f"k{n}": "v" for n in range(30_000)}), STEPS)),
    )
    yield (
        "tar, links to themselves",
        "run.tar",
        lambda: _tar_of(
            (_member("run/a", type=tarfile.LNKTYPE, linkname="run/a"), b""),
            (_member("run/b", type=tarfile.LNKTYPE, linkname="/etc/passwd"), b""),
            (_member("run/d", type=tarfile.SYMTYPE, linkname="/etc"), b""),
            (_member("run/d/passwd.log", len(STEPS)), STEPS),
        ),
    )
    yield "tar, names that turn", "run.tar", lambda: _tar_of((_member(f"run/{TURNED}\x1b[31m.log", len(STEPS)), STEPS))
    yield "xz, 20,000 streams", "train.log.xz", lambda: lzma.compress(b"x\n") * 20_000
    yield (
        "xz, a dictionary of 1.5 GB",
        "train.log.xz",
        lambda: lzma.compress(STEPS, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1536 << 20, "preset": 0}]),
    )
    yield "gzip, a name of 30 MB", "train.log.gz", lambda: b"\x1f\x8b\x08\x08" + bytes(6) + b"x" * (30 << 20)
    yield (
        "gzip, bars of 1 GB",
        "train.log.gz",
        lambda: gzip.compress(b"\r10%|# | 1/10 [00:01<00:09, loss=2.5]" * 6_000_000, 9),
    )
    entry = Member(name=b"run/train.log", content=STEPS)
    yield (
        "zip, entries over one range",
        "run.zip",
        lambda: zipped(
            [
                entry,
                *(
                    Member(
                        name=b"run/%d.log" % n, content=STEPS, has_local=False, packed=b"", stored=len(STEPS), header=0
                    )
                    for n in range(5_000)
                ),
            ]
        ),
    )
    yield (
        "zip, names that turn",
        "run.zip",
        lambda: zipped([Member(name=f"run/{TURNED}\x1b[31m.log".encode(), content=STEPS)]),
    )
    yield (
        "zip, a name of 60 KB",
        "run.zip",
        lambda: zipped([Member(name=b"run/" + b"a/" * 30_000 + b"x.log", content=STEPS)]),
    )
    yield (
        "zip, names in capitals",
        "run.zip",
        lambda: zipped([entry, Member(name=b"RUN/TRAIN.LOG", content=STEPS), Member(name=b"run/con", content=STEPS)]),
    )
    yield (
        "zip, another name inside",
        "run.zip",
        lambda: zipped([Member(name=b"run/train.log", local_name=b"../escaped", content=STEPS)]),
    )
    yield (
        "zip, 20,000 folders deep in one name",
        "run.zip",
        lambda: zipped([Member(name=b"d/" * 2_000 + b"%d.log" % n, content=STEPS) for n in range(200)]),
    )
    comet = "a" * 32 + ".zip"
    bomb = Member(name=b"messages.json", content=bytes(256 << 20), method=8)
    yield "Comet of 256 MB in 256 KB", comet, lambda: zipped([bomb, Member(name=b"experiment.json", content=b"{}")])


def _swapped(folder: Path) -> AbstractContextManager[object]:
    """Put a link to /etc, a FIFO or nothing in place of a folder of the run, and back again."""
    save, aside = folder / "checkpoint-5", folder.parent / "aside"
    state = [0]

    def change() -> None:
        state[0] += 1
        if state[0] % 2:
            save.rename(aside)
            if state[0] % 4 == 1:
                save.symlink_to("/etc")
            else:
                os.mkfifo(save)
        else:
            save.unlink()
            aside.rename(save)

    @contextmanager
    def moved() -> Iterator[None]:
        with changed_while_read(change):
            yield
        if aside.exists():
            save.unlink(missing_ok=True)
            aside.rename(save)

    return moved()


def _to_a_pipe(folder: Path) -> AbstractContextManager[object]:
    """Put a FIFO in place of a log that was listed as a file, and back again."""
    path = folder / "train.log"
    state = [0]

    def change() -> None:
        state[0] += 1
        path.unlink(missing_ok=True)
        if state[0] % 2:
            os.mkfifo(path)
        else:
            path.write_bytes(STEPS * 50)

    return changed_while_read(change)


def _save(folder: Path) -> None:
    (folder / "checkpoint-5").mkdir()
    (folder / "checkpoint-5" / "trainer_state.json").write_bytes(
        b'{"global_step": 5, "log_history": [{"loss": 1, "step": 5}]}'
    )
    (folder / "checkpoint-5" / "model.safetensors").write_bytes(
        safetensors({"w": {"dtype": "F32", "shape": [1 << 18], "data_offsets": [0, 1 << 20]}}, 1 << 20)
    )


def _logged(folder: Path) -> None:
    (folder / "train.log").write_bytes(STEPS * 50)


def _turned_names(folder: Path) -> None:
    for each in (
        f"checkpoint-5{TURNED}",
        f"{TURNED}train.log",
        "train\u2028.log",
        "checkpoint-1e308",
        f"checkpoint-{'9' * 40}",
        "checkpoint--1",
    ):
        if "." in each:
            (folder / each).write_bytes(STEPS)
        else:
            (folder / each).mkdir()
            (folder / each / "trainer_state.json").write_bytes(b'{"global_step": 5, "log_history": []}')


def inputs(payload: Payload) -> Iterator[Input]:
    """Yield inputs of the classes of weights, logs, settings, pages, databases, archives and of folders that change."""
    groups = (
        ("foreign weights", _tensors()),
        ("overflow", _numbers()),
        ("script, settings", _settings(payload)),
        ("notebook, page", _told()),
    )
    for group, found in groups:
        for place, contents in found:
            yield from files(group, place, contents)
    for title, make in _databases():
        yield Input("database", title, make)
    for title, place, content in _archives():
        yield Input("archive", title, written(content, place), place)
        yield Input("archive", f"{title}, in a run", written(content, place))
    yield Input("folder", "names that turn", _turned_names)
    yield Input("changing", "a save: is a link to /etc", _save, moved=_swapped)
    yield Input("changing", "a log: is a FIFO", _logged, moved=_to_a_pipe)
