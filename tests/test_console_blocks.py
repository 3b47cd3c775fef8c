"""Every `medforensics` line of a console block runs as it is printed, on stand-ins for what the page is about."""

import gzip
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from forensics.cli import main
from runs import BROKEN, FOUNDING, HEALTHY, ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"```(?:console|shell|bash|sh)\n(.*?)```", re.DOTALL)
ELSEWHERE = {"/data/runs": "runs", "s3://bucket/run": "memory://console", "RUN": "runs/llama-lora-17"}
"""What stands for a place of the reader's own."""
NOT_HERE = ("--cluster", "hf://", "https://", "medforensics mcp", "recorder")
"""Needs a cluster, the network, or never ends."""


def commands() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for block in BLOCK.findall(page.read_text()):
            for line in re.findall(r"(?m)^\$ (.*(?:\\\n.*)*)", block):
                if "medforensics " in line and not any(word in line for word in NOT_HERE):
                    yield page.name, line.replace("\\\n", " ")


FOUND = [pair for pair in commands() if re.search(r"(?:^|\| |&& )medforensics ", pair[1])]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that the pages name."""
    folder = tmp_path_factory.mktemp("console")
    good = next(case for case in HEALTHY if case.name == "zero2-bf16-v4")
    spike = next(case for case in BROKEN if case.name == "lr-spike")
    for name, case in {"llama-lora-17": FOUNDING, "seed-1": good, "seed-2": spike}.items():
        shutil.copytree(case.run, folder / "runs" / name)
    recorded = next(case for case in BROKEN if case.name == "ds-zero12-comm-corruption-recorded")
    for number, case in (("1", good), ("2", recorded)):
        shutil.copytree(case.run, folder / "rungs" / number)
    shutil.copytree(FOUNDING.run / "checkpoint-24", folder / "out" / "checkpoint-500")
    (folder / "base").mkdir()
    shutil.copy(FOUNDING.run / "checkpoint-12" / "model.safetensors", folder / "base" / "model.safetensors")
    shutil.copy(FOUNDING.run / "checkpoint-24" / "model.safetensors", folder / "model.safetensors")
    log = (FOUNDING.run / "train.log").read_text()
    (folder / "train.log").write_text(log)
    (folder / "slurm-123456.out.gz").write_bytes(gzip.compress(log.encode()))
    (folder / "issue.md").write_text(f"The loss is 0.\n\n```\n{log}\n```\n")
    cell = {"cell_type": "code", "source": "train()", "metadata": {}, "execution_count": 1,
            "outputs": [{"output_type": "stream", "name": "stdout", "text": log}]}  # fmt: skip
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (folder / "train.ipynb").write_text(json.dumps(notebook))
    store = pytest.importorskip("fsspec").filesystem("memory")
    store.put(str(folder / "out" / "checkpoint-500"), "/console/checkpoint-500", recursive=True)
    (folder / "fixtures").symlink_to(ROOT / "fixtures")
    return folder


@pytest.mark.parametrize(("page", "line"), FOUND, ids=lambda text: text[:60])
def test_the_line_runs(page: str, line: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends as a run with or without findings does, and prints no usage error."""
    monkeypatch.chdir(place)
    words = shlex.split(line[line.index("medforensics ") :])[1:]
    if ">" in words:
        words = words[: words.index(">")]
    for name, stand_in in ELSEWHERE.items():
        words = [
            stand_in + word[len(name) :] if word == name or word.startswith(name + "/") else word for word in words
        ]
    given = (place / "train.log").read_text() if "-" in words else None
    done = CliRunner().invoke(main, words, input=given)

    assert done.exit_code in {0, 1}, f"{page}: {done.stderr}"


def test_the_pages_are_full_of_lines() -> None:
    assert len(FOUND) > 20
