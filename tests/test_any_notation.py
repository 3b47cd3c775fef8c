"""The founding case in whatever notation its versions and its configuration are on file: one answer for all of them.

The curve is that of the fixture; beside it lies one file with the version and one with the configuration.
"""

import json
import shutil
from pathlib import Path

import pytest

from forensics import analyze

CURVE = Path(__file__).parents[1] / "fixtures/runs/broken/ds-zero12-comm-corruption/run/trainer_state.json"
CAUSE = "ds-zero12-comm-corruption"
ENGINE = {"zero_optimization": {"stage": 2, "overlap_comm": True}, "bf16": {"enabled": True}}
FREEZE = ("pip_freeze.txt", "deepspeed==0.12.5\ntorch==2.1.2\ntransformers==4.36.2\n")
VERSIONS = {
    "pip freeze": FREEZE,
    "pip list": ("env.txt", "Package      Version\n------------ -------\ndeepspeed    0.12.5\ntorch        2.1.2\n"),
    "pip list in JSON": ("packages.json", '[{"name": "deepspeed", "version": "0.12.5"}]'),
    "pip show": ("show.txt", "Name: deepspeed\nVersion: 0.12.5\nSummary: DeepSpeed library\n"),
    "conda": ("environment.yml", "dependencies:\n  - python=3.10\n  - pip:\n    - deepspeed==0.12.5\n"),
    "uv": ("uv.lock", 'version = 1\n\n[[package]]\nname = "deepspeed"\nversion = "0.12.5"\n'),
    "pixi": (
        "pixi.lock",
        "version: 6\npackages:\n- pypi: https://x/deepspeed.tar.gz\n  name: deepspeed\n  version: 0.12.5\n",
    ),
    "Dockerfile": ("Dockerfile", "FROM python:3.10\nRUN pip install \\\n    transformers==4.36.2 deepspeed==0.12.5\n"),
    "ds_report": (
        "report.txt",
        "torch version .................... 2.1.2\ndeepspeed info ................... 0.12.5, u, u\n",
    ),
    "an issue": ("issue.md", "### Environment\n- DeepSpeed version: 0.12.5\n- PyTorch version (GPU?): 2.1.2 (True)\n"),
    "a table": ("notes.md", "| package | version |\n|---|---|\n| torch | 2.1.2 |\n| deepspeed | 0.12.5 |\n"),
    "a dictionary": ("start.log", "INFO versions: {'torch': '2.1.2', 'deepspeed': '0.12.5'}\n"),
    "attributes": ("start.log", "deepspeed.__version__ = 0.12.5\ntorch.__version__ = 2.1.2\n"),
    "JSON": ("environment.json", '{"python": "3.10.13", "packages": {"torch": "2.1.2", "deepspeed": "0.12.5"}}'),
    "prose": ("issue.md", "Hi, I train Yi-6B with deepspeed 0.12.5 on 7 A100s. The loss is 0 at once.\n"),
    "an installation": ("install.log", "Collecting deepspeed\nSuccessfully installed deepspeed-0.12.5 hjson-3.1.0\n"),
}
CONFIGURATIONS = {
    "the engine's JSON": ("ds_config.json", json.dumps(ENGINE, indent=1)),
    "the engine's YAML": (
        "ds_config.yaml",
        "zero_optimization:\n  stage: 2\n  overlap_comm: true\nbf16:\n  enabled: true\n",
    ),
    "accelerate": (
        "accelerate.yaml",
        "distributed_type: DEEPSPEED\ndeepspeed_config:\n  zero_stage: 2\nmixed_precision: bf16\nnum_processes: 7\n",
    ),
    "a command": ("train.sh", "deepspeed --num_gpus 7 sft.py --bf16 --deepspeed zero2.json --learning_rate 2e-6\n"),
    "a program": (
        "train.py",
        (
            "from transformers import TrainingArguments\nargs = TrainingArguments(output_dir='out', bf16=True, "
            f"learning_rate=2e-6, deepspeed={ENGINE!r})\n"
        ),
    ),
    "arguments": (
        "args.log",
        "Namespace(bf16=True, zero_stage=2, overlap_comm=True, learning_rate=2e-06, num_gpus=7)\n",
    ),
    "Hydra": (".hydra/config.yaml", "trainer:\n  precision: bf16\n  strategy: deepspeed_stage_2\n  devices: 7\n"),
    "Lightning": ("lightning_logs/version_0/hparams.yaml", "precision: bf16-mixed\nstrategy: deepspeed_stage_2\n"),
    "LLaMA-Factory": ("sft.yaml", "stage: sft\ndeepspeed: ds_z2_config.json\nbf16: true\nlearning_rate: 2.0e-6\n"),
    "axolotl": ("config.yml", "base_model: yi\nbf16: true\ndeepspeed: deepspeed_configs/zero2.json\n"),
    "ms-swift": ("args.json", '{"model": "yi", "torch_dtype": "bfloat16", "bf16": true, "deepspeed": "zero2"}'),
    "W&B": (
        "wandb/run-20240103_101112-abc/files/config.yaml",
        "bf16:\n  value: true\ndeepspeed:\n  value: zero2.json\nlearning_rate:\n  value: 2.0e-06\n",
    ),
    "an issue": ("issue.md", f"Loss is 0. My config:\n\n```json\n{json.dumps(ENGINE, indent=2)}\n```\n"),
}
ENOUGH = 10
"""Points that the cause has where stage, precision and release are known."""


@pytest.mark.parametrize(
    ("version", "configuration"),
    [
        *((version, CONFIGURATIONS["the engine's JSON"]) for version in VERSIONS.values()),
        *((FREEZE, configuration) for configuration in CONFIGURATIONS.values()),
    ],
    ids=[*VERSIONS, *(f"configured by {name}" for name in CONFIGURATIONS)],
)
def test_the_founding_cause_is_found_in_any_notation(
    tmp_path: Path, version: tuple[str, str], configuration: tuple[str, str]
) -> None:
    run = tmp_path / "run"
    for name, text in (version, configuration):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text(text)
    shutil.copy(CURVE, run)

    first = analyze(run).hypotheses[0]

    assert (first.cause, first.score >= ENOUGH) == (CAUSE, True)
