"""The files that W&B keeps beside its log: `wandb-metadata.json`, `config.yaml`, `wandb-summary.json`.

    config.yaml             wandb_version: 1
                            _wandb: {value: {cli_version: 0.19.1, python_version: 3.10.15, t: {"6": 4.48.0}}}
                            learning_rate: {desc: null, value: 2e-05}
    wandb-metadata.json     {"os": "Linux-5.15", "python": "3.10.15", "gpu": "NVIDIA A100-SXM4-80GB", "args": []}
    wandb-summary.json      {"train/train_loss": 1.93, "train/global_step": 120, "_step": 13, "train/loss": "NaN"}

Offline runs have none of them. `t` is the telemetry, keyed by the numbers of its protobuf fields.
"""

import math
from collections.abc import Iterator, Mapping

import numpy as np

from forensics.errors import MalformedError
from forensics.formats.flatten import flatten
from forensics.formats.wandb_records import NONFINITE
from forensics.model import Artifact, Fact, Samples, Setting, Skip, Source, Standing
from forensics.names import canonical
from forensics.plugin import reader
from forensics.readers._environment import damage, load_object, package
from forensics.readers._wandb import facts_of_environment, settings_of_config
from forensics.readers._yaml import load_yaml, yaml_damage

_FINAL = ("train_loss", "train_runtime", "train_samples_per_second", "train_steps_per_second", "total_flos")
"""What the Trainer writes to the summary only, when it has finished (`rewrite_logs`, `WandbCallback.on_log`)."""
_TELEMETRY = {"4": "python", "5": "wandb", "6": "transformers"}
_VERSIONS = {"python_version": "python", "cli_version": "wandb"}


@reader("wandb-metadata", match=(r"(^|/)wandb-metadata\.json$",))
def wandb_metadata(artifact: Artifact) -> Iterator[Fact]:
    """`wandb-metadata.json`: operating system, Python, GPUs, the command line."""
    document, found = load_object(artifact)
    if found is None:
        raise MalformedError(f"{artifact.path} holds no JSON object")
    yield from damage(artifact, document, "what stands before was read")
    board = found.get("gpu_nvidia")
    if not found.get("gpu") and isinstance(board, list) and board and isinstance(board[0], dict):
        found = {**found, "gpu": board[0].get("name"), "gpu_count": found.get("gpu_count") or len(board)}
    yield from facts_of_environment(found, Source(artifact.path))


@reader("wandb-config", match=(r"(^|/)((offline-)?run-\d{8}_\d{6}-[\w-]+|wandb[\w-]*)/(files/)?config\.yaml$",))
def wandb_config(artifact: Artifact) -> Iterator[Fact]:
    """`config.yaml` of a W&B run: its configuration, versions of Python, W&B and Transformers."""
    document, found = load_yaml(artifact)
    if found is None:
        raise MalformedError(f"{artifact.path} holds no mapping")
    yield from yaml_damage(artifact, document)
    config = {key: held["value"] for key, held in found.items() if isinstance(held, dict) and "value" in held}
    own = config.get("_wandb")
    if isinstance(own, Mapping):
        yield from _versions(artifact, own)
    yield from settings_of_config(config, {key: Source(artifact.path, key) for key in config})


def _versions(artifact: Artifact, own: Mapping[str, object]) -> Iterator[Setting]:
    source = Source(artifact.path, "_wandb")
    telemetry = own.get("t")
    held = dict(telemetry) if isinstance(telemetry, Mapping) else {}
    for numbered, named in ((held, _TELEMETRY), (own, _VERSIONS)):
        for key, name in named.items():
            version = numbered.get(key)
            if isinstance(version, str):
                yield from package(name, version, source, Standing.RECORDED)


@reader("wandb-summary", match=(r"(^|/)wandb-summary\.json$",))
def wandb_summary(artifact: Artifact) -> Iterator[Fact]:
    """`wandb-summary.json`: the totals of a finished Trainer as samples, other last values as settings."""
    document, found = load_object(artifact)
    if found is None:
        raise MalformedError(f"{artifact.path} holds no JSON object")
    yield from damage(artifact, document, "what stands before was read")
    step = _number(found.get("train/global_step"))
    known = step is not None and 0 <= step < 1 << 62
    for key, value in found.items():
        number = _number(value)
        if key.removeprefix("train/") in _FINAL and number is not None and step is not None and known:
            yield _final(artifact, key, number, int(step))
        elif not key.startswith("_"):
            # The step of a last value is not written; a guess would contradict the history.
            yield from _last(artifact, key, value)


def _number(value: object) -> float | None:
    if isinstance(value, str):
        return NONFINITE.get(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) < 1e308 or isinstance(value, float) else math.inf


def _final(artifact: Artifact, key: str, value: float, step: int) -> Samples:
    return Samples(
        name=canonical(key),
        steps=np.array([step], np.int64),
        values=np.array([value], np.float64),
        records=np.zeros(1, np.int64),
        path=artifact.path,
        place=key,
    )


def _last(artifact: Artifact, key: str, value: object) -> Iterator[Setting | Skip]:
    try:
        for name, held in flatten(value, f"wandb.summary.{key.replace('/', '.')}"):
            yield Setting("setting", name, held, Source(artifact.path, key), Standing.RECORDED)
    except MalformedError as error:
        yield Skip(f"{artifact.path}:{key}", str(error))
