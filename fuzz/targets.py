"""What is fuzzed: a name, the seeds, and what is done with a mutant; any error but `ForensicsError` is a fault."""

import gzip
import io
import json
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import forensics
from forensics.formats.lenient_json import parse as parse_json
from forensics.formats.npz import read_numpy
from forensics.formats.pickle_search import unsafe_names
from forensics.formats.safe_yaml import parse as parse_yaml
from forensics.formats.safetensors import read_layout
from forensics.formats.torch_file import named_tensors, plain, read_pickle, read_torch, walk
from forensics.formats.zip_index import damaged_entries, read_index
from forensics.limits import DEFAULT
from forensics.redaction import Redactor
from forensics.storage.file import File

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
SEED_BYTES = 48_000
MOST_SEEDS = 24

Feed = Callable[[bytes, Path], object]


class FailedError(Exception):
    """The report says that a part of it failed: an exception that was contained, and still a fault."""


@dataclass(frozen=True, slots=True)
class Target:
    """One parser: `feed` is given a mutant and an empty folder that it may write into."""

    name: str
    seeds: Callable[[], Iterator[bytes]]
    feed: Feed


def found(*patterns: str) -> Callable[[], Iterator[bytes]]:
    """Return seeds from the fixtures, the smallest first, cut to size."""

    def seeds() -> Iterator[bytes]:
        paths = {path for pattern in patterns for path in FIXTURES.glob(pattern) if path.is_file()}
        chosen = sorted(paths, key=lambda path: (path.stat().st_size, path.as_posix()))
        for path in chosen[:: max(1, len(chosen) // MOST_SEEDS)]:
            with path.open("rb") as file:
                yield file.read(SEED_BYTES)

    return seeds


def _opened(read: Callable[[File], object], ending: str) -> Feed:
    def feed(content: bytes, _folder: Path) -> None:
        with File.of_bytes(content, Path(f"mutant{ending}")) as file:
            read(file)

    return feed


def _torch(file: File) -> None:
    unsafe_names(file, DEFAULT)
    saved = read_torch(file)
    for _ in walk(saved.value):
        pass
    for _ in named_tensors(saved.value):
        pass
    json.dumps(plain(saved.value))


def _pickle(file: File) -> None:
    read_pickle(file)
    _torch(file)


def _bare(parse: Callable[[bytes], object]) -> Feed:
    return lambda content, _folder: parse(content)


def _zip(file: File) -> None:
    index = read_index(file)
    damaged_entries(file, index)


def _redacted(content: bytes, _folder: Path) -> None:
    text = content.decode("utf-8", "replace")
    redactor = Redactor(identities=True)
    redactor.learn([text])
    once = redactor(text)
    redactor(once)


def in_a_run(name: str) -> Feed:
    """Return a target that analyzes a run of one file and renders the report."""

    def feed(content: bytes, folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        report = forensics.analyze(folder)
        if report.failures:
            raise FailedError(report.failures[0])
        for form in ("terminal", "json", "html", "markdown", "sarif"):
            forensics.render(report, form)

    return feed


def alone(name: str) -> Feed:
    """Return a target that analyzes one named file, as an archive is."""

    def feed(content: bytes, folder: Path) -> None:
        path = folder / name
        path.write_bytes(content)
        report = forensics.analyze(path)
        if report.failures:
            raise FailedError(report.failures[0])

    return feed


def _made_pickles() -> Iterator[bytes]:
    value = {"lr": [0.1, 1e-5], "state": {0: (1, None, True)}, "name": "x", "blob": b"y" * 300, "set": {1, 2}}
    for protocol in range(6):
        yield pickle.dumps(value, protocol)
        yield pickle.dumps([np.arange(4), np.float32(1)], protocol)


def _made_archives(ending: str) -> Callable[[], Iterator[bytes]]:
    def seeds() -> Iterator[bytes]:
        log = b"".join(b"{'loss': %.2f, 'grad_norm': 1.0, 'epoch': %.1f}\n" % (2 - n / 50, n / 10) for n in range(60))
        made = io.BytesIO()
        if ending == ".gz":
            made.write(gzip.compress(log))
        elif ending == ".zip":
            for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                with zipfile.ZipFile(made, "w", method) as archive:
                    archive.writestr("run/train.log", log)
                    archive.writestr("run/config.json", b"{}")
        else:
            with tarfile.open(fileobj=made, mode="w:gz" if ending == ".tar.gz" else "w") as packed:
                member = tarfile.TarInfo("run/train.log")
                member.size = len(log)
                packed.addfile(member, io.BytesIO(log))
        yield made.getvalue()

    return seeds


def _made_arrays() -> Iterator[bytes]:
    for arrays in ({"a": np.arange(5)}, {"a": np.ones((2, 3), np.float32), "b": np.array(["x"], dtype=object)}):
        made = io.BytesIO()
        np.savez(made, **arrays)
        yield made.getvalue()
        made = io.BytesIO()
        np.save(made, arrays["a"])
        yield made.getvalue()


def _made_weights() -> Iterator[bytes]:
    header = {"w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}, "__metadata__": {"format": "pt"}}
    text = json.dumps(header).encode()
    yield struct.pack("<Q", len(text)) + text + bytes(16)


def texts(*made: str) -> Callable[[], Iterator[bytes]]:
    return lambda: (text.encode() for text in made)


NOTEBOOK = json.dumps(
    {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {},
        "cells": [
            {"cell_type": "markdown", "metadata": {}, "source": ["# Fine-tune\n"]},
            {
                "cell_type": "code",
                "execution_count": 1,
                "metadata": {},
                "source": ["trainer.train()"],
                "outputs": [
                    {"output_type": "stream", "name": "stdout", "text": ["{'loss': 2.1, 'epoch': 0.1}\n"] * 12},
                    {"output_type": "error", "ename": "RuntimeError", "evalue": "x", "traceback": ["RuntimeError: x"]},
                ],
            },
        ],
    }
)
ISSUE = """### System Info
- `transformers` version: 4.44.0
- PyTorch version: 2.4.0
### Reproduction
```bash
torchrun --nproc_per_node 8 train.py --learning_rate 1e-3 --bf16
```
| Step | Training Loss |
|------|---------------|
| 10   | 2.1           |
| 20   | nan           |
```
{'loss': 2.1, 'grad_norm': 1.0, 'epoch': 0.1}
Traceback (most recent call last):
  File "train.py", line 3, in <module>
RuntimeError: CUDA error: an illegal memory access was encountered
```
"""
TOML = """[job]
dump_folder = "./outputs"
[training]
local_batch_size = 8
seq_len = 2048
steps = 10000
[optimizer]
name = "AdamW"
lr = 8e-4
[model]
name = "llama3"
flavor = "8B"
"""
PAGE = (
    "<!DOCTYPE html><html><body><h1>Loss is NaN</h1><pre>{'loss': 2.1, 'epoch': 0.1}\n{'loss': nan, "
    "'epoch': 0.2}</pre><table><tr><th>Step</th><th>Training Loss</th></tr><tr><td>10</td><td>2.1</td></tr></table>"
)
TARGETS: Sequence[Target] = (
    Target("pickle", _made_pickles, _opened(_pickle, ".pkl")),
    Target("torch", found("**/*.pt", "**/*.pth", "**/training_args.bin", "**/.metadata"), _opened(_torch, ".pt")),
    Target("safetensors", _made_weights, _opened(read_layout, ".safetensors")),
    Target("numpy", _made_arrays, _opened(lambda file: (read_numpy(file), unsafe_names(file, DEFAULT)), ".npz")),
    Target("zip", _made_archives(".zip"), _opened(_zip, ".zip")),
    Target("json", found("**/*.json"), _bare(parse_json)),
    Target("yaml", found("**/*.yaml", "**/*.yml"), _bare(parse_yaml)),
    Target("redaction", texts(ISSUE, "export WANDB_API_KEY=0123 /home/alice/x user@host 10.0.0.1"), _redacted),
    Target("event file", found("**/events.out.tfevents.*"), in_a_run("events.out.tfevents.1.host.1.0")),
    Target("trainer state", found("**/trainer_state.json"), in_a_run("checkpoint-5/trainer_state.json")),
    Target("log", found("**/train.log", "**/train.out", "**/train.err"), in_a_run("train.log")),
    Target("environment", found("**/*_env.txt", "**/pip_freeze.txt", "**/ds_report.txt"), in_a_run("env.txt")),
    Target("settings in YAML", found("**/hparams.yaml", "**/config.yaml"), in_a_run("hparams.yaml")),
    Target("settings in JSON", found("**/ds_config.json", "**/config.json"), in_a_run("ds_config.json")),
    Target("settings in TOML", texts(TOML), in_a_run("job.toml")),
    Target("table of metrics", texts("step,loss,lr\n1,2.0,1e-4\n2,1.9,1e-4\n" * 9), in_a_run("metrics.csv")),
    Target("lines of JSON", texts('{"step": 1, "loss": 2.0}\n{"step": 2, "loss": NaN}\n' * 9), in_a_run("log.jsonl")),
    Target("checkpoint", found("**/model.safetensors"), in_a_run("checkpoint-5/model.safetensors")),
    Target("checkpoint index", found("**/.metadata"), in_a_run("step-3/.metadata")),
    Target("training arguments", found("**/training_args.bin"), in_a_run("training_args.bin")),
    Target("notebook", texts(NOTEBOOK), in_a_run("train.ipynb")),
    Target("issue", texts(ISSUE), in_a_run("issue.md")),
    Target("page", texts(PAGE), in_a_run("issue.html")),
    Target("archive .zip", _made_archives(".zip"), alone("run.zip")),
    Target("archive .tar.gz", _made_archives(".tar.gz"), alone("run.tar.gz")),
    Target("packed log .gz", _made_archives(".gz"), alone("train.log.gz")),
)
