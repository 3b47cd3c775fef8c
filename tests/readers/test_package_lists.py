"""Packages as pip, conda, lock files and recipes tell them."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forensics.errors import MalformedError
from forensics.plugin import Reader
from forensics.readers.conda_list import conda_list
from forensics.readers.dockerfile import dockerfile
from forensics.readers.lock_file import lock_file
from forensics.readers.pip_freeze import pip_freeze
from readers.reading import facts_of, settings_of, survives

PIXI = """\
version: 6
environments:
  default:
    channels:
    - url: https://conda.anaconda.org/conda-forge/
packages:
- conda: https://conda.anaconda.org/conda-forge/linux-64/pytorch-2.5.1-cuda126_py311_h2c4.conda
  sha256: 9f
- pypi: https://files.pythonhosted.org/packages/aa/deepspeed-0.16.9.tar.gz
  name: deepspeed
  version: 0.16.9
"""
CONDA_LOCK = """\
version: 1
package:
- name: numpy
  version: 2.1.3
  manager: conda
  platform: linux-64
"""
FREEZE = """\
absl-py==2.1.0
-e git+https://github.com/me/train.git@0123456789abcdef#egg=train
flash_attn @ file:///croot/flash_1715/work
Huggingface_Hub==0.35.3
nvidia-nccl-cu12==2.18.1
numpy==1.26.4 ; python_version >= "3.9"
torch==2.1.2+cu121
"""
LISTED = """\
Package            Version     Editable project location
------------------ ----------- -------------------------
accelerate         1.10.1
my-train           0.1.0       /home/me/train
torch              2.5.1

[notice] A new release of pip is available: 24.0 -> 25.3
deepspeed          0.16.9
"""
CONDA = """\
# packages in environment at /opt/conda/envs/llm:
#
# Name                    Version                   Build  Channel
_libgcc_mutex             0.1                        main
nccl                      2.18.3.1             h12f7317_0    conda-forge
numpy                     1.26.4          py310hb13e2d6_0    conda-forge
pytorch                   2.1.2           py3.10_cuda12.1_cudnn8.9.2_0    pytorch
pytorch-cuda              12.1                 ha16c6d3_5    pytorch
transformers              4.36.2                   pypi_0    pypi
"""
CONDA_EXPORT = """\
# This file may be used to create an environment using:
# $ conda create --name <env> --file <this file>
# platform: linux-64
numpy=1.26.4=py310hb13e2d6_0
"""
CONDA_EXPLICIT = """\
@EXPLICIT
https://conda.anaconda.org/conda-forge/linux-64/numpy-1.26.4-py310hb13e2d6_0.conda#0123456789abcdef
https://conda.anaconda.org/conda-forge/noarch/huggingface_hub-0.20.1-pyhd8ed1ab_0.tar.bz2
"""
CONDA_YAML = """\
name: llm
channels:
  - conda-forge
dependencies:
  - python=3.10.15=h4a871b0_2_cpython
  - pip:
      - deepspeed==0.12.5
      - transformers>=4.36
prefix: /opt/conda/envs/llm
"""
UV = """\
version = 1
requires-python = ">=3.10"

[[package]]
name = "torch"
version = "2.5.1"
source = { registry = "https://pypi.org/simple" }

[[package]]
name = "my-train"
source = { editable = "." }
"""
PIPFILE = """{"_meta": {}, "default": {"torch": {"version": "==2.5.1"}, "x": {"git": "y"}},
 "develop": {"a": {"version": "~=2.5"}}}"""
DOCKER = """\
FROM --platform=linux/amd64 nvcr.io/nvidia/pytorch:24.06-py3 AS base
ENV NCCL_DEBUG=INFO
ENV WANDB_API_KEY "abc"
# pip install torch==1.0
RUN pip install deepspeed==0.12.5 "transformers[torch]==4.36.2" accelerate>=0.25 numpy==1.* && true
"""
CASES: list[tuple[Reader, str, str, list[tuple[str, object, str, str]]]] = [
    (
        pip_freeze,
        "pip_freeze.txt",
        FREEZE,
        [
            ("absl-py", "2.1.0", "line 1", "CONFIGURED"),
            ("huggingface-hub", "0.35.3", "line 4", "CONFIGURED"),
            ("nvidia-nccl-cu12", "2.18.1", "line 5", "CONFIGURED"),
            ("nccl", "2.18.1", "line 5", "CONFIGURED"),
            ("numpy", "1.26.4", "line 6", "CONFIGURED"),
            ("torch", "2.1.2+cu121", "line 7", "CONFIGURED"),
            ("cuda", "12.1", "line 7", "CONFIGURED"),
        ],
    ),
    (
        pip_freeze,
        "packages.txt",
        LISTED,
        [
            ("accelerate", "1.10.1", "line 3", "CONFIGURED"),
            ("my-train", "0.1.0", "line 4", "CONFIGURED"),
            ("torch", "2.5.1", "line 5", "CONFIGURED"),
        ],
    ),
    (
        pip_freeze,
        "install.log",
        "Collecting torch\nSuccessfully installed accelerate-1.2.1 flash-attn-2.5.8 torch-2.5.1\n",
        [
            ("accelerate", "1.2.1", "line 2", "CONFIGURED"),
            ("flash-attn", "2.5.8", "line 2", "CONFIGURED"),
            ("torch", "2.5.1", "line 2", "CONFIGURED"),
        ],
    ),
    (
        pip_freeze,
        "pip_list.json",
        '[{"name": "torch", "version": "2.5.1"}, {"name": "x"}, 3]',
        [("torch", "2.5.1", "[0]", "CONFIGURED")],
    ),
    (
        conda_list,
        "conda_list.txt",
        CONDA,
        [
            ("nccl", "2.18.3.1", "line 5", "CONFIGURED"),
            ("nccl", "2.18.3.1", "line 5", "CONFIGURED"),
            ("numpy", "1.26.4", "line 6", "CONFIGURED"),
            ("torch", "2.1.2", "line 7", "CONFIGURED"),
            ("pytorch-cuda", "12.1", "line 8", "CONFIGURED"),
            ("cuda", "12.1", "line 8", "CONFIGURED"),
            ("transformers", "4.36.2", "line 9", "CONFIGURED"),
        ],
    ),
    (conda_list, "spec.txt", CONDA_EXPORT, [("numpy", "1.26.4", "line 4", "CONFIGURED")]),
    (
        conda_list,
        "explicit.txt",
        CONDA_EXPLICIT,
        [("numpy", "1.26.4", "line 2", "CONFIGURED"), ("huggingface-hub", "0.20.1", "line 3", "CONFIGURED")],
    ),
    (
        conda_list,
        "environment.yml",
        CONDA_YAML,
        [("python", "3.10.15", "line 5", "CONFIGURED"), ("deepspeed", "0.12.5", "line 7", "CONFIGURED")],
    ),
    (
        conda_list,
        "by_hand.yml",
        "dependencies:\n  - python=3.10\n  - pip:\n    - torch==2.5.1\n",
        [("python", "3.10", "line 2", "INTENDED"), ("torch", "2.5.1", "line 4", "INTENDED")],
    ),
    (
        conda_list,
        "conda.json",
        json.dumps([{"base_url": "u", "channel": "pytorch", "name": "pytorch", "version": "2.5.1"}]),
        [("torch", "2.5.1", "[0]", "CONFIGURED")],
    ),
    (lock_file, "uv.lock", UV, [("torch", "2.5.1", "package[0]", "INTENDED")]),
    (lock_file, "Pipfile.lock", PIPFILE, [("torch", "2.5.1", "default", "INTENDED")]),
    (
        lock_file,
        "pixi.lock",
        PIXI,
        [("torch", "2.5.1", "packages[0]", "INTENDED"), ("deepspeed", "0.16.9", "packages[1]", "INTENDED")],
    ),
    (lock_file, "conda-lock.yml", CONDA_LOCK, [("numpy", "2.1.3", "package[0]", "INTENDED")]),
    (
        dockerfile,
        "Dockerfile",
        DOCKER,
        [
            ("container_image", "nvcr.io/nvidia/pytorch:24.06-py3", "line 1", "INTENDED"),
            ("torch", "2.4.0a0", "line 1", "INTENDED"),
            ("cuda", "12.5", "line 1", "INTENDED"),
            ("NCCL_DEBUG", "INFO", "line 2", "INTENDED"),
            ("WANDB_API_KEY", "<redacted>", "line 3", "INTENDED"),
            ("deepspeed", "0.12.5", "line 5", "INTENDED"),
            ("transformers", "4.36.2", "line 5", "INTENDED"),
        ],
    ),
]


@pytest.mark.parametrize(("reader", "path", "text", "expected"), CASES)
def test_packages_with_their_lines(
    tmp_path: Path, reader: Reader, path: str, text: str, expected: list[tuple[str, object, str, str]]
) -> None:
    """Exact versions under canonical names; what has no version says nothing."""
    assert reader.takes(path) or (reader.sniff is not None and reader.sniff(text.encode()))
    assert [s[1:] for s in settings_of(facts_of(reader, tmp_path, path, text))] == expected


@pytest.mark.parametrize(
    ("path", "text", "standing"),
    [
        ("wandb/run-1/files/requirements.txt", "torch==2.5.1\nnumpy==2.0.0\n", "CONFIGURED"),
        ("requirements.txt", "torch==2.5.1\nnumpy>=2\n", "INTENDED"),
        ("requirements.txt", "torch==2.5.1\nnumpy\n", "INTENDED"),
        ("requirements.txt", "torch==2.5.1\nnumpy==2.*\n", "INTENDED"),
        ("requirements.txt", "torch==2.5.1 \\\n    --hash=sha256:00\n", "INTENDED"),
        ("constraints.txt", "torch==2.5.1\n", "INTENDED"),
        ("freeze.txt", "torch==2.5.1\nnumpy\n", "CONFIGURED"),
    ],
)
def test_a_requirements_file_with_a_wish_is_intended(tmp_path: Path, path: str, text: str, standing: str) -> None:
    """Ranges, bare names, wildcards and hashes are not written by a freeze."""
    found = settings_of(facts_of(pip_freeze, tmp_path, path, text))

    assert (found[0][1], found[0][4]) == ("torch", standing)
    assert [s[1] for s in found if s[1] == "numpy"] == (["numpy"] if "numpy==2.0.0" in text else [])


@pytest.mark.parametrize(
    "text",
    [
        b"if x == 1:\n    y==2\n",
        b"{'loss': 2.0, 'epoch': 1.0}\n",
        b"|  torch==2.1 | broken |",
        b"step==10 loss==2.0",
    ],
)
def test_other_text_is_no_package_list(text: bytes) -> None:
    """A comparison in code and a line of a log are not taken."""
    assert pip_freeze.sniff is not None
    assert conda_list.sniff is not None
    assert not pip_freeze.sniff(text)
    assert not conda_list.sniff(text)


@pytest.mark.parametrize("text", ["[[package]]\nname = ", "a = " + "[" * 5000, "x" * 50 + "\0"])
def test_a_broken_lock_file_is_malformed(tmp_path: Path, text: str) -> None:
    """No TOML, no facts, and no RecursionError."""
    with pytest.raises(MalformedError):
        facts_of(lock_file, tmp_path, "uv.lock", text)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=80)
@given(st.sampled_from(CASES), st.floats(0, 1))
def test_any_prefix_gives_facts_or_a_typed_error(
    tmp_path: Path, case: tuple[Reader, str, str, object], part: float
) -> None:
    """No cut raises anything else, and none of the text formats fails at all."""
    reader, path, text, _ = case
    cut = int(part * len(text))

    assert survives(reader, tmp_path, path, text.encode()[:cut]) or path.endswith((".lock", ".json"))
