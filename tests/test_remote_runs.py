"""`analyze`, `timeline`, `env` and `bundle` of a URL: what they say is what they say of the same run here."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from safetensors.numpy import save_file

import forensics
from forensics.cli import main
from forensics.discovery.fetched import _brought, fetched
from forensics.model import Artifact, Skip
from forensics.storage.locations import Locations, RemotePath, place_of
from forensics.storage.remote_file import TRAFFIC
from range_server import serving
from runs import BROKEN, FOUNDING, HEALTHY, Case

fsspec = pytest.importorskip("fsspec")
pytest.importorskip("aiohttp")

CASES = [FOUNDING, *(c for c in (*BROKEN, *HEALTHY) if c.name in {"converging", "truncated-write", "lightning"})]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forensics.storage.remote_http.PAUSE_SECONDS", 0.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def run(*words: object) -> Result:
    return CliRunner().invoke(main, list(map(str, words)))


def stored(folder: Path, name: str) -> str:
    memory = fsspec.filesystem("memory")
    if not memory.exists(f"/{name}"):
        memory.put(str(folder), f"/{name}", recursive=True)
    return f"memory://{name}"


def told(text: str) -> Any:
    """Return a report without the name of the run and the times of its files."""
    tree = json.loads(text)
    tree["run"]["path"] = ""
    return tree


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_run_in_a_store_is_judged_as_it_is_here(case: Case) -> None:
    url = stored(case.run, f"same/{case.name}")
    there, here = (run("analyze", place, "--json", "--weights", "quick") for place in (url, case.run))

    assert told(there.stdout) == told(here.stdout)
    assert there.exit_code == here.exit_code
    assert json.loads(there.stdout)["run"]["path"] == url


@pytest.mark.parametrize("words", [("timeline", "-m", "loss"), ("env",)], ids=lambda words: words[0])
def test_tables_are_the_same(words: tuple[str, ...]) -> None:
    command, *options = words
    there, here = (run(command, place, *options) for place in (stored(FOUNDING.run, "tables"), FOUNDING.run))

    assert there.stdout == here.stdout


def test_a_bundle_of_a_store_holds_its_log_lines(tmp_path: Path) -> None:
    done = run("bundle", stored(FOUNDING.run, "bundled"), "-o", tmp_path / "evidence.zip")

    assert done.exit_code == 0
    with zipfile.ZipFile(tmp_path / "evidence.zip") as archive:
        names = archive.namelist()
    assert "report.html" in names
    assert [name for name in names if "train.log" in name]


def test_only_what_is_needed_is_read_and_its_bytes_are_told(tmp_path: Path) -> None:
    """Of 8 MB of weights, which are not asked for, the header; all else once."""
    (tmp_path / "run" / "checkpoint-36").mkdir(parents=True)
    for path in FOUNDING.run.glob("*.*"):
        if path.is_file():
            (tmp_path / "run" / path.name).write_bytes(path.read_bytes())
    values = {f"layer.{i}.weight": np.ones((512, 1024), np.float32) for i in range(4)}
    save_file(values, tmp_path / "run" / "checkpoint-36" / "model.safetensors")
    url = stored(tmp_path / "run", "large")
    total = sum(path.stat().st_size for path in (tmp_path / "run").rglob("*") if path.is_file())
    before = TRAFFIC.bytes
    done = run("analyze", url, "--weights", "off")

    assert TRAFFIC.bytes - before < total / 10
    assert f"bytes of {total:,} were read at {url}" in done.stderr
    assert "checkpoint-36" in done.stdout


def test_a_log_on_a_web_server(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_bytes((FOUNDING.run / "train.log").read_bytes())
    with serving(tmp_path) as server:
        report = forensics.analyze(f"{server.url}/train.log?token=abcdefgh1234")

    assert report.findings[0].symptom == "loss-to-zero"
    assert "abcdefgh1234" not in str(report)
    assert str(report.run.root) == f"{server.url}/train.log"


def test_what_was_brought_is_deleted() -> None:
    place = place_of(stored(FOUNDING.run, "deleted"))
    assert isinstance(place, RemotePath)
    with fetched(place) as there:
        folder = there.folder
        assert (folder / "train.log").is_file()

    assert not folder.exists()


@pytest.mark.parametrize("path", ["../outside.log", "/etc/outside.log", "a/../../outside.log"])
def test_no_name_leads_out(path: str, tmp_path: Path) -> None:
    place = place_of(stored(FOUNDING.run, "names"))
    assert isinstance(place, RemotePath)
    found = _brought(Artifact(Locations((place,), place), path, 1, 0.0), tmp_path / "kept")

    assert isinstance(found, Skip)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_gone_is_left_out_and_told(tmp_path: Path) -> None:
    place = place_of(stored(FOUNDING.run, "gone"))
    assert isinstance(place, RemotePath)
    found = _brought(Artifact(Locations((place,), place), "never.log", 1, 0.0), tmp_path)

    assert isinstance(found, Skip)
    assert "not there" in found.reason


def test_nothing_there_is_one_line() -> None:
    done = run("analyze", "memory://never/was/here")

    assert done.exit_code == 3
    assert len(done.stderr.splitlines()) == 1
