"""A run in S3 and on the Hugging Face Hub over HTTP, asked for through the libraries that people have installed.

Skipped without them: `pip install 'moto[server]' s3fs huggingface_hub`.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hub_server import hub
from runs import FOUNDING, ROOT


def report(place: str, **environment: str) -> tuple[Mapping[str, Any], str]:
    """Return the JSON report of a process of its own, without the name of the run, and what it said beside it."""
    command = [sys.executable, "-m", "forensics", "analyze", place, "--json", "--weights", "quick"]
    kept = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), "NO_PROXY": "127.0.0.1", **environment}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=kept)
    assert done.returncode == 1, done.stderr
    tree = json.loads(done.stdout)
    tree["run"]["path"] = ""
    return tree, done.stderr


def test_a_run_in_s3_is_judged_as_it_is_here() -> None:
    server_of = pytest.importorskip("moto.server").ThreadedMotoServer
    stores = pytest.importorskip("s3fs")
    server = server_of(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        known = {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        store = stores.S3FileSystem(key="testing", secret="testing", endpoint_url=known["AWS_ENDPOINT_URL"])
        store.mkdir("runs")
        store.put(str(FOUNDING.run), "runs/llama-lora-17", recursive=True)
        there, said = report("s3://runs/llama-lora-17", **known)
    finally:
        server.stop()

    assert there == report(str(FOUNDING.run))[0]
    assert "were read at s3://runs/llama-lora-17" in said


def test_a_run_on_the_hub_is_judged_as_it_is_here(tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    with hub(FOUNDING.run) as server:
        there, said = report("hf://user/model", HF_ENDPOINT=server.url, HF_HOME=str(tmp_path))

    assert there == report(str(FOUNDING.run))[0]
    assert "were read at hf://user/model" in said
