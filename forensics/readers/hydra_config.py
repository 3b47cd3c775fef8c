"""The configuration that Hydra keeps beside each job, whatever it configures: `.hydra/config.yaml`."""

from collections.abc import Iterator

from forensics.model import Artifact, Fact, Standing
from forensics.plugin import reader
from forensics.readers._arguments import told
from forensics.readers._yaml import load_yaml, yaml_damage


@reader("hydra-config", match=(r"(?:^|/)\.hydra/config\.yaml$",), alone=True)
def hydra_config(artifact: Artifact) -> Iterator[Fact]:
    """`.hydra/config.yaml`: the resolved configuration of a job, under its own dotted names."""
    document, found = load_yaml(artifact)
    if found is not None:
        yield from yaml_damage(artifact, document)
        yield from told(artifact, found, Standing.CONFIGURED)
