"""Hyperparameters that a Lightning logger saved: `lightning_logs/version_0/hparams.yaml`.

    batch_size: 8
    lr: 1.0e-05
    model: !!python/object:argparse.Namespace
      layers: 2

Written by `save_hyperparameters` at the start of the run; Python tags are read as plain data.
"""

from collections.abc import Iterator
from dataclasses import replace

from forensics.model import Artifact, Fact, Standing
from forensics.plugin import reader
from forensics.readers._environment import settings
from forensics.readers._yaml import load_yaml, yaml_damage


@reader("lightning-hparams", match=(r"(^|/)hparams\.yaml$",))
def lightning_hparams(artifact: Artifact) -> Iterator[Fact]:
    """Lightning `hparams.yaml`: what was passed to the module, with `lr` as `learning_rate`."""
    document, found = load_yaml(artifact)
    yield from yaml_damage(artifact, document)
    for setting in settings(artifact, found or {}, Standing.RECORDED):
        yield replace(setting, name="learning_rate") if setting.name == "lr" else setting
