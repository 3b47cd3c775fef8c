"""What stands in logs, scripts, settings, pages and databases, each made to be hard for the parser behind it."""

import gzip
import io
import json
import lzma
import os
import sqlite3
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

from fuzz.hostile.inputs import Input, files, written
from fuzz.hostile.text_cases import EVENTS, STEPS

Contents = dict[str, bytes | Callable[[], bytes]]
TITAN = b"[training]\nsteps = 100\nseq_len = 2048\nlocal_batch_size = 8\n[optimizer]\nlr = 8e-4\n"
LAUNCH = b"#!/bin/bash\nexport NCCL_DEBUG=INFO\ntorchrun --nproc_per_node 8 train.py --learning_rate 1e-3 --bf16\n"
IMPORTS = b"import torch\nfrom transformers import TrainingArguments\nargs = TrainingArguments(learning_rate=1e-3)\n"


def _lines(count: int, line: str) -> Callable[[], bytes]:
    """Return what makes so many lines, each with its number."""
    return lambda: "".join(line.replace("#", str(number)) for number in range(count)).encode()


def _after(head: bytes, make: Callable[[], bytes]) -> Callable[[], bytes]:
    return lambda: head + make()


def _settings() -> Iterator[tuple[str, Contents]]:
    yield (
        "job.toml",
        {
            "TOML: a key of 100,000 parts": TITAN + b"a." * 100_000 + b"a = 1\n",
            "TOML: a quoted key of 100,000 parts": TITAN + b'"a" . ' * 100_000 + b"a = 1\n",
            "TOML: a number of 5,000 digits": TITAN + b"a = " + b"9" * 5_000 + b"\n",
            "TOML: brackets over 90,000 lines": TITAN + b"a = [\n" + b"[\n" * 90_000,
            "TOML: 10,000 sections 90 deep": _after(TITAN, _lines(5_000, "[" + "a." * 90 + "b#]\nx = 1\n")),
        },
    )
    yield (
        "job.ini",
        {
            "INI: a line of 300,000 blanks": TITAN + b"a" + b" " * 300_000 + b"b\n",
            "INI: lines of blanks": TITAN + (b"a" + b" \t" * 900 + b"b\n") * 400,
            "INI: defaults of 20,000 sections": _after(
                TITAN + b"[DEFAULT]\nnull\n", lambda: _lines(20_000, "key#=1\n")() + _lines(20_000, "[s#]\n")()
            ),
        },
    )
    yield (
        "train.sh",
        {
            "shell: a word of 2 MB": lambda: LAUNCH + b"echo " + b"a" * (2 << 20) + b"\n",
            "shell: a variable that doubles": LAUNCH
            + b"A="
            + b"x" * 60_000
            + b"\n"
            + b'A="$A$A"\n' * 60
            + b"torchrun train.py --name "
            + b"$A" * 20_000
            + b"\n",
            "shell: open quotes": LAUNCH + b"A='\n" * 60_000,
            "shell: continued lines": LAUNCH + b"torchrun \\\n" + b"--a 1 \\\n" * 200_000,
            "shell: 200,000 assignments": _after(LAUNCH, _lines(200_000, "A#=$A1#\n")),
            "shell: here-documents": LAUNCH + b"cat <<EOF\n" * 60_000,
        },
    )
    yield (
        "train.py",
        {
            "Python: brackets 100,000 deep": IMPORTS + b"(" * 100_000,
            "Python: a line of 2 MB": lambda: IMPORTS + b"a = " + b"1 + " * 500_000 + b"1\n",
            "Python: 100,000 assignments": _after(IMPORTS, _lines(100_000, "learning_rate_# = 0.1\n")),
            "Python: open texts": IMPORTS + b'"""' * 100_001,
        },
    )
    yield (
        "README.md",
        {
            "front matter that laughs": b"---\na0: &a0 [x, x]\n"
            + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)).encode()
            + b"license: mit\nlibrary_name: peft\n---\n# A model\n"
        },
    )
    yield (
        "tokenizer_config.json",
        {
            "300,000 added tokens": lambda: json.dumps(
                {"added_tokens_decoder": {str(n): {"content": f"<t{n}>", "special": True} for n in range(150_000)}}
            ).encode()
        },
    )
    yield "requirements.txt", {"100,000 packages": _lines(100_000, "package-#==1.#\n")}
    yield "ds_config.json", {"nested 900 deep": b'{"zero_optimization":' * 900 + b"1" + b"}" * 900}
    yield ".hydra/overrides.yaml", {"200,000 overrides": _lines(60_000, "- a.b.c#=#\n")}
    yield (
        "Dockerfile",
        {"continued lines": b"FROM pytorch/pytorch:2.4.0\nRUN pip install \\\n" + b" a==1 \\\n" * 100_000},
    )


def _histories() -> Iterator[tuple[str, Contents]]:
    yield (
        "history.json",
        {
            "columns of 500,000": lambda: json.dumps(
                {"loss": [n / 7 for n in range(500_000)], "val_loss": [1.0] * 500_000}
            ).encode(),
            "50,000 columns": lambda: json.dumps({f"metric_{n}": [1.0, 2.0, 3.0] for n in range(50_000)}).encode(),
            "50,000 shapes": lambda: json.dumps([{"step": n, f"metric_{n}": n / 7} for n in range(50_000)]).encode(),
            "lists nested in columns": b'{"loss": ' + b"[1.0, " * 50_000,
        },
    )
    yield (
        "metrics.jsonl",
        {
            "50,000 shapes of lines": _lines(50_000, '{"step": #, "metric_#": 0.5}\n'),
            "keys nested 200 deep": _lines(5_000, '{"step": #, "m": ' + '{"a": ' * 200 + "1" + "}" * 200 + "}\n"),
            "a line of 50,000 pairs": lambda: (
                json.dumps({"step": 1} | {f"m{n}": 0.5 for n in range(50_000)}).encode() * 9
            ),
        },
    )
    yield (
        "metrics.csv",
        {
            "300,000 rows": _after(b"step,loss,lr\n", _lines(300_000, "#,2.5,1e-4\n")),
            "rows of quotes": b"step,loss\n" + b'""""""""""""""""""""\n' * 50_000,
            "a field of 4 MB": lambda: b'step,loss\n1,"' + b"x" * (4 << 20) + b'"\n2,1.0\n',
        },
    )


def _logs() -> Contents:
    arguments = "TrainingArguments(" + ", ".join(f"field_{n}=0.{n}" for n in range(60_000)) + ")\n"
    secrets = "export TOKEN_#=hf_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7c#\n"
    return {
        "100,000 names of metrics": _lines(100_000, "step # metric_#: 0.5\n"),
        "100,000 shapes of lines": _lines(100_000, "step # | " + "a" * 9 + "# = 0.5 | b# 1.0\n"),
        "a dictionary of 50,000 pairs": lambda: (
            repr({f"metric_{n}": 0.5 for n in range(50_000)}).encode() + b"\n" + STEPS
        ),
        "arguments of 60,000 fields": lambda: arguments.encode() + STEPS,
        "arguments nested 20,000 deep": b"TrainingArguments(a=" * 20_000 + b"\n" + STEPS,
        "a settings tree 5,000 deep": b"".join(b" " * n + b"key%d:\n" % n for n in range(3_000)) + STEPS,
        "settings in 200,000 lines": _after(
            b"-------------------- arguments --------------------\n",
            _lines(200_000, "  argument_# ............... #\n"),
        ),
        "20,000 secrets": _after(STEPS, _lines(20_000, secrets)),
        "a secret of 1 MB": lambda: b"export HF_TOKEN=hf_" + b"aB3d" * 260_000 + b"\n" + STEPS,
        "20,000 people and machines": _after(
            STEPS, _lines(20_000, "/home/user#/x host-#.lab.example.org user#@example.org 10.#.7.9\n")
        ),
        "UTF-16 of half a character": ("\ufeff" + STEPS.decode() * 200).encode("utf-16-le") + b"\xd8",
        "UTF-16 without a mark": lambda: STEPS.decode().encode("utf-16-be") * 500,
        "UTF-32": STEPS.decode().encode("utf-32") * 20,
        "lone surrogates": STEPS.decode().encode("utf-16") + b"\x00\xd8" * 50_000,
        "40 MB in one line": lambda: b"loss: 0.5, " * 4_000_000,
        "a box of 100,000 lines": _lines(100_000, "| a# | b# | 0.5 |\n"),
        "100,000 GPUs": _lines(30_000, "|   #  NVIDIA H100 80GB HBM3  On | 00000000:1B:00.0 Off | 0 |\n"),
        "frames of 50,000 threads": _lines(50_000, 'Thread # (idle): "T#"\n    wait (threading.py:320)\n'),
        "prefixes of 16,384 ranks": _lines(16_384, "[rank#]: {'loss': 2.5, 'epoch': 0.1}\n[rank#]: ValueError: x\n"),
        "20,000 configurations": _lines(20_000, "{'lr': 0.#, 'batch_size': #, 'optimizer': 'adam'}\n"),
        "20,000 runs": _lines(
            20_000, "***** Running training *****\n  Num examples = #\n{'loss': 1.5, 'epoch': 0.1}\n"
        ),
        "sentences": lambda: b"It works with torch 2.1 and fails with 2.4, since step 100 the loss is NaN. " * 40_000,
        "numbers in words": lambda: b"one loss of two was three at four, " * 40_000,
    }


def _pages() -> Iterator[tuple[str, Contents]]:
    page = b"<!DOCTYPE html><html><body><h1>Loss is NaN</h1>"
    yield (
        "issue.html",
        {
            "open comments": page + b"<!--" * 100_000,
            "open declarations": page + b"<![CDATA[" * 50_000 + b"<!x" * 50_000,
            "open names": page + b"<a " * 200_000,
            "open ends": page + b"</a " * 100_000,
            "open attributes": page + b'<a b="' * 100_000,
            "ampersands": page + b"&" * 500_000,
            "100,000 attributes": page + b"<a" + b" b=c" * 100_000 + b">x</a>",
            "a table of 50,000 rows": _after(page + b"<table>", _lines(50_000, "<tr><td>#</td><td>0.5</td></tr>")),
            "50,000 tables": page
            + b"<table><tr><th>step</th><th>loss</th></tr><tr><td>1</td><td>2</td></tr></table>" * 20_000,
            "nested 100,000 deep": page + b"<div>" * 100_000 + b"x",
            "100,000 blocks": page + b"<pre>{'loss': 1.5, 'epoch': 0.1}</pre>" * 50_000,
        },
    )
    yield (
        "issue.md",
        {
            "50,000 headings": _lines(50_000, "### Heading #\n"),
            "50,000 details": b"<details><summary>x</summary>\n" * 50_000,
            "quotes nested": b">" * 5_000 + b" x\n" + b"> > > x\n" * 50_000,
            "lists nested": b"".join(b" " * (n % 900) + b"- x\n" for n in range(20_000)),
            "a table of 100,000 rows": _after(
                b"| Step | Training Loss |\n|---|---|\n", _lines(100_000, "| # | 0.5 |\n")
            ),
            "20,000 tables": b"| Step | Loss |\n|---|---|\n| 1 | 2.5 |\n\n" * 20_000,
            "20,000 blocks": b"```\n{'loss': 1.5, 'epoch': 0.1}\n```\n" * 20_000,
            "blocks of all languages": _lines(20_000, "```lang#\nimport x#\n```\n"),
        },
    )
    comments = {
        "title": "Loss is NaN",
        "body": STEPS.decode(),
        "comments": [{"body": f"same {n}"} for n in range(20_000)],
    }
    yield "issue.json", {"20,000 comments": lambda: json.dumps(comments).encode()}
    yield "train.ipynb", _notebooks()


def _notebooks() -> Contents:
    def book(*cells: object) -> bytes:
        return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}).encode()

    def code(source: object, *outputs: object) -> dict[str, object]:
        return {"cell_type": "code", "execution_count": 1, "metadata": {}, "source": source, "outputs": list(outputs)}

    def shown(**data: object) -> dict[str, object]:
        return {
            "output_type": "display_data",
            "metadata": {},
            "data": {k.replace("_", "/"): v for k, v in data.items()},
        }

    step = {"output_type": "stream", "name": "stdout", "text": ["{'loss': 2.5, 'epoch': 0.1}\n"]}
    rows = "<tr><td>1</td><td>2.5</td></tr>"
    return {
        "20,000 cells": lambda: book(*[code(["train()"], step)] * 20_000),
        "20,000 outputs": lambda: book(code(["train()"], *[step] * 20_000)),
        "a table of 50,000 rows in a cell": lambda: book(
            code(["train()"], shown(text_html=["<table><tr><th>Step</th><th>Training Loss</th></tr>", rows * 50_000]))
        ),
        "2,000 tables": lambda: book(*[code(["train()"], shown(text_html=[f"<table>{rows * 9}</table>"]))] * 2_000),
        "a picture of 40 MB": lambda: book(code(["plot()"], shown(image_png="iVBORw0KGgo" * 4_000_000), step)),
        "sources of 300,000 lines": lambda: book(code(["lr = 0.1\n"] * 300_000, step)),
        "a notebook in a notebook": lambda: book(
            code(["x"], {**step, "text": [book(code(["y"], step)).decode() * 300]})
        ),
        "data of 20,000 kinds": lambda: book(code(["x"], shown(**{f"text_x{n}": "x" for n in range(20_000)}))),
        "outputs nested 900 deep": b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": [], "outputs": '
        + b"[" * 900
        + b"]" * 900
        + b"}]}",
        "widgets": lambda: book(
            *[code(["x"], shown(application_vnd="x", text_plain=["  0%| | 0/100 [00:00<?]"]))] * 9_000
        ),
    }


def _database(*statements: str) -> Callable[[Path], object]:
    """Return what makes a database of MLflow whose tables are views that never end or give out too much."""

    def make(folder: Path) -> None:
        with sqlite3.connect(folder / "mlflow.db") as held:
            for statement in statements:
                held.execute(statement)
        held.close()

    return make


def _databases() -> Iterator[tuple[str, Callable[[Path], object]]]:
    runs = "CREATE TABLE runs (run_uuid TEXT, name TEXT, status TEXT, start_time INT, end_time INT)"
    one = "INSERT INTO runs VALUES ('a', 'b', 'FAILED', 1, 2)"
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT"
    columns = "'loss' AS key, x AS value, x AS timestamp, 'a' AS run_uuid, x AS step, 0 AS is_nan"
    yield "a view that never ends", _database(runs, one, f"CREATE VIEW metrics AS {endless} {columns} FROM c")
    yield (
        "a view of counts that never ends",
        _database(runs, one, f"CREATE VIEW metrics AS {endless} {columns} FROM c WHERE x < 0"),
    )
    yield (
        "a view of 900 MB",
        _database(
            runs, one, f"CREATE VIEW metrics AS SELECT zeroblob(900000000) AS x, {columns.replace('x AS', '1 AS')}"
        ),
    )
    yield (
        "runs of 900 MB",
        _database(
            "CREATE VIEW runs AS SELECT hex(zeroblob(400000000)) AS run_uuid, 'b' AS name, 'F' AS status, "
            "1 AS start_time, 2 AS end_time"
        ),
    )
    yield (
        "200,000 names",
        _database(
            runs,
            one,
            "CREATE TABLE metrics (key TEXT, value REAL, timestamp INT, run_uuid TEXT, step INT, is_nan INT)",
            "INSERT INTO metrics WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 100000) "
            "SELECT 'm' || x, 0.5, x, 'a', x, 0 FROM c",
        ),
    )
    yield "noise", written(b"SQLite format 3\0" + os.urandom(8_192), "mlflow.db")


def _archives() -> Iterator[tuple[str, str, Callable[[], bytes]]]:
    def packed(depth: int) -> bytes:
        content = STEPS * 100
        for _ in range(depth):
            content = gzip.compress(content)
        return content

    def tar(mode: str, count: int, size: int = 0) -> bytes:
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode=mode) as archive:  # type: ignore[call-overload]  # the mode is one of its own
            for number in range(count):
                member = tarfile.TarInfo(f"run/{number}.log")
                member.size = size
                archive.addfile(member, io.BytesIO(bytes(size)))
        return made.getvalue()

    def xz() -> bytes:
        packer, block = lzma.LZMACompressor(preset=0), bytes(1 << 20)
        return b"".join(packer.compress(block) for _ in range(512)) + packer.flush()

    yield "gzip in gzip in gzip", "train.log.gz", lambda: packed(9)
    yield "xz of 512 MB in 80 KB", "train.log.xz", xz
    yield "tar of 100,000 files", "run.tar.gz", lambda: tar("w:gz", 100_000)
    yield "bzip2 of 512 MB", "run.tar.bz2", lambda: tar("w:bz2", 1, 512 << 20)
    yield "100,000 members of gzip", "train.log.gz", lambda: gzip.compress(b"x\n") * 100_000


def _before_the_log(folder: Path) -> None:
    for number in range(100_500):
        (folder / f"{number}.jpg").touch()


def _loops(folder: Path) -> None:
    """Links that lead through 200 others, into each other's folders, and runs of W&B that are links to themselves."""
    for number in range(200):
        (folder / f"train-{number}.log").symlink_to(f"train-{number + 1}.log")
    (folder / "train-200.log").write_bytes(STEPS)
    (folder / "wandb").mkdir()
    (folder / "wandb" / "latest-run").symlink_to("latest-run")
    (folder / "checkpoint-5").mkdir()
    (folder / "checkpoint-5" / "up").symlink_to("..")
    (folder / "checkpoint-10").symlink_to("checkpoint-5")


def _special_in_a_save(folder: Path) -> None:
    """Make pipes and devices of the names of a save: opened they would wait for ever, or never end."""
    (folder / "checkpoint-5").mkdir()
    for name in ("optimizer.pt", "trainer_state.json", "model.safetensors", "rng_state.pth", "scheduler.pt"):
        os.mkfifo(folder / "checkpoint-5" / name)
    (folder / EVENTS).symlink_to("/dev/zero")


def inputs() -> Iterator[Input]:
    """Yield further inputs of the classes of settings, tables, logs, pages, databases, archives and folders."""
    for place, contents in _settings():
        yield from files("script, settings", place, contents)
    for place, contents in _histories():
        yield from files("table", place, contents)
    yield from files("log", "train.log", _logs())
    for place, contents in _pages():
        yield from files("notebook, page", place, contents)
    for name, make in _databases():
        yield Input("database", name, make)
    for name, place, content in _archives():
        yield Input("archive", name, written(content, place), place)
        yield Input("archive", f"{name}, in a run", written(content, place))
    yield Input("folder", "100,000 pictures before the log", _before_the_log)
    yield Input("folder", "links through links", _loops)
    yield Input("folder", "FIFOs in a save", _special_in_a_save)
