"""What `config.json`, `generation_config.json` and `adapter_config.json` have in common."""

from collections.abc import Iterator, Mapping

from forensics.errors import MalformedError
from forensics.model import Artifact, Fact, Source, Standing
from forensics.readers._environment import damage, in_checkpoint, load_object, package, settings


def read_config(
    artifact: Artifact, prefix: str, versions: Mapping[str, str], known: frozenset[str] = frozenset()
) -> Iterator[Fact]:
    """Yield the configuration under `prefix`, and the packages whose versions it names.

    Inside `checkpoint-N` the running library wrote it: RECORDED. Outside it may be a copy of the base model's:
    its settings are CONFIGURED, a version in it is only INTENDED. Yields nothing when none of the `known` keys
    is there. Raises `MalformedError` when the file holds no JSON object.
    """
    document, found = load_object(artifact)
    if found is None:
        raise MalformedError(f"{artifact.path} holds no JSON object")
    if known and known.isdisjoint(found):
        return
    inside = in_checkpoint(artifact.path)
    yield from damage(artifact, document, "the settings before it were read")
    for key, name in versions.items():
        version = found.get(key)
        if isinstance(version, str):
            standing = Standing.RECORDED if inside else Standing.INTENDED
            yield from package(name, version, Source(artifact.path, key), standing)
    yield from settings(artifact, found, Standing.RECORDED if inside else Standing.CONFIGURED, prefix)
